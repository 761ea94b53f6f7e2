"""Figures of the toy world, whose pictures are points in the plane: paths of walks, fields of arrows, curves.

They take plain tensors and functions. `figure_pixels` makes a frame of a film out of a figure:

browse({f"t = {t}": figure_pixels(arrows({"score": lambda x: score(x, t)})) for t in times})
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from ddpm_teach.checks import check_int, check_positive, check_word, shown
from ddpm_teach.diffusion.types import Frame
from ddpm_teach.show.paper import BLUE, GREY, ORANGE
from ddpm_teach.show.plots import STYLE, _figure, _logarithmic

Density = Callable[[Tensor], Tensor]  # points (N, 2) → (N,), 0 or more
Field = Callable[[Tensor], Tensor]  # points (N, 2) → arrows (N, 2)
FINE = 160  # points in a row at which a density is asked for
TINTS = ["#f5f5f5", "#ececec", "#e2e2e2", "#d8d8d8", "#cecece", "#c2c2c2"]  # few, since that makes small films


@plt.rc_context(STYLE)
def paths(
    walks: Mapping[str, Iterable[Frame]],
    *,
    density: Density | Mapping[str, Density] | None = None,
    n: int = 20,
    extent: float = 2.0,
) -> Figure:
    """The paths of a walk's first n points through the plane, a panel for each walk. Lessons 04, 06 and 08.

    Args:
        walks: heading → frames whose x is (N, 2), as `walk` yields them.
        density: of points (N, 2) → (N,), in the background of every panel; or a dict of some, by the walks' headings.
        n: paths in each panel; all of them where there are fewer.
        extent: of the panels, from -extent to extent in both directions.

    Raises:
        TypeError: for something else than walks by name.
        ValueError: without a walk or a frame, for x of another shape, or a heading that no walk has.
    """
    _check_named("walks", walks, '{"DDPM": walk(…)}')
    check_int("n", n, 1)
    xs = {name: _steps(f"walks[{name!r}]", frames) for name, frames in walks.items()}
    figure, panels = _planes(list(walks), density, extent, legend=0.3)
    for place, x in zip(panels, xs.values(), strict=True):
        some = x[:, :n]  # (frames, n, 2)
        strength = 0.7 if len(some) <= 200 else 0.3
        for i in range(some.shape[1]):
            place.plot(some[:, i, 0], some[:, i, 1], "-", color=BLUE, linewidth=0.9, alpha=strength)
        place.scatter(*some[0].T, s=16, facecolor="white", edgecolor=GREY, zorder=3, label="start")
        place.scatter(*some[-1].T, s=16, color=ORANGE, zorder=4, label="end")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@plt.rc_context(STYLE)
def arrows(
    fields: Mapping[str, Field],
    *,
    points: Tensor | Mapping[str, Tensor] | None = None,
    extent: float = 2.0,
    density: Density | Mapping[str, Density] | None = None,
    grid: int = 15,
    common: bool = False,
) -> Figure:
    """Arrows that functions of the plane give, such as the score at several times, a panel for each. Lessons 04 to 08.

    In each panel the longest arrow is one and a half cells of the grid, and a key over it says how long an arrow of
    that length is; with `common`, lengths are those of one scale in all panels.

    Args:
        fields: heading → function of points (N, 2) to arrows (N, 2).
        points: (N, 2), drawn as dots in every panel; or a dict of some, by the fields' headings.
        extent: of the panels, from -extent to extent in both directions.
        density: of points (N, 2) → (N,), in the background of every panel; or a dict of some, by the fields' headings.
        grid: arrows in a row, as many as rows.
        common: whether one scale holds for all panels.

    Raises:
        TypeError: for something else than functions by name.
        ValueError: without a field, for arrows or points of another shape, or a heading that no field has.
    """
    _check_named("fields", fields, '{"score": lambda x: …}')
    check_int("grid", grid, 2)
    dots = _by_heading("points", points, list(fields))
    for name, x in dots.items():
        _check_points(f"points[{name!r}]" if isinstance(points, Mapping) else "points", x)
    figure, panels = _planes(list(fields), density, extent)
    cell = 2 * extent / grid
    at = _grid(extent, grid)
    given = {name: _values(f"fields[{name!r}]", field, at, at.shape) for name, field in fields.items()}
    longest = {name: float(np.hypot(*arrow.T).max()) or 1.0 for name, arrow in given.items()}
    if common:
        longest = dict.fromkeys(longest, max(longest.values()))
    for place, (name, arrow) in zip(panels, given.items(), strict=True):
        scale = longest[name] / (1.5 * cell)
        look = {"angles": "xy", "scale_units": "xy", "scale": scale, "width": 0.006, "pivot": "tail"}
        drawn = place.quiver(*at.numpy().T, *arrow.T, color=BLUE, zorder=3, **look)
        unit = float(f"{longest[name]:.1g}")
        place.quiverkey(drawn, 0.78, 1.05, unit, f"{unit:g}", labelpos="E", coordinates="axes")
        if name in dots:
            place.scatter(*dots[name].detach().cpu().T, s=10, color=ORANGE, zorder=4)
    return figure


@plt.rc_context(STYLE)
def lines(
    curves: Mapping[str, tuple[Sequence[float] | Tensor, Sequence[float] | Tensor]],
    x: str,
    y: str,
    *,
    log: str = "",
    markers: bool = False,
    fill: bool = False,
) -> Figure:
    """Plain curves, a line for each name: densities on a line, losses by time. `measured_curves` has errors, too.

    Args:
        curves: name → (xs, ys), as many of the one as of the other.
        x, y: what the axes show.
        log: the axes that are logarithmic: "", "x", "y" or "xy".
        markers: whether the points are marked on the line.
        fill: whether the area under a line is tinted.

    Raises:
        TypeError: for something else than curves by name.
        ValueError: without a curve, for one without a point or with another number of ys, or another `log`.
    """
    _check_named("curves", curves, '{"ᾱ": (times, shares)}')
    check_word("log", log, ("", "x", "y", "xy"))
    numbers = {name: [_row(f"curves[{name!r}]", values) for values in pair] for name, pair in curves.items()}
    for name, pair in numbers.items():
        if len(pair) != 2 or len(pair[0]) != len(pair[1]) or not len(pair[0]):
            got = ", ".join(str(len(values)) for values in pair)
            raise ValueError(
                f"curves[{name!r}]: expected (xs, ys), as many of the one as of the other, got {got} numbers"
            )
    figure, axes = _figure(size=(6.0, 3.4))
    place = axes[0, 0]
    for name, (xs, ys) in numbers.items():
        (line,) = place.plot(xs, ys, marker="o" if markers else None, markersize=4, label=name)
        if fill:
            place.fill_between(xs, ys, color=line.get_color(), alpha=0.18, linewidth=0)
    place.set(xlabel=x, ylabel=y)
    _logarithmic(place, log)
    if len(curves) > 1:
        place.legend()
    return figure


def figure_pixels(figure: Figure) -> Float[Tensor, "1 3 h w"]:
    """A figure as a picture in [-1, 1], pixel by pixel; `browse` makes a film of several, at scale 1.

    Raises:
        TypeError: for something else than a figure.
    """
    if not isinstance(figure, Figure):
        raise TypeError(f"figure: expected a matplotlib Figure, got {shown(figure)}; use axes.figure")
    data = io.BytesIO()
    with plt.rc_context({"savefig.bbox": None}):  # of one size, whatever stands in it
        figure.savefig(data, format="png", dpi=figure.dpi)
    pixels = np.array(Image.open(data).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


def _planes(names: list[str], density: object, extent: float, legend: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A square panel for each name, at most three in a row, over its density; `legend`: inches for one below them."""
    check_positive("extent", extent)
    densities = _by_heading("density", density, names)
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    side = 7.8 / max(columns, 2)
    figure, grid = _figure(rows, columns, (side * columns, (side + 0.22) * rows + legend))
    panels = list(grid.flat)
    for place in panels[len(names) :]:
        place.set_axis_off()
    for i, (place, name) in enumerate(zip(panels, names, strict=False)):
        place.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
        place.set_title(name, loc="left")
        for axis in (place.xaxis, place.yaxis):
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        if i >= len(names) - columns:
            place.set_xlabel("first coordinate")
        if i % columns == 0:
            place.set_ylabel("second coordinate")
        if name in densities:
            _shade(place, densities[name], extent)
    return figure, panels[: len(names)]


