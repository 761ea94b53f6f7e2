"""Exercises of lesson 06 DDIM: better solvers, and how many steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.course.exercises.lesson04 import SHARES, two_times
from ddpm_teach.diffusion.forward import picture_from
from ddpm_teach.diffusion.steps import heun_step
from ddpm_teach.diffusion.types import Estimate


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


@ahead.mistake("the real move begins at y of the picture that you looked ahead to; it begins again at x_t")
def _(xt, eps_of, ab_t, ab_s):
    first = eps_of(xt, ab_t)
    x = _along(xt, first, ab_t, ab_s)
    dr = (1 / ab_s - 1) ** 0.5 - (1 / ab_t - 1) ** 0.5
    return x + ab_s**0.5 * dr * (first + eps_of(x, ab_s)) / 2


@ahead.mistake(
    "the mean of both slopes puts the noise back, but your estimate of the picture is still the first slope's"
)
def _(xt, eps_of, ab_t, ab_s):
    first = eps_of(xt, ab_t)
    x = _along(xt, first, ab_t, ab_s)
    return x + (1 - ab_s) ** 0.5 * (eps_of(x, ab_s) - first) / 2


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


@ahead.mistake(
    "the slope belongs to y = x / √ᾱ, but you move x by it: divide by √ᾱ_t first, and multiply by √ᾱ_s at the end"
)
def _(xt, eps_of, ab_t, ab_s):
    first, dr = eps_of(xt, ab_t), (1 / ab_s - 1) ** 0.5 - (1 / ab_t - 1) ** 0.5
    return xt + dr * (first + eps_of(xt + dr * first, ab_s)) / 2


@ahead.mistake("both slopes are predicted for y = x / √ᾱ; the network knows pictures x only")
def _(xt, eps_of, ab_t, ab_s):
    y, dr = xt / ab_t**0.5, (1 / ab_s - 1) ** 0.5 - (1 / ab_t - 1) ** 0.5
    first = eps_of(y, ab_t)
    return ab_s**0.5 * (y + dr * (first + eps_of(y + dr * first, ab_s)) / 2)


@ahead.mistake("your move goes the wrong way: r falls from t to s, so that r_s - r_t is negative")
def _(xt, eps_of, ab_t, ab_s):
    y, dr = xt / ab_t**0.5, (1 / ab_t - 1) ** 0.5 - (1 / ab_s - 1) ** 0.5
    first = eps_of(xt, ab_t)
    return ab_s**0.5 * (y + dr * (first + eps_of(ab_s**0.5 * (y + dr * first), ab_s)) / 2)


@ahead.mistake("your r is 1/ᾱ - 1, a ratio of variances; r is its root")
def _(xt, eps_of, ab_t, ab_s):
    y, dr = xt / ab_t**0.5, 1 / ab_s - 1 / ab_t
    first = eps_of(xt, ab_t)
    return ab_s**0.5 * (y + dr * (first + eps_of(ab_s**0.5 * (y + dr * first), ab_s)) / 2)


@ahead.mistake(
    "the second slope is predicted for y, and y is returned; the network knows pictures x only, and one is asked for"
)
def _(xt, eps_of, ab_t, ab_s):
    first = eps_of(xt, ab_t)
    y = _along(xt, first, ab_t, ab_s) / ab_s**0.5
    return _along(xt, (first + eps_of(y, ab_s)) / 2, ab_t, ab_s) / ab_s**0.5


@ahead.mistake("what you return is y_s; the picture is x_s = √ᾱ_s y_s")
def _(xt, eps_of, ab_t, ab_s):
    return _heun(xt, eps_of, ab_t, ab_s) / ab_s**0.5


def draws(rng: torch.Generator) -> Iterator[tuple[Callable[[int], Tensor], float]]:
    """Pictures that come nearer to a limit as 1/n, and tolerances. Some have a few pixels that are far off, in some only
    the first picture changes."""
    for shape in ((1, 1, 2, 2), (2, 3, 4, 6), (3, 1, 8, 8)):
        limit, off = torch.randn(2, *shape, generator=rng)
        alone = torch.cat([off[:1], torch.zeros_like(off[1:])])
        for direction in (off, off**3, off.abs(), alone):
            direction = direction / direction.square().mean().sqrt()
            half = 2 ** torch.randint(0, 3, (), generator=rng).item()
            for tolerance in (0.07 / half, 0.012 / half, 0.5):
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
    The solution is not known, but there is a hint of how far one is from it: take twice as many steps and see what changes. `draw(n)` gives the pictures (b, c, h, w) of a walk with `n` moves, always from the same noise.
    Write the function that measures and decides: of 5, 10, 20, 40, … it returns the first `n` for which `draw(n)` and `draw(2 * n)` differ by at most `tolerance`, root mean square over all pixels of all pictures.
    """,
    hints=(
        "A `while` loop that doubles `n`, and goes on as long as the difference is larger than the tolerance.",
        "Root mean square, read backwards: `.square().mean().sqrt()` of the difference.",
    ),
    covers="pictures of several sizes that come nearer to a limit, several tolerances",
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


@doubling.mistake("you take a root for each picture and then the mean; take one root, of the mean over all pictures")
def _(draw, tolerance):
    return _first(draw, lambda change: change.square().mean((1, 2, 3)).sqrt().mean() <= tolerance)


@doubling.mistake("you judge by the picture that changes most; the mean square over all pictures is asked for")
def _(draw, tolerance):
    return _first(draw, lambda change: change.square().mean((1, 2, 3)).max().sqrt() <= tolerance)


@doubling.mistake("you add 5 to n each time; double it")
def _(draw, tolerance):
    n = 5
    while (draw(n) - draw(2 * n)).square().mean().sqrt() > tolerance:
        n += 5
    return n


@doubling.mistake("you add up over the pixels, so that larger pictures need more steps; take the mean")
def _(draw, tolerance):
    return _first(draw, lambda change: change.norm() <= tolerance)


@doubling.mistake("you begin with one step; the first number to try is 5")
def _(draw, tolerance):
    return _first(draw, lambda change: change.square().mean().sqrt() <= tolerance, n=1)


@doubling.mistake("you judge by the pixel that changes most; the root mean square is asked for")
def _(draw, tolerance):
    return _first(draw, lambda change: change.abs().max() <= tolerance)


@doubling.mistake("that is how much the root mean square of the pictures changes; take it of their difference")
def _(draw, tolerance):
    n = 5
    while abs(draw(n).square().mean().sqrt() - draw(2 * n).square().mean().sqrt()) > tolerance:
        n *= 2
    return n
