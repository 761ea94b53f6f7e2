"""Exercises of lesson 10, how good."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.evaluation.metrics import nearest

LESSON = "10 how good"


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


@error.mistake("n - 1 counts twice: `std` divides by it already, and what averaging helps by is the root of n")
def _(values):
    return values.std() / (len(values) - 1) ** 0.5


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


@bits.mistake("the sign has been turned already: what came in is minus the logarithm, and bits are never negative")
def _(minus_log_p, shape):
    return -minus_log_p / math.log(2) / math.prod(shape)


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


@neighbour.mistake("`min` over an axis gives two things, distances and indices; only the indices are asked for")
def _(x, train):
    return torch.cdist(x.flatten(1), train.flatten(1)).min(1)


@neighbour.mistake("differences are added up without their squares: a few large ones count too little that way")
def _(x, train):
    return torch.cdist(x.flatten(1), train.flatten(1), p=1).argmin(1)


@neighbour.mistake("an angle isn't a distance: a pale picture and a strong one of the same pattern are no copies")
def _(x, train):
    return torch.cosine_similarity(x.flatten(1)[:, None], train.flatten(1), dim=2).argmax(1)


@neighbour.mistake("that is the farthest")
def _(x, train):
    return torch.cdist(x.flatten(1), train.flatten(1)).argmax(1)


@neighbour.mistake("a scalar product isn't a distance: a picture with strong contrast is near to everything")
def _(x, train):
    return (x.flatten(1) @ train.flatten(1).T).argmax(1)


@neighbour.mistake("differences up and down cancel in a sum without squares")
def _(x, train):
    return (x.flatten(1)[:, None] - train.flatten(1)).sum(-1).abs().argmin(1)