def _shade(place: Axes, density: Density, extent: float) -> None:
    """A density as tints of grey, the darkest where it is highest."""
    at, k = _grid(extent, FINE), FINE
    values = _values("density", density, at, at.shape[:1]).reshape(k, k)
    if (top := values.max()) > 0:
        x, y = at.numpy().T.reshape(2, k, k)
        levels = top * np.array([0.01, 0.05, 0.15, 0.3, 0.5, 0.75, 1.001])
        place.contourf(x, y, values, levels, colors=TINTS, zorder=0)


def _grid(extent: float, k: int) -> Float[Tensor, "k2 2"]:
    """The centres of k × k cells that fill a panel, row by row."""
    line = (torch.arange(k, device="cpu") + 0.5) * (2 * extent / k) - extent
    down, across = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([across, down], -1).reshape(-1, 2)


def _values(name: str, function: object, at: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """What a function says of points, checked."""
    if not callable(function):
        raise TypeError(f"{name}: expected a function of points (N, 2), got {shown(function)}; use lambda x: …")
    with torch.no_grad():
        values = function(at)
    if not isinstance(values, Tensor) or values.shape != shape:
        raise ValueError(f"{name}: expected a tensor {tuple(shape)} for points {tuple(at.shape)}, got {shown(values)}")
    return values.detach().float().cpu().numpy()


def _by_heading(name: str, given: object, names: list[str]) -> dict:
    """One for all panels, or those of a dict, by heading."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, given)
    if unknown := [heading for heading in given if heading not in names]:
        known = ", ".join(map(repr, names))
        raise ValueError(
            f"{name}: expected some of the headings {known}, got {unknown[0]!r}; without a dict it is in all"
        )
    return dict(given)


def _check_named(name: str, given: object, example: str) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(f"{name}: expected a dict by headings, {example}, got {shown(given)}")
    if not given:
        raise ValueError(f"{name}: expected at least one, {example}, got none")


def _check_points(name: str, x: object) -> None:
    if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != 2 or not len(x):
        raise ValueError(f"{name}: expected points (N, 2) as a tensor, got {shown(x)}; a point x is x[None]")


def _steps(name: str, frames: Iterable[object]) -> Float[np.ndarray, "frames n 2"]:
    """The points of all frames of a walk."""
    frames = list(frames)
    if not frames:
        raise ValueError(f"{name}: expected at least one frame, got none; was the walk already used up?")
    for frame in frames:
        if not isinstance(frame, Frame):
            raise TypeError(f"{name}: expected frames as `walk` yields them, got {shown(frame)}; use Frame(t, x)")
        _check_points(name, frame.x)
    if len({len(frame.x) for frame in frames}) > 1:
        raise ValueError(f"{name}: expected as many points in every frame, got {len(frames[0].x)} and others")
    return torch.stack([frame.x.detach().float().cpu() for frame in frames]).numpy()


def _row(name: str, values: Sequence[float] | Tensor) -> np.ndarray:
    """Numbers as an array (k,)."""
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else list(values), dtype=float)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected rows of numbers (k,), got the shape {array.shape}; squeeze it")
    return array
