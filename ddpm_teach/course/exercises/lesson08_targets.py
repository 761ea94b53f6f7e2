"""An exercise of lesson 08 why it works: one target from another."""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.forward import velocity
from ddpm_teach.diffusion.schedule import Schedule


def _velocity_of(x: Tensor, score: Tensor, alpha_bar_t: float) -> Tensor:
    schedule = Schedule(torch.tensor([1.0, alpha_bar_t], dtype=torch.float64))
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    return velocity(schedule, (x - noise * eps) / signal, eps, 1)


conversion = Exercise(
    "08.4",
    "From score to velocity",
    difficulty=2,
    minutes=10,
    task=r"""
    A network of another course predicts the score. Return the $v$ that it stands for, from `x` = $x_t$ and `score` (b, c, h, w) and the Python number `alpha_bar_t`.
    """,
    hints=(
        r"Three lines: $\varepsilon$ from the score, $x_0$ from $\varepsilon$ and `x`, then $v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1-\bar\alpha_t}\,x_0$.",
        r"The score is $-\varepsilon/\sqrt{1-\bar\alpha_t}$.",
    ),
    covers="batches of 1 to 5, one and three channels, float32 and float64, ᾱ from 0.01 to 0.99",
    cases=lambda rng: [(x, s, ab) for x, s in pictures(rng) for ab in (0.5, 0.99, 0.01)],
    reference=_velocity_of,
    tolerance=1e-3,
)


@conversion.solution
def my_velocity(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    x0 = (x - noise * eps) / signal
    return signal * eps - noise * x0


@conversion.mistake("your noise has the wrong sign: the score points against it")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = noise * score
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("from score to noise one multiplies by the noise's standard deviation")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -score / noise
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("you take the score for the noise")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    return signal * score - noise * (x - noise * score) / signal


@conversion.mistake("the roles are exchanged: in v the noise has the picture's factor, and the picture the noise's")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    return noise * eps - signal * (x - noise * eps) / signal


@conversion.mistake("your v has a plus; with one it would be x_t turned by another angle, or x_t itself")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    return signal * eps + noise * (x - noise * eps) / signal


@conversion.mistake("the roots are missing: shares of the variance stand where factors belong")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t, 1 - alpha_bar_t
    eps = -noise * score
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("you put in x, but x is x_t, not x_0: the picture has to be worked out from x and the noise first")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    return signal * -noise * score - noise * x


@conversion.mistake("the noise's factor lacks its root: 1 minus ᾱ is a variance, and a factor is a standard deviation")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, 1 - alpha_bar_t
    eps = -noise * score
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("from score to noise the factor is the noise's standard deviation, the root of 1 minus ᾱ")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -(1 - alpha_bar_t) * score
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("that is -v: in v the noise counts with a plus, and the picture with a minus")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    return noise * (x - noise * eps) / signal - signal * eps


@conversion.mistake("your picture has the wrong sign in it: x_0 is x minus its noise, and minus times minus makes plus")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    return signal * -noise * score - noise * (x - noise**2 * score) / signal


@conversion.mistake("the picture has to be divided by its factor, the root of ᾱ")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    return signal * -noise * score - noise * (x + noise**2 * score)


@conversion.mistake("the picture has to be divided by the root of ᾱ, and not by ᾱ")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    return signal * -noise * score - noise * (x + noise**2 * score) / alpha_bar_t


@conversion.mistake(
    "the score's factor in the picture lacks a square: from score to noise, then times the noise's factor again"
)
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    return signal * -noise * score - noise * (x + noise * score) / signal


@conversion.mistake("that is the picture; v is made of it and the noise")
def _(x, score, alpha_bar_t):
    return (x + (1 - alpha_bar_t) * score) / alpha_bar_t**0.5


@conversion.mistake("that is the noise; v is made of it and the picture")
def _(x, score, alpha_bar_t):
    return -((1 - alpha_bar_t) ** 0.5) * score
