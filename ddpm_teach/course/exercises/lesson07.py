"""Exercises of lesson 07, editing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.schedule import Schedule, linear
from ddpm_teach.diffusion.times import quadratic, trailing

LESSON = "07 editing"

TABLE = linear().alpha_bar


def beginnings(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor, list[int], float]]:
    for x0, eps in pictures(rng):
        for times, strength in (([1000, 750, 500, 250, 0], 0.5), (trailing(1000, 10), 0.3), (trailing(1000, 25), 0.83)):
            yield TABLE, x0, eps, times, strength
    for strength in (0.42, 1.0):
        yield TABLE, x0, eps, quadratic(1000, 10), strength


def _start(alpha_bar: Tensor, x0: Tensor, eps: Tensor, times: list[int], strength: float) -> tuple[Tensor, list[int]]:
    rest = times[len(times) - 1 - round(strength * (len(times) - 1)) :]
    return add_noise(Schedule(alpha_bar), x0, rest[0], eps), rest


start = Exercise(
    "07.1",
    "Where to start",
    difficulty=1,
    minutes=10,
    task=r"""
    Write the start of img2img. `times` is the list of a whole walk, such as [1000, 750, 500, 250, 0]; `strength`, between 0 and 1, is the share of its moves that is to be walked, rounded to a whole number of them.
    Return two things: the picture `x0` with the noise `eps` of the time where the walk begins, and the rest of the list from there. With strength 0.5 the list above leaves [500, 250, 0].
    `alpha_bar` is the table, `alpha_bar[t]` a tensor of one float64 number; the picture keeps its dtype.
    """,
    hints=(
        "A list with n moves has n + 1 times, and the last moves are at its end: `times[-(moves + 1):]`.",
        "`round(strength * n)` moves are walked. The noise is that of the first time which is left, by lesson 01's jump; `.item()` makes a Python number of a tensor.",
    ),
    covers="batches of 1 to 5, both precisions, even and uneven lists of 4 to 25 moves, strengths 0.3 to 1",
    cases=beginnings,
    reference=_start,
)


@start.solution
def my_start(alpha_bar, x0, eps, times, strength):
    moves = round(strength * (len(times) - 1))
    rest = times[-(moves + 1) :]
    ab = alpha_bar[rest[0]].item()
    return ab**0.5 * x0 + (1 - ab) ** 0.5 * eps, rest


def _at(alpha_bar, x0, eps, t):
    ab = alpha_bar[t].item()
    return ab**0.5 * x0 + (1 - ab) ** 0.5 * eps


@start.mistake("you walk the first moves of the list; a small strength means the last ones, near the picture")
def _(alpha_bar, x0, eps, times, strength):
    rest = times[: round(strength * (len(times) - 1)) + 1]
    return _at(alpha_bar, x0, eps, rest[0]), rest


@start.mistake("one move is missing: n moves need n + 1 times")
def _(alpha_bar, x0, eps, times, strength):
    rest = times[-round(strength * (len(times) - 1)) :]
    return _at(alpha_bar, x0, eps, rest[0]), rest


@start.mistake("the number of moves is rounded down; take the nearest whole number")
def _(alpha_bar, x0, eps, times, strength):
    rest = times[len(times) - 1 - int(strength * (len(times) - 1)) :]
    return _at(alpha_bar, x0, eps, rest[0]), rest


@start.mistake("your list walks a share of 1 - strength: a small strength means few moves")
def _(alpha_bar, x0, eps, times, strength):
    rest = times[round(strength * (len(times) - 1)) :]
    return _at(alpha_bar, x0, eps, rest[0]), rest


@start.mistake(
    "you take the times up to strength · T; the strength is a share of the moves, and not every list is even"
)
def _(alpha_bar, x0, eps, times, strength):
    rest = [t for t in times if t <= round(strength * times[0])]
    return _at(alpha_bar, x0, eps, rest[0]), rest


@start.mistake("the list is right, but the picture has no noise: the network is told a time whose noise isn't there")
def _(alpha_bar, x0, eps, times, strength):
    return x0, _start(alpha_bar, x0, eps, times, strength)[1]


@start.mistake("the list is right, but the picture has the noise of T, so nothing of it is left")
def _(alpha_bar, x0, eps, times, strength):
    return _at(alpha_bar, x0, eps, times[0]), _start(alpha_bar, x0, eps, times, strength)[1]


@start.mistake("the noise is added to the picture at its full strength; lesson 01's jump makes the picture weaker")
def _(alpha_bar, x0, eps, times, strength):
    rest = _start(alpha_bar, x0, eps, times, strength)[1]
    return x0 + (1 - alpha_bar[rest[0]].item()) ** 0.5 * eps, rest


@start.mistake("the noise is scaled by its variance; a standard deviation is needed")
def _(alpha_bar, x0, eps, times, strength):
    rest = _start(alpha_bar, x0, eps, times, strength)[1]
    ab = alpha_bar[rest[0]].item()
    return ab**0.5 * x0 + (1 - ab) * eps, rest


@start.mistake("ᾱ and 1 - ᾱ are shares of the variance; picture and noise are scaled by their roots")
def _(alpha_bar, x0, eps, times, strength):
    rest = _start(alpha_bar, x0, eps, times, strength)[1]
    ab = alpha_bar[rest[0]].item()
    return ab * x0 + (1 - ab) * eps, rest


def trials(
    rng: torch.Generator,
) -> Iterator[tuple[Callable[[int], Tensor], Callable[[Tensor], Tensor], list[int], float]]:
    """Edits of numbers that grow with t, and a judge that names those above a threshold; not always more of them."""
    for n in (4, 10, 25):
        level, wave = torch.rand(2, n, generator=rng)

        def edit(t: int, a: Tensor = level, b: Tensor = wave) -> Tensor:
            return a * t / 500 + b * math.sin(t / 90) / 2

        for times in ([100, 300, 500, 700, 900], [50, 400, 800]):
            for share in (0.5, 0.9, 0.2):
                yield edit, lambda x: x > 0.6, times, share
            yield edit, lambda x: x > 0.2, times, 0.5  # here the first time may be enough


def _strength(edit: Callable, named: Callable, times: list[int], share: float) -> int | None:
    return next((t for t in times if named(edit(t)).float().mean() >= share), None)


strength = Exercise(
    "07.2",
    "How strong an edit?",
    difficulty=2,
    minutes=15,
    task=r"""
    An edit that starts at a low time does too little, one from a high time changes what nobody wanted changed. Write the function that measures and decides.
    `edit(t)` gives the edited pictures of a walk that starts at time `t`; `named(x)` is a tensor of bools, whether the judge sees in each picture what was wanted. Of the list `times`, which goes up, return the first time at which at least `share` of the pictures are named; `None` if there is none.
    """,
    hints=(
        "A `for` loop over the times, which returns as soon as it is enough.",
        "The mean of bools is a share, after `.float()`. What follows the loop is the case in which nothing was enough.",
    ),
    covers="4 to 25 pictures, two lists of times, three shares; some are reached by no time",
    cases=trials,
    reference=_strength,
)


@strength.solution
def my_strength(edit, named, times, share):
    for t in times:
        if named(edit(t)).float().mean() >= share:
            return t
    return None


@strength.mistake("you return the time with the most pictures named; the first that is enough changes less")
def _(edit, named, times, share):
    best = max(times, key=lambda t: named(edit(t)).float().mean().item())
    return best if named(edit(best)).float().mean() >= share else None


@strength.mistake("you return the last time that is enough; the first one changes less")
def _(edit, named, times, share):
    return next((t for t in reversed(times) if named(edit(t)).float().mean() >= share), None)


@strength.mistake("where no time is enough you return the last one all the same; nothing at all should come back")
def _(edit, named, times, share):
    found = _strength(edit, named, times, share)
    return times[-1] if found is None else found


@strength.mistake("your loop ends at the first time in any case; where that isn't enough, the next one is to be tried")
def _(edit, named, times, share):
    return times[0] if named(edit(times[0])).float().mean() >= share else None


@strength.mistake("you ask for all pictures to be named; at least `share` of them was wanted")
def _(edit, named, times, share):
    return next((t for t in times if named(edit(t)).all()), None)


@strength.mistake("you ask for more than `share`; where exactly that share is named, it is enough")
def _(edit, named, times, share):
    return next((t for t in times if named(edit(t)).float().mean() > share), None)


@strength.mistake("one picture is enough for you; at least `share` of them was wanted")
def _(edit, named, times, share):
    return next((t for t in times if named(edit(t)).any()), None)


@strength.mistake("you return the share; the time was wanted")
def _(edit, named, times, share):
    found = _strength(edit, named, times, share)
    return None if found is None else named(edit(found)).float().mean().item()
