"""Reading a network: from its raw prediction to an estimate of the picture and of the noise.

    Net(x, t, c) -> raw prediction        t: long (b,) in 1…T; c: context (b, …) or None
    Denoiser(x, t) -> Estimate(x0, eps)   t: an int or long (b,); the two always satisfy x = √ᾱ_t x0 + √(1 - ᾱ_t) eps

Wrappers keep the kind: `guided` makes a Net of a Net, `clipped` a Denoiser of a Denoiser.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_teach.schedule import Schedule, Time, check_net, check_time

Net = Callable[..., Tensor]


class Estimate(NamedTuple):
    """What a network says about x_t: the clean picture `x0` and the noise `eps`, both of x_t's shape."""

    x0: Tensor
    eps: Tensor


Denoiser = Callable[[Tensor, Time], Estimate]


def from_eps(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts the noise: x̂_0 = (x_t - √(1 - ᾱ_t) ε̂) / √ᾱ_t (DDPM eq. 15). Lesson 04.

    Raises:
        ValueError: at a time with ᾱ_t = 0, where ε̂ says nothing about the picture.
    """

    check_net(net, schedule)
    blind = schedule.at(schedule.T) == 0

    def denoise(x: Tensor, t: Time) -> Estimate:
        times = _batched(t, x, schedule)
        if blind and _includes(t, schedule.T):
            raise ValueError(
                f"t: alpha_bar[{schedule.T}] = 0, where the noise says nothing about the picture;"
                f" start at {schedule.T - 1}"
            )
        eps = net(x, times)
        x0 = (x - schedule.noise_rate(t, x) * eps) / schedule.signal_rate(t, x)
        return Estimate(x0, eps)

    return denoise


def guided(net: Net, context: Tensor, scale: float, null: Tensor | None = None) -> Net:
    """Classifier-free guidance (Ho & Salimans 2022): ε_u + scale · (ε_c - ε_u). Lesson 05.

    scale = 1 is the conditional network and 0 the unconditional one, each by one plain call. Any other scale costs
    one call with twice the batch.

    Args:
        context: (b, …) or (1, …), what the pictures shall show.
        scale: a finite number; beyond 1 it pushes away from `null`.
        null: the context that stands for "no context", or a negative one; zeros unless given.

    Raises:
        TypeError: if `context` is no tensor.
        ValueError: if `scale` isn't finite or `null` has another shape than `context`.
    """
    if not isinstance(context, Tensor):
        raise TypeError(
            f"context: expected a tensor (b, …), got {context!r}; use torch.tensor(…) or model.context(name)"
        )
    if not math.isfinite(scale):
        raise ValueError(f"scale: expected a finite number, got {scale}")
    null = torch.zeros_like(context) if null is None else null
    if null.shape[1:] != context.shape[1:]:
        raise ValueError(f"null: expected contexts of shape {tuple(context.shape[1:])}, got {tuple(null.shape[1:])}")

    def guided_net(x: Tensor, t: Tensor, c: None = None) -> Tensor:
        if c is not None:
            raise ValueError("c: this network carries its context already; give it to guided(net, context, scale)")
        if scale in (0, 1):
            return net(x, t, _expanded(context if scale == 1 else null, x))
        both = torch.cat([_expanded(null, x), _expanded(context, x)])
        without, with_context = net(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        return without + scale * (with_context - without)

    return guided_net


def clipped(denoiser: Denoiser, schedule: Schedule, limit: float = 1.0) -> Denoiser:
    """Clamps x̂_0 to [-limit, limit] and makes ε̂ agree with it: ε̂ = (x_t - √ᾱ_t x̂_0) / √(1 - ᾱ_t). Lesson 04.

    Raises:
        ValueError: if `limit` isn't positive.
    """
    if not limit > 0:
        raise ValueError(f"limit: expected a positive number, got {limit}")

    def denoise(x: Tensor, t: Time) -> Estimate:
        x0 = denoiser(x, t).x0.clamp(-limit, limit)
        return Estimate(x0, (x - schedule.signal_rate(t, x) * x0) / schedule.noise_rate(t, x))

    return denoise


def _includes(t: Time, time: int) -> bool:
    """Whether `time` is among t; False for tensors that can't be looked into without waiting for the device."""
    if isinstance(t, int):
        return t == time
    return t.device.type == "cpu" and not torch.compiler.is_compiling() and bool((t == time).any())


def _batched(t: Time, x: Tensor, schedule: Schedule) -> Tensor:
    """The times as networks take them: a long tensor (b,) on x's device, in 1…T."""
    check_time(t, 1, schedule.T)
    if isinstance(t, int):
        return torch.full((len(x),), t, device=x.device)
    if t.shape != x.shape[:1]:
        raise ValueError(f"t: expected one time for each of {len(x)} pictures, got shape {tuple(t.shape)}")
    return t


def _expanded(context: Tensor, x: Tensor) -> Tensor:
    """One context for all pictures, or one each."""
    if len(context) not in (1, len(x)):
        raise ValueError(f"context: expected 1 or {len(x)} contexts for {len(x)} pictures, got {len(context)}")
    return context.expand(len(x), *context.shape[1:])
