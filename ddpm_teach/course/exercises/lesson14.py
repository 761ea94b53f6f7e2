"""Exercises of lesson 14, towards Stable Diffusion."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.schedule import scaled_linear

LESSON = "14 towards Stable Diffusion"

betas = Exercise(
    "14.1",
    "Stable Diffusion's schedule",
    difficulty=1,
    minutes=5,
    task=r"""
    Write the T values of $\beta$ (a float64 tensor) that latent diffusion calls "linear": it is the *root* of $\beta$ that is linear, from the root of `start` to the root of `end`.
    """,
    hints=(
        "`torch.linspace(a, b, T, dtype=torch.float64)` is linear from a to b.",
        "Linear between the roots, then the square of all.",
    ),
    covers="T of 2 to 1000, Stable Diffusion's values and others",
    cases=lambda rng: [
        (T, start, end) for T in (2, 3, 10, 1000) for start, end in ((0.00085, 0.012), (1e-4, 0.02), _ends(rng))
    ],
    reference=lambda T, start, end: _betas(T, start, end),
    tolerance=1e-9,
)


def _ends(rng: torch.Generator) -> tuple[float, float]:
    start, end = torch.rand(2, generator=rng, dtype=torch.float64).tolist()
    return 0.001 + 0.001 * start, 0.015 + 0.01 * end


def _betas(T: int, start: float, end: float) -> Tensor:
    return torch.linspace(start**0.5, end**0.5, T, dtype=torch.float64) ** 2


@betas.solution
def my_betas(T, start, end):
    return torch.linspace(start**0.5, end**0.5, T, dtype=torch.float64) ** 2


@betas.mistake('this is linear in β itself, which is what DDPM calls linear, and latent diffusion "sqrt_linear"')
def _(T, start, end):
    return torch.linspace(start, end, T, dtype=torch.float64)


@betas.mistake("those are the roots; β is their square")
def _(T, start, end):
    return torch.linspace(start**0.5, end**0.5, T, dtype=torch.float64)


@betas.mistake('that is the root of a linear β, latent diffusion\'s "sqrt"; here the root itself is linear')
def _(T, start, end):
    return torch.linspace(start, end, T, dtype=torch.float64) ** 0.5


@betas.mistake(
    "that is one value more than asked for: T steps have T values of β, and none belongs to the clean picture"
)
def _(T, start, end):
    return torch.linspace(start**0.5, end**0.5, T + 1, dtype=torch.float64) ** 2


@betas.mistake("you are linear in the square of β; here its root is linear")
def _(T, start, end):
    return torch.linspace(start**2, end**2, T, dtype=torch.float64) ** 0.5


@betas.mistake("your numbers have fewer digits than asked for; with a thousand factors that adds up, so use float64")
def _(T, start, end):
    return torch.linspace(start**0.5, end**0.5, T) ** 2


def codebooks(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Uneven codes in no order: a codebook is learnt."""
    for (x0, _), k in zip(pictures(rng), (2, 3, 5, 8, 16) * 2, strict=False):
        yield x0, 2 * torch.rand(k, generator=rng, dtype=x0.dtype) - 1


quantized = Exercise(
    "14.2",
    "A projection",
    difficulty=2,
    minutes=8,
    task=r"""
    Latent diffusion's `quantize_x0` moves the guess to what its decoder knows. Write such a projection for a codebook of single numbers: replace each number of `x0` (b, c, h, w) by the nearest one of `codes` (k,), which are in no order.
    """,
    hints=(
        "`x0[..., None] - codes` has a last axis with the distance to each code.",
        "`.abs().argmin(-1)` says which is nearest, and `codes[…]` looks it up.",
    ),
    covers="codebooks of 2 to 16 numbers, float32 and float64",
    cases=codebooks,
    reference=lambda x0, codes: codes[(x0[..., None] - codes).square().min(-1).indices],
)


@quantized.solution
def my_quantized(x0, codes):
    return codes[(x0[..., None] - codes).abs().argmin(-1)]


