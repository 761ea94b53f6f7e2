"""The four kinds of thing that the course is made of. All else makes one of them, or wraps one and keeps its kind.

Net(x, t, c) -> raw prediction        t: long (b,) in 1…T; c: context (b, …), or None
Denoiser(x, t) -> Estimate(x0, eps)   a network read through a schedule; t: an int or long (b,)
Step(x, t, s) -> Frame                one move from time t to time s, both Python ints
walk(step, x, times) -> frames        many moves; what to do with the frames is a `for` loop
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ddpm_teach.checks import Time


class Estimate(NamedTuple):
    """What a network says about x_t: clean picture and noise, of its shape, with x_t = √ᾱ_t x0 + √(1 - ᾱ_t) eps."""

    x0: Tensor
    eps: Tensor


class Gaussian(NamedTuple):
    """A normal distribution with independent pixels: `mean` (b, …) and one `variance` for all pixels."""

    mean: Tensor
    variance: float


@dataclass(frozen=True, eq=False)
class Frame:
    """A moment of a walk: the picture `x` at time `t`, and the estimate, made at the time before, that led here."""

    t: int
    x: Tensor
    x0: Tensor | None = None
    eps: Tensor | None = None

    def __repr__(self) -> str:  # no thousand numbers
        return f"Frame(t={self.t}, x {tuple(self.x.shape)}{', with its estimate' if self.x0 is not None else ''})"


Net = Callable[..., Tensor]
Denoiser = Callable[[Tensor, Time], Estimate]
Step = Callable[[Tensor, int, int], Frame]


def carrying(wrapper: Net, net: Net) -> Net:
    """`wrapper`, saying as `net` does what `T` and `target` it was trained for, and with what `null` for no context."""
    for name in ("T", "target", "null"):
        if hasattr(net, name):
            setattr(wrapper, name, getattr(net, name))
    return wrapper
