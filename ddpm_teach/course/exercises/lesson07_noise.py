"""Exercises of lesson 07 editing: the noise of a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.course.exercises.lesson04 import two_times
from ddpm_teach.diffusion.forward import add_noise


def predictors() -> dict[str, Callable[[Tensor, float], Tensor]]:
    """ε̂ of x at the time of ᾱ: the exact one of normal data with variance 0.1, and one that isn't linear."""
    return {
        "normal": lambda x, ab: (1 - ab) ** 0.5 / (0.1 * ab + 1 - ab) * x,
        "bent": lambda x, ab: (x * (1 + ab)).tanh() + (1 - ab) * x / 2,
    }


def _along(x: Tensor, eps: Tensor, ab_t: float, ab_s: float) -> Tensor:
    """From t to s along a slope."""
    return ab_s**0.5 * (x / ab_t**0.5 + ((1 / ab_s - 1) ** 0.5 - (1 / ab_t - 1) ** 0.5) * eps)


def _upwards(xt: Tensor, eps_of: Callable, ab_t: float, ab_s: float, rounds: int) -> Tensor:
    x = _along(xt, eps_of(xt, ab_t), ab_t, ab_s)
    for _ in range(rounds):
        x = _along(xt, eps_of(x, ab_s), ab_t, ab_s)
    return x


UP = ((0.8, 0.5), (0.95, 0.9), (0.2, 0.0786), (0.9999, 0.99))  # ᾱ_t, ᾱ_s: from less noise to more

inversion = Exercise(
    "07.3",
    "A move of inversion, and how to make it exact",
    difficulty=3,
    minutes=20,
    task=r"""
    Write one move *up*, from $t$ to $s>t$. First the plain one: DDIM's step (exercise 06.1) with $\hat\varepsilon$ of `xt`. It isn't the reverse of the step down, which predicts at the upper end.
    So repeat it `rounds` times: always from `xt`, but with $\hat\varepsilon$ of the $x_s$ that the round before came to, at $s$. `eps_of(x, ab)` is the predicted noise of `x` at the time whose $\bar\alpha$ is `ab`. With `rounds = 0` it is the plain move.
    """,
    hints=(
        "A function inside, or a line that you write twice: from `xt` along a given noise to time s. Only the noise changes from round to round.",
        r"$x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s}\,\hat\varepsilon$ with $\hat x_0 = (x_t-\sqrt{1-\bar\alpha_t}\,\hat\varepsilon)/\sqrt{\bar\alpha_t}$: the $\hat\varepsilon$ of both places is the same one.",
    ),
    covers="batches of 1 to 5, both precisions, four pairs of times, two predictors, 0 to 2 rounds",
    cases=lambda rng: [
        (xt, eps_of, *pair, rounds)
        for i, (xt, _) in enumerate(pictures(rng))
        for eps_of in predictors().values()
        for pair in UP
        for rounds in ((0, 1, 2) if i in (2, 7) else (1,))
    ],
    reference=_upwards,
)


@inversion.solution
def my_inversion(xt, eps_of, ab_t, ab_s, rounds):
    eps_hat = eps_of(xt, ab_t)
    for i in range(rounds + 1):
        x0 = (xt - (1 - ab_t) ** 0.5 * eps_hat) / ab_t**0.5
        xs = ab_s**0.5 * x0 + (1 - ab_s) ** 0.5 * eps_hat
        if i < rounds:
            eps_hat = eps_of(xs, ab_s)
    return xs


@inversion.mistake("that is the plain move, whatever `rounds` is; repeat it with the noise predicted at the upper end")
def _(xt, eps_of, ab_t, ab_s, rounds):
    return _upwards(xt, eps_of, ab_t, ab_s, 0)


@inversion.mistake("each round goes on from x_s, so that you move up several times; always move from x_t")
def _(xt, eps_of, ab_t, ab_s, rounds):
    x = _upwards(xt, eps_of, ab_t, ab_s, 0)
    for _ in range(rounds):
        x = _along(x, eps_of(x, ab_s), ab_t, ab_s)
    return x


