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
    Write ContextUNet's line: multiply the feature maps `h` (b, f, height, width) by `gain` (b, f), which was computed from the context, and add `shift` (b, f), which was computed from the time. Each gain and
    each shift is for a whole channel.
    """,
    hints=(
        "The gains and shifts lack two axes. Broadcasting adds missing axes on the left, never on the right.",
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


@conditioning.mistake(
    "the context is in, but the time is missing: without its shift the network can't know how noisy h is"
)
def _(h, gain, shift):
    return gain[:, :, None, None] * h


@conditioning.mistake("the time is in, but the context is missing: whatever is told, the same picture would be drawn")
def _(h, gain, shift):
    return h + shift[:, :, None, None]


formula = Exercise(
    "05.2",
    "Guidance",
    difficulty=1,
    minutes=5,
    task=r"""
    Write the guided noise from the network's two predictions, both (b, c, h, w): `eps_c` with the condition, `eps_u` without. The number `scale` is $s$.
    """,
    hints=(
        "Try two scales: 0 has to give the prediction without the condition, 1 the one with it.",
        "Start at the prediction without the condition and go $s$ times the way to the other.",
    ),
    covers="batches of 1 to 5, scales 0, 1, 2, 7.5 and -1",
    cases=lambda rng: [(a, b, scale) for a, b in pictures(rng) for scale in (2.0, 7.5, 0.0, 1.0, -1.0)],
    reference=lambda eps_c, eps_u, scale: torch.lerp(eps_u, eps_c, scale),
)


@formula.solution
def my_guidance(eps_c, eps_u, scale):
    return eps_u + scale * (eps_c - eps_u)


WEIGHTS = "the two weights don't add up to 1, so the noise gets stronger and stronger; look at the sign"
AWAY = "you push away from the condition: the difference points from without to with"
TRY = "try two scales: 0 has to give the prediction without the condition, 1 the one with it; "


@formula.mistake(WEIGHTS)
def _(eps_c, eps_u, scale):
    return scale * eps_c + (scale - 1) * eps_u


@formula.mistake(
    "that is the paper's form, (1 + w) ε_c - w ε_∅ with w for the scale: s is 1 + w, and 0 has to mean no condition"
)
def _(eps_c, eps_u, scale):
    return eps_c + scale * (eps_c - eps_u)


@formula.mistake(AWAY)
def _(eps_c, eps_u, scale):
    return eps_u + scale * (eps_u - eps_c)


@formula.mistake("the two predictions are exchanged: scale 1 gives the one without the condition")
def _(eps_c, eps_u, scale):
    return eps_c + scale * (eps_u - eps_c)


@formula.mistake("the difference alone is a direction; it has to be added to something")
def _(eps_c, eps_u, scale):
    return scale * (eps_c - eps_u)


@formula.mistake(TRY + "at 1 yours gives the sum of both")
def _(eps_c, eps_u, scale):
    return scale * eps_c + eps_u


@formula.mistake(TRY + "at 0 yours gives minus the one without")
def _(eps_c, eps_u, scale):
    return scale * eps_c - eps_u


@formula.mistake(TRY + "yours gives the one without at 1, one scale too late")
def _(eps_c, eps_u, scale):
    return eps_u + (scale - 1) * (eps_c - eps_u)


class ANet:
    """No good, but its prediction depends on all three, picture by picture; and it can be called once."""

    def __init__(self, channels: int) -> None:
        self.channels, self.called = channels, False

    def __call__(self, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        if self.called:
            raise ValueError("this is a second call of the network; make one, of a batch twice as large")
        self.called = True
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
    (One large call is faster than two small ones, above all on a GPU.)
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


@threshold.mistake("one r for each channel shifts the colours: a picture has one r, over all of its channels")
def _(x0, quantile):
    r = x0.flatten(2).abs().quantile(quantile, dim=2).clamp(min=1)[:, :, None, None]
    return x0.clamp(-r, r) / r


@threshold.mistake("clamp to [-r, r] first, then divide: what is cut off at 1 can't be brought back, and turns grey")
def _(x0, quantile):
    r = x0.flatten(1).abs().quantile(quantile, dim=1).clamp(min=1)[:, None, None, None]
    return x0.clamp(-1, 1) / r


class Measurement:
    """Gives (distance, standard error) for a scale, once: measuring takes minutes."""

    def __init__(self, table: dict[float, tuple[float, float]]) -> None:
        self.table, self.done = table, set()
        rows = (f"{scale:g} → {distance:.3g} ± {error:.2g}" for scale, (distance, error) in table.items())
        self.in_words = "scale → distance ± error: " + ", ".join(rows)

    def __call__(self, scale: float) -> tuple[float, float]:
        if scale in self.done:
            raise ValueError(f"scale {scale:g} is measured a second time; that takes minutes: keep what you measured")
        self.done.add(scale)
        return self.table[scale]


def tables(rng: torch.Generator) -> Iterator[tuple]:
    """By hand, so that each rule of thumb fails in one; then some at random."""
    scales = [1.0, 2.0, 3.0, 4.0]
    for distances, errors in (
        ([9.0, 4.0, 3.5, 5.0], [1.0, 0.3, 0.3, 0.3]),  # 2 is as good as 3, within the errors
        ([9.0, 5.0, 2.0, 4.0], [1.0, 0.3, 0.3, 0.3]),  # 3 is clearly best
        ([4.0, 3.9, 2.8, 3.0], [0.5, 0.5, 0.4, 0.2]),  # 1 differs by 1.2, less than 2 · √(0.5² + 0.4²) = 1.28
        ([6.0, 3.0, 2.0, 2.1], [0.4, 0.35, 0.3, 0.1]),  # 2 differs by 1.0: more than 2 · 0.46, less than 2 · 0.65
        ([5.0, 2.9, 3.0, 2.0], [0.5, 0.1, 0.9, 0.3]),  # an uncertain one comes after a clear one
    ):
        yield Measurement(dict(zip(scales, zip(distances, errors, strict=True), strict=True))), scales
    for n in (3, 6, 9):
        values = 1 + 4 * torch.rand(n, 2, generator=rng)
        rows = {float(k): (value, error / 5) for k, (value, error) in enumerate(values.tolist())}
        yield Measurement(rows), sorted(rows)


def _chosen(measure: Measurement, scales: list[float]) -> float:
    measured = {scale: measure(scale) for scale in scales}
    best, error = min(measured.values())
    return next(s for s, (d, e) in measured.items() if (d - best) ** 2 <= 4 * (e**2 + error**2))


choice = Exercise(
    "05.5",
    "Measure, then choose a scale",
    difficulty=2,
    minutes=12,
    task=r"""
    `measure(scale)` draws a thousand sprites and returns `(distance, error)`: their Fréchet distance and its standard error. That takes minutes, so measure each of the `scales` (a list, rising) once. Two
    distances with errors `e` and `f` can't be told apart if they differ by at most `2 * (e**2 + f**2) ** 0.5`. Return the *smallest* scale that can't be told apart from the one with the least distance: more
    guidance than that buys nothing that was measured.
    """,
    hints=(
        "Keep what you measured: `results = {scale: measure(scale) for scale in scales}`. The best is `min(results.values())`: pairs are compared by their first number.",
        "Go through the scales from the smallest, and return the first that is near enough to the best. The best one itself always is.",
    ),
    covers="eight tables: clear ones, tied ones, some whose errors differ much; each scale measured once",
    cases=tables,
    reference=_chosen,
)


@choice.solution
def my_choice(measure, scales):
    results = {scale: measure(scale) for scale in scales}
    best, best_error = min(results.values())
    for scale, (distance, error) in results.items():
        if distance - best <= 2 * (error**2 + best_error**2) ** 0.5:
            return scale


@choice.mistake("that is the scale of the least distance; a smaller one may be as good, as far as the errors can tell")
def _(measure, scales):
    return min(scales, key=measure)


@choice.mistake("errors of independent measurements don't add up: the error of a difference is √(e² + f²)")
def _(measure, scales):
    results = {scale: measure(scale) for scale in scales}
    best, best_error = min(results.values())
    return next(s for s, (d, e) in results.items() if d - best <= 2 * (e + best_error))


@choice.mistake("you count the best one's error alone; the other distance was measured with an error, too")
def _(measure, scales):
    results = {scale: measure(scale) for scale in scales}
    best, best_error = min(results.values())
    return next(s for s, (d, _) in results.items() if d - best <= 2 * best_error)


@choice.mistake("one standard error is too strict: equal distances differ by more than that in one case of three")
def _(measure, scales):
    results = {scale: measure(scale) for scale in scales}
    best, best_error = min(results.values())
    return next(s for s, (d, e) in results.items() if d - best <= (e**2 + best_error**2) ** 0.5)


@choice.mistake("that is the largest scale that can't be told apart from the best; the smallest was looked for")
def _(measure, scales):
    results = {scale: measure(scale) for scale in scales}
    best, best_error = min(results.values())
    return [s for s, (d, e) in results.items() if d - best <= 2 * (e**2 + best_error**2) ** 0.5][-1]


@choice.mistake("you measure a scale more than once; that takes minutes each time: keep what you measured")
def _(measure, scales):
    best, best_error = min(measure(scale) for scale in scales)
    return next(s for s in scales if measure(s)[0] - best <= 2 * best_error)


@choice.mistake("you count each distance's own error alone; the best one was measured with an error, too")
def _(measure, scales):
    results = {scale: measure(scale) for scale in scales}
    best, _ = min(results.values())
    return next(s for s, (d, e) in results.items() if d - best <= 2 * e)


@choice.mistake("the root is missing: the error of a difference is √(e² + f²), in the distances' own unit")
def _(measure, scales):
    results = {scale: measure(scale) for scale in scales}
    best, best_error = min(results.values())
    return next(s for s, (d, e) in results.items() if d - best <= 2 * (e**2 + best_error**2))


@choice.mistake("that is the list of all scales that can't be told apart from the best; return the smallest")
def _(measure, scales):
    results = {scale: measure(scale) for scale in scales}
    best, best_error = min(results.values())
    return [s for s, (d, e) in results.items() if d - best <= 2 * (e**2 + best_error**2) ** 0.5]


@choice.mistake("that is a distance; return the scale")
def _(measure, scales):
    results = {scale: measure(scale) for scale in scales}
    best, best_error = min(results.values())
    return next(d for d, e in results.values() if d - best <= 2 * (e**2 + best_error**2) ** 0.5)


@choice.mistake("that is a distance, the least one; return the scale")
def _(measure, scales):
    return min(measure(scale) for scale in scales)[0]
