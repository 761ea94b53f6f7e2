"""The forward process: from a picture to noise, in one jump (lesson 01)."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from ddpm_teach.schedule import Schedule, Time, check_int


class Gaussian(NamedTuple):
    """A normal law with independent pixels: `mean` (b, …) and one `variance` for all pixels."""

    mean: Tensor
    variance: float


def add_noise(
    schedule: Schedule, x0: Float[Tensor, "b ..."], t: Time, eps: Float[Tensor, "b ..."]
) -> Float[Tensor, "b ..."]:
    """A draw of q(x_t | x_0): x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε (DDPM eq. 4). Lesson 01.

    Args:
        x0: clean pictures in [-1, 1].
        t: an int or a long tensor (b,), in 0…T; t = 0 gives x0 back.
        eps: standard normal noise of x0's shape.

    Raises:
        ValueError: if the shapes differ or a time is out of range.
    """
    if x0.shape != eps.shape:
        raise ValueError(f"eps: expected x0's shape {tuple(x0.shape)}, got {tuple(eps.shape)}")
    return schedule.signal_rate(t, x0) * x0 + schedule.noise_rate(t, x0) * eps


def posterior(
    schedule: Schedule, x0: Float[Tensor, "b ..."], xt: Float[Tensor, "b ..."], t: int, s: int | None = None
) -> Gaussian:
    """q(x_s | x_t, x_0), the step back when the picture is known (DDPM eq. 6-7, for any s < t). Lesson 04.

    With β_{t|s} = 1 - ᾱ_t/ᾱ_s, the variance that the steps s+1…t add:

        mean = √ᾱ_s β_{t|s} / (1 - ᾱ_t) x_0 + √(ᾱ_t/ᾱ_s) (1 - ᾱ_s) / (1 - ᾱ_t) x_t
        variance = β_{t|s} (1 - ᾱ_s) / (1 - ᾱ_t)

    Args:
        t: the time of xt, an int in 1…T.
        s: the time to go back to, an int in 0…t-1; t - 1 unless given.
    """
    check_int("t", t, 1, schedule.T)
    s = t - 1 if s is None else check_int("s", s, 0, t - 1)
    ab_t, ab_s = schedule.at(t), schedule.at(s)
    beta_ts = 1 - ab_t / ab_s
    mean = (ab_s**0.5 * beta_ts / (1 - ab_t)) * x0 + ((ab_t / ab_s) ** 0.5 * (1 - ab_s) / (1 - ab_t)) * xt
    return Gaussian(mean, beta_ts * (1 - ab_s) / (1 - ab_t))