@inversion.mistake("the noise of x_s is predicted for time t; x_s is at time s")
def _(xt, eps_of, ab_t, ab_s, rounds):
    x = _upwards(xt, eps_of, ab_t, ab_s, 0)
    for _ in range(rounds):
        x = _along(xt, eps_of(x, ab_t), ab_t, ab_s)
    return x


@inversion.mistake("the noise is predicted for x_t, not for the x_s that the round before came to")
def _(xt, eps_of, ab_t, ab_s, rounds):
    return _along(xt, eps_of(xt, ab_s), ab_t, ab_s) if rounds else _upwards(xt, eps_of, ab_t, ab_s, 0)


@inversion.mistake(
    "you take the mean of both ends' noises, as Heun's method does; the step down has the upper one alone"
)
def _(xt, eps_of, ab_t, ab_s, rounds):
    first = eps_of(xt, ab_t)
    x = _along(xt, first, ab_t, ab_s)
    for _ in range(rounds):
        x = _along(xt, (first + eps_of(x, ab_s)) / 2, ab_t, ab_s)
    return x


@inversion.mistake("one round too many: with `rounds = 0` it is the plain move")
def _(xt, eps_of, ab_t, ab_s, rounds):
    return _upwards(xt, eps_of, ab_t, ab_s, rounds + 1)


@inversion.mistake("one round is missing: `rounds` come after the plain move")
def _(xt, eps_of, ab_t, ab_s, rounds):
    return _upwards(xt, eps_of, ab_t, ab_s, max(rounds - 1, 0))


@inversion.mistake("x̂_0 is the first round's; each round's noise leaves another one in x_t")
def _(xt, eps_of, ab_t, ab_s, rounds):
    eps = eps_of(xt, ab_t)
    x0 = (xt - (1 - ab_t) ** 0.5 * eps) / ab_t**0.5
    for _ in range(rounds):
        eps = eps_of(ab_s**0.5 * x0 + (1 - ab_s) ** 0.5 * eps, ab_s)
    return ab_s**0.5 * x0 + (1 - ab_s) ** 0.5 * eps


@inversion.mistake("the two times are exchanged: that is a move down")
def _(xt, eps_of, ab_t, ab_s, rounds):
    return _upwards(xt, eps_of, ab_s, ab_t, rounds)


def directions(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, float]]:
    for n in (3, 12, 48, 192, 768):
        a, b = torch.randn(2, n, generator=rng)
        for share in (0.5, 0.25, 1.0, 0.0):
            yield a, b, share


def _slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    angle = 2 * math.atan2((a / a.norm() - b / b.norm()).norm().item(), (a / a.norm() + b / b.norm()).norm().item())
    return (math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle)


sphere = Exercise(
    "07.4",
    "Between two noises",
    difficulty=2,
    minutes=10,
    task=r"""
    Write the spherical interpolation of two noises `a` and `b` (vectors of n numbers): with the angle $\omega$ between them, $\bigl(\sin((1-\lambda)\,\omega)\,a + \sin(\lambda\,\omega)\,b\bigr)/\sin\omega$;
    `share` is $\lambda$, from 0 to 1.
    """,
    hints=(
        r"The cosine of the angle is `(a * b).sum() / (a.norm() * b.norm())`.",
        "`torch.acos` of it is a tensor without axes; `torch.sin` takes it.",
    ),
    covers="vectors of 3 to 768 numbers, shares 0, 0.25, 0.5 and 1",
    cases=directions,
    reference=_slerp,
    tolerance=1e-3,
)


@sphere.solution
def my_slerp(a, b, share):
    angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)


@sphere.mistake("that is a straight line: in the middle the noise is too weak by a factor of about 0.7")
def _(a, b, share):
    return (1 - share) * a + share * b


@sphere.mistake(
    "that is the straight line, stretched to a's length: in high dimensions that is nearly right, but not on the circle"
)
def _(a, b, share):
    line = (1 - share) * a + share * b
    return line / line.norm() * a.norm()


@sphere.mistake("that is the straight line, scaled to length 1; noise of so many numbers is much longer")
def _(a, b, share):
    line = (1 - share) * a + share * b
    return line / line.norm()


