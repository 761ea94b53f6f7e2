"""A model and a sampler, judged: what `ddpm-teach evaluate` prints. Lesson 08."""

from __future__ import annotations

import math
import time
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_teach import data
from ddpm_teach.checks import check_int
from ddpm_teach.data import ImageSet
from ddpm_teach.metrics import CLASSIFIERS, Measured, Moments, classifier_path, frechet, in_parts
from ddpm_teach.nets import Classifier
from ddpm_teach.samplers import Recipe
from ddpm_teach.weights import Pretrained, load_weights

PARTS = 10  # whose differences tell the standard error


class Judge(NamedTuple):
    """Who judges a model's pictures: a classifier, and the data set that the pictures should be like.

    A model of padded pictures is judged by their middle, as large as the classifier's.
    """

    dataset: str
    classifier: Classifier

    def crop(self, x: Tensor) -> Tensor:
        margin = (x.shape[-1] - self.classifier.image_shape[-1]) // 2
        return x[..., margin : x.shape[-2] - margin, margin : x.shape[-1] - margin].float().cpu()


class Evaluation(NamedTuple):
    """Of n samples: their distance from held-out pictures, the distance that training pictures have in their place,
    the share that is named as asked for (None where nothing is asked for), and the seconds for one of them."""

    n: int
    frechet: Measured
    floor: Measured
    accuracy: Measured | None
    seconds: float


def judge_of(model: Pretrained) -> Judge:
    """The judge for a model, by its classes and the shape of its pictures.

    Raises:
        ValueError: where the course has none.
    """
    for name in CLASSIFIERS:
        classifier, meta = load_weights(classifier_path(name))
        padding = model.net.image_shape[1] - classifier.image_shape[1]
        like = model.net.image_shape[0] == classifier.image_shape[0] and padding >= 0 and padding % 2 == 0
        if like and model.classes == tuple(meta["classes"]):
            return Judge(name, classifier)
    shape, classes = tuple(model.net.image_shape), ", ".join(model.classes)
    raise ValueError(
        f"weights: no classifier for pictures {shape} of {classes}; there is one for {' and '.join(CLASSIFIERS)}"
    )


def evaluate(
    model: Pretrained, recipe: Recipe, n: int = 2000, seed: int = 0, size: int = 200, root: str | Path | None = None
) -> Evaluation:
    """Samples n pictures, as many of each class, and judges them. No more than `size` of them are in memory at once.

    Args:
        n: at least 10, in PARTS equal parts, whose differences tell the error; rounded down to such a number.
        seed: of part 0; the others follow.
        size: pictures that are sampled at a time.
        root: where the data set is, as for `data.load`.

    Raises:
        ValueError: if the course has no classifier for the model, or its network makes numbers that aren't finite.
    """
    each = check_int("n", n, PARTS) // PARTS
    check_int("size", size, 1)
    judge = judge_of(model)
    train, test = (data.load(judge.dataset, split, root=root) for split in ("train", "test"))
    reference = _moments(judge, test, torch.arange(len(test)))
    asked = model.net.config.get("context_dim") is not None
    moments, right, seconds = [], 0, 0.0
    for part in range(PARTS):
        chunks = []
        for i, labels in enumerate((torch.arange(each) % len(model.classes)).split(size)):
            start = time.perf_counter()
            contexts = torch.eye(len(model.classes))[labels] if asked else None
            *_, last = recipe.frames(model, len(labels), contexts, seed=seed + part + PARTS * i)
            x = judge.crop(last.x)
            seconds += time.perf_counter() - start
            if not x.isfinite().all():
                raise ValueError("weights: the network makes numbers that aren't finite; was it trained?")
            features = in_parts(judge.classifier.features, x)
            right += (in_parts(judge.classifier.head, features).argmax(1) == labels).sum().item()
            chunks.append(Moments.of(features))
        moments.append(reduce(Moments.__add__, chunks))
    count, share = each * PARTS, right / (each * PARTS)
    accuracy = Measured(share, math.sqrt(share * (1 - share) / count)) if asked else None
    return Evaluation(
        count, frechet(moments, reference), _floor(judge, train, each, reference), accuracy, seconds / count
    )


def _moments(judge: Judge, images: ImageSet, index: Tensor) -> Moments:
    parts = index.split(1000)
    return reduce(
        Moments.__add__,
        (Moments.of(in_parts(judge.classifier.features, images.pictures(part))) for part in parts),
    )


def _floor(judge: Judge, train: ImageSet, each: int, reference: Moments) -> Measured:
    """Training pictures in the samples' place: as many of each class, or all that there are, in as many parts."""
    order, classes = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)), len(train.classes)
    of_class = [order[train.labels[order] == k] for k in range(classes)]
    counts = [min(len(range(k, each, classes)), len(of_class[k]) // PARTS) for k in range(classes)]
    parts = [
        torch.cat([found[part * count :][:count] for found, count in zip(of_class, counts, strict=True)])
        for part in range(PARTS)
    ]
    return frechet([_moments(judge, train, index) for index in parts], reference)
