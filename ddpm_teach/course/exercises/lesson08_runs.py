"""An exercise of lesson 08 why it works: comparing ways of training."""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise


def _runs(rng: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """Results of two ways of training: clearly apart, close, and in between; few runs and many."""
    runs = [
        (torch.tensor([1.0, 1.2, 1.1]), torch.tensor([2.0, 2.3, 2.1])),
        (torch.tensor([5.0, 4.0, 6.0]), torch.tensor([4.6, 5.9, 3.9, 5.1])),
        (torch.tensor([3.0, 3.2]), torch.tensor([2.0, 2.2, 1.9, 2.1])),
        (torch.tensor([1.0, 3.0]), torch.tensor([2.9, 4.9])),  # 1.34 standard errors
        (torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), torch.tensor([4.5, 5.5, 6.5, 2.5, 3.5, 7.5])),  # 1.39
        (torch.tensor([0.0, 2.0] * 8), torch.tensor([1.0, 3.0] * 8)),  # 2.7, though less than a standard deviation
        (torch.tensor([10.0, 10.1, 9.9, 10.0]), torch.tensor([9.6, 9.9, 9.8, 9.7])),
        (torch.tensor([1.0, 1.1, 0.9]), torch.tensor([1.0, 1.1, 0.9])),
        (torch.tensor([100.0, 140.0, 120.0]), torch.tensor([180.0, 220.0, 200.0])),  # 4.9, with large variances
        (
            torch.tensor([0.0, 1.0, 0.0, 1.0]),
            torch.tensor([1.05, 0.65, 1.05, 1.65]),
        ),  # 2.1 errors of the first, 1.7 of both
        # between 2 errors by variances over n and over n - 1
        (torch.tensor([3.1, 3.1]), torch.tensor([3.7, 5.8])),
        # two runs against four, with other variances: what is pooled or added in another way decides otherwise
        (torch.tensor([3.6, 8.2]), torch.tensor([2.3, 1.7, 2.3, 1.1])),
        (torch.tensor([3.6, 3.5]), torch.tensor([6.3, 6.1, 3.5, 4.5])),
        (torch.tensor([1.0, 1.4, 1.2]), torch.tensor([1.35, 1.65, 1.65])),  # 2.3 errors, and 1.9 by n - 1 for n
        (torch.tensor([0.5, 4.7]), torch.tensor([3.2, 5.8, 4.2, 3.7])),  # 0.7, and 2.2 by the spread of all six
        (torch.tensor([1.0, 1.02, 0.98]), torch.tensor([0.7, 1.7, 2.7])),  # 1.2, and 1.2 times the sum of both errors
    ]
    units = 0.5 + torch.rand(len(runs), generator=rng)  # in which the verdicts are the same
    return [(unit * a, unit * b) for (a, b), unit in zip(runs, units, strict=True)]


def _by_error(a: Tensor, b: Tensor, error: Tensor) -> str:
    """What two of these errors decide."""
    gap = (b.mean() - a.mean()).item()
    return "too close" if abs(gap) < 2 * error else ("a" if gap > 0 else "b")


