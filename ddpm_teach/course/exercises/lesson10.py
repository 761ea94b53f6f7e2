"""Exercises of lesson 10, how good."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.evaluation.metrics import Moments, frechet_distance, nearest

LESSON = "10 how good"


def laws(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Two means (d,) and two covariances (d, d) that have nothing in common."""
    for d in (1, 2, 3, 5, 10):
        roots = torch.randn(2, d, 2 * d, generator=rng, dtype=torch.float64)
        a, b = (root @ root.T / (2 * d) for root in roots)
        yield torch.randn(d, generator=rng, dtype=torch.float64), a, torch.randn(d, generator=rng).double(), 2 * b


def _frechet(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    return frechet_distance(Moments(1, mean_a, cov_a), Moments(1, mean_b, cov_b))


distance = Exercise(
    "10.1",
    "The Fréchet distance",
    difficulty=3,
    minutes=15,
    task=r"""
    Write the Fréchet distance of two normal laws: means (d,), covariances (d, d), float64; a number out (or a tensor without axes). For the trace of the root use this: $(AB)^{1/2}$ has the same trace as the root of
    `root @ cov_b @ root`, where `root` is the symmetric root of `cov_a` (the two products have the same eigenvalues, and this one is symmetric).
    """,
    hints=(
        "`values, vectors = torch.linalg.eigh(cov)` takes a symmetric matrix apart; its root is `vectors * values.sqrt() @ vectors.T`.",
        "The trace of a root is the sum of the roots of the eigenvalues: `torch.linalg.eigvalsh(…).clamp(min=0).sqrt().sum()`.",
    ),
    covers="laws of 1 to 10 dimensions",
    cases=laws,
    reference=_frechet,
)


@distance.solution
def my_frechet(mean_a, cov_a, mean_b, cov_b):
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.sqrt() @ vectors.T
    crossed = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


@distance.mistake("the distance of the means goes in squared")
def _(mean_a, cov_a, mean_b, cov_b):
    means = (mean_a - mean_b).square().sum()
    return _frechet(mean_a, cov_a, mean_b, cov_b) - means + means.sqrt()


@distance.mistake("only the means are compared; two sets can have the same mean and be quite different")
def _(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum()


@distance.mistake("the means are left out; two sets can have the same spread in different places")
def _(mean_a, cov_a, mean_b, cov_b):
    return _frechet(mean_b, cov_a, mean_b, cov_b)


@distance.mistake("the crossed term counts twice, once from each side")
def _(mean_a, cov_a, mean_b, cov_b):
    whole = _frechet(mean_a, cov_a, mean_b, cov_b)
    apart = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace()
    return (whole + apart) / 2


@distance.mistake("the root is taken number by number; the root of a matrix goes through its eigenvalues")
def _(mean_a, cov_a, mean_b, cov_b):
    crossed = (cov_a @ cov_b).clamp(min=0).sqrt().trace()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


@distance.mistake("the root is taken of the trace; it belongs inside, and the trace is that of the root")
def _(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * (cov_a @ cov_b).trace().sqrt()


@distance.mistake("`eigh` is for symmetric matrices, and AB isn't one; root @ cov_b @ root is")
def _(mean_a, cov_a, mean_b, cov_b):
    crossed = torch.linalg.eigvalsh(cov_a @ cov_b).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


@distance.mistake("a product of two roots is the root of the product only if A and B commute")
def _(mean_a, cov_a, mean_b, cov_b):
    crossed = (_root(cov_a) @ _root(cov_b)).trace()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def measurements(rng: torch.Generator) -> Iterator[tuple[Tensor]]:
    for n in (2, 3, 5, 10, 100):
        yield (torch.randn(n, generator=rng) * 3 + 5,)


error = Exercise(
    "10.2",
    "The error of a mean",
    difficulty=1,
    minutes=5,
    task=r"""
    `values` (n,) are n independent measurements of the same thing. Write the standard error of their mean.
    """,
    hints=(
        "How far are single measurements from one another? How much does averaging n of them help?",
        r"The variance of a mean of n is the variance of one divided by n. torch's `std` divides by n - 1, which is right here.",
    ),
    covers="2 to 100 measurements",
    cases=measurements,
    reference=lambda values: (values.double().var() / len(values)).sqrt().float(),
)


@error.solution
def my_error(values):
    return values.std() / len(values) ** 0.5


@error.mistake("that is how much single measurements scatter; their mean scatters less")
def _(values):
    return values.std()


@error.mistake("a variance falls with n, a standard deviation with its root")
def _(values):
    return values.std() / len(values)


@error.mistake("that is the variance of the mean; the error is its root")
def _(values):
    return values.var() / len(values)


@error.mistake("around their own mean n values scatter a little too little; divide by n - 1")
def _(values):
    return values.std(unbiased=False) / len(values) ** 0.5


bits = Exercise(
    "10.4",
    "Bits per dimension",
    difficulty=1,
    minutes=5,
    task=r"""
    A model gives pictures (b, c, h, w) the probabilities $p$; `minus_log_p` (b,) is $-\ln p$ of each. Write the bits per dimension (b,) for pictures of that `shape`, a tuple (c, h, w).
    """,
    hints=(
        "Bits are logarithms to the base 2. And how many numbers has one picture?",
        r"$\log_2 p = \ln p / \ln 2$; `math.prod(shape)`.",
    ),
    covers="one and three channels, 1 to 5 pictures",
    cases=lambda rng: [
        (100 * torch.rand(b, generator=rng), shape)
        for b in (1, 2, 5)
        for shape in ((1, 1, 1), (1, 28, 28), (3, 16, 16))
    ],
    reference=lambda minus_log_p, shape: minus_log_p / (math.log(2) * math.prod(shape)),
)


@bits.solution
def my_bits(minus_log_p, shape):
    return minus_log_p / math.log(2) / math.prod(shape)


@bits.mistake("those are nats, of the base e; a bit is smaller")
def _(minus_log_p, shape):
    return minus_log_p / math.prod(shape)


@bits.mistake("those are the bits of a whole picture; per dimension is asked for")
def _(minus_log_p, shape):
    return minus_log_p / math.log(2)


@bits.mistake("one ln 2 stands on the wrong side: a bit is smaller than a nat, so there are more of them")
def _(minus_log_p, shape):
    return minus_log_p * math.log(2) / math.prod(shape)


@bits.mistake("the channels count as well: each of them is a number of its own")
def _(minus_log_p, shape):
    return minus_log_p / math.log(2) / math.prod(shape[1:])


def neighbours(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    for n, m, shape in (
        (1, 2, (1, 1, 1)),
        (2, 3, (1, 2, 2)),
        (3, 7, (3, 4, 4)),
        (5, 20, (3, 4, 4)),
        (8, 50, (1, 8, 8)),
    ):
        yield torch.randn(n, *shape, generator=rng), torch.randn(m, *shape, generator=rng)


neighbour = Exercise(
    "10.3",
    "The nearest training picture",
    difficulty=2,
    minutes=8,
    task=r"""
    For each sample of `x` (n, c, h, w) find the nearest picture of `train` (m, c, h, w), by the distance of all their pixels: return the indices (n,).
    """,
    hints=(
        "`torch.cdist(a, b)` has all distances (n, m) of vectors (n, d) and (m, d); `flatten(1)` makes vectors.",
        "`argmin(1)`: for each row the column with the smallest number.",
    ),
    covers="1 to 8 samples, 2 to 50 pictures",
    cases=neighbours,
    reference=lambda x, train: nearest(x, train)[1],
)


@neighbour.solution
def my_nearest(x, train):
    return torch.cdist(x.flatten(1), train.flatten(1)).argmin(1)


@neighbour.mistake("for each training picture the nearest sample: turn the axes round")
def _(x, train):
    return torch.cdist(x.flatten(1), train.flatten(1)).argmin(0)


@neighbour.mistake("those are the distances; which picture it is, is asked for")
def _(x, train):
    return torch.cdist(x.flatten(1), train.flatten(1)).amin(1)


@neighbour.mistake("that is the farthest")
def _(x, train):
    return torch.cdist(x.flatten(1), train.flatten(1)).argmax(1)


@neighbour.mistake("a scalar product isn't a distance: a picture with strong contrast is near to everything")
def _(x, train):
    return (x.flatten(1) @ train.flatten(1).T).argmax(1)


@neighbour.mistake("differences up and down cancel in a sum without squares")
def _(x, train):
    return (x.flatten(1)[:, None] - train.flatten(1)).sum(-1).abs().argmin(1)
