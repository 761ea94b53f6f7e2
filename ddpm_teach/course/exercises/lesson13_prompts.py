"""Exercises of lesson 13 words: a negative prompt, and img2img in latents."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson05 import WEIGHTS
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.guidance import guided
from ddpm_teach.diffusion.schedule import Schedule, linear
from ddpm_teach.diffusion.steps import walk
from ddpm_teach.diffusion.types import Frame

WORDS = ("a", "blue", "dragon", "hat", "knight", "red", "with")


class Reading:
    """A network of captions' ids, in which every word, wherever it stands, bends the picture in its own way."""

    in_words = "a network (x, t, ids) → prediction"

    def __init__(self, bends: Tensor) -> None:
        self.bends = bends  # (ids, channels)

    def __call__(self, x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        if len(ids) != len(x):
            raise ValueError(
                f"the network takes a caption for each picture; it got {len(x)} pictures, {len(ids)} captions"
            )
        order = 1 + torch.arange(ids.shape[1]) / 10
        said = (self.bends[ids] * ((ids > 0) * order)[..., None]).sum(1)  # (b, channels)
        return (x + said[..., None, None]).tanh() * (1 + t / 1000)[:, None, None, None]


def prompts(rng: torch.Generator) -> Iterator[tuple]:
    tokenizer = Tokenizer(WORDS, 8)
    pairs = (("a dragon", "red"), ("a red knight", ""), ("a knight with a hat", "blue"), ("a blue dragon", "a dragon"))
    for b, size in ((1, 1), (2, 2), (3, 4)):
        for (caption, negative), scale in itertools.product(pairs, (2.0, 7.5)):
            net = Reading(torch.randn(tokenizer.size, 4, generator=rng))
            x, t = torch.randn(b, 4, size, size, generator=rng), torch.randint(1, 1001, (b,), generator=rng)
            yield net, tokenizer, x, t, caption, negative, scale


def _away(
    net: Callable, tokenizer: Tokenizer, x: Tensor, t: Tensor, caption: str, negative: str, scale: float
) -> Tensor:
    return guided(net, tokenizer.encode(caption), scale, tokenizer.encode(negative))(x, t)


negative_prompt = Exercise(
    "13.3",
    "A negative prompt",
    difficulty=2,
    minutes=10,
    task=r"""
    Write guidance away from a second caption: towards `caption`, away from `negative`, both texts. `tokenizer.encode(text)` gives a row of ids (1, length), `net(x, t, ids)` a prediction for pictures `x` (b, c, h, w), times `t` (b,) and one row for *each* picture.
    With the empty text for `negative` it is the guidance of exercise 13.2, with two calls of the network.
    """,
    hints=(
        "Guidance starts at one prediction and goes `scale` times the way to another. Which of the two is what you don't want?",
        "`tokenizer.encode('')` is the empty caption, a row of zeros: with that for the negative one nothing has to be asked for apart.",
        "`ids.expand(len(x), -1)` repeats a row for every picture.",
    ),
    covers="batches of 1 to 3, four pairs of captions, an empty negative one among them, scales 2 and 7.5",
    cases=prompts,
    reference=_away,
)


@negative_prompt.solution
def my_negative(net, tokenizer, x, t, caption, negative, scale):
    wanted, unwanted = (net(x, t, tokenizer.encode(text).expand(len(x), -1)) for text in (caption, negative))
    return unwanted + scale * (wanted - unwanted)


def _three(net, tokenizer, x, t, caption, negative):
    """Predictions with the caption, with the negative one, and without any."""
    return [net(x, t, tokenizer.encode(text).expand(len(x), -1)) for text in (caption, negative, "")]


@negative_prompt.mistake("you start at no words, so that the negative caption isn't in it; it takes their place")
def _(net, tokenizer, x, t, caption, negative, scale):
    wanted, _, without = _three(net, tokenizer, x, t, caption, negative)
    return without + scale * (wanted - without)


@negative_prompt.mistake("the two captions are exchanged: that draws what isn't wanted, and avoids what is")
def _(net, tokenizer, x, t, caption, negative, scale):
    wanted, unwanted, _ = _three(net, tokenizer, x, t, caption, negative)
    return wanted + scale * (unwanted - wanted)


@negative_prompt.mistake("the direction is right, but you start at no words: it has to be where you come from")
def _(net, tokenizer, x, t, caption, negative, scale):
    wanted, unwanted, without = _three(net, tokenizer, x, t, caption, negative)
    return without + scale * (wanted - unwanted)


@negative_prompt.mistake("the direction is right, but you start at its end: scale 1 has to give the caption alone")
def _(net, tokenizer, x, t, caption, negative, scale):
    wanted, unwanted, _ = _three(net, tokenizer, x, t, caption, negative)
    return wanted + scale * (wanted - unwanted)


@negative_prompt.mistake("you go away from the negative caption and from nowhere to the other: it isn't in the result")
def _(net, tokenizer, x, t, caption, negative, scale):
    _, unwanted, without = _three(net, tokenizer, x, t, caption, negative)
    return without - scale * (unwanted - without)


@negative_prompt.mistake("the captions are joined to one, which asks for the negative one's words as well")
def _(net, tokenizer, x, t, caption, negative, scale):
    wanted, _, without = _three(net, tokenizer, x, t, f"{caption} {negative}", negative)
    return without + scale * (wanted - without)


@negative_prompt.mistake(
    "guidance towards the caption is right, but the negative one is subtracted without a way of its own"
)
def _(net, tokenizer, x, t, caption, negative, scale):
    wanted, unwanted, without = _three(net, tokenizer, x, t, caption, negative)
    return without + scale * (wanted - without) - unwanted


@negative_prompt.mistake("both predictions are right, but " + WEIGHTS)
def _(net, tokenizer, x, t, caption, negative, scale):
    wanted, unwanted, _ = _three(net, tokenizer, x, t, caption, negative)
    return scale * wanted + (scale - 1) * unwanted


TABLE = linear().alpha_bar


class Halving:
    """An autoencoder of factor 2 that loses detail, bends what it keeps, and decodes beyond white."""

    in_words, scale = "an autoencoder", 3.0

    def encode(self, x: Tensor) -> Tensor:
        return self.scale * avg_pool2d(x, 2).sinh()

    def decode(self, z: Tensor) -> Tensor:
        return 3 * interpolate(z / self.scale, scale_factor=2).asinh()

    def __call__(self) -> None:
        """So that a report doesn't print an address."""


def walks(rng: torch.Generator) -> Iterator[tuple]:
    autoencoder = Halving()

    def step(z: Tensor, t: int, s: int) -> Frame:
        """A move that depends on both of its times."""
        return Frame(s, z * (0.6 + s / 4000) + math.sin(t) / 3)

    for b, channels, size in ((1, 1, 2), (1, 3, 4), (2, 3, 4), (3, 1, 8)):
        x0 = 2 * torch.rand(b, channels, size, size, generator=rng) - 1
        eps = torch.randn(b, channels, size // 2, size // 2, generator=rng)
        for times in ([600, 300, 0], [500, 0], [800, 600, 400, 200, 0]):
            yield autoencoder, step, TABLE, x0, eps, times


def _img2img(autoencoder: Halving, step: Callable, alpha_bar: Tensor, x0: Tensor, eps: Tensor, times: list) -> Tensor:
    z = add_noise(Schedule(alpha_bar), autoencoder.encode(x0), times[0], eps)
    *_, last = walk(step, z, times)
    return autoencoder.decode(last.x).clamp(-1, 1)


img2img = Exercise(
    "13.4",
    "Img2img in latents",
    difficulty=2,
    minutes=15,
    task=r"""
    Write img2img for a model of latents. `autoencoder.encode(x0)` makes latents of pictures `x0` in [-1, 1], in the scale in which diffusion reads them, `autoencoder.decode(z)` makes pictures of latents, and they may leave [-1, 1].
    `times` is where to begin and all that follows, such as [600, 300, 0]; `step(z, t, s)` is one move of the walk with the caption in it, a Frame whose `.x` are the latents at time s. `eps` is the noise, in the *latents'* shape; `alpha_bar` is the table.
    Return the pictures in [-1, 1].
    """,
    hints=(
        "In which space is each of the four: adding noise, walking, the step, what is returned?",
        "Lesson 01's jump brings the encoded picture to `times[0]`; `alpha_bar[t].item()` is a Python number.",
        "`for t, s in itertools.pairwise(times)` goes through the moves. Decode once, at the end, and clamp.",
    ),
    covers="batches of 1 to 3, one and three channels, walks of 1 to 4 moves",
    cases=walks,
    reference=_img2img,
)


@img2img.solution
def my_img2img(autoencoder, step, alpha_bar, x0, eps, times):
    ab = alpha_bar[times[0]].item()
    z = ab**0.5 * autoencoder.encode(x0) + (1 - ab) ** 0.5 * eps
    for t, s in itertools.pairwise(times):
        z = step(z, t, s).x
    return autoencoder.decode(z).clamp(-1, 1)


def _walked(autoencoder, step, z, times):
    for t, s in itertools.pairwise(times):
        z = step(z, t, s).x
    return autoencoder.decode(z).clamp(-1, 1)


@img2img.mistake("the noise is added to the picture; the network knows noisy latents, and `eps` has their shape")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    ab = alpha_bar[times[0]].item()
    return _walked(autoencoder, step, autoencoder.encode(ab**0.5 * x0 + (1 - ab) ** 0.5 * eps), times)


@img2img.mistake("the latents have no noise: the network is told a time whose noise isn't there")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    return _walked(autoencoder, step, autoencoder.encode(x0), times)


@img2img.mistake("what you return are latents; they are still to be decoded")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    z = add_noise(Schedule(alpha_bar), autoencoder.encode(x0), times[0], eps)
    for t, s in itertools.pairwise(times):
        z = step(z, t, s).x
    return z


@img2img.mistake("you return latents, and clamped ones: they are still to be decoded, and only pictures end at ±1")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    z = add_noise(Schedule(alpha_bar), autoencoder.encode(x0), times[0], eps)
    for t, s in itertools.pairwise(times):
        z = step(z, t, s).x
    return z.clamp(-1, 1)


@img2img.mistake("the latents are clamped to [-1, 1] on the way: a third of their numbers are beyond, and belong there")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    z = add_noise(Schedule(alpha_bar), autoencoder.encode(x0), times[0], eps)
    for t, s in itertools.pairwise(times):
        z = step(z, t, s).x.clamp(-1, 1)
    return autoencoder.decode(z).clamp(-1, 1)


@img2img.mistake(
    "decoded and encoded again at every move, the latents lose something each time; decode at the end alone"
)
def _(autoencoder, step, alpha_bar, x0, eps, times):
    z = add_noise(Schedule(alpha_bar), autoencoder.encode(x0), times[0], eps)
    for t, s in itertools.pairwise(times):
        x = autoencoder.decode(step(z, t, s).x)
        z = autoencoder.encode(x)
    return x.clamp(-1, 1)


@img2img.mistake("the noise is that of T, so nothing of the picture is left; the walk begins at the first of `times`")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    z = add_noise(Schedule(alpha_bar), autoencoder.encode(x0), len(alpha_bar) - 1, eps)
    return _walked(autoencoder, step, z, times)


@img2img.mistake("`encode` has multiplied by the scale already, and `decode` divides by it; yours does it twice")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    z = add_noise(Schedule(alpha_bar), autoencoder.scale * autoencoder.encode(x0), times[0], eps)
    for t, s in itertools.pairwise(times):
        z = step(z, t, s).x
    return autoencoder.decode(z / autoencoder.scale).clamp(-1, 1)


@img2img.mistake("the last move is missing: the walk ends at 0")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    z = add_noise(Schedule(alpha_bar), autoencoder.encode(x0), times[0], eps)
    return _walked(autoencoder, step, z, times[:-1])


@img2img.mistake("ᾱ and 1 - ᾱ are shares of the variance; latents and noise are scaled by their roots")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    ab = alpha_bar[times[0]].item()
    return _walked(autoencoder, step, ab * autoencoder.encode(x0) + (1 - ab) * eps, times)


@img2img.mistake("the pictures may leave [-1, 1]: what is decoded is still to be clamped")
def _(autoencoder, step, alpha_bar, x0, eps, times):
    z = add_noise(Schedule(alpha_bar), autoencoder.encode(x0), times[0], eps)
    for t, s in itertools.pairwise(times):
        z = step(z, t, s).x
    return autoencoder.decode(z)
