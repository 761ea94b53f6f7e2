"""Saying what the pictures shall show: by the network's own context, by another model's gradient, or by a known part.

Wrappers keep the kind: `guided` makes a Net of a Net, `score_corrected` a Denoiser of a Denoiser, `inpainting` a Step
of a Step. Lessons 05 and 07.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_teach.checks import Images, Time, check_guidance, check_mask, check_number, check_one_each, check_shape
from ddpm_teach.diffusion.forward import add_noise, picture_from
from ddpm_teach.diffusion.noise import NoiseSource, draw_noise
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.types import Denoiser, Estimate, Frame, Net, Step, carrying


def guided(net: Net, context: Tensor, scale: float, null: Tensor | None = None) -> Net:
    """Classifier-free guidance: ε_u + scale · (ε_c - ε_u) (Ho & Salimans 2022, eq. 6 with scale = 1 + w). Lesson 05.

    scale = 1 is the conditional network and 0 the unconditional one; any other costs one call with twice the batch.
    context, (b, …) or (1, …), is what the pictures shall show; null stands for "no context", or what to push away from:
    `net.null` where the network has one, else zeros, unless given.
    """
    null = getattr(net, "null", torch.zeros_like(context)) if null is None and isinstance(context, Tensor) else null
    check_guidance(net, context, null, scale)

    def guided_net(x: Tensor, t: Tensor, c: None = None) -> Tensor:
        if c is not None:
            raise ValueError("c: this network carries its context already; give it to guided(net, context, scale)")
        wanted, unwanted = _expanded("context", context, x), _expanded("null", null, x)
        if scale in (0, 1):
            return net(x, t, wanted if scale == 1 else unwanted)
        without, with_context = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([unwanted, wanted])).chunk(2)
        return without + scale * (with_context - without)

    return carrying(guided_net, net)


def _expanded(name: str, context: Tensor, x: Tensor) -> Tensor:
    if len(context) not in (1, len(x)):
        raise ValueError(f"{name}: expected 1 or {len(x)} contexts for {len(x)} pictures, got {len(context)}")
    return context.expand(len(x), *context.shape[1:])


def score_corrected(
    denoiser: Denoiser, schedule: Schedule, correction: Callable[[Tensor, Time], Tensor], scale: float = 1.0
) -> Denoiser:
    """Adds scale · correction(x_t, t) to the score ∇ log q(x_t) = -ε̂ / √(1 - ᾱ_t), and x̂_0 follows. Lesson 05.

    With gradient(log_prob) it is classifier guidance (Dhariwal & Nichol 2021, algorithm 2); not where ᾱ_t = 0.
    """
    check_number("scale", scale, -math.inf)

    def denoise(x: Tensor, t: Time) -> Estimate:
        _, noise = schedule.rates(t, x, needs_signal=True)
        change = correction(x, t)
        check_shape("correction", change, x)
        eps = denoiser(x, t).eps - scale * noise * change
        return Estimate(picture_from(schedule, x, t, eps), eps)

    return denoise


def gradient(log_prob: Callable[[Tensor, Time], Tensor]) -> Callable[[Tensor, Time], Tensor]:
    """∇_x log_prob(x, t), for any differentiable log_prob that gives a number for each picture, (b,). Lesson 05."""

    def correction(x: Tensor, t: Time) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            x = x.detach().clone().requires_grad_()
            log_p = log_prob(x, t)
            check_one_each(log_p, x)
            return torch.autograd.grad(log_p.sum(), x)[0]

    return correction


def inpainting(step: Step, schedule: Schedule, known: Images, mask: Tensor, rng: NoiseSource = None) -> Step:
    """After each move to s, the known part is replaced by add_noise(known, s): at 0 it is `known` itself. Lesson 07.

    known: pictures in the batch's shape; mask: true or 1 where they stay, and broadcasts to their shape.
    """
    keep = check_mask(mask, known)

    def masked(x: Tensor, t: int, s: int) -> Frame:
        check_shape("known", known, x)
        frame = step(x, t, s)
        original = known.to(x)
        noisy = add_noise(schedule, original, s, draw_noise(x, rng)) if s > 0 else original
        return Frame(s, torch.where(keep.to(x.device), noisy, frame.x), frame.x0, frame.eps)

    return masked
