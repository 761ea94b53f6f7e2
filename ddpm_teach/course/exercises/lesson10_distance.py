"""Exercises of lesson 10, how good: the distance."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.evaluation.metrics import Moments, frechet_distance


def laws(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Two means (d,) and two covariances (d, d) that have nothing in common."""
    for d in (1, 2, 3, 5, 10):
        roots = torch.randn(2, d, 2 * d, generator=rng, dtype=torch.float64)
        a, b = (root @ root.T / (2 * d) for root in roots)
        yield torch.randn(d, generator=rng, dtype=torch.float64), a, torch.randn(d, generator=rng).double(), 2 * b
    # Of fewer pictures than features: an eigenvalue is 0, and rounding has left it a hair below.
    flat, other = (
        torch.diag(torch.tensor([2.0, 1.0, -1e-15]).double()),
        torch.diag(torch.tensor([1.0, 3.0, 2.0])).double(),
    )
    yield torch.zeros(3).double(), flat, torch.ones(3).double(), other
    yield torch.zeros(3).double(), other, torch.ones(3).double(), flat


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
        "`values, vectors = torch.linalg.eigh(cov)` takes a symmetric matrix apart; its root is `vectors * values.clamp(min=0).sqrt() @ vectors.T`. Fewer pictures than features leave eigenvalues of 0, and rounding leaves some of them a hair below.",
        "The trace of a root is the sum of the roots of the eigenvalues: `torch.linalg.eigvalsh(…).clamp(min=0).sqrt().sum()`.",
    ),
    covers="laws of 1 to 10 dimensions, and covariances of fewer pictures than features",
    cases=laws,
    reference=_frechet,
)


@distance.solution
def my_frechet(mean_a, cov_a, mean_b, cov_b):
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    crossed = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


@distance.mistake(
    "of fewer pictures than features, rounding leaves eigenvalues a hair below 0, and their root is no number: clamp them at 0, both times"
)
def _(mean_a, cov_a, mean_b, cov_b):
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.sqrt() @ vectors.T
    crossed = torch.linalg.eigvalsh(root @ cov_b @ root).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


@distance.mistake(
    "the first root needs a clamp, too: of fewer pictures than features, the eigenvalues of `cov_a` can be a hair below 0 as well"
)
def _(mean_a, cov_a, mean_b, cov_b):
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.sqrt() @ vectors.T
    crossed = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


@distance.mistake(
    "the last root needs a clamp, too: of fewer pictures than features, its eigenvalues can be a hair below 0 as well"
)
def _(mean_a, cov_a, mean_b, cov_b):
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    crossed = torch.linalg.eigvalsh(root @ cov_b @ root).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


@distance.mistake(
    "a Cholesky factor is there only for covariances of full rank, and those of few pictures aren't; eigenvalues always are"
)
def _(mean_a, cov_a, mean_b, cov_b):
    factor = torch.linalg.cholesky(cov_a)
    crossed = torch.linalg.eigvalsh(factor.T @ cov_b @ factor).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


@distance.mistake("the last root is missing: eigenvalues of the product went in, and those of its root are asked for")
def _(mean_a, cov_a, mean_b, cov_b):
    root = _root(cov_a)
    crossed = torch.linalg.eigvalsh(root @ cov_b @ root).sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * crossed


@distance.mistake("the distance of the means goes in squared")
def _(mean_a, cov_a, mean_b, cov_b):
    means = (mean_a - mean_b).square().sum()
    return _frechet(mean_a, cov_a, mean_b, cov_b) - means + means.sqrt()


@distance.mistake("the squared distance of the means is a sum over all dimensions, not their mean")
def _(mean_a, cov_a, mean_b, cov_b):
    means = (mean_a - mean_b).square()
    return _frechet(mean_a, cov_a, mean_b, cov_b) - means.sum() + means.mean()


@distance.mistake("only the means are compared; two sets can have the same mean and be quite different")
def _(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum()


@distance.mistake("the means are left out; two sets can have the same spread in different places")
def _(mean_a, cov_a, mean_b, cov_b):
    return _frechet(mean_b, cov_a, mean_b, cov_b)


@distance.mistake("the trace of the root is taken away once; the formula takes it away twice")
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
