"""Exercises of lesson 05 context: guidance in one call, and limits."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.course.exercises.lesson05 import AWAY, WEIGHTS
from ddpm_teach.diffusion.guidance import guided
from ddpm_teach.diffusion.schedule import linear
from ddpm_teach.diffusion.targets import thresholded
from ddpm_teach.diffusion.types import Estimate


class ANet:
    """No good, but its prediction depends on all three, picture by picture; and it can be called once."""

    def __init__(self, channels: int) -> None:
        self.channels, self.called = channels, False

    def __call__(self, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        if self.called:
            raise ValueError("this is a second call of the network; make one, of a batch twice as large")
        self.called = True
        if x.ndim != 4:
            raise ValueError(f"the network takes pictures (b, channels, h, w); it got {tuple(x.shape)}")
        if x.shape[1] != self.channels:
            raise ValueError(f"the network takes pictures of {self.channels} channels; it got {x.shape[1]}")
        if not len(x) == len(t) == len(c):
            raise ValueError(f"the network got {len(x)} pictures, {len(t)} times and {len(c)} contexts")
        gain = 1 + (c * torch.arange(1, c.shape[1] + 1).to(c)).sum(1) / 10 + t / 1000
        return torch.tanh(x) * gain[:, None, None, None].to(x)


class ANetOfMany(ANet):
    """The same, as often as one likes."""

    def __call__(self, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        self.called = False
        return super().__call__(x, t, c)


def conditions(rng: torch.Generator) -> Iterator[tuple]:
    for x, _ in pictures(rng):
        for scale in (2.0, 0.5, 7.5):
            t = torch.randint(1, 1001, (len(x),), generator=rng)
            yield ANet(x.shape[1]), x, t, torch.eye(5)[torch.arange(len(x)) % 5], scale


one_call = Exercise(
    "05.3",
    "Both predictions in one call",
    difficulty=2,
    minutes=10,
    task=r"""
    Write a guided network's prediction with a *single* call `net(x, t, c)` of a batch twice as large: `x` (b, channels, h, w), `t` (b,), contexts `c` (b, 5), zeros for "no condition", and the number `scale`.
    (On a GPU that two small calls don't fill, one large call takes less time.)
    """,
    hints=(
        "`torch.cat([x, x])` is a batch of 2 b. The times have to be doubled in the same way, and the contexts are of two kinds.",
        "`with_context, without = net(…).chunk(2)` takes the predictions apart, in the order in which you put them together.",
    ),
    covers="batches of 1 to 5, other times and contexts for each picture, scales 0.5, 2 and 7.5",
    cases=conditions,
    reference=lambda net, x, t, c, scale: guided(ANetOfMany(x.shape[1]), c, scale)(x, t),
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
    "that is the conditional network, whatever the scale: it has to get each picture twice, once with its context and once with zeros"
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


@one_call.mistake(
    "these are two calls of the network; make one, of the pictures twice, half of them with zeros for a context"
)
def _(net, x, t, c, scale):
    with_context, without = net(x, t, c), net(x, t, torch.zeros_like(c))
    return without + scale * (with_context - without)


@one_call.mistake(
    "the network got b pictures; it has to get 2 b, each of them twice: chunk(2) then takes the halves apart"
)
def _(net, x, t, c, scale):
    with_context, without = net(x, t, c).chunk(2)
    return without + scale * (with_context - without)


@one_call.mistake("cat([x, x], 1) doubles the channels; a batch is doubled along its first axis")
def _(net, x, t, c, scale):
    both = net(torch.cat([x, x], 1), torch.cat([t, t]), torch.cat([c, torch.zeros_like(c)]))
    with_context, without = both.chunk(2)
    return without + scale * (with_context - without)


@one_call.mistake("both halves are right, but " + WEIGHTS)
def _(net, x, t, c, scale):
    both = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([c, torch.zeros_like(c)]))
    with_context, without = both.chunk(2)
    return scale * with_context + (scale - 1) * without


@one_call.mistake("both halves are right, but " + AWAY)
def _(net, x, t, c, scale):
    both = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([c, torch.zeros_like(c)]))
    with_context, without = both.chunk(2)
    return without + scale * (without - with_context)


@one_call.mistake("both halves are right, and still to be mixed: these are 2 b predictions, and b are wanted")
def _(net, x, t, c, scale):
    return net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([c, torch.zeros_like(c)]))


@one_call.mistake("both halves are right, but at scale 0 the prediction without has to be left, at 1 the one with")
def _(net, x, t, c, scale):
    both = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([c, torch.zeros_like(c)]))
    with_context, without = both.chunk(2)
    return without + scale * with_context


@one_call.mistake("pictures, times and contexts have to be doubled alike; one of them still has the old length")
def _(net, x, t, c, scale):
    both = net(torch.cat([x, x]), t, torch.cat([c, torch.zeros_like(c)]))
    with_context, without = both.chunk(2)
    return without + scale * (with_context - without)


@one_call.mistake("both halves are right, but mixed by the paper's w, in which 0 means scale 1")
def _(net, x, t, c, scale):
    both = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([c, torch.zeros_like(c)]))
    with_context, without = both.chunk(2)
    return with_context + scale * (with_context - without)


def estimates(rng: torch.Generator) -> Iterator[tuple[Tensor, float]]:
    """Estimates of pictures, some within [-1, 1] and some far outside, in one batch."""
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
    Write Imagen's dynamic thresholding. For each picture of the estimate `x0` (b, c, h, w): let $r$ be the `quantile` (such as 0.995) of its own absolute values, but at least 1; clamp the picture to
    $[-r, r]$ and divide by $r$.
    """,
    hints=(
        "`x0.flatten(1).abs().quantile(quantile, dim=1)` has one number for each picture, shape (b,).",
        "`.clamp(min=1)` for the least, then `[:, None, None, None]` so that it meets the pictures.",
    ),
    covers="batches of 1 to 5 with faint and with strong pictures side by side, quantiles 0.5, 0.9, 0.995",
    cases=estimates,
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


@threshold.mistake("your r is at most 1; it has to be at least 1, so that strong pictures are divided by more")
def _(x0, quantile):
    r = x0.flatten(1).abs().quantile(quantile, dim=1).clamp(max=1)[:, None, None, None]
    return x0.clamp(-r, r) / r


@threshold.mistake("your r is the largest absolute value, whatever the quantile: one stray value makes a picture grey")
def _(x0, quantile):
    r = x0.flatten(1).abs().amax(1).clamp(min=1)[:, None, None, None]
    return x0.clamp(-r, r) / r


@threshold.mistake(
    "dim=1 of (b, c, h, w) is the channels, so that each pixel has its own r; flatten each picture first"
)
def _(x0, quantile):
    r = x0.abs().quantile(quantile, dim=1, keepdim=True).clamp(min=1)
    return x0.clamp(-r, r) / r


@threshold.mistake("one r for each channel shifts the colours: a picture has one r, over all of its channels")
def _(x0, quantile):
    r = x0.flatten(2).abs().quantile(quantile, dim=2).clamp(min=1)[:, :, None, None]
    return x0.clamp(-r, r) / r


@threshold.mistake("clamp to [-r, r] first, then divide: what is cut off at 1 can't be brought back, and turns grey")
def _(x0, quantile):
    r = x0.flatten(1).abs().quantile(quantile, dim=1).clamp(min=1)[:, None, None, None]
    return x0.clamp(-1, 1) / r
