"""Reading a network: from its raw prediction to an estimate of the picture and of the noise. Lesson 04.

`clipped`, `thresholded` and `projected` make a Denoiser of a Denoiser, as `score_corrected` in guidance.py does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_teach.checks import Time, check_net, check_number, check_time
from ddpm_teach.guidance import guided as guided
from ddpm_teach.kinds import Denoiser, Estimate, Net
from ddpm_teach.schedule import Schedule


def from_eps(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts the noise: x̂_0 = (x_t - √(1 - ᾱ_t) ε̂) / √ᾱ_t (DDPM eq. 15). Lesson 04.

    Refuses a time with ᾱ_t = 0, where ε̂ says nothing about the picture.
    """
    return _reader(net, schedule, lambda eps, x, signal, noise: Estimate((x - noise * eps) / signal, eps), blind=True)


def from_x0(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts the picture: ε̂ = (x_t - √ᾱ_t x̂_0) / √(1 - ᾱ_t). Lesson 04."""
    return _reader(net, schedule, lambda x0, x, signal, noise: Estimate(x0, (x - signal * x0) / noise))


def from_v(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts v (see `velocity`): x̂_0 = √ᾱ_t x_t - √(1 - ᾱ_t) v̂, ε̂ = √(1 - ᾱ_t) x_t + √ᾱ_t v̂.

    It is defined at every time, also where ᾱ_t = 0 (Salimans & Ho 2022, appendix D). Lesson 04.
    """
    return _reader(net, schedule, lambda v, x, signal, noise: Estimate(signal * x - noise * v, noise * x + signal * v))


def _reader(net: Net, schedule: Schedule, read: Callable[..., Estimate], blind: bool = False) -> Denoiser:
    check_net(net, schedule)
    last, why = schedule.T, ""
    if blind and schedule.at(last) == 0:
        why = f"; alpha_bar[{last}] = 0, where the noise says nothing about the picture: start at {last - 1}"
        last -= 1

    def denoise(x: Tensor, t: Time) -> Estimate:
        check_time(t, 1, last, x, why)
        times = torch.full((len(x),), t, device=x.device) if isinstance(t, int) else t
        return read(net(x, times), x, schedule.signal_rate(t, x), schedule.noise_rate(t, x))

    return denoise


def projected(denoiser: Denoiser, schedule: Schedule, projection: Callable[[Tensor], Tensor]) -> Denoiser:
    """Replaces x̂_0 by projection(x̂_0) and makes ε̂ agree with it: ε̂ = (x_t - √ᾱ_t x̂_0) / √(1 - ᾱ_t). Lesson 04.

    With a codebook's nearest entries as the projection this is latent diffusion's quantize_x0, which leaves ε̂ behind.
    """

    def denoise(x: Tensor, t: Time) -> Estimate:
        x0 = projection(denoiser(x, t).x0)
        return Estimate(x0, (x - schedule.signal_rate(t, x) * x0) / schedule.noise_rate(t, x))

    return denoise


def clipped(denoiser: Denoiser, schedule: Schedule, limit: float = 1.0) -> Denoiser:
    """Clamps x̂_0 to [-limit, limit], limit > 0, and ε̂ follows. Lesson 04."""
    if not limit > 0:
        raise ValueError(f"limit: expected a positive number, got {limit}")
    return projected(denoiser, schedule, lambda x0: x0.clamp(-limit, limit))


def thresholded(denoiser: Denoiser, schedule: Schedule, quantile: float = 0.995) -> Denoiser:
    """Dynamic thresholding: each x̂_0 is clamped to [-r, r] and divided by r (Saharia et al. 2022, sec. 2.3). Lesson 05.

    r is the `quantile` of the picture's own |x̂_0|, at least 1: strong guidance then fades colours, not burns them.
    """
    check_number("quantile", quantile, 0, 1)

    def threshold(x0: Tensor) -> Tensor:
        r = x0.flatten(1).abs().float().quantile(quantile, dim=1).clamp(min=1).to(x0)
        r = r.reshape(-1, *[1] * (x0.ndim - 1))
        return x0.clamp(-r, r) / r

    return projected(denoiser, schedule, threshold)
