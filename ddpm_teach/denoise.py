"""Reading a network: from its raw prediction to an estimate of the picture and of the noise. Lesson 04.

`clipped`, `thresholded` and `projected` make a Denoiser of a Denoiser, as `score_corrected` in guidance.py does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_teach.checks import Time, check_net, check_number, check_shape, check_signal, check_time
from ddpm_teach.forward import add_noise, noise_from, picture_from, velocity
from ddpm_teach.guidance import guided as guided
from ddpm_teach.kinds import Denoiser, Estimate, Net
from ddpm_teach.schedule import Schedule


def from_eps(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts the noise (see `picture_from`). Lesson 04.

    Refuses a time with ᾱ_t = 0, where ε̂ says nothing about the picture.
    """
    read = lambda eps, x, t: Estimate(picture_from(schedule, x, t, eps), eps)  # noqa: E731
    return _reader(net, schedule, read, lambda t: check_signal(t, schedule))


def from_x0(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts the picture (see `noise_from`). Lesson 04."""
    return _reader(net, schedule, lambda x0, x, t: Estimate(x0, noise_from(schedule, x, t, x0)))


def from_v(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts v (see `velocity`): x̂_0 = √ᾱ_t x_t - √(1 - ᾱ_t) v̂, ε̂ = √(1 - ᾱ_t) x_t + √ᾱ_t v̂.

    It is defined at every time, also where ᾱ_t = 0 (Salimans & Ho 2022, appendix D): (x_t, v) is (x_0, ε) turned by an
    angle of cosine √ᾱ_t, so reading it is turning back. Lesson 04.
    """
    return _reader(net, schedule, lambda v, x, t: Estimate(velocity(schedule, v, x, t), add_noise(schedule, v, t, x)))


def _reader(net: Net, schedule: Schedule, read: Callable, check: Callable[[Time], None] = lambda t: None) -> Denoiser:
    check_net(net, schedule)

    def denoise(x: Tensor, t: Time) -> Estimate:
        check_time(t, 1, schedule.T, x)
        check(t)  # before the network computes anything
        times = torch.full((len(x),), t, device=x.device) if isinstance(t, int) else t.to(x.device, torch.long)
        raw = net(x, times)
        check_shape("net", raw, x)
        return read(raw, x, t)

    return denoise


def projected(denoiser: Denoiser, schedule: Schedule, projection: Callable[[Tensor], Tensor]) -> Denoiser:
    """Replaces x̂_0 by projection(x̂_0) and makes ε̂ agree with it (see `noise_from`). Lesson 04.

    With a codebook's nearest entries as the projection this is latent diffusion's quantize_x0, which leaves ε̂ behind.
    """

    def denoise(x: Tensor, t: Time) -> Estimate:
        x0 = projection(denoiser(x, t).x0)
        check_shape("projection", x0, x)
        return Estimate(x0, noise_from(schedule, x, t, x0))

    return denoise


def clipped(denoiser: Denoiser, schedule: Schedule, limit: float = 1.0) -> Denoiser:
    """Clamps x̂_0 to [-limit, limit], limit > 0, and ε̂ follows. Lesson 04."""
    if check_number("limit", limit, 0) == 0:
        raise ValueError(f"limit: expected a positive number, got {limit}")
    return projected(denoiser, schedule, lambda x0: x0.clamp(-limit, limit))


def thresholded(denoiser: Denoiser, schedule: Schedule, quantile: float = 0.995) -> Denoiser:
    """Dynamic thresholding: each x̂_0 is clamped to [-r, r] and divided by r (Saharia et al. 2022, sec. 2.3). Lesson 05.

    r is the `quantile` of the picture's own |x̂_0|, at least 1: strong guidance then fades colours, not burns them.
    """
    check_number("quantile", quantile, 0, 1)

    def threshold(x0: Tensor) -> Tensor:
        values = x0.reshape(len(x0), -1).abs().to(torch.promote_types(x0.dtype, torch.float32))
        r = values.quantile(quantile, dim=1).clamp(min=1).to(x0)
        r = r.reshape(-1, *[1] * (x0.ndim - 1))
        return x0.clamp(-r, r) / r

    return projected(denoiser, schedule, threshold)