def _pooled(a: Tensor, b: Tensor) -> Tensor:
    """One variance for both ways."""
    return ((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2)


def _verdict(a: Tensor, b: Tensor) -> str:
    return _by_error(a, b, (a.var() / len(a) + b.var() / len(b)) ** 0.5)


verdict = Exercise(
    "08.5",
    "Is one way better?",
    difficulty=3,
    minutes=12,
    task=r"""
    Two ways to train were each run a few times with other seeds; the tensors `a` and `b` hold what was measured at the ends, smaller is better. They may have different lengths. Return
    "a" or "b" if that way's mean is smaller by at least two standard errors of the difference of the means, else "too close".
    """,
    hints=(
        "The standard error of a mean is the runs' standard deviation divided by the root of their number; squared: `a.var() / len(a)`.",
        "The squared errors of two independent means add up. Take the root of their sum, and compare the distance of the means with twice that.",
    ),
    covers="2 to 16 runs of each, clear cases and close ones",
    cases=_runs,
    reference=_verdict,
)


@verdict.solution
def my_verdict(a, b):
    error = (a.var() / len(a) + b.var() / len(b)) ** 0.5
    if (a.mean() - b.mean()).abs() < 2 * error:
        return "too close"
    return "a" if a.mean() < b.mean() else "b"


@verdict.mistake("you always name a winner; where the means differ by less than two of their errors nobody knows")
def _(a, b):
    return "a" if a.mean() < b.mean() else "b"


@verdict.mistake("the wrong one wins: what was measured is better where it is smaller")
def _(a, b):
    return {"a": "b", "b": "a"}.get(_verdict(a, b), "too close")


@verdict.mistake(
    "without an absolute value only a can win: where b is better, your difference of the means is negative"
)
def _(a, b):
    return {"b": "too close"}.get(_verdict(a, b), _verdict(a, b))


@verdict.mistake(
    "without an absolute value only b can win: where a is better, your difference of the means is negative"
)
def _(a, b):
    return {"a": "too close"}.get(_verdict(a, b), _verdict(a, b))


@verdict.mistake(
    "you compare with the spread of single runs; a mean of many runs is surer than one, by the root of their number"
)
def _(a, b):
    return _by_error(a, b, (a.var() + b.var()) ** 0.5)


@verdict.mistake(
    "you compare with a mean of the two standard deviations, the spread of single runs; the error of a mean is smaller"
)
def _(a, b):
    return _by_error(a, b, ((a.var() + b.var()) / 2) ** 0.5)


@verdict.mistake("you compare with the pooled spread of single runs; the error of a mean is smaller")
def _(a, b):
    return _by_error(a, b, _pooled(a, b) ** 0.5)


@verdict.mistake(
    "you pool the variances, as if both ways had the same spread; each mean has an error of its own, from its own runs"
)
def _(a, b):
    return _by_error(a, b, (_pooled(a, b) * (1 / len(a) + 1 / len(b))) ** 0.5)


@verdict.mistake("one standard error is too little: randomness alone goes beyond it in a third of all cases")
def _(a, b):
    return _by_error(a, b, (a.var() / len(a) + b.var() / len(b)) ** 0.5 / 2)


@verdict.mistake("only the error of a's mean is in your comparison; both means have one")
def _(a, b):
    return _by_error(a, b, (a.var() / len(a)) ** 0.5)


@verdict.mistake("only the error of b's mean is in your comparison; both means have one")
def _(a, b):
    return _by_error(a, b, (b.var() / len(b)) ** 0.5)


@verdict.mistake("you take the larger of the two errors; that of a difference is larger than either")
def _(a, b):
    return _by_error(a, b, max(a.var() / len(a), b.var() / len(b)) ** 0.5)


@verdict.mistake("you add the errors themselves; of independent means the squares add up, which makes less")
def _(a, b):
    return _by_error(a, b, (a.var() / len(a)) ** 0.5 + (b.var() / len(b)) ** 0.5)


@verdict.mistake(
    "you divide the sum of the variances by the number of all runs; each variance has to be divided by its own number"
)
def _(a, b):
    return _by_error(a, b, ((a.var() + b.var()) / (len(a) + len(b))) ** 0.5)


@verdict.mistake(
    "your variances are divided by n; with a mean from the same few runs that is too small: .var() divides by n - 1"
)
def _(a, b):
    return _by_error(a, b, (a.var(correction=0) / len(a) + b.var(correction=0) / len(b)) ** 0.5)


@verdict.mistake("you divide by n - 1 once more: .var() has done so already; for the error of a mean divide by n")
def _(a, b):
    return _by_error(a, b, (a.var() / (len(a) - 1) + b.var() / (len(b) - 1)) ** 0.5)


@verdict.mistake(
    "you put all runs together; their spread then holds the difference of the means that you want to judge"
)
def _(a, b):
    return _by_error(a, b, torch.cat([a, b]).std() / (len(a) + len(b)) ** 0.5)


@verdict.mistake(
    "the error of a mean is the standard deviation divided by the root of the number, and not by the number"
)
def _(a, b):
    return _by_error(a, b, ((a.std() / len(a)) ** 2 + (b.std() / len(b)) ** 2) ** 0.5)


@verdict.mistake("the variances are divided by a's number of runs; b may have another")
def _(a, b):
    return _by_error(a, b, ((a.var() + b.var()) / len(a)) ** 0.5)


@verdict.mistake(
    "you ask whether the means, each with one error, overlap; two errors of the difference are asked for, which is more"
)
def _(a, b):
    return _by_error(a, b, ((a.var() / len(a)) ** 0.5 + (b.var() / len(b)) ** 0.5) / 2)


@verdict.mistake("variances are compared with a distance; take the root first")
def _(a, b):
    return _by_error(a, b, a.var() / len(a) + b.var() / len(b))
