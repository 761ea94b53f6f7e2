"""Exercises of lesson 06, DDIM."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.course.exercises.lesson04 import SHARES, two_times
from ddpm_teach.diffusion.forward import picture_from, posterior
from ddpm_teach.diffusion.steps import ddim_step, heun_step
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


@plain.mistake("the two times are exchanged")
def _(xt, eps_hat, ab_t, ab_s):
    x0 = (xt - (1 - ab_s) ** 0.5 * eps_hat) / ab_s**0.5
    return ab_t**0.5 * x0 + (1 - ab_t) ** 0.5 * eps_hat


def moves_and_etas(rng: torch.Generator) -> Iterator[tuple[float, float, float]]:
    return ((a, b, eta) for a, b in SHARES for eta in (1.0, 0.5, 0.0))


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
    covers="five pairs of times, the last step among them, η of 0, 0.5 and 1",
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


@randomness.mistake("ᾱ_t / ᾱ_s is upside down, so that the variance is negative: ᾱ falls with time")
def _(ab_t, ab_s, eta):
    return eta * ((1 - ab_s) / (1 - ab_t) * (1 - ab_s / ab_t)) ** 0.5


@randomness.mistake("that is the variance of the forward step, DDPM's other choice; here the posterior's is asked for")
def _(ab_t, ab_s, eta):
    return eta * (1 - ab_t / ab_s) ** 0.5


@randomness.mistake("the fraction of the two noise variances is upside down: less noise is left at s than at t")
def _(ab_t, ab_s, eta):
    return eta * ((1 - ab_t) / (1 - ab_s) * (1 - ab_t / ab_s)) ** 0.5 if ab_s < 1 else math.inf


@randomness.mistake("η goes in as its root; it multiplies the standard deviation itself")
def _(ab_t, ab_s, eta):
    return (eta * (1 - ab_s) / (1 - ab_t) * (1 - ab_t / ab_s)) ** 0.5


spacing = Exercise(
    "06.3",
    "The list of times",
    difficulty=2,
    minutes=10,
    task=r"""
    Write the even list from `T` down to 0 with exactly `steps` moves, whole numbers: `my_times(1000, 4)` is [1000, 750, 500, 250, 0]. Where T isn't divisible by `steps`, round to the nearest.
    """,
    hints=(
        "A list with n moves has n + 1 times.",
        "`round(T * k / steps)` for k from `steps` down to 0. (No test asks for a half, where rounding is a matter of taste.)",
    ),
    covers="all numbers of steps of T = 1 to 12, and 7, 30, 50 and 999 steps of 1000",
    cases=lambda rng: [
        (T, steps)
        for T, steps in [(T, n) for T in range(1, 13) for n in range(1, T + 1)] + [(1000, n) for n in (7, 30, 50, 999)]
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


def _predictors() -> dict[str, Callable[[Tensor, float], Tensor]]:
    """ε̂ of x at the time of ᾱ: the exact one of normal data with variance 0.1, and one that isn't linear."""
    return {
        "normal": lambda x, ab: (1 - ab) ** 0.5 / (0.1 * ab + 1 - ab) * x,
        "bent": lambda x, ab: (x * (1 + ab)).tanh() + (1 - ab) * x / 2,
    }


def _heun(xt: Tensor, eps_of: Callable, ab_t: float, ab_s: float) -> Tensor:
    schedule, t, s = two_times(ab_t, ab_s)

    def denoise(x: Tensor, t: int) -> Estimate:
        eps = eps_of(x, schedule.at(t))
        return Estimate(picture_from(schedule, x, t, eps), eps)

    return heun_step(denoise, schedule)(xt, t, s).x


ahead = Exercise(
    "06.4",
    "Heun's step",
    difficulty=3,
    minutes=15,
    task=r"""
    Write one move of Heun's method from $t$ to $s$, with two predictions: follow the slope at $t$ to $s$, take the slope there as well, and make the real move, again from $t$, along the mean of both.
    `eps_of(x, ab)` is the predicted noise of `x` at the time whose $\bar\alpha$ is `ab`. Remember that the slope belongs to $y=x/\sqrt{\bar\alpha}$, and its variable is $r=\sqrt{1/\bar\alpha-1}$.
    """,
    hints=(
        "The first half is your DDIM step of exercise 06.1, from `xt` with `eps_of(xt, ab_t)`.",
        r"The second slope is `eps_of(ahead, ab_s)`: the picture that DDIM's step came to, at the time it came to.",
        r"With the mean of both slopes in the place of $\hat\varepsilon$: $y_s = x_t/\sqrt{\bar\alpha_t} + (r_s-r_t)\,\hat\varepsilon$, and $x_s = \sqrt{\bar\alpha_s}\,y_s$.",
    ),
    covers="batches of 1 to 5, both precisions, four pairs of times, two predictors",
    cases=lambda rng: [
        (xt, eps_of, a, b) for xt, _ in pictures(rng) for eps_of in _predictors().values() for a, b in SHARES[:4]
    ],
    reference=_heun,
)


@ahead.solution
def my_heun(xt, eps_of, ab_t, ab_s):
    dr = (1 / ab_s - 1) ** 0.5 - (1 / ab_t - 1) ** 0.5
    y, first = xt / ab_t**0.5, eps_of(xt, ab_t)
    second = eps_of(ab_s**0.5 * (y + dr * first), ab_s)
    return ab_s**0.5 * (y + dr * (first + second) / 2)


def _along(xt, slope, ab_t, ab_s):
    """From t to s along a slope."""
    dr = (1 / ab_s - 1) ** 0.5 - (1 / ab_t - 1) ** 0.5
    return ab_s**0.5 * (xt / ab_t**0.5 + dr * slope)


