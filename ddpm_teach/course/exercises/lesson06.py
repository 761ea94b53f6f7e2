"""Exercises of lesson 06, DDIM."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.course.exercises.lesson04 import SHARES, two_times
from ddpm_teach.diffusion.forward import picture_from, posterior
from ddpm_teach.diffusion.steps import ddim_step
from ddpm_teach.diffusion.times import trailing
from ddpm_teach.diffusion.types import Estimate

LESSON = "06 DDIM"


def _ddim_mean(x: Tensor, eps: Tensor, ab_t: float, ab_s: float) -> Tensor:
    schedule, t, s = two_times(ab_t, ab_s)
    return ddim_step(lambda x, t: Estimate(picture_from(schedule, x, t, eps), eps), schedule)(x, t, s).x


plain = Exercise(
    "06.1",
    "One deterministic step",
    difficulty=2,
    minutes=10,
    task=r"""
    Write DDIM's step for $\sigma = 0$: from `xt` and the network's `eps_hat` (both (b, c, h, w)) to $x_s$, with the numbers $\bar\alpha_t$ and $\bar\alpha_s$.
    """,
    hints=(
        r"Two lines: the estimate $\hat x_0$ (exercise 04.1), then lesson 01's jump, to time $s$ this time.",
        r"The jump's noise isn't drawn. It is $\hat\varepsilon$, the one that is in `xt`.",
    ),
    covers="batches of 1 to 5, one and three channels, float32 and float64, five pairs of times, the last step among them",
    cases=lambda rng: [(xt, eps, a, b) for xt, eps in pictures(rng) for a, b in SHARES],
    reference=_ddim_mean,
)


@plain.solution
def my_ddim(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5
    return ab_s**0.5 * x0 + (1 - ab_s) ** 0.5 * eps_hat


@plain.mistake("you add new noise; a deterministic step gives back the noise that the network predicted")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5
    return ab_s**0.5 * x0 + (1 - ab_s) ** 0.5 * torch.randn_like(xt)


@plain.mistake("that is DDPM's mean, lesson 04's: it belongs to a step that adds noise afterwards")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5
    of_x0, of_xt = ab_s**0.5 * (1 - ab_t / ab_s), (ab_t / ab_s) ** 0.5 * (1 - ab_s)
    return (of_x0 * x0 + of_xt * xt) / (1 - ab_t)


@plain.mistake("you clip the clean picture; `clipped` does that in the denoiser, and the step itself has none of it")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5
    return ab_s**0.5 * x0.clamp(-1, 1) + (1 - ab_s) ** 0.5 * eps_hat


@plain.mistake("that is Euler's step for y = x / √ᾱ; at the end y has to become x again")
def _(xt, eps_hat, ab_t, ab_s):
    return xt / ab_t**0.5 + ((1 / ab_s - 1) ** 0.5 - (1 / ab_t - 1) ** 0.5) * eps_hat


@plain.mistake("your jump goes back to time t, so nothing has moved")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5
    return ab_t**0.5 * x0 + (1 - ab_t) ** 0.5 * eps_hat


@plain.mistake("the noise that comes back is scaled by its variance at s; a standard deviation is needed")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5
    return ab_s**0.5 * x0 + (1 - ab_s) * eps_hat


@plain.mistake("the picture is put at time s, but its noise is missing: x_s would be too clean for its time")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5
    return ab_s**0.5 * x0


@plain.mistake(
    "that is the estimate of the clean picture; the step has to end at time s, with the noise that belongs there"
)
def _(xt, eps_hat, ab_t, ab_s):
    return (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5


@plain.mistake("the noise of time t comes back in full, but at s there is less of it")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5
    return ab_s**0.5 * x0 + (1 - ab_t) ** 0.5 * eps_hat


@plain.mistake("you jump from x_t as if it were the clean picture; estimate that first, and jump from the estimate")
def _(xt, eps_hat, ab_t, ab_s):
    return ab_s**0.5 * xt + (1 - ab_s) ** 0.5 * eps_hat


@plain.mistake("ᾱ and 1 - ᾱ are shares of a variance; the factors of picture and noise are their roots")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_t) * eps_hat) / ab_t
    return ab_s * x0 + (1 - ab_s) * eps_hat


@plain.mistake("the two times are exchanged")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_s) ** 0.5 * eps_hat) / ab_s**0.5
    return ab_t**0.5 * x0 + (1 - ab_t) ** 0.5 * eps_hat


@plain.mistake(
    "the noise is taken away, but what is left is the picture as faint as at t; the estimate has its full strength"
)
def _(xt, eps_hat, ab_t, ab_s):
    return ab_s**0.5 * (xt - (1 - ab_t) ** 0.5 * eps_hat) + (1 - ab_s) ** 0.5 * eps_hat


@plain.mistake("the picture goes in at its full strength; at s only a part of it is there")
def _(xt, eps_hat, ab_t, ab_s):
    return (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5 + (1 - ab_s) ** 0.5 * eps_hat


@plain.mistake("your estimate takes the noise of time s out of `xt`, which has that of time t")
def _(xt, eps_hat, ab_t, ab_s):
    return (ab_s / ab_t) ** 0.5 * (xt - (1 - ab_s) ** 0.5 * eps_hat) + (1 - ab_s) ** 0.5 * eps_hat


def moves_and_etas(rng: torch.Generator) -> Iterator[tuple[float, float, float]]:
    between = 0.3 + torch.rand((), generator=rng).item() / 2
    return ((a, b, eta) for a, b in SHARES for eta in (1.0, between, 0.0))


def _sigma(ab_t: float, ab_s: float, eta: float) -> float:
    schedule, t, s = two_times(ab_t, ab_s)
    return eta * math.sqrt(posterior(schedule, torch.zeros(1), torch.zeros(1), t, s).variance)


randomness = Exercise(
    "06.2",
    "How much randomness",
    difficulty=1,
    minutes=5,
    task=r"""
    Write $\sigma$ for a move from $t$ to $s$: the number `eta` times the standard deviation of the posterior, $q(x_s\mid x_t,x_0)$. Numbers in, a number out.
    """,
    hints=(
        r"Lesson 04 has the variance, with $\bar\alpha_s$ in the place of $\bar\alpha_{t-1}$ and $1-\bar\alpha_t/\bar\alpha_s$ in that of $\beta_t$.",
        r"$\sigma^2 = \eta^2\,\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\,\bigl(1-\frac{\bar\alpha_t}{\bar\alpha_s}\bigr)$; it is 0 at the last step by itself.",
    ),
    covers="five pairs of times, the last step among them, η of 0, 1 and between",
    cases=moves_and_etas,
    reference=_sigma,
    tolerance=1e-6,
)


@randomness.solution
def my_sigma(ab_t, ab_s, eta):
    return eta * ((1 - ab_s) / (1 - ab_t) * (1 - ab_t / ab_s)) ** 0.5


@randomness.mistake("that is a variance; take the root")
def _(ab_t, ab_s, eta):
    return eta * (1 - ab_s) / (1 - ab_t) * (1 - ab_t / ab_s)


@randomness.mistake("that is σ², the variance; take the root")
def _(ab_t, ab_s, eta):
    return eta**2 * (1 - ab_s) / (1 - ab_t) * (1 - ab_t / ab_s)


@randomness.mistake("ᾱ_t / ᾱ_s is upside down, so that the variance is negative: ᾱ falls with time")
def _(ab_t, ab_s, eta):
    return eta * ((1 - ab_s) / (1 - ab_t) * (1 - ab_s / ab_t)) ** 0.5


@randomness.mistake("that is the variance of the forward step, DDPM's other choice; here the posterior's is asked for")
def _(ab_t, ab_s, eta):
    return eta * (1 - ab_t / ab_s) ** 0.5


@randomness.mistake("the fraction of the two noise variances is upside down: less noise is left at s than at t")
def _(ab_t, ab_s, eta):
    return eta * ((1 - ab_t) / (1 - ab_s) * (1 - ab_t / ab_s)) ** 0.5


@randomness.mistake("η goes in as its root; it multiplies the standard deviation itself")
def _(ab_t, ab_s, eta):
    return (eta * (1 - ab_s) / (1 - ab_t) * (1 - ab_t / ab_s)) ** 0.5


spacing = Exercise(
    "06.3",
    "The list of times",
    difficulty=2,
    minutes=10,
    task=r"""
    Write the even list from `T` down to 0 with exactly `steps` moves, whole numbers: `my_times(1000, 4)` is [1000, 750, 500, 250, 0]. Where T isn't divisible by `steps`, round each time to the nearest.
    """,
    hints=(
        "A list with n moves has n + 1 times.",
        "`round(T * k / steps)` for k from `steps` down to 0. (No test asks for a half, where rounding is a matter of taste.)",
    ),
    covers="all numbers of steps of T = 1 to 12, and five numbers of steps of 1000, 999 among them",
    cases=lambda rng: [
        (T, steps)
        for T, steps in [(T, n) for T in range(1, 13) for n in range(1, T + 1)]
        + [(1000, n) for n in (7, 30, *torch.randint(31, 999, (2,), generator=rng).tolist(), 999)]
        if not any((2 * T * k) % steps == 0 and (2 * T * k // steps) % 2 for k in range(steps))
    ],
    reference=trailing,
)


@spacing.solution
def my_times(T, steps):
    return [round(T * k / steps) for k in range(steps, -1, -1)]


@spacing.mistake("your list stops before 0, so that the last move is missing, and noise stays in the picture")
def _(T, steps):
    return [round(T * k / steps) for k in range(steps, 0, -1)]


@spacing.mistake(
    "with a stride of T // steps the number of moves isn't what was asked for, or the list doesn't end at 0"
)
def _(T, steps):
    return [*range(T, 0, -(T // steps)), 0]


@spacing.mistake("your list ends above 0: a range's end isn't in it, and T // steps times the number of steps isn't T")
def _(T, steps):
    return list(range(T, -1, -(T // steps)))


@spacing.mistake("your stride is cut off to a whole number, and what is missing adds up; round each time by itself")
def _(T, steps):
    return [T - k * (T // steps) for k in range(steps + 1)]


@spacing.mistake("with a stride that is cut off to a whole number the last move is too long; round each time by itself")
def _(T, steps):
    return [T - k * (T // steps) for k in range(steps)] + [0]


@spacing.mistake("your list goes up; a walk back goes down")
def _(T, steps):
    return [round(T * k / steps) for k in range(steps + 1)]


@spacing.mistake("your numbers are cut off, not rounded")
def _(T, steps):
    return [T * k // steps for k in range(steps, -1, -1)]


@spacing.mistake(
    "the times are right, but they are in a tensor; a list of Python's whole numbers is wanted (.tolist())"
)
def _(T, steps):
    return torch.linspace(T, 0, steps + 1).round().long()


@spacing.mistake("a tensor of fractions: round to whole numbers, and make a list of it (.tolist())")
def _(T, steps):
    return torch.linspace(T, 0, steps + 1)


@spacing.mistake("your times aren't whole numbers")
def _(T, steps):
    return [T * k / steps for k in range(steps, -1, -1)]


@spacing.mistake("your list has as many times as moves were asked for; a list with n moves has one time more")
def _(T, steps):
    return torch.linspace(T, 0, steps).round().int().tolist()


@spacing.mistake("your stride is rounded, and what it is off adds up; round each time by itself")
def _(T, steps):
    return [T - k * round(T / steps) for k in range(steps + 1)]


@spacing.mistake("-T // steps rounds to the longer stride, and gives fewer moves; round each time by itself")
def _(T, steps):
    return list(range(T, -1, -T // steps))
