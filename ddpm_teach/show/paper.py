"""What the drawings are made with: a sheet measured in pixels from its upper left corner, arrows, boxes and words."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ddpm_teach.show.plots import STYLE

BLUE, ORANGE, GREEN, PINK, SKY, YELLOW = STYLE["axes.prop_cycle"].by_key()["color"]
INK, GREY = "#282828", "#6e6e6e"
SMALL = 9  # points: nothing on a drawing is smaller


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of so many pixels, and the empty axes that fill it."""
    dpi = STYLE["figure.dpi"]
    figure = plt.figure(figsize=(width / dpi, height / dpi), layout="none")
    plt.close(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    return figure, axes


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    color: str = INK,
    line: str = "-",
    name: str | None = None,
    bend: float = 0.0,
    head: str = "-|>",
) -> None:
    """A straight arrow, or one bent to its side; `name` is how a program finds it (its gid)."""
    way = f"arc3,rad={bend}" if bend else "arc3"
    look: dict[str, Any] = {
        "arrowstyle": head,
        "color": color,
        "linestyle": line,
        "linewidth": 1.4,
        "shrinkA": 0,
        "shrinkB": 0,
        "mutation_scale": 11,
        "connectionstyle": way,
    }
    axes.annotate("", end, start, arrowprops=look).set_gid(name)


def box(axes: Axes, x: float, y: float, width: float, height: float, color: str = BLUE, line: str = "-") -> None:
    """A tinted box by its centre; a dashed one is empty."""
    fill = color + ("38" if line == "-" else "00")  # of 255: pale enough for words in it
    corner = x - width / 2, y - height / 2
    axes.add_patch(Rectangle(corner, width, height, facecolor=fill, edgecolor=color, linewidth=1.4, linestyle=line))


def write(axes: Axes, x: float, y: float, words: str, color: str = INK, size: float = SMALL, **where: Any) -> None:
    """Words centred on a point, unless `where` (ha, va) says otherwise."""
    axes.text(x, y, words, color=color, fontsize=size, **{"ha": "center", "va": "center", **where})
