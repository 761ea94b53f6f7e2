"""A model and a sampler, judged: what `ddpm-teach evaluate` prints. Lesson 08."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ddpm_teach.checks import check_int, check_model, shown
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.sets import load
from ddpm_teach.diffusion.sampling import Sampler
from ddpm_teach.evaluation.metrics import CLASSIFIERS, Measured, Moments, classifier_path, frechet, in_parts
from ddpm_teach.model import Model, load_net
from ddpm_teach.nets import Classifier

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


def judge_of(model: Model) -> Judge:
    """The judge for a model, by its classes and the shape of its pictures.

    Raises:
        ValueError: where the course has none.
    """
    for name in CLASSIFIERS:
        classifier, meta = load_net(classifier_path(name))
        padding = model.image_shape[1] - classifier.image_shape[1]
        like = model.image_shape[0] == classifier.image_shape[0] and padding >= 0 and padding % 2 == 0
        if like and model.classes == tuple(meta["classes"]):
            return Judge(name, classifier)
    shape, classes = tuple(model.image_shape), ", ".join(model.classes)
    raise ValueError(
        f"weights: no classifier for pictures {shape} of {classes}; there is one for {' and '.join(CLASSIFIERS)}"
    )


def evaluate(
    model: Model, sampler: Sampler, n: int = 2000, seed: int = 0, size: int = 200, root: str | Path | None = None
) -> Evaluation:
    """Samples n pictures, as many of each class, and judges them. No more than `size` of them are in memory at once.

    Args:
        n: at least 10, in PARTS equal parts, whose differences tell the error; rounded down to such a number.
        seed: no two seeds share a picture.
        size: pictures that are sampled at a time.
        root: where the data set is, as for `data.load`.

    Raises:
        TypeError: for what is no Model, or no Sampler.
        ValueError: if the course has no classifier for the model.
        FloatingPointError: if its network makes numbers that aren't finite.
    """
    check_model(model)
    if not isinstance(sampler, Sampler):
        raise TypeError(f"sampler: expected a Sampler, got {shown(sampler)}; use Sampler(steps=50)")
    each = check_int("n", n, PARTS) // PARTS
    check_int("size", size, 1)
    check_int("seed", seed, 0, 2**63 - 1)
    judge = judge_of(model)
    train, test = (load(judge.dataset, split, root=root) for split in ("train", "test"))
    reference = _moments(judge, test, torch.arange(len(test), device="cpu"))
    model = model.tuned(sampler.precision)  # once, for all chunks
    moments, right, seconds = [], 0, 0.0
    for part in range(PARTS):
        chunks = []
        for labels, part_seed in _chunks(model, each, size, seed, part):
            start = time.perf_counter()
            contexts = None if model.context_dim is None else torch.eye(len(model.classes), device="cpu")[labels]
            *_, last = sampler.frames(model, len(labels), contexts, part_seed)
            x = judge.crop(last.x)
            seconds += time.perf_counter() - start
            features = in_parts(judge.classifier.features, x)
            right += (in_parts(judge.classifier.head, features).argmax(1) == labels).sum().item()
            chunks.append(Moments.of(features))
        moments.append(reduce(Moments.__add__, chunks))
    count = each * PARTS
    accuracy = Measured.share(right, count) if model.context_dim is not None else None
    return Evaluation(
        count, frechet(moments, reference), _floor(judge, train, each, reference), accuracy, seconds / count
    )


def _chunks(model: Model, each: int, size: int, seed: int, part: int) -> Iterator[tuple[Tensor, int]]:
    """The labels of a part in chunks, the classes in turn also from part to part, and a seed for each chunk."""
    labels = (torch.arange(each, device="cpu") + part * each) % max(1, len(model.classes))
    for i, chunk in enumerate(labels.split(size)):
        yield chunk, chunk_seed(seed, part, i)


def chunk_seed(seed: int, part: int, i: int) -> int:
    """A seed mixed from all three numbers, so that neighbouring seeds, parts and chunks have nothing in common."""
    return int(np.random.SeedSequence(seed, spawn_key=(part, i)).generate_state(1, np.uint64)[0] >> 1)


def _moments(judge: Judge, images: ImageSet, index: Tensor) -> Moments:
    parts = index.split(1000)
    return reduce(
        Moments.__add__,
        (Moments.of(in_parts(judge.classifier.features, images.pictures(part))) for part in parts),
    )


def _floor(judge: Judge, train: ImageSet, each: int, reference: Moments) -> Measured:
    """Training pictures in the samples' place: as many of each class, or all that there are, in as many parts."""
    rng, classes = torch.Generator("cpu").manual_seed(0), len(train.classes)
    order = torch.randperm(len(train), generator=rng, device="cpu")
    of_class = [order[train.labels[order] == k] for k in range(classes)]
    counts = [min(len(range(k, each, classes)), len(of_class[k]) // PARTS) for k in range(classes)]
    parts = [
        torch.cat([index[part * count :][:count] for index, count in zip(of_class, counts, strict=True)])
        for part in range(PARTS)
    ]
    return frechet([_moments(judge, train, part) for part in parts], reference)
