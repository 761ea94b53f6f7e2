"""How good are samples? A classifier's opinion of them, and how far two sets of features differ. Lesson 10."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ddpm_teach.checks import check_finite, check_int, check_pictures, shown
from ddpm_teach.model_files import load_net
from ddpm_teach.nets import Classifier
from ddpm_teach.storage import course_path

CLASSIFIERS = ("sprites", "mnist")
EXACT = {"compute_mode": "donot_use_mm_for_euclid_dist"}  # products of matrices would miss copies by 1 %


class Measured(NamedTuple):
    """A value and its standard error."""

    value: float
    error: float

    @classmethod
    def share(cls, hits: int, n: int) -> Measured:
        """hits / n, with the error of (hits + 2) / (n + 4): none of 100, or all, are no proof of never, or always.

        (Agresti & Coull 1998, "plus four"; the share's own formula would say ± 0 there.)
        """
        near = (hits + 2) / (n + 4)
        return cls(hits / n, math.sqrt(near * (1 - near) / (n + 4)))

    def __str__(self) -> str:
        return f"{self.value:.3g} ± {self.error:.1g}"


class Moments(NamedTuple):
    """What the Fréchet distance needs of n features: their mean (d,) and covariance (d, d), float64, on the CPU.

    `a + b` are those of both sets together, so that many samples never sit in memory at once.
    """

    n: int
    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Float[Tensor, "n d"]) -> Moments:
        """Of one set of at least one feature; divides by n, as for a whole population."""
        check_rows("features", features)
        if features.ndim != 2:
            raise ValueError(f"features: expected (n, d), got {tuple(features.shape)}; use features.flatten(1)")
        features = features.detach().cpu().double()
        check_finite("features", features)
        mean = features.mean(0)
        return cls(len(features), mean, (features - mean).T @ (features - mean) / len(features))

    def __add__(self, other: Moments) -> Moments:
        _check_same_width(self, other)
        n, share = self.n + other.n, other.n / (self.n + other.n)
        difference = other.mean - self.mean
        between = share * (1 - share) * torch.outer(difference, difference)
        covariance = (1 - share) * self.covariance + share * other.covariance + between
        return Moments(n, self.mean + share * difference, covariance)


def frechet_distance(a: Moments, b: Moments) -> float:
    """The Fréchet distance of two normal laws (Heusel et al. 2017, eq. 6): ‖μ_a - μ_b‖² + tr(A + B - 2 (A B)^½).

    (A B)^½ has the eigenvalues of (A^½ B A^½)^½, which is symmetric, so two symmetric eigenproblems give the trace.
    It grows as n falls: compare sets of the same size, and name the floor, real pictures against others. Lesson 10.
    """
    _check_same_width(a, b)
    values, vectors = torch.linalg.eigh(a.covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    crossed = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * crossed
    return max(distance.item(), 0.0)  # rounding can leave equal laws a hair below 0


def _check_same_width(a: Moments, b: Moments) -> None:
    for name, value in (("a", a), ("b", b)):
        if not isinstance(value, Moments):
            raise TypeError(f"{name}: expected Moments, got {shown(value)}; use Moments.of(features)")
    if a.mean.shape != b.mean.shape:
        raise ValueError(
            f"b: expected features as wide as a's, {len(a.mean)}, got {len(b.mean)}; take both from one classifier"
        )


def frechet(parts: Sequence[Moments], reference: Moments) -> Measured:
    """The distance of all parts together, with the standard error that follows from the parts' own distances.

    A part has fewer pictures and so a larger distance, but how much parts of one size differ tells the error.

    Raises:
        ValueError: for fewer than two parts.
    """
    if len(parts) < 2:
        raise ValueError(f"parts: expected at least two, got {len(parts)}; split the samples to know the error")
    distances = torch.tensor([frechet_distance(part, reference) for part in parts], device="cpu")
    whole = frechet_distance(reduce(Moments.__add__, parts), reference)
    return Measured(whole, distances.std().item() / math.sqrt(len(parts)))


def load_classifier(name: str) -> Classifier:
    """A classifier that comes with the course, by its data set's name: "sprites" or "mnist" (28×28).

    Raises:
        ValueError: for another name, or a damaged file.
    """
    return load_net(classifier_path(name))[0]


def classifier_path(name: str) -> Path:
    """Where the classifier of a data set is."""
    if name not in CLASSIFIERS:
        raise ValueError(f"name: no classifier for {name!r}; there is one for {' and '.join(CLASSIFIERS)}")
    return course_path(f"data/weights/{name}-classifier.safetensors")


@torch.no_grad()
def class_accuracy(classifier: Classifier, x: Float[Tensor, "b c h w"], labels: Tensor) -> float:
    """The share of pictures (in [-1, 1]) that the classifier takes for their label (b,).

    Raises:
        TypeError: for pictures that aren't floats, or labels that aren't whole numbers.
        ValueError: for no picture, or another number of labels.
    """
    check_pictures("x", x)
    _check_labels(labels, len(x))
    labels = labels.to(x.device)
    return (in_parts(classifier, x).argmax(1) == labels).float().mean().item()


@torch.no_grad()
def in_parts(function: Callable[[Tensor], Tensor], x: Tensor, size: int = 1000) -> Tensor:
    """function(x) without gradients, for `size` pictures at a time: features, or logits, of any number of them."""
    return torch.cat([function(part) for part in x.split(check_int("size", size, 1))])


def check_rows(name: str, values: Tensor) -> None:
    """Refuses what isn't at least one row of floats, (n, …): differences of bytes would wrap around."""
    if not isinstance(values, Tensor) or not values.is_floating_point():
        got = values.dtype if isinstance(values, Tensor) else shown(values)
        raise TypeError(f"{name}: expected floats as a tensor (n, …), got {got}; use images.pictures(index)")
    if values.ndim < 2 or len(values) == 0:
        raise ValueError(f"{name}: expected at least one, as (n, …), got shape {tuple(values.shape)}; leave it out")


def _check_labels(labels: Tensor, n: int) -> None:
    if (
        not isinstance(labels, Tensor)
        or labels.is_floating_point()
        or labels.is_complex()
        or labels.dtype is torch.bool
    ):
        got = labels.dtype if isinstance(labels, Tensor) else shown(labels)
        raise TypeError(f"labels: expected a long tensor ({n},), got {got}; use torch.tensor(…), or labels.long()")
    if labels.shape != (n,):
        raise ValueError(f"labels: expected one for each of {n}, ({n},), got {tuple(labels.shape)}; give one each")


def diversity(values: Float[Tensor, "n ..."], labels: Int[Tensor, " n"]) -> float:
    """How far apart two things of one class are: the mean distance over all pairs, root mean square by dimension.

    Args:
        values: pictures (n, c, h, w), or their features (n, d), at least two of each class.
        labels: (n,) the mean over the classes is returned.

    Raises:
        TypeError: for values that aren't floats, or labels that aren't whole numbers.
        ValueError: for another number of labels, or a class with fewer than two.
    """
    check_rows("values", values)
    _check_labels(labels, len(values))
    classes, counts = labels.unique(return_counts=True)
    if counts.min() < 2:
        raise ValueError(f"labels: expected at least two of each class, got {counts.tolist()}; leave such classes out")
    distances = [torch.pdist(values[labels == k].flatten(1)).mean() for k in classes]
    return torch.stack(distances).mean().item() / math.sqrt(values[0].numel())


def nearest(x: Float[Tensor, "n ..."], among: Float[Tensor, "m ..."], size: int = 1000) -> tuple[Tensor, Tensor]:
    """Memorised or new? For each of x the nearest of `among`, pictures or features: how far, and which. Lesson 10.

    Args:
        size: of `among` that are compared at a time.

    Returns:
        distance (n,), root mean square by dimension, and index (n,) into `among`.

    Raises:
        TypeError: for what aren't floats.
        ValueError: for none, or two different shapes.
    """
    check_int("size", size, 1)
    check_rows("x", x)
    check_rows("among", among)
    if x.shape[1:] != among.shape[1:]:
        raise ValueError(f"among: expected some of x's shape {tuple(x.shape[1:])}, got {tuple(among.shape[1:])}")
    minima = [torch.cdist(x.flatten(1), part.flatten(1), **EXACT).min(1) for part in among.split(size)]
    distance, which = torch.stack([part.values for part in minima]).min(0)
    within = torch.stack([part.indices for part in minima])[which, torch.arange(len(x), device=x.device)]
    return distance / math.sqrt(x[0].numel()), which * size + within


class PrecisionRecall(NamedTuple):
    """The share of samples that look real, and the share of real pictures that samples come near to."""

    precision: Measured
    recall: Measured


def precision_recall(
    parts: Sequence[Float[Tensor, "n d"]], reference: Float[Tensor, "m d"], k: int = 3, size: int = 1000
) -> PrecisionRecall:
    """Precision and recall of all parts together (Kynkäänniemi et al. 2019, eq. 1 and 2). Lesson 10.

    A set's manifold is the union of balls around its members, each as large as the distance to its k-th nearest other
    one. Precision is the share of samples inside the reference's manifold, recall the share of the reference inside the
    samples'. Blurred samples cost precision, missing kinds cost recall; the Fréchet distance adds the two up. Both
    depend on n, and a single outlier has a large ball: compare sets of the same size, and name the ceiling, real
    pictures against others.

    Args:
        parts: features of samples, in at least two parts, whose differences tell the standard error; it isn't said to
            be smaller than that of counting.
        reference: features of real pictures.
        k: which neighbour tells a ball's radius.
        size: of a set that are compared with the other at a time.

    Raises:
        TypeError: for what aren't floats.
        ValueError: for fewer than two parts, another width, no more than k in a part or the reference, or what isn't
            finite.
    """
    check_int("k", k, 1)
    check_int("size", size, 1)
    if len(parts) < 2:
        raise ValueError(f"parts: expected at least two, got {len(parts)}; split the samples to know the error")
    for name, features in (("reference", reference), *(("parts", part) for part in parts)):
        check_rows(name, features)
        if features.ndim != 2 or features.shape[1] != reference.shape[1]:
            raise ValueError(f"{name}: expected (n, {reference.shape[1]}), got {tuple(features.shape)}; use flatten(1)")
        if len(features) <= k:
            raise ValueError(f"{name}: expected more than k = {k}, got {len(features)}; use more, or a smaller k")
        check_finite(name, features)
    radii = _radii(reference, k, size)
    real = [_inside(part, reference, radii, size) for part in parts]
    near = [_inside(reference, part, _radii(part, k, size), size) for part in parts]
    whole = torch.cat(list(parts))
    return PrecisionRecall(
        _shared(torch.cat(real), real), _shared(_inside(reference, whole, _radii(whole, k, size), size), near)
    )


def _radii(features: Tensor, k: int, size: int) -> Tensor:
    """(n,) the distance of each to its k-th nearest other one: the k + 1st of all, since it is its own nearest."""
    return torch.cat([torch.cdist(part, features, **EXACT).kthvalue(k + 1).values for part in features.split(size)])


def _inside(points: Tensor, centres: Tensor, radii: Tensor, size: int) -> Tensor:
    """(n,) bool: whether each point is in at least one ball."""
    return torch.cat([(torch.cdist(part, centres, **EXACT) <= radii).any(1) for part in points.split(size)])


def _shared(inside: Tensor, parts: Sequence[Tensor]) -> Measured:
    counted = Measured.share(int(inside.sum()), len(inside))
    shares = torch.stack([part.double().mean() for part in parts])
    return counted._replace(error=max(counted.error, shares.std().item() / math.sqrt(len(parts))))
