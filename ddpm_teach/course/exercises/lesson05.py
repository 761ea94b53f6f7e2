"""Exercises of lesson 05, context."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.guidance import guided
from ddpm_teach.diffusion.schedule import linear
from ddpm_teach.diffusion.targets import thresholded
from ddpm_teach.diffusion.types import Estimate

LESSON = "05 context"


def conditioned_by(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Feature maps, and the vectors that a context and a time became."""
    for b, f, h, w in ((1, 1, 1, 2), (1, 2, 2, 2), (3, 4, 4, 2), (4, 4, 4, 4), (2, 8, 4, 4)):
        yield tuple(torch.randn(*shape, generator=rng) for shape in ((b, f, h, w), (b, f), (b, f)))


conditioning = Exercise(
    "05.1",
    "Multiply by the context, add the time",
    difficulty=1,
    minutes=5,
    task=r"""
    Write ContextUNet's line: multiply feature maps `h` (b, f, height, width) by the gains that the context became (b, f), and add the shifts that the time became (b, f). Every gain and shift is
    for a whole channel.
    """,
    hints=(
        "Two axes are missing in the gains and the shifts. Broadcasting fills axes of length 1, but not on the right by itself.",
        "`gain[:, :, None, None]` has shape (b, f, 1, 1).",
    ),
    covers="batches of 1 to 4, 1 to 8 channels, also as many channels as pixels in a row",
    cases=conditioned_by,
    reference=lambda h, gain, shift: torch.einsum("bfhw,bf->bfhw", h, gain) + shift.reshape(*shift.shape, 1, 1),
)


@conditioning.solution
def my_conditioned(h, gain, shift):
    return gain[:, :, None, None] * h + shift[:, :, None, None]


@conditioning.mistake("the roles are exchanged: the context multiplies, the time is added")
def _(h, gain, shift):
    return shift[:, :, None, None] * h + gain[:, :, None, None]


@conditioning.mistake("the shift is multiplied as well; it is added after the multiplication")
def _(h, gain, shift):
    return gain[:, :, None, None] * (h + shift[:, :, None, None])


@conditioning.mistake(
    "your gain is 1 plus the context's; that is how some networks do it, but here it is the gain itself"
)
def _(h, gain, shift):
    return (1 + gain[:, :, None, None]) * h + shift[:, :, None, None]


@conditioning.mistake(
    "the shapes don't meet: without axes for height and width, gains meet columns of pixels, not channels"
)
def _(h, gain, shift):
    return gain * h + shift


@conditioning.mistake("the whole batch gets the first picture's context and time")
def _(h, gain, shift):
    return gain[:1, :, None, None] * h + shift[:1, :, None, None]


formula = Exercise(
    "05.2",
    "Guidance",
    difficulty=1,
    minutes=5,
    task=r"""
    Write the guided noise from the network's two answers (both (b, c, h, w)), `eps_c` with the context and `eps_u` without, and the number `scale`, which is $s$.
    """,
    hints=(
        "Check two values of the scale: 0 has to give the answer without context, 1 the answer with it.",
        "Start at the answer without context and go $s$ times the way to the other.",
    ),
    covers="batches of 1 to 5, scales 0, 1, 2, 7.5 and -1",
    cases=lambda rng: [(a, b, scale) for a, b in pictures(rng) for scale in (2.0, 7.5, 0.0, 1.0, -1.0)],
    reference=lambda eps_c, eps_u, scale: torch.lerp(eps_u, eps_c, scale),
)


@formula.solution
def my_guidance(eps_c, eps_u, scale):
    return eps_u + scale * (eps_c - eps_u)


@formula.mistake("the two weights don't add up to 1, so the noise gets stronger and stronger; look at the sign")
def _(eps_c, eps_u, scale):
    return scale * eps_c + (scale - 1) * eps_u


@formula.mistake("you start at the answer with context, so your scale is one ahead: 0 has to mean no context")
def _(eps_c, eps_u, scale):
    return eps_c + scale * (eps_c - eps_u)


@formula.mistake("you push away from the context: the difference points from without to with")
def _(eps_c, eps_u, scale):
    return eps_u + scale * (eps_u - eps_c)


@formula.mistake("the two answers are exchanged: scale 1 gives the one without context")
def _(eps_c, eps_u, scale):
    return eps_c + scale * (eps_u - eps_c)


@formula.mistake("the difference alone is a direction; it has to be added to something")
def _(eps_c, eps_u, scale):
    return scale * (eps_c - eps_u)


