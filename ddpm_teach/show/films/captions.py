"""What stands under a film: the label of each frame, and the curve with its moving cursor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

from torch import Tensor

from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.types import Frame
from ddpm_teach.show.films.sheet import Panel, many

TITLES = {"x": "xₜ · picture at time t", "x0": "x̂₀ · guess of the clean picture", "eps": "ε̂ · guess of the noise"}
LIMITS = {"x": 1.0, "x0": 1.0, "eps": 3.0}  # what becomes white; its negative becomes black
FAR = 100.0  # no walk that works comes near: variances of a few, and white is 1


def pictures_of(frames: Sequence[Frame], name: str) -> list[Tensor | None]:
    film = [getattr(frame, name) for frame in frames]
    return [None if x is None else x.detach().cpu() for x in film]


def label(frame: Frame, schedule: Schedule | None, panels: Sequence[str]) -> str:
    """The time, how much noise that is, and what the eye can't tell from the colours."""
    words = [f"t = {frame.t}"]
    if schedule is not None:
        share, decibel = schedule.at(frame.t), 10 / math.log(10) * schedule.log_snr[frame.t]
        words.append(f"ᾱ = {share:{'.4f' if share >= 1e-3 else '.2g'}}")
        words.append(f"SNR {decibel:+.1f} dB".replace("-", "−").replace("inf", "∞"))
    for name in panels:
        (x,), symbol = pictures_of([frame], name), TITLES[name].split()[0]
        if x is not None:
            words += _oddities(x.double(), symbol)
    return " · ".join(words)


def _oddities(x: Tensor, symbol: str) -> list[str]:
    """Pixels that are no numbers, one value everywhere, values far beyond white and black."""
    counts = {"NaN pixel": int(x.isnan().any(1).sum()), "infinite pixel": int(x.isinf().any(1).sum())}
    if any(counts.values()):
        return [f"{many(count, noun)} in {symbol}" for noun, count in counts.items() if count]
    far = x.abs().max().item()
    if x.min() == x.max():
        return [f"{symbol} is {x.min().item():{'.2f' if far < FAR else '.2g'}} everywhere"]
    return [f"|{symbol}| reaches {far:.2g}"] if far > FAR else []


def level_curve(schedule: Schedule, shown: Sequence[int]) -> dict[str, Any]:
    """ᾱ over all times, in the direction of the times that are shown."""
    back, T = shown[0] >= shown[-1], schedule.T
    times = sorted({*range(0, T, math.ceil(T / 100)), T}, reverse=back)

    def point(t: int) -> list[float]:
        return [round(1 - t / T if back else t / T, 4), round(schedule.at(t), 4)]

    return _curve("ᾱ by time", times, [point(t) for t in times], [point(t) for t in shown])


def change_curve(frames: Sequence[Frame]) -> dict[str, Any] | None:
    """Root mean square change of x0, or of x where no frame has an x0, from each frame to the next; None where none.

    A gap in the curve stands where there is no estimate, or a change that isn't finite.
    """
    name = "x" if all(frame.x0 is None for frame in frames) else "x0"
    film = pictures_of(frames, name)
    moves = [None] + [
        None if now is None or before is None else _root([_square(before, now)]) for before, now in pairwise(film)
    ]
    return _relative(
        f"change of {TITLES[name].split()[0]} by frame, at most {{:.2g}}", [frame.t for frame in frames], moves
    )


def distance_curve(panels: Sequence[Panel], times: Sequence[int]) -> dict[str, Any] | None:
    """Root mean square distance over all pairs of panels; None where they are the same, or one has nothing to show."""

    def at(i: int) -> float | None:
        shown = [panel.film[panel.at[i]] for panel in panels]
        if any(x is None for x in shown):
            return None
        return _root([_square(a, b) for a, b in combinations(shown, 2)])

    return _relative("distance between the panels, at most {:.2g}", times, [at(i) for i in range(len(times))])


def _square(a: Tensor, b: Tensor) -> float:
    """Their mean square distance, in float64: the square of 1e20 is infinite in float32."""
    return (a.double() - b.double()).square().mean().item()


def _root(squares: list[float]) -> float | None:
    """The root of their mean; None, a gap in the curve, if that isn't finite: no JSON has NaN, and no page shows it."""
    root = math.sqrt(sum(squares) / len(squares))
    return root if math.isfinite(root) else None


def _relative(title: str, times: Sequence[int], values: list[float | None]) -> dict[str, Any] | None:
    """A curve of values of which the greatest is 1, with gaps for None; None where nothing is above 0."""
    top, last = max((value for value in values if value is not None), default=0.0), len(values) - 1
    if not top or not last:
        return None
    at = [[round(i / last, 4), None if value is None else round(value / top, 4)] for i, value in enumerate(values)]
    return _curve(title.format(top), times, [point for point in at if point[1] is not None], at)


def _curve(title: str, times: Sequence[int], line: list, at: list) -> dict[str, Any]:
    return {"title": title, "ends": [f"t = {times[0]}", f"t = {times[-1]}"], "line": line, "at": at}
