"""Exercises of lesson 01 forward noise: schedules: fewer steps, and where they are spent."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import quietly
from ddpm_teach.diffusion.schedule import cosine, from_betas, linear

rescaled = Exercise(
    "01.4",
    "Fewer steps, the same end",
    difficulty=2,
    minutes=8,
    task=r"""
    Somebody wants $T=200$ steps instead of 1000. Write `my_betas(T)`: a float64 tensor of $T$ values on a line, with the same
    *sum* as DDPM's line, which runs from 0.0001 to 0.02 at $T = 1000$. Multiply both of its ends by one number.
    """,
    hints=(
        r"$\ln \bar\alpha_T = \sum_t \ln(1-\beta_t) \approx -\sum_t \beta_t$. Which sum do the 1000 steps have?",
        "A fifth of the steps, so each has to add five times as much: multiply both ends of the line.",
    ),
    covers="T from 50 to 4000",
    cases=lambda rng: [(T,) for T in (1000, 50, 100, *torch.randint(101, 4001, (3,), generator=rng).tolist())],
    reference=lambda T: linear(T, 1e-4 * 1000 / T, 0.02 * 1000 / T).beta[1:],
)


@rescaled.solution
def my_betas(T):
    return torch.linspace(1e-4 * 1000 / T, 0.02 * 1000 / T, T, dtype=torch.float64)


@rescaled.mistake(
    "your ends are the same for every T, so fewer steps have a smaller sum, and more of the picture is left in x_T"
)
def _(T):
    return torch.linspace(1e-4, 0.02, T, dtype=torch.float64)


@rescaled.mistake("your steps get smaller when there are fewer of them; it has to be the other way round")
def _(T):
    return torch.linspace(1e-4 * T / 1000, 0.02 * T / 1000, T, dtype=torch.float64)


@rescaled.mistake("only the upper end is scaled; the whole line has to be")
def _(T):
    return torch.linspace(1e-4, 0.02 * 1000 / T, T, dtype=torch.float64)


@rescaled.mistake("your line is float32; the table of times is made in float64")
def _(T):
    return torch.linspace(1e-4 * 1000 / T, 0.02 * 1000 / T, T)


@rescaled.mistake("your ends are right for T = 200; they have to depend on T")
def _(T):
    return torch.linspace(5e-4, 0.1, T, dtype=torch.float64)


@rescaled.mistake("you leave β's out and keep the others as they were; what the left-out ones added is missing")
def _(T):
    return torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)[:: 1000 // T]


fading = Exercise(
    "01.5",
    "When is the picture weaker than the noise?",
    difficulty=3,
    minutes=15,
    task=r"""
    Measure it for any data: `x0` are pictures (b, c, h, w) and `alpha_bar` is a table. Return the first time, a Python integer, at which the picture's part
    of $x_t$ has less variance than the noise's part, by more than `decibel` dB (0 means: less; 10 means: less than a tenth). The variance of the data is
    that of all numbers in `x0`, `x0.var()`. If there is no such time, return None.
    """,
    hints=(
        r"The picture's part of $x_t$ is $\sqrt{\bar\alpha_t}\,x_0$: its variance is $\bar\alpha_t$ times that of the data. The noise's part has $1-\bar\alpha_t$.",
        "Compare both at all times at once, with the whole table; `decibel` dB are a factor of 10 ** (decibel / 10).",
        "`(mask).nonzero()` has the places where a mask is true; the index of the table is the time.",
    ),
    covers="data of variance 0.01 to 4, three schedules, 0 to 30 dB, also schedules that never get there",
    cases=lambda rng: _fading_cases(rng),
    reference=lambda x0, alpha_bar, decibel: _first_below(x0.var().item() * alpha_bar, 1 - alpha_bar, decibel),
)


def _first_below(picture: Tensor, noise: Tensor, decibel: float) -> int | None:
    times = (picture * 10 ** (decibel / 10) < noise).nonzero()
    return times[0].item() if len(times) else None


def _fading_cases(rng: torch.Generator) -> Iterator[tuple]:
    tables = linear(1000).alpha_bar, cosine(400).alpha_bar, quietly(from_betas, torch.full((30,), 0.02)).alpha_bar
    for width in (1.0, 0.1, 0.71, 2.0):
        x0 = width * torch.randn(4, 3, 4, 4, generator=rng) + 0.5  # a mean that isn't 0 adds nothing to a variance
        for alpha_bar in tables:
            for decibel in (0, 10, 30):
                yield x0, alpha_bar, decibel


@fading.solution
def my_fading(x0, alpha_bar, decibel):
    picture, noise = x0.var() * alpha_bar, 1 - alpha_bar
    times = (picture * 10 ** (decibel / 10) < noise).nonzero()
    return times[0].item() if len(times) else None


def _none_as(number: int, time: int | None) -> int:
    return number if time is None else time


def _with(variance=lambda x0: x0.var().item(), factor=lambda decibel: 10 ** (decibel / 10), shift=0, last=False):
    def function(x0, alpha_bar, decibel):
        times = (variance(x0) * alpha_bar * factor(decibel) < 1 - alpha_bar).nonzero()
        return times[-1 if last else 0].item() + shift if len(times) else None

    return function


fading.mistake("you take data of variance 1; measure the variance of x0, it moves the time")(_with(lambda x0: 1.0))
fading.mistake("you use the standard deviation of x0; powers are compared, so it has to be the variance")(
    _with(lambda x0: x0.std().item())
)
fading.mistake("the mean square isn't the variance: what is the same in all pictures tells nothing; subtract the mean")(
    _with(lambda x0: x0.square().mean().item())
)
fading.mistake("20 dB would be a factor of 10 for amplitudes; variances are powers: 10 dB are a factor of 10")(
    _with(factor=lambda decibel: 10 ** (decibel / 20))
)
fading.mistake(
    "you multiply by the roots √ᾱ and √(1 - ᾱ); variances are compared, and ᾱ and 1 - ᾱ are shares of variance"
)(lambda x0, alpha_bar, decibel: _first_below(x0.var().item() * alpha_bar.sqrt(), (1 - alpha_bar).sqrt(), decibel))
fading.mistake("the decibels go the other way: the picture has to be weaker than the noise, not stronger")(
    _with(factor=lambda decibel: 10 ** (-decibel / 10))
)
fading.mistake(
    "you say that there is no such time where there is one; 10 dB are a factor of 10: 10 · log10 of the ratio"
)(lambda x0, alpha_bar, decibel: _first_below(x0.var().item() * alpha_bar + decibel, 1 - alpha_bar, 0))
fading.mistake("where there is no such time, None is asked for")(
    lambda x0, alpha_bar, decibel: _none_as(-1, _first_below(x0.var().item() * alpha_bar, 1 - alpha_bar, decibel))
)
fading.mistake("where there is no such time, argmax says 0; ask whether there is any, and return None")(
    lambda x0, alpha_bar, decibel: _none_as(0, _first_below(x0.var().item() * alpha_bar, 1 - alpha_bar, decibel))
)
fading.mistake("your time is one too small: the table begins with time 0, so its index is the time already")(
    _with(shift=-1)
)
fading.mistake("your time is one too large: the table begins with time 0, so its index is the time already")(
    _with(shift=1)
)
fading.mistake("you return the last time; the first is asked for")(_with(last=True))
