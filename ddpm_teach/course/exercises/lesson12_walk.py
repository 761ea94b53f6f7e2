"""Exercises of lesson 12 latents: a walk through them, and how far to go down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ddpm_teach.course.exercises.engine import Exercise

Map = Callable[[Tensor], Tensor]


def _encode(x: Tensor) -> Tensor:
    """Half as high and half as wide, and not undone by `_decode`: what is encoded twice is another latent."""
    return 3 * avg_pool2d(x, 2) + 0.4


def _decode(z: Tensor) -> Tensor:
    return 2.2 * interpolate((z / 2.5).sin(), scale_factor=2.0)


def walks(rng: torch.Generator) -> Iterator[tuple[Map, Map, Callable[[Tensor, int, int], Tensor], Tensor, float, list]]:
    """Pictures, walks of 1 to 4 moves of a step that isn't linear, and three scales."""

    def step(z: Tensor, t: int, s: int) -> Tensor:
        return z + (t - s) / 2000 * (1 - z) + (t * s) ** 0.5 / 3000 * z.sin()

    for _ in range(2):
        for n in (1, 3):
            x = 2 * torch.rand(n, 3, 8, 8, generator=rng) - 1
            for scale in (0.3, 1.6):
                yield _encode, _decode, step, x, scale, [600, 400, 100, 0]
        yield _encode, _decode, step, x, 0.5, [300, 0]
        yield _encode, _decode, step, x, 2.0, [1000, 700, 650, 200, 0]


def _edited(encode, decode, step, x, scale, times):
    z = scale * encode(x)
    for t, s in pairwise(times):
        z = step(z, t, s)
    return decode(z / scale).clamp(-1, 1)


edit = Exercise(
    "12.3",
    "Decode at the end only",
    difficulty=2,
    minutes=15,
    task=r"""
    Write a walk through latents that begins with pictures `x` and ends with pictures in $[-1, 1]$. `encode(x)` gives latents as the autoencoder has them, `decode(z)` takes such ones; between them the walk reads latents multiplied by `scale`.
    `step(z, t, s)` makes one move; `times` is a list such as [600, 400, 100, 0], from each entry to the next. Encode once, decode once. What comes out of the decoder may lie a little outside of $[-1, 1]$.
    """,
    hints=(
        "Three parts: into the walk's world, the loop, and back. What the first part does, the third undoes, in the opposite order.",
        "A list of n + 1 times has n moves, from `times[i]` to `times[i + 1]`. `.clamp(-1, 1)` keeps the colours that exist.",
    ),
    covers="12 walks of 1 to 4 moves, batches of 1 and 3, four scales",
    cases=walks,
    reference=_edited,
)


@edit.solution
def my_edit(encode, decode, step, x, scale, times):
    z = scale * encode(x)
    for i in range(len(times) - 1):
        z = step(z, times[i], times[i + 1])
    return decode(z / scale).clamp(-1, 1)


@edit.mistake("the scale isn't undone before you decode: the decoder takes latents as the encoder gave them")
def _(encode, decode, step, x, scale, times):
    z = scale * encode(x)
    for t, s in pairwise(times):
        z = step(z, t, s)
    return decode(z).clamp(-1, 1)


@edit.mistake("the scale is missing at both ends: the walk reads latents of variance 1")
def _(encode, decode, step, x, scale, times):
    return _edited(encode, decode, step, x, 1.0, times)


@edit.mistake("the scale is missing at the beginning, and undone at the end all the same")
def _(encode, decode, step, x, scale, times):
    z = encode(x)
    for t, s in pairwise(times):
        z = step(z, t, s)
    return decode(z / scale).clamp(-1, 1)


@edit.mistake("the scale is divided by first and multiplied with at the end: it is the other way round")
def _(encode, decode, step, x, scale, times):
    return _edited(encode, decode, step, x, 1 / scale, times)


