"""Where the noise of a step comes from: a generator, or a function that draws it. Lesson 04."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_teach.checks import check_number, check_shape

NoiseSource = torch.Generator | Callable[[Tensor], Tensor] | None  # a function: pictures → noise of their shape


def draw_noise(x: Tensor, rng: NoiseSource = None) -> Tensor:
    """Standard normal noise for x: from rng itself if it is a function, else from that generator or the global one.

    A generator's is drawn on its own device and at least in float32: a seed gives the same noise on every device, in
    half precision the same as in float32. (torch.compile can't trace a torch.Generator; it can the global one.)
    """
    if callable(rng):
        noise = rng(x)
        check_shape("rng", noise, x)
        return noise.to(x)
    device, dtype = x.device if rng is None else rng.device, torch.promote_types(x.dtype, torch.float32)
    pinned = device.type == "cpu" and x.device.type == "cuda"  # so that the program needn't wait for the GPU
    noise = torch.randn(x.shape, generator=rng, device=device, dtype=dtype, pin_memory=pinned)
    return noise.to(x.device, non_blocking=pinned).to(x.dtype)


def repeated(rng: NoiseSource = None) -> Callable[[Tensor], Tensor]:
    """One noise for all pictures, which then differ by their start alone: latent diffusion's repeat_noise."""
    return lambda x: draw_noise(x[:1], rng).expand_as(x)


def dropped_out(rng: NoiseSource, p: float, mask_rng: torch.Generator | None = None) -> Callable[[Tensor], Tensor]:
    """Noise with a share p < 1 set to 0 and the rest divided by 1 - p: latent diffusion's noise_dropout.

    dropped_out(repeated(generator), p) repeats the noise and thins each copy on its own, as latent diffusion does.
    What is dropped is drawn from `mask_rng`; unless given, from `rng` if that is a generator, else from the global one.
    """
    if check_number("p", p, 0, 1) == 1:
        raise ValueError("p: 1 would leave no noise at all; use temperature=0.0 for that")
    if mask_rng is None and isinstance(rng, torch.Generator):
        mask_rng = rng

    def draw(x: Tensor) -> Tensor:
        noise, device = draw_noise(x, rng), x.device if mask_rng is None else mask_rng.device
        keep = torch.rand(x.shape, generator=mask_rng, device=device) >= p
        return noise * keep.to(x.device) / (1 - p)

    return draw