@quantized.mistake("those are the codes' numbers in the book; the codes themselves are asked for")
def _(x0, codes):
    return (x0[..., None] - codes).abs().argmin(-1)


@quantized.mistake("that is the next code above each number, not the nearest")
def _(x0, codes):
    ordered = codes.sort().values
    return ordered[torch.bucketize(x0, ordered).clamp(max=len(codes) - 1)]


@quantized.mistake("the codes come in no order, and what you use to look them up counts on one")
def _(x0, codes):
    return codes[torch.bucketize(x0, codes).clamp(max=len(codes) - 1)]


@quantized.mistake("you project onto even steps between -1 and 1; the codebook says where its codes are")
def _(x0, codes):
    steps = len(codes) - 1
    return ((x0 + 1) / 2 * steps).round().clamp(0, steps) / steps * 2 - 1


@quantized.mistake("you count on even steps between the codes, in their order; look at the distances to all of them")
def _(x0, codes):
    place = (x0 - codes[0]) / (codes[-1] - codes[0]) * (len(codes) - 1)
    return codes[place.round().long().clamp(0, len(codes) - 1)]


@quantized.mistake("the smallest difference is a very negative one; take its size")
def _(x0, codes):
    return codes[(x0[..., None] - codes).argmin(-1)]


@quantized.mistake("that is the farthest code")
def _(x0, codes):
    return codes[(x0[..., None] - codes).abs().argmax(-1)]


@quantized.mistake("those are the distances that are left, not the codes")
def _(x0, codes):
    return (x0[..., None] - codes).abs().amin(-1)


def sigmas(rng: torch.Generator) -> Iterator[tuple[float]]:
    ab = scaled_linear().alpha_bar
    some = torch.randint(2, 1000, (4,), generator=rng).sort(descending=True).values.tolist()
    return ((ab[t].item(),) for t in (1000, *some, 1))


to_sigma = Exercise(
    "14.3",
    "EDM's noise level",
    difficulty=2,
    minutes=8,
    task=r"""
    EDM and many newer samplers write a noisy picture as $y = x_0 + \sigma\,\varepsilon$, without shrinking the picture. Divide $x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon$ by what stands before $x_0$, and write $\sigma$ for a number $\bar\alpha_t$.
    """,
    hints=(
        r"After the division $\varepsilon$ has the factor $\sqrt{1-\bar\alpha_t}/\sqrt{\bar\alpha_t}$.",
        r"Lesson 06 called it $r$.",
    ),
    covers="Stable Diffusion's schedule at six times",
    cases=sigmas,
    reference=lambda alpha_bar_t: (1 / alpha_bar_t - 1) ** 0.5,
)


@to_sigma.solution
def my_sigma_of(alpha_bar_t):
    return ((1 - alpha_bar_t) / alpha_bar_t) ** 0.5


@to_sigma.mistake("that is the variance; σ is its root")
def _(alpha_bar_t):
    return (1 - alpha_bar_t) / alpha_bar_t


@to_sigma.mistake("that is the noise in x_t, before the division by the picture's factor")
def _(alpha_bar_t):
    return (1 - alpha_bar_t) ** 0.5


@to_sigma.mistake("upside down: it has to grow with the noise")
def _(alpha_bar_t):
    return (alpha_bar_t / (1 - alpha_bar_t)) ** 0.5


@to_sigma.mistake("you divide by ᾱ, but the picture's factor is its root")
def _(alpha_bar_t):
    return (1 - alpha_bar_t) ** 0.5 / alpha_bar_t


@to_sigma.mistake("the noise's factor is the root of 1 - ᾱ; the variance stands there")
def _(alpha_bar_t):
    return (1 - alpha_bar_t) / alpha_bar_t**0.5


@to_sigma.mistake("the root of 1 - ᾱ isn't 1 - √ᾱ: variances add up to 1, factors don't")
def _(alpha_bar_t):
    return (1 - alpha_bar_t**0.5) / alpha_bar_t**0.5
