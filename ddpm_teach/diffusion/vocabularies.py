"""One process in three vocabularies: how DDPM, EDM and flow matching write a noise level and the picture there.

    vocabulary   level                               its picture at that level    along which DDIM is Euler's step
    DDPM         ᾱ, falling from 1 to 0              x = √ᾱ x_0 + √(1 - ᾱ) ε      (none: x turns from x_0 to ε)
    EDM          σ = √(1 - ᾱ) / √ᾱ                   x / √ᾱ = x_0 + σ ε           dx̄/dσ = ε̂   (Karras et al. 2022)
    FLOW_TIME    s = √(1 - ᾱ) / (√ᾱ + √(1 - ᾱ))      z = (1 - s) x_0 + s ε        dz/ds = ε̂ - x̂_0   (Lipman et al. 2023)

`EDM.level(FLOW_TIME.alpha_bar(s))` is s as σ; `Schedule(FLOW_TIME.alpha_bar(table))` makes a schedule of a list of flow
times, 0 first, and `FLOW_TIME.scale(schedule.alpha_bar)[t] * x` is x_t as flow matching has it. Lesson 11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Vocabulary(NamedTuple):
    """A way to write noise levels, and pictures at them: three functions of tensors, or of floats where all is finite.

    Attributes:
        level: ᾱ in [0, 1] → its noise level.
        alpha_bar: a noise level → its ᾱ; the inverse of `level`.
        scale: ᾱ → the factor that makes its picture of DDPM's x.
    """

    level: Callable[[Tensor], Tensor]
    alpha_bar: Callable[[Tensor], Tensor]
    scale: Callable[[Tensor], Tensor]


DDPM = Vocabulary(level=lambda ab: ab, alpha_bar=lambda ab: ab, scale=lambda ab: 0 * ab + 1)
EDM = Vocabulary(
    level=lambda ab: ((1 - ab) / ab) ** 0.5,
    alpha_bar=lambda sigma: 1 / (1 + sigma**2),
    scale=lambda ab: 1 / ab**0.5,
)
FLOW_TIME = Vocabulary(
    level=lambda ab: (1 - ab) ** 0.5 / (ab**0.5 + (1 - ab) ** 0.5),
    alpha_bar=lambda s: (1 - s) ** 2 / ((1 - s) ** 2 + s**2),
    scale=lambda ab: 1 / (ab**0.5 + (1 - ab) ** 0.5),
)
VOCABULARIES = {"DDPM": DDPM, "EDM": EDM, "flow matching": FLOW_TIME}
