"""Exercises of lesson 05 context: the choice of a scale."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ddpm_teach.course.exercises.engine import Exercise


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


@choice.mistake("that is the scale's place in the list; return the scale")
def _(measure, scales):
    results = [measure(scale) for scale in scales]
    best, best_error = min(results)
    return next(i for i, (d, e) in enumerate(results) if d - best <= 2 * (e**2 + best_error**2) ** 0.5)


@choice.mistake("that is a distance, the least one; return the scale")
def _(measure, scales):
    return min(measure(scale) for scale in scales)[0]
