"""The forward process: from a picture to noise, in one jump or in single steps (lesson 01), and its inverse (04)."""

from __future__ import annotations

from ddpm_teach.checks import Images, Time, check_shape
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.types import Gaussian


def add_noise(schedule: Schedule, x0: Images, t: Time, eps: Images) -> Images:
    """A draw of q(x_t | x_0): x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε (DDPM eq. 4). Lesson 01.

    x0: clean pictures (b, …) in [-1, 1]; eps: normal noise of their shape; t: an int or long (b,) in 0…T, 0 gives x0.
    """
    check_shape("eps", eps, x0)
    signal, noise = schedule.rates(t, x0)
    return signal * x0 + noise * eps


def forward_step(schedule: Schedule, x: Images, t: Time, eps: Images) -> Images:
    """A draw of q(x_t | x_{t-1} = x): x_t = √(1 - β_t) x + √β_t ε (DDPM eq. 2), t in 1…T. Lesson 01."""
    check_shape("eps", eps, x)
    signal, added = schedule.step_rates(t, x)
    return signal * x + added * eps


def velocity(schedule: Schedule, x0: Images, eps: Images, t: Time) -> Images:
    """v = √ᾱ_t ε - √(1 - ᾱ_t) x_0, what `from_v` reads (Salimans & Ho 2022, appendix D), t in 0…T. Lesson 04."""
    check_shape("eps", eps, x0)
    signal, noise = schedule.rates(t, x0)
    return signal * eps - noise * x0


def picture_from(schedule: Schedule, x: Images, t: Time, eps: Images) -> Images:
    """The x_0 that noise ε leaves in x_t = x: (x - √(1 - ᾱ_t) ε) / √ᾱ_t (DDPM eq. 15); not where ᾱ_t = 0. Lesson 04."""
    signal, noise = schedule.rates(t, x, needs_signal=True)
    return (x - noise * eps) / signal


def noise_from(schedule: Schedule, x: Images, t: Time, x0: Images) -> Images:
    """The noise that is in x_t = x if x0 is the picture: (x - √ᾱ_t x_0) / √(1 - ᾱ_t), t in 1…T. Lesson 04."""
    signal, noise = schedule.rates(t, x, low=1)
    return (x - signal * x0) / noise


def posterior(schedule: Schedule, x0: Images, xt: Images, t: int, s: int | None = None) -> Gaussian:
    """q(x_s | x_t, x_0), the step back when the picture is known (DDPM eq. 6-7, for any s < t). Lesson 04.

    With ints 0 ≤ s < t ≤ T (s is t - 1 unless given) and β_{t|s} = 1 - ᾱ_t/ᾱ_s, the variance that steps s+1…t add:

        mean = √ᾱ_s β_{t|s} / (1 - ᾱ_t) x_0 + √(ᾱ_t/ᾱ_s) (1 - ᾱ_s) / (1 - ᾱ_t) x_t
        variance = β_{t|s} (1 - ᾱ_s) / (1 - ᾱ_t)
    """
    check_shape("xt", xt, x0)
    return bayes(x0, xt, *schedule.move(t, t - 1 if s is None and isinstance(t, int) else s))


def bayes(x0: Images, xt: Images, ab_t: float, ab_s: float) -> Gaussian:
    """`posterior`, unchecked, from ᾱ_t and ᾱ_s."""
    beta_ts = 1 - ab_t / ab_s
    mean = (ab_s**0.5 * beta_ts / (1 - ab_t)) * x0 + ((ab_t / ab_s) ** 0.5 * (1 - ab_s) / (1 - ab_t)) * xt
    return Gaussian(mean, beta_ts * (1 - ab_s) / (1 - ab_t))
