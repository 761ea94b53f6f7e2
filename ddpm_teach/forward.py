"""The forward process: from a picture to noise, in one jump or in single steps (lesson 01), and its inverse (04)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ddpm_teach.checks import Images, Time, check_int, check_shape, check_time
from ddpm_teach.schedule import Schedule


class Gaussian(NamedTuple):
    """A normal law with independent pixels: `mean` (b, …) and one `variance` for all pixels."""

    mean: Tensor
    variance: float


def add_noise(schedule: Schedule, x0: Images, t: Time, eps: Images) -> Images:
    """A draw of q(x_t | x_0): x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε (DDPM eq. 4). Lesson 01.

    Args:
        x0: clean pictures (b, …) in [-1, 1].
        t: an int or a long tensor (b,), in 0…T; t = 0 gives x0 back.
        eps: standard normal noise of x0's shape.
    """
    check_shape("eps", eps, x0)
    return schedule.signal_rate(t, x0) * x0 + schedule.noise_rate(t, x0) * eps


def forward_step(schedule: Schedule, x: Images, t: Time, eps: Images) -> Images:
    """A draw of q(x_t | x_{t-1} = x): x_t = √(1 - β_t) x + √β_t ε (DDPM eq. 2), t in 1…T. Lesson 01."""
    check_shape("eps", eps, x)
    check_time(t, 1, schedule.T, x)
    return schedule.rate("kept", t, x) * x + schedule.rate("added", t, x) * eps


def velocity(schedule: Schedule, x0: Images, eps: Images, t: Time) -> Images:
    """v = √ᾱ_t ε - √(1 - ᾱ_t) x_0, what `from_v` reads (Salimans & Ho 2022, appendix D), t in 0…T. Lesson 04."""
    check_shape("eps", eps, x0)
    return schedule.signal_rate(t, x0) * eps - schedule.noise_rate(t, x0) * x0


def posterior(schedule: Schedule, x0: Images, xt: Images, t: int, s: int | None = None) -> Gaussian:
    """q(x_s | x_t, x_0), the step back when the picture is known (DDPM eq. 6-7, for any s < t). Lesson 04.

    With β_{t|s} = 1 - ᾱ_t/ᾱ_s, the variance that the steps s+1…t add:

        mean = √ᾱ_s β_{t|s} / (1 - ᾱ_t) x_0 + √(ᾱ_t/ᾱ_s) (1 - ᾱ_s) / (1 - ᾱ_t) x_t
        variance = β_{t|s} (1 - ᾱ_s) / (1 - ᾱ_t)

    Both times are ints: t, that of xt, in 1…T, and s in 0…t-1; t - 1 unless given.
    """
    check_shape("xt", xt, x0)
    check_int("t", t, 1, schedule.T)
    s = t - 1 if s is None else check_int("s", s, 0, t - 1)
    ab_t, ab_s = schedule.at(t), schedule.at(s)
    beta_ts = 1 - ab_t / ab_s
    mean = (ab_s**0.5 * beta_ts / (1 - ab_t)) * x0 + ((ab_t / ab_s) ** 0.5 * (1 - ab_s) / (1 - ab_t)) * xt
    return Gaussian(mean, beta_ts * (1 - ab_s) / (1 - ab_t))
