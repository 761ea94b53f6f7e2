"""Drawings of ideas: the Markov chain, scale and shift, a step of DDIM. Each function returns a matplotlib Figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from ddpm_teach.checks import check_number, shown
from ddpm_teach.show.paper import BLUE, GREEN, GREY, INK, ORANGE, PINK, SMALL, arrow, box, sheet, write
from ddpm_teach.show.pictures import check_batch, to_uint8
from ddpm_teach.show.plots import STYLE


@plt.rc_context(STYLE)
def chain_drawing(pictures: Float[Tensor, "k c h w"] | None = None) -> Figure:
    """The Markov chain: from noise x_T to a picture x_0 by p_θ (solid), and back by q (dashed). Lessons 01 and 04.

    Args:
        pictures: two or more, from clean to noise, which stand in the boxes: the first is x_0, the last x_T; x_t and
            x_{t-1} are in between, where there are four or more.

    Raises:
        TypeError: for pictures of whole numbers.
        ValueError: for another shape, or fewer than two.
    """
    chosen: dict[str, np.ndarray] = {}
    names = ("x_0", "x_{t-1}", "x_t", "x_T")
    if pictures is not None:
        check_batch("pictures", pictures)
        k = len(pictures)
        if k < 2:
            raise ValueError(f"pictures: expected two or more, from clean to noise, got {k}; four fill every box")
        places = {name: round(i * (k - 1) / 3) for i, name in enumerate(names)}
        chosen = {name: to_uint8(pictures[i]) for name, i in places.items() if k > 3 or name in ("x_0", "x_T")}
    side, y = 92, 118
    figure, axes = sheet(760, 236)
    at = {"x_T": 62.0, "x_t": 292.0, "x_{t-1}": 468.0, "x_0": 698.0}
    stops = [62.0, 177.0, 292.0, 468.0, 583.0, 698.0]  # the dots between are stops as well
    for name, x in at.items():
        box(axes, x, y, side, side)
        if name in chosen:
            _pixels(axes, x, y, side - 8, chosen[name])
            write(axes, x, y + side / 2 + 12, f"${name}$", size=13)
        else:
            write(axes, x, y, f"${name}$", size=16)
    for x in (177, 583):
        write(axes, x, y, "…", size=16)
    for left, right in pairwise(stops):
        gap_left, gap_right = (side / 2 + 3 if x in at.values() else 14 for x in (left, right))
        arrow(axes, (left + gap_left, y - 12), (right - gap_right, y - 12), BLUE, name="p")
        arrow(axes, (right - gap_right, y + 12), (left + gap_left, y + 12), ORANGE, "--", name="q")
    middle = (at["x_t"] + at["x_{t-1}"]) / 2
    axes.plot([middle, middle], [36, y - 16], color=BLUE, linestyle="-", linewidth=0.8)
    axes.plot([middle, middle], [y + 16, 200], color=ORANGE, linestyle="-", linewidth=0.8)
    write(axes, middle, 22, r"$p_\theta(x_{t-1} \mid x_t)$: the network takes a little noise away", BLUE, 12)
    write(axes, middle, 214, r"$q(x_t \mid x_{t-1})$: a little noise is added", ORANGE, 12)
    for x, words in ((at["x_T"], "noise"), (at["x_0"], "picture")):
        write(axes, x, y - side / 2 - 12, words, GREY, 10)
    return figure


@plt.rc_context(STYLE)
def modulation_drawing() -> Figure:
    """Scale and shift per channel (FiLM), gain · h + shift, worked out for three channels. Lesson 05.

    The context makes a gain and the time a shift for each channel, by a small network each, as in ContextUNet.
    """
    gains, shifts = (1.5, 0.0, -1.0), (0.0, 0.5, -0.2)
    down, across = np.mgrid[-1:1:8j, -1:1:8j]
    maps = 0.7 * np.cos(3 * down) * np.cos(2 * across), 0.8 * across * down, 0.8 * np.sin(2 * down + across)
    side, cell, rows = 64, 14, (196, 270, 344)
    at = {"h": 70.0, "gain": 215.0, "scaled": 360.0, "shift": 535.0, "out": 690.0}  # the columns
    signs = ("h", "×", "gain"), ("gain", "=", "scaled"), ("scaled", "+", "shift"), ("shift", "=", "out")
    figure, axes = sheet(760, 416)
    for y, gain, shift, values in zip(rows, gains, shifts, maps, strict=True):
        for name, picture in (("h", values), ("scaled", gain * values), ("out", gain * values + shift)):
            _pixels(axes, at[name], y, side, to_uint8(torch.from_numpy(picture)[None]))
        for name, value, color in (("gain", gain, GREEN), ("shift", shift, ORANGE)):
            box(axes, at[name], y, 50, 30, color)
            write(axes, at[name], y, f"{value:g}".replace("-", "−"), size=11)
        for left, sign, right in signs:
            lean = 9 if right in ("gain", "shift") else -9  # pictures are wider than numbers
            write(axes, (at[left] + at[right]) / 2 + lean, y, sign, size=14)
    for name, source, numbers, color in (("gain", "context $c$", 5, GREEN), ("shift", "time $t / T$", 1, ORANGE)):
        x = at[name]
        write(axes, x, 14, source, color, 11)
        for i in range(numbers):
            corner = x + cell * (i - numbers / 2), 28
            axes.add_patch(Rectangle(corner, cell, cell, facecolor=color + "38", edgecolor=color, linewidth=1.2))
        arrow(axes, (x, 44), (x, 64), color, name=name)
        box(axes, x, 80, 92, 30, color)
        write(axes, x, 80, "small network", size=SMALL)
        arrow(axes, (x, 97), (x, 117), color, name=name)
    shapes = {"h": "(b, f, h, w)", "gain": "(b, f, 1, 1)", "shift": "(b, f, 1, 1)", "out": "(b, f, h, w)"}
    words = {"h": "feature map h", "gain": "gain", "scaled": "gain · h", "shift": "shift", "out": "gain · h + shift"}
    for name, x in at.items():
        write(axes, x, 130, words[name], {"gain": GREEN, "shift": ORANGE}.get(name, INK), 11)
        write(axes, x, 147, shapes.get(name, ""), GREY)
    write(axes, 380, 396, "one row is one channel: one gain and one shift for all of its pixels", GREY, 10)
    return figure


@plt.rc_context(STYLE)
def ddim_drawing(
    x_t: Float[Tensor, " 2"], x0_hat: Float[Tensor, " 2"], ab_t: float, ab_s: float, sigma: float = 0.0
) -> Figure:
    """A step of DDIM (eq. 12) from t to s as geometry in the plane, each arrow a term of the formula. Lesson 06.

    x_s = √ᾱ_s x̂_0 + √(1 - ᾱ_s - σ²) ε̂, with ε̂ = (x_t - √ᾱ_t x̂_0) / √(1 - ᾱ_t), and fresh noise of size σ around it.

    Args:
        x_t, x0_hat: points (2,): where the step begins, and the estimate of the clean point there.
        ab_t, ab_s: ᾱ at the times t and s, 0 ≤ ᾱ_t < ᾱ_s ≤ 1.
        sigma: of the fresh noise, drawn as a circle of this radius: 0 … √(1 - ᾱ_s).

    Raises:
        TypeError: for a point that isn't a tensor, or numbers that aren't.
        ValueError: for another shape, or numbers outside of their range.
    """
    (x, y), (a, b) = _point("x_t", x_t), _point("x0_hat", x0_hat)
    check_number("ab_s", ab_s, 0, 1)
    if check_number("ab_t", ab_t, 0, 1) >= ab_s:
        raise ValueError(f"ab_t: expected less than ab_s = {ab_s}, since a step goes to less noise, got {ab_t}")
    check_number("sigma", sigma, 0, math.sqrt(1 - ab_s))
    now, start, clean = np.array([x, y]), math.sqrt(ab_t) * np.array([a, b]), np.array([a, b])
    eps = (now - start) / math.sqrt(1 - ab_t)
    kept = math.sqrt(ab_s) * clean
    end = kept + math.sqrt(1 - ab_s - sigma**2) * eps
    origin = np.zeros(2)

    corners = np.stack([origin, now, clean, start, kept, end - sigma, end + sigma])
    middle, spread = (corners.min(0) + corners.max(0)) / 2, np.ptp(corners, axis=0)
    size, place = np.array([7.2, 5.2]), (0.1, 0.11, 0.87, 0.8)
    page = size * place[2:]  # the axes in inches; the plane's unit is as long across as upwards
    reach = 1.3 * (spread / page).max() * page / 2
    figure = plt.figure(figsize=tuple(size), layout="none")
    plt.close(figure)
    axes = figure.add_axes(place, aspect="equal", xlabel="first coordinate", ylabel="second coordinate")
    (left, bottom), (right, top) = middle - reach, middle + reach
    axes.set(xlim=(left, right), ylim=(bottom, top))
    root = r"\sqrt{1-\bar\alpha_s-\sigma^2}" if sigma else r"\sqrt{1-\bar\alpha_s}"
    formula = rf"x_s = \sqrt{{\bar\alpha_s}}\,\hat{{x}}_0 + {root}\,\hat\epsilon" + r" + \sigma z" * (sigma > 0)
    axes.set_title(rf"${formula}$,   $\bar\alpha_t = {ab_t:.2g}$, $\bar\alpha_s = {ab_s:.2g}$", fontsize=12)
    terms = [
        (start, now, GREY, ":", r"$\sqrt{1-\bar\alpha_t}\,\hat\epsilon$", "given"),
        (now, clean, GREY, "--", "estimate", "estimate"),
        (origin, kept, BLUE, "-", r"$\sqrt{\bar\alpha_s}\,\hat{x}_0$", "signal"),
        (kept, end, ORANGE, "-", rf"${root}\,\hat\epsilon$", "noise"),
    ]
    for tail, tip, color, line, _, name in terms:
        arrow(axes, tuple(tail), tuple(tip), color, line, name)
    points = [
        (origin, "0", GREY),
        (now, "$x_t$", INK),
        (clean, r"$\hat{x}_0$", BLUE),
        (end, "mean of $x_s$" if sigma else "$x_s$", PINK),
    ]
    for point, words, color in points:
        axes.plot(*point, "o", color=color, markersize=7 if words != "0" else 4)
    if sigma:
        axes.add_patch(Circle(tuple(end), sigma, facecolor=PINK + "28", edgecolor=PINK, linestyle="--", linewidth=1.2))
        points.append((end + sigma * np.array([0.0, 1.0]), rf"fresh noise, $\sigma = {sigma:.2g}$", PINK))
    obstacles = [np.linspace(tail, tip, 80) for tail, tip, *_ in terms]
    turn = np.linspace(0, 2 * math.pi, 80)
    obstacles.append(end + sigma * np.stack([np.cos(turn), np.sin(turn)], 1))
    wanted = [(point[None], words, color, 13) for point, words, color in points]
    wanted += [(np.linspace(tail, tip, 11)[3:8], words, color, 12) for tail, tip, color, _, words, _ in terms]
    _label(axes, wanted, np.concatenate([*obstacles, [point for point, *_ in points]]))
    return figure


def _point(name: str, point: object) -> list[float]:
    if not isinstance(point, Tensor):
        raise TypeError(f"{name}: expected a point (2,) as a tensor, got {shown(point)}; use torch.tensor([1.0, 0.5])")
    if point.shape != (2,) or not point.isfinite().all():
        raise ValueError(f"{name}: expected two finite numbers (2,), got {shown(point)}; x[0] is a batch's first point")
    return point.detach().cpu().tolist()


def _label(axes: Axes, wanted: Sequence[tuple[np.ndarray, str, str, float]], obstacles: np.ndarray) -> None:
    """Words, each beside one of its points (k, 2), where it covers the least of the obstacles and earlier words."""
    to_pixels, window = axes.transData.transform, axes.get_window_extent()
    taken, centre = to_pixels(obstacles), (window.p0 + window.p1) / 2
    turn = np.arange(0, 2 * math.pi, math.pi / 12)
    directions = np.stack([np.cos(turn), np.sin(turn)], 1)
    for points, words, color, size in wanted:
        text = axes.text(0, 0, words, color=color, fontsize=size, ha="center", va="center")
        extent = text.get_window_extent()
        half = np.array([extent.width, extent.height]) / 2 + 2
        edges = directions / abs(directions).max(1, keepdims=True) * half  # so that the words touch the point
        shifts = np.concatenate([edges + reach * directions for reach in (5, 12, 22)])  # the nearest first
        places = (to_pixels(points)[None] + shifts[:, None]).reshape(-1, 2)
        covered = (abs(taken - places[:, None]) < half).all(2).sum(1)
        outside = (abs(places - centre) + half - window.size / 2).clip(min=0).sum(1)
        place = places[np.argmin(covered + outside + np.linspace(0, 1.5, len(places)))]
        text.set_position(axes.transData.inverted().transform(place))
        grid = np.stack(np.meshgrid(np.linspace(-1, 1, 15), np.linspace(-1, 1, 5)), -1).reshape(-1, 2)
        taken = np.concatenate([taken, place + grid * half])


def _pixels(axes: Axes, x: float, y: float, side: float, pixels: np.ndarray) -> None:
    """A picture by its centre, its longer side `side` pixels of the sheet."""
    h, w = pixels.shape[:2]
    h, w = side * h / max(h, w), side * w / max(h, w)
    shown = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    extent = (x - w / 2, x + w / 2, y + h / 2, y - h / 2)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto", zorder=3)
