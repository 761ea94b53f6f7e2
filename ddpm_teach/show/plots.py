"""Figures of the course. Each function returns a matplotlib Figure in the course's one style, and never shows it.

In a notebook the figure is the cell's last value; `figure.savefig(path)` writes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from ddpm_teach.checks import check_int, check_number
from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.types import Frame
from ddpm_teach.sampler import generator
from ddpm_teach.show.pictures import check_batch, check_frames, tile

STYLE: dict[str, Any] = {
    "figure.dpi": 96,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.prop_cycle": plt.cycler(  # Okabe and Ito's colours; and dashes, so that one line on another is seen
        color=["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"],
        linestyle=["-", "--", "-.", ":", "-", "--"],
    ),
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "image.interpolation": "nearest",
}


def _logarithmic(axes: Axes, which: str) -> None:
    """Makes axes "x" and "y" logarithmic, with 5, 10, 20, 50 on them rather than powers of ten, and with more where
    they span less than a factor of ten."""
    for letter in which:
        axes.set(**{f"{letter}scale": "log"})
        axis = getattr(axes, f"{letter}axis")
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 4, 5, 7)))
        axis.set_major_formatter(lambda x, _: np.format_float_positional(x, precision=9, trim="-"))  # never 5e-05
        axis.set_minor_formatter(NullFormatter())


def _figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (6.0, 3.2)) -> tuple[Figure, Any]:
    """A figure that pyplot has forgotten, so that a notebook shows it once, where it is returned."""
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    plt.close(figure)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    return figure, axes


def _picture(axes: Axes, x: Tensor, columns: int | None, title: str = "") -> None:
    pixels = tile(x, columns)
    axes.imshow(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=255)
    axes.set_axis_off()
    axes.set_title(title)


@plt.rc_context(STYLE)
def image_grid(x: Float[Tensor, "b c h w"], columns: int | None = None, titles: Sequence[str] | None = None) -> Figure:
    """All pictures of a batch, row by row; with titles, one over each.

    Args:
        columns: pictures in a row; about as many as rows unless given.
        titles: as many as pictures.

    Raises:
        TypeError: for pictures of whole numbers.
        ValueError: for another number of titles, no picture, or columns below 1.
    """
    check_batch("x", x)
    if columns is not None:
        check_int("columns", columns, 1)
    if titles is None:
        columns = min(columns or math.ceil(math.sqrt(len(x))), len(x))
        rows = math.ceil(len(x) / columns)
        figure, axes = _figure(size=(6.0, 6.0 * rows * x.shape[2] / (columns * x.shape[3])))
        _picture(axes[0, 0], x, columns)
        return figure
    if len(titles) != len(x):
        raise ValueError(f"titles: expected {len(x)}, one for each picture, got {len(titles)}")
    columns = min(columns or 8, len(x))
    rows = math.ceil(len(x) / columns)
    figure, axes = _figure(rows, columns, (1.2 * columns, 1.45 * rows))
    for place in axes.flat:
        place.set_axis_off()
    for place, picture, title in zip(axes.flat, x, titles, strict=False):
        _picture(place, picture[None], 1, title)
    return figure


@plt.rc_context(STYLE)
def forward_strip(
    schedule: Schedule,
    x0: Float[Tensor, "b c h w"],
    shares: Sequence[float] = (0, 0.25, 0.5, 0.75, 1),
    seed: int = 0,
) -> Figure:
    """The forward process, a row for each picture: x_t at these shares of T, with one ε. Lesson 01.

    Raises:
        TypeError: for pictures of whole numbers.
        ValueError: for another shape, or shares outside [0, 1].
    """
    check_batch("x0", x0)
    if len(shares) == 0:
        raise ValueError("shares: expected at least one share of T, got none; 0 is the picture and 1 is noise")
    for share in shares:
        check_number("shares", share, 0, 1)
    x0 = x0.detach().float().cpu()
    eps = torch.randn(x0.shape, generator=generator(seed), device="cpu")
    height, width = tile(x0, 1).shape[:2]
    figure, axes = _figure(1, len(shares), (1.6 * len(shares), 0.4 + 1.45 * height / width))
    for place, share in zip(axes[0], shares, strict=True):
        t = round(share * schedule.T)
        _picture(place, add_noise(schedule, x0, t, eps), 1, f"{share:.0%}: t = {t}")
    return figure


@plt.rc_context(STYLE)
def schedule_curves(schedules: Schedule | Mapping[str, Schedule]) -> Figure:
    """ᾱ and the signal-to-noise ratio (shown down to -60 dB) by time, a line for each schedule. Lesson 01."""
    schedules = {"ᾱ": schedules} if isinstance(schedules, Schedule) else schedules
    if not isinstance(schedules, Mapping) or not schedules:
        raise ValueError(f"schedules: expected a Schedule, or a dict of some by name, got {schedules!r}")
    figure, axes = _figure(1, 2, (8.0, 3.0))
    for name, schedule in schedules.items():
        times = torch.arange(1, schedule.T + 1, device="cpu")
        axes[0, 0].plot(times, schedule.alpha_bar[1:], label=name)
        axes[0, 1].plot(times, 10 / math.log(10) * schedule.log_snr[1:], label=name)
    axes[0, 0].set(xlabel="t", ylabel="ᾱ", title="share of the signal's variance left")
    axes[0, 1].set(xlabel="t", ylabel="SNR in dB", title="signal to noise")
    axes[0, 1].set_ylim(bottom=max(-60, axes[0, 1].get_ylim()[0]))
    axes[0, 0].legend()
    return figure


@plt.rc_context(STYLE)
def loss_curve(runs: Mapping[str, Sequence[tuple[int, float]]], smoothing: float = 0.8) -> Figure:
    """Losses by step on a logarithmic scale, a colour for each run: every value faint, their running mean strong.

    Args:
        runs: name → (step, loss) in order.
        smoothing: the weight that the running mean gives to its past.

    Raises:
        ValueError: without a run, or for a run without a step.
    """
    if not runs or not all(len(points) for points in runs.values()):
        raise ValueError(f"runs: expected at least one with some (step, loss) in it, got {dict(runs)!r}")
    figure, axes = _figure()
    for name, points in runs.items():
        steps, losses = zip(*points, strict=True)
        means, weight, mean = [], 0.0, 0.0
        for loss in losses:  # divided by the weights so far, so that it doesn't start at 0
            weight, mean = smoothing * weight + 1, smoothing * mean + loss
            means.append(mean / weight)
        (line,) = axes[0, 0].plot(steps, losses, "-", alpha=0.25, linewidth=1)
        axes[0, 0].plot(steps, means, "-", color=line.get_color(), label=name)
    axes[0, 0].set(xlabel="step", ylabel="loss")
    _logarithmic(axes[0, 0], "y")
    axes[0, 0].legend()
    return figure


@plt.rc_context(STYLE)
def loss_by_time(t: Int[Tensor, " n"], losses: Float[Tensor, " n"], T: int, bins: int = 20) -> Figure:
    """The mean loss of pictures by their time, in equal bins over 1…T, with standard errors; logarithmic. Lesson 03."""
    check_int("bins", bins, 1)
    index, losses = ((t.cpu() - 1) * bins / T).long(), losses.detach().float().cpu()
    filled = {(i + 0.5) * T / bins: losses[index == i] for i in range(bins) if (index == i).any()}  # by bin's centre
    means = [values.mean().item() for values in filled.values()]
    errors = [x.std().item() / math.sqrt(len(x)) if len(x) > 1 else math.nan for x in filled.values()]
    figure, axes = _figure()
    axes[0, 0].errorbar(list(filled), means, errors, fmt="o-", markersize=4, capsize=2)
    axes[0, 0].set(xlabel="t", ylabel="loss", xlim=(0, T))
    _logarithmic(axes[0, 0], "y")
    return figure


@plt.rc_context(STYLE)
def measured_curves(
    curves: Mapping[str, Sequence[tuple]],
    x: str,
    y: str,
    *,
    log: str = "",
    floor: float | None = None,
    floor_name: str = "floor",
) -> Figure:
    """What was measured, with its standard errors: a line for each name. Lessons 05 and 06.

    Args:
        curves: name → points (x, y); each number may be a pair (value, error).
        x, y: what the axes show.
        log: the axes that are logarithmic: "", "x", "y" or "xy".
        floor, floor_name: a value of y that is drawn as a line, such as the best possible, and what it is called.

    Raises:
        ValueError: without a curve, for one without a point, or for another `log`.
    """
    if not curves or not all(len(points) for points in curves.values()):
        raise ValueError(f"curves: expected at least one with some (x, y) in it, got {dict(curves)!r}")
    if log not in ("", "x", "y", "xy"):
        raise ValueError(f'log: expected "", "x", "y" or "xy", got {log!r}')
    figure, axes = _figure(size=(6.0, 3.6))
    place = axes[0, 0]
    for name, points in curves.items():
        pairs = [[value if isinstance(value, tuple) else (value, 0.0) for value in point] for point in points]
        (xs, dxs), (ys, dys) = (zip(*(pair[i] for pair in pairs), strict=True) for i in (0, 1))
        place.errorbar(xs, ys, dys if any(dys) else None, dxs if any(dxs) else None, "o-", ms=4, capsize=2, label=name)
    if floor is not None:
        place.axhline(floor, color="#888888", linewidth=1.2, label=floor_name)
    place.set(xlabel=x, ylabel=y)
    _logarithmic(place, log)
    if len(curves) > 1 or floor is not None:
        place.legend()
    return figure


@plt.rc_context(STYLE)
def trajectory_strip(frames: Iterable[Frame], n: int = 8, columns: int | None = None) -> Figure:
    """n frames of a walk, evenly chosen, the first and the last among them: x above, its x̂_0 below. Lesson 04.

    A single one (n = 1) is the last.

    Raises:
        TypeError: for something else than frames.
        ValueError: for no frame, or n below 1.
    """
    frames, n = check_frames("frames", frames), check_int("n", n, 1)
    backwards = np.linspace(len(frames) - 1, 0, min(n, len(frames)))
    chosen = [frames[round(i)] for i in reversed(backwards.tolist())]
    rows = 2 if any(frame.x0 is not None for frame in chosen) else 1
    height, width = tile(frames[0].x, columns).shape[:2]
    figure, axes = _figure(rows, len(chosen), (1.2 * len(chosen), rows * (0.35 + height / width)))
    for place in axes.flat:
        place.set_axis_off()
    for i, frame in enumerate(chosen):
        _picture(axes[0, i], frame.x, columns, f"t = {frame.t}")
        if frame.x0 is not None:
            _picture(axes[1, i], frame.x0, columns, "x̂₀")
    return figure