@sphere.mistake("the two ends are exchanged: at share 0 it has to be a")
def _(a, b, share):
    return _slerp(b, a, share)


@sphere.mistake("the ends are scaled to length 1; the angle needs that, the noises keep their lengths")
def _(a, b, share):
    return _slerp(a / a.norm(), b / b.norm(), share)


@sphere.mistake("the cosine isn't an angle yet")
def _(a, b, share):
    angle = (a * b).sum() / (a.norm() * b.norm())
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)


@sphere.mistake("the division by the sine of the whole angle is missing, so the ends don't fit")
def _(a, b, share):
    angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
    return torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b


@sphere.mistake("the cosine has to be divided by both lengths; without that it is no cosine, and acos gives NaN")
def _(a, b, share):
    angle = torch.acos((a * b).sum())
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)


def parts(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor, float, Tensor]]:
    """Pictures, masks of their size, and ᾱ of the time that they are at; the last one is clean."""
    for known, eps in pictures(rng):
        xs = torch.randn(known.shape, generator=rng, dtype=known.dtype)
        mask = torch.rand(known.shape[-2:], generator=rng) < 0.5
        for ab_s in (0.5, 0.9, 0.0786, 1.0):
            yield xs, known, mask, ab_s, eps


def _replaced(xs: Tensor, known: Tensor, mask: Tensor, ab_s: float, eps: Tensor) -> Tensor:
    if ab_s == 1:
        return torch.where(mask, known, xs)
    schedule, t, _ = two_times(ab_s, 1.0)
    return torch.where(mask, add_noise(schedule, known, t, eps), xs)


known_part = Exercise(
    "07.5",
    "Putting the known part back",
    difficulty=2,
    minutes=10,
    task=r"""
    A step has come to `xs` at time $s$. Return `xs` with the known part put back: where `mask` is true, the pixels of `known` *with as much noise as time $s$ has* (made of `eps`), elsewhere those of `xs`.
    `known`, `eps` and `xs` are (b, c, h, w), `mask` is (h, w), `ab_s` the number $\bar\alpha_s$.
    """,
    hints=(
        r"Lesson 01's jump brings `known` to time $s$. At $\bar\alpha_s=1$ that is `known` itself.",
        "`torch.where(mask, a, b)` takes from `a` where the mask is true; (h, w) broadcasts to the batch.",
    ),
    covers="batches of 1 to 5, one and three channels, both precisions, four times, the last one among them",
    cases=parts,
    reference=_replaced,
)


@known_part.solution
def my_replacement(xs, known, mask, ab_s, eps):
    noisy = ab_s**0.5 * known + (1 - ab_s) ** 0.5 * eps
    return torch.where(mask, noisy, xs)


@known_part.mistake("the known part has no noise, but at time s the network expects some: the two parts don't fit")
def _(xs, known, mask, ab_s, eps):
    return torch.where(mask, known, xs)


@known_part.mistake("the mask is used the wrong way round: where it is true the picture is known")
def _(xs, known, mask, ab_s, eps):
    return torch.where(mask, xs, _replaced(xs, known, torch.ones_like(mask), ab_s, eps))


@known_part.mistake("the noise of the known part is scaled by its variance; a standard deviation is needed")
def _(xs, known, mask, ab_s, eps):
    return torch.where(mask, ab_s**0.5 * known + (1 - ab_s) * eps, xs)


@known_part.mistake("ᾱ_s and 1 - ᾱ_s are shares of the variance; picture and noise are scaled by their roots")
def _(xs, known, mask, ab_s, eps):
    return torch.where(mask, ab_s * known + (1 - ab_s) * eps, xs)


@known_part.mistake("noise is added to the known part, but the picture in it isn't made weaker by √ᾱ_s")
def _(xs, known, mask, ab_s, eps):
    return torch.where(mask, known + (1 - ab_s) ** 0.5 * eps, xs)


@known_part.mistake("the known part's noise goes over the whole picture; the unknown part is x_s as it is")
def _(xs, known, mask, ab_s, eps):
    noisy = torch.where(mask, ab_s**0.5 * known, ab_s**0.5 * xs)
    return noisy + (1 - ab_s) ** 0.5 * eps