@edit.mistake("the latents are multiplied by the scale at both ends; the end undoes what the beginning did")
def _(encode, decode, step, x, scale, times):
    z = scale * encode(x)
    for t, s in pairwise(times):
        z = step(z, t, s)
    return decode(z * scale).clamp(-1, 1)


@edit.mistake("you decode and encode again in every move; each time something is lost, and it takes longer")
def _(encode, decode, step, x, scale, times):
    for t, s in pairwise(times):
        x = decode(step(scale * encode(x), t, s) / scale).clamp(-1, 1)
    return x


@edit.mistake("you decode and encode again in every move; each time something is lost, even without clamping")
def _(encode, decode, step, x, scale, times):
    for t, s in pairwise(times):
        x = decode(step(scale * encode(x), t, s) / scale)
    return x.clamp(-1, 1)


@edit.mistake("the colours aren't clamped: the decoder can leave [-1, 1]")
def _(encode, decode, step, x, scale, times):
    z = scale * encode(x)
    for t, s in pairwise(times):
        z = step(z, t, s)
    return decode(z / scale)


@edit.mistake("the latents are clamped to [-1, 1]; that holds for colours, latents go far beyond")
def _(encode, decode, step, x, scale, times):
    z = scale * encode(x)
    for t, s in pairwise(times):
        z = step(z, t, s)
    return decode(z.clamp(-1, 1) / scale)


@edit.mistake("the last move is missing: the walk has to come to 0")
def _(encode, decode, step, x, scale, times):
    return _edited(encode, decode, step, x, scale, times[:-1])


@edit.mistake("the first move is missing: the walk begins at the first entry of the list")
def _(encode, decode, step, x, scale, times):
    return _edited(encode, decode, step, x, scale, times[1:])


@edit.mistake("you return latents; pictures were wanted")
def _(encode, decode, step, x, scale, times):
    z = scale * encode(x)
    for t, s in pairwise(times):
        z = step(z, t, s)
    return z / scale


