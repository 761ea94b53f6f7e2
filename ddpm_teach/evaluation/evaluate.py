"""A model and a sampler, judged: what `ddpm-teach evaluate` prints. Lesson 10."""

from __future__ import annotations

import math
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
from ddpm_teach.evaluation.judges import numbered
from ddpm_teach.evaluation.looks import looks
from ddpm_teach.evaluation.metrics import CLASSIFIERS, Measured, Moments, classifier_path, frechet, in_parts
from ddpm_teach.model import Model
from ddpm_teach.model_files import load_net
from ddpm_teach.nets import Classifier
from ddpm_teach.sampler import Sampler

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


class Compared(NamedTuple):
    """A measure of samples, and what real pictures have in their place: a floor where small is good, else a ceiling."""

    samples: Measured
    real: float


class Evaluation(NamedTuple):
    """Of n samples, balanced by class.

    Attributes:
        frechet: their distance from held-out pictures.
        floor: the distance that training pictures have in their place.
        accuracy: the share that is named as asked for; None where nothing is asked for.
        named: of a network that is told attributes, for each column, the share whose word is named as asked for.
        looks: what an eye sees first (see `looks`).
        seconds: for one sample.
    """

    n: int
    frechet: Measured
    floor: Measured
    accuracy: Measured | None
    seconds: float
    named: dict[str, Compared]
    looks: dict[str, Compared]

    def record(self) -> dict:
        """As JSON keeps it: every value with its error and the floor, or the ceiling, that real pictures set."""
        row = {"n": self.n, "seconds": self.seconds}
        row["Fréchet distance"] = {**self.frechet._asdict(), "floor": self.floor.value}
        if self.accuracy is not None:
            row["class"] = {**self.accuracy._asdict(), "ceiling": 1.0}
        row |= {name: {**measure.samples._asdict(), "ceiling": measure.real} for name, measure in self.named.items()}
        return row | {
            name: {**measure.samples._asdict(), "floor": measure.real} for name, measure in self.looks.items()
        }


def judge_of(model: Model) -> Judge:
    """The judge for a model, by its classes and the shape of its pictures.

    Raises:
        ValueError: where the course has none.
    """
    for name in CLASSIFIERS:
        classifier, meta = load_net(classifier_path(name))
        padding = model.image_shape[1] - classifier.image_shape[1]
        like = model.image_shape[0] == classifier.image_shape[0] and padding >= 0 and padding % 2 == 0
        if not like or model.classes != tuple(meta["classes"]):
            continue
        if model.attributes and dict(model.attributes) != {k: tuple(v) for k, v in meta.get("attributes", {}).items()}:
            raise ValueError(
                f"weights: the judge of {name} names other attributes than this network is told; train both on the same"
            )
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
    named, seen = [], []  # of every chunk: which words are as asked, and the looks
    for part in range(PARTS):
        chunks = []
        for labels, part_seed in _chunks(model, each, size, seed, part):
            contexts = _contexts(model, labels, part_seed)
            start = time.perf_counter()
            *_, last = sampler.frames(model, len(labels), contexts, part_seed)
            x = judge.crop(last.x)
            seconds += time.perf_counter() - start
            features = in_parts(judge.classifier.features, x)
            right += (in_parts(judge.classifier.head, features).argmax(1) == labels).sum().item()
            chunks.append(Moments.of(features))
            if model.attributes:
                named.append(_as_asked(judge, x, numbered(contexts, model.attributes)))
            seen.append(looks(x, judge.dataset))
        moments.append(reduce(Moments.__add__, chunks))
    count = each * PARTS
    accuracy = Measured.share(right, count) if model.context_dim is not None else None
    floor = _floor(judge, train, each, reference)
    every = test.pictures(slice(None))
    ceilings = {}
    if model.attributes:
        asked = numbered(test.conditioned(model.attributes).contexts(slice(None)), model.attributes)
        right_words = torch.cat(named)
        for column, ours, real in zip(
            model.attributes, right_words.T, _as_asked(judge, every, asked).float().mean(0), strict=True
        ):
            ceilings[column] = Compared(Measured.share(int(ours.sum()), count), real.item())
    real_looks = looks(every, judge.dataset)
    clean = {
        name: Compared(_mean(torch.cat([chunk[name] for chunk in seen])), real.mean().item())
        for name, real in real_looks.items()
    }
    return Evaluation(count, frechet(moments, reference), floor, accuracy, seconds / count, ceilings, clean)


def _contexts(model: Model, labels: Tensor, seed: int) -> Tensor | None:
    """A context for every label; of a network that is told attributes those of training pictures of that class."""
    if model.context_dim is None:
        return None
    rng = torch.Generator("cpu").manual_seed(seed)
    contexts = torch.empty(len(labels), model.context_dim, device="cpu")
    for k in labels.unique().tolist():
        of_class = labels == k
        contexts[of_class] = model.context(model.classes[k], n=int(of_class.sum()), rng=rng)
    return contexts


def _as_asked(judge: Judge, x: Tensor, asked: Tensor) -> Tensor:
    """(n, columns) bool: whether the judge names the words that were asked for."""
    return torch.cat([torch.stack(judge.classifier.words(part), 1) for part in x.split(1000)]) == asked


def _mean(values: Tensor) -> Measured:
    return Measured(values.mean().item(), (values.std() / math.sqrt(len(values))).item())


def _chunks(model: Model, each: int, size: int, seed: int, part: int) -> Iterator[tuple[Tensor, int]]:
    """The labels of a part in chunks, the classes in turn also from part to part, and a seed for each chunk."""
    labels = _labels(each, part, max(1, len(model.classes)))
    for i, chunk in enumerate(labels.split(size)):
        yield chunk, chunk_seed(seed, part, i)


def _labels(each: int, part: int, classes: int) -> Tensor:
    """The classes of a part's pictures: one after the other, going on where the part before has stopped."""
    return (torch.arange(each, device="cpu") + part * each) % classes


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
    """Training pictures in the samples' place: part by part the samples' classes, or as many as there are."""
    rng, classes = torch.Generator("cpu").manual_seed(0), len(train.classes)
    order = torch.randperm(len(train), generator=rng, device="cpu")
    left = [order[train.labels[order] == k] for k in range(classes)]
    most = [len(index) // PARTS for index in left]
    parts = []
    for part in range(PARTS):
        counts = torch.bincount(_labels(each, part, classes), minlength=classes).tolist()
        counts = [min(count, limit) for count, limit in zip(counts, most, strict=True)]
        parts.append(torch.cat([index[:count] for index, count in zip(left, counts, strict=True)]))
        left = [index[count:] for index, count in zip(left, counts, strict=True)]
    return frechet([_moments(judge, train, part) for part in parts], reference)