@ahead.mistake("that is DDIM's step, with the first slope alone; Heun's looks ahead, and takes the mean of two")
def _(xt, eps_of, ab_t, ab_s):
    return _along(xt, eps_of(xt, ab_t), ab_t, ab_s)


@ahead.mistake("the second slope is predicted for time t, but the picture that you looked ahead to is at s")
def _(xt, eps_of, ab_t, ab_s):
    first = eps_of(xt, ab_t)
    return _along(xt, (first + eps_of(_along(xt, first, ab_t, ab_s), ab_t)) / 2, ab_t, ab_s)


@ahead.mistake("the second slope is taken at the old picture; it has to be taken where the first slope leads to")
def _(xt, eps_of, ab_t, ab_s):
    return _along(xt, (eps_of(xt, ab_t) + eps_of(xt, ab_s)) / 2, ab_t, ab_s)


@ahead.mistake("the real move begins at the picture that you looked ahead to; it begins again at x_t")
def _(xt, eps_of, ab_t, ab_s):
    first = eps_of(xt, ab_t)
    x = _along(xt, first, ab_t, ab_s)
    return _along(x, (first + eps_of(x, ab_s)) / 2, ab_t, ab_s)


@ahead.mistake("only the second slope is used; the mean of both is wanted")
def _(xt, eps_of, ab_t, ab_s):
    return _along(xt, eps_of(_along(xt, eps_of(xt, ab_t), ab_t, ab_s), ab_s), ab_t, ab_s)


@ahead.mistake("the two slopes are added up; their mean is wanted")
def _(xt, eps_of, ab_t, ab_s):
    first = eps_of(xt, ab_t)
    return _along(xt, first + eps_of(_along(xt, first, ab_t, ab_s), ab_s), ab_t, ab_s)


@ahead.mistake("the second slope is predicted for y = x / √ᾱ_s; the network knows pictures x only")
def _(xt, eps_of, ab_t, ab_s):
    first = eps_of(xt, ab_t)
    return _along(xt, (first + eps_of(_along(xt, first, ab_t, ab_s) / ab_s**0.5, ab_s)) / 2, ab_t, ab_s)


@ahead.mistake("what you return is y_s; the picture is x_s = √ᾱ_s y_s")
def _(xt, eps_of, ab_t, ab_s):
    return _heun(xt, eps_of, ab_t, ab_s) / ab_s**0.5


def draws(rng: torch.Generator) -> Iterator[tuple[Callable[[int], Tensor], float]]:
    """Pictures that come nearer to a limit as 1/n, some with a few pixels that are far off, and tolerances."""
    for shape in ((1, 1, 2, 2), (2, 3, 4, 6), (3, 1, 8, 8)):
        limit, off = torch.randn(2, *shape, generator=rng)
        for direction in (off, off**3, off.abs()):
            direction = direction / direction.square().mean().sqrt()
            for tolerance in (0.07, 0.012, 0.5):
                yield lambda n, a=limit, b=direction: a + b / n, tolerance


def _steps(draw: Callable[[int], Tensor], tolerance: float) -> int:
    return _first(draw, lambda change: change.square().mean().sqrt() <= tolerance)


def _first(draw: Callable[[int], Tensor], enough: Callable[[Tensor], Tensor], n: int = 5) -> int:
    """The first of n, 2n, 4n, … whose change to twice as many steps is small enough."""
    while not enough(draw(n) - draw(2 * n)):
        n *= 2
    return n


doubling = Exercise(
    "06.5",
    "How many steps are enough?",
    difficulty=2,
    minutes=15,
    task=r"""
    The solution is not known, but one can tell how far one is from it: take twice as many steps and see what changes. `draw(n)` gives the pictures (b, c, h, w) of a walk with `n` moves, always from the same noise.
    Write the function that measures and decides: of 5, 10, 20, 40, … it returns the first `n` for which `draw(n)` and `draw(2 * n)` differ by at most `tolerance`, root mean square over all pixels of all pictures.
    """,
    hints=(
        "A `while` loop that doubles `n`, and goes on as long as the difference is larger than the tolerance.",
        "Root mean square, read backwards: `.square().mean().sqrt()` of the difference.",
    ),
    covers="pictures of several sizes that come nearer to a limit, three tolerances",
    cases=draws,
    reference=_steps,
)


@doubling.solution
def my_steps(draw, tolerance):
    n = 5
    while (draw(n) - draw(2 * n)).square().mean().sqrt() > tolerance:
        n *= 2
    return n


@doubling.mistake("you return the larger of the two numbers; the smaller one was already enough")
def _(draw, tolerance):
    return 2 * _steps(draw, tolerance)


@doubling.mistake(
    "that is the mean absolute difference; a root mean square gives more weight to pixels that are far off"
)
def _(draw, tolerance):
    return _first(draw, lambda change: change.abs().mean() <= tolerance)


@doubling.mistake("differences of both signs cancel in your mean; square them first")
def _(draw, tolerance):
    return _first(draw, lambda change: change.mean().abs() <= tolerance)


@doubling.mistake("the root is missing: a mean square is far smaller than its root")
def _(draw, tolerance):
    return _first(draw, lambda change: change.square().mean() <= tolerance)


@doubling.mistake("you add up over the pixels, so that larger pictures need more steps; take the mean")
def _(draw, tolerance):
    return _first(draw, lambda change: change.norm() <= tolerance)


@doubling.mistake("you begin with one step; the first number to try is 5")
def _(draw, tolerance):
    return _first(draw, lambda change: change.square().mean().sqrt() <= tolerance, n=1)