def choices(rng: torch.Generator) -> Iterator[tuple[Tensor, Callable, Callable, list[int], float]]:
    """Pictures, a compression by averages, and costs; not always is the coarsest the cheapest, or any good enough."""

    def reconstruct(x: Tensor, factor: int) -> Tensor:
        return interpolate(avg_pool2d(x, factor), scale_factor=float(factor)) if factor > 1 else x

    def cost(factor: int) -> float:
        return 900 / factor**2

    def uneven(factor: int) -> float:  # as where a coarser grid needs a wider network
        return 40 + (factor - 5) ** 2

    for shape in ((1, 3, 16, 16), (3, 1, 16, 8), (2, 3, 8, 8)):
        n, c, h, w = shape
        parts = [torch.randn(n, c, h // f, w // f, generator=rng) for f in (1, 2, 4, 8)]
        x = sum(0.2 * share * interpolate(part, (h, w)) for share, part in zip((0.5, 1, 1, 2), parts, strict=True))
        x = x * torch.linspace(0.3, 1, n).view(-1, 1, 1, 1)
        fine, middle, coarse = (_rms(x, reconstruct(x, f)) for f in (2, 4, 8))
        for limit in ((fine + middle) / 2, 0.97 * coarse, 1.5 * coarse, 1.2 * middle, 0.6 * fine, fine / 100):
            yield x, reconstruct, cost, [2, 4, 8], limit
        yield x, reconstruct, uneven, [8, 4, 2], 1.5 * coarse
        yield x, reconstruct, uneven, [2, 8, 4], 0.97 * coarse


def _rms(x: Tensor, y: Tensor) -> float:
    return 127.5 * math.sqrt((y - x).square().mean().item())


def _chosen(x, reconstruct, cost, factors: Sequence[int], limit: float, error: Callable = _rms):
    good = [f for f in factors if error(x, reconstruct(x, f)) <= limit]
    return min(good, key=cost, default=None)


factor = Exercise(
    "12.4",
    "Why not a factor of 16?",
    difficulty=3,
    minutes=20,
    task=r"""
    A larger factor makes the network cheaper and the pictures worse. Write the function that measures both and decides. `reconstruct(x, factor)` compresses pictures and gives them back; `cost(factor)` is what one call of a network on such latents costs.
    Of the list `factors` return the one that costs least among those whose root mean square error over all of `x` is at most `limit`, in steps of 255 (colours lie in $[-1, 1]$, so that 2 are 255 steps); `None` if there is none. Don't rely on the order of the list, nor on the coarsest being the cheapest.
    """,
    hints=(
        "Two lines: first the list of the factors that are good enough, then `min(…, key=cost)` of it.",
        "The error: the difference's squares, their mean over everything, the root, times 127.5. `min` of an empty list raises an error, unless it has `default=None`.",
    ),
    covers="pictures of three shapes, factors in three orders, two kinds of costs, six limits; under some nothing is good enough",
    cases=choices,
    reference=_chosen,
)


@factor.solution
def my_factor(x, reconstruct, cost, factors, limit):
    good = []
    for factor in factors:
        error = 127.5 * (reconstruct(x, factor) - x).square().mean().sqrt().item()
        if error <= limit:
            good.append(factor)
    return min(good, key=cost, default=None)


@factor.mistake("you return the largest factor that is good enough; another may cost less")
def _(x, reconstruct, cost, factors, limit):
    return _chosen(x, reconstruct, lambda f: -f, factors, limit)


@factor.mistake(
    "you return the factor with the smallest error; among those that are good enough the cheapest is wanted"
)
def _(x, reconstruct, cost, factors, limit):
    return _chosen(x, reconstruct, lambda f: _rms(x, reconstruct(x, f)), factors, limit)


@factor.mistake("you return the cheapest of all and never look at the error")
def _(x, reconstruct, cost, factors, limit):
    return min(factors, key=cost)


@factor.mistake("where nothing is good enough you return a factor all the same; nothing should come back")
def _(x, reconstruct, cost, factors, limit):
    found = _chosen(x, reconstruct, cost, factors, limit)
    return min(factors, key=lambda f: _rms(x, reconstruct(x, f))) if found is None else found


@factor.mistake("the error is measured in colours of [-1, 1], the limit in steps of 255")
def _(x, reconstruct, cost, factors, limit):
    return _chosen(x, reconstruct, cost, factors, limit, lambda x, y: _rms(x, y) / 127.5)


@factor.mistake("the error is twice too large: from -1 to 1 there are 255 steps")
def _(x, reconstruct, cost, factors, limit):
    return _chosen(x, reconstruct, cost, factors, limit, lambda x, y: 2 * _rms(x, y))


@factor.mistake("that is the mean square, without the root")
def _(x, reconstruct, cost, factors, limit):
    return _chosen(x, reconstruct, cost, factors, limit, lambda x, y: 127.5 * (y - x).square().mean().item())


@factor.mistake("you take the mean of the differences without squares; the root of the mean square was wanted")
def _(x, reconstruct, cost, factors, limit):
    return _chosen(x, reconstruct, cost, factors, limit, lambda x, y: 127.5 * (y - x).abs().mean().item())


@factor.mistake("you return the first of the list that is good enough; a later one may cost less")
def _(x, reconstruct, cost, factors, limit):
    return next((f for f in factors if _rms(x, reconstruct(x, f)) <= limit), None)


@factor.mistake("you return the last of the list that is good enough; an earlier one may cost less")
def _(x, reconstruct, cost, factors, limit):
    return next((f for f in reversed(factors) if _rms(x, reconstruct(x, f)) <= limit), None)


@factor.mistake("you return the cost; the factor was wanted")
def _(x, reconstruct, cost, factors, limit):
    found = _chosen(x, reconstruct, cost, factors, limit)
    return None if found is None else cost(found)