class ANet:
    """No good, but its answer depends on all three, picture by picture; and it answers one call, of twice the batch."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def __call__(self, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        if not len(x) == len(t) == len(c):
            raise ValueError(f"the network got {len(x)} pictures, {len(t)} times and {len(c)} contexts")
        if len(x) != 2 * self.batch:
            raise ValueError(f"the network got {len(x)} pictures; one call with all {2 * self.batch} is asked for")
        gain = 1 + (c * torch.arange(1, c.shape[1] + 1).to(c)).sum(1) / 10 + t / 1000
        return torch.tanh(x) * gain[:, None, None, None].to(x)


def wishes(rng: torch.Generator) -> Iterator[tuple]:
    for x, _ in pictures(rng):
        for scale in (2.0, 0.5, 7.5):
            t = torch.randint(1, 1001, (len(x),), generator=rng)
            yield ANet(len(x)), x, t, torch.eye(5)[torch.arange(len(x)) % 5], scale


one_call = Exercise(
    "05.3",
    "Both answers in one call",
    difficulty=2,
    minutes=10,
    task=r"""
    Write a guided network's answer with a *single* call `net(x, t, c)` of a batch twice as large: `x` (b, channels, h, w), `t` (b,), contexts `c` (b, 5), zeros for "no context", and the number `scale`.
    (One large call is faster than two small ones, above all on a GPU.)
    """,
    hints=(
        "`torch.cat([x, x])` is a batch of 2 b. The times have to be doubled in the same way, and the contexts are of two kinds.",
        "`with_context, without = net(…).chunk(2)` takes the answers apart, in the order in which you put them together.",
    ),
    covers="batches of 1 to 5, other times and contexts for each picture, scales 0.5, 2 and 7.5",
    cases=wishes,
    reference=lambda net, x, t, c, scale: guided(net, c, scale)(x, t),
)


@one_call.solution
def my_guided_net(net, x, t, c, scale):
    both = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([c, torch.zeros_like(c)]))
    with_context, without = both.chunk(2)
    return without + scale * (with_context - without)


@one_call.mistake("the halves come back in the order in which they went in; yours are exchanged")
def _(net, x, t, c, scale):
    both = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([c, torch.zeros_like(c)]))
    without, with_context = both.chunk(2)
    return without + scale * (with_context - without)


@one_call.mistake(
    "that is the conditional network, whatever the scale: both halves need to differ in their context, or there is nothing to push away from"
)
def _(net, x, t, c, scale):
    both = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([c, c]))
    with_context, without = both.chunk(2)
    return without + scale * (with_context - without)


@one_call.mistake("pictures are doubled one by one here (a, a, b, b) but taken apart as halves (a, b, a, b)")
def _(net, x, t, c, scale):
    contexts = torch.cat([c, torch.zeros_like(c)])
    with_context, without = net(x.repeat_interleave(2, 0), t.repeat_interleave(2), contexts).chunk(2)
    return without + scale * (with_context - without)


@one_call.mistake("the batch isn't doubled alike: pictures, times and contexts need the same length")
def _(net, x, t, c, scale):
    both = net(torch.cat([x, x]), t, torch.cat([c, torch.zeros_like(c)]))
    with_context, without = both.chunk(2)
    return without + scale * (with_context - without)


def guesses(rng: torch.Generator) -> Iterator[tuple[Tensor, float]]:
    """Guesses of pictures, some within [-1, 1] and some far outside, in one batch."""
    for shape in ((1, 1, 2, 2), (2, 1, 3, 3), (3, 3, 4, 4), (5, 3, 8, 8)):
        strength = torch.tensor([4.0, 0.3, 2.0, 0.6, 9.0])[: shape[0]]
        for quantile in (0.9, 0.995, 0.5):
            yield torch.randn(shape, generator=rng) * strength[:, None, None, None], quantile


def _thresholded(x0: Tensor, quantile: float) -> Tensor:
    schedule = linear()
    return thresholded(lambda x, t: Estimate(x, x), schedule, quantile)(x0, 500).x0


threshold = Exercise(
    "05.4",
    "Dynamic thresholding",
    difficulty=3,
    minutes=12,
    task=r"""
    Write what Imagen does against burnt colours. For each picture of the guess `x0` (b, c, h, w): let $r$ be the `quantile` (such as 0.995) of its own absolute values, but at least 1; clamp the picture to
    $[-r, r]$ and divide by $r$.
    """,
    hints=(
        "`x0.flatten(1).abs().quantile(quantile, dim=1)` has one number for each picture, shape (b,).",
        "`.clamp(min=1)` for the least, then `[:, None, None, None]` so that it meets the pictures.",
    ),
    covers="batches of 1 to 5 with faint and with strong pictures side by side, quantiles 0.5, 0.9, 0.995",
    cases=guesses,
    reference=_thresholded,
)


@threshold.solution
def my_thresholded(x0, quantile):
    r = x0.flatten(1).abs().quantile(quantile, dim=1).clamp(min=1)[:, None, None, None]
    return x0.clamp(-r, r) / r


@threshold.mistake(
    "without the least value of 1 faint pictures are stretched to full strength, though nothing was wrong with them"
)
def _(x0, quantile):
    r = x0.flatten(1).abs().quantile(quantile, dim=1)[:, None, None, None]
    return x0.clamp(-r, r) / r


@threshold.mistake("the picture is clamped but not divided, so it still leaves [-1, 1]")
def _(x0, quantile):
    r = x0.flatten(1).abs().quantile(quantile, dim=1).clamp(min=1)[:, None, None, None]
    return x0.clamp(-r, r)


@threshold.mistake("one r for the whole batch: a strong picture fades its neighbours")
def _(x0, quantile):
    r = x0.abs().flatten().quantile(quantile).clamp(min=1)
    return x0.clamp(-r, r) / r


@threshold.mistake(
    "the quantile is one of the values themselves; large negative ones count as well, so take absolute values"
)
def _(x0, quantile):
    r = x0.flatten(1).quantile(quantile, dim=1).clamp(min=1)[:, None, None, None]
    return x0.clamp(-r, r) / r


@threshold.mistake(
    "this clamps to [-1, 1], whatever the picture is: many values end on the same number, and details are gone"
)
def _(x0, quantile):
    return x0.clamp(-1, 1)


@threshold.mistake("you divide, but clamp nothing: the few values beyond the quantile still leave [-1, 1]")
def _(x0, quantile):
    return x0 / x0.flatten(1).abs().quantile(quantile, dim=1).clamp(min=1)[:, None, None, None]
