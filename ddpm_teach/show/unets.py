"""unet_drawing(net): the U of a network, drawn from its own shapes and connections. Lessons 02 and 09."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import nn

from ddpm_teach.nets import unwrapped
from ddpm_teach.nets.attention_unet import Attention
from ddpm_teach.nets.blocks import named_parts
from ddpm_teach.nets.text import CrossAttention
from ddpm_teach.nets.wiring import Part, joined, wiring
from ddpm_teach.show.paper import BLUE, GREEN, GREY, INK, ORANGE, PINK, SMALL, arrow, box, sheet, write
from ddpm_teach.show.plots import STYLE

PAGE, EDGE, COLUMNS = 760, 12, 9  # pixels of a page and its edge; on how many columns there is room for names
TALLEST, WIDEST = 88, 26  # pixels of the largest box
TITLE, ABOVE, WORDS, LEGEND = 30, 30, 32, 30  # pixels of the first line, over a row, for the words under it, at the end
ATTENTION = (Attention, CrossAttention)
ENTERS = {"time": ("t", ORANGE), "context": ("c", GREEN)}


class Box(NamedTuple):
    """Where a part stands, in pixels: the middle of its column, and its edges.

    Attributes:
        copy: where the copy of a skip begins, which ends at `left`.
        free: whether the page is empty to its right.
    """

    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    copy: float
    free: bool


@plt.rc_context(STYLE)
def unet_drawing(net: nn.Module) -> Figure:
    """The U of a network: a box for each part, as high as its pictures and as wide as the root of their channels.

    Under a box stand the part's name in the network and the shape of its output, channels × height × width. All of it
    is measured by running the network (`wiring`): another width or size is another drawing, and networks of yours can
    be drawn, too. A time or context that changes a part's input is drawn at the box where this input was made.

    Args:
        net: takes and returns pictures (b, c, h, w), and makes them smaller in between: any UNet of the course.

    Raises:
        TypeError: for a Model in the place of its network, or a network without `image_shape`.
        ValueError: for one that returns another shape, or makes no picture smaller.
    """
    parts, kind = wiring(net), type(unwrapped(net)).__name__
    heights = sorted({part.shape[1] for part in parts}, reverse=True)
    if len(heights) == 1:
        raise ValueError(
            f"net: expected a UNet, which makes pictures smaller and larger again, got a {kind} whose parts all have"
            f" the height {heights[0]}; summary(net) lists the layers of any network"
        )
    if parts[-1].sources == (parts[-2].name,):  # what the last part makes is the output
        parts = parts[:-1]
    before = {part.name: source.name for source, part in pairwise(parts)}
    named = {part.name: part for part in parts}
    skips = [(source, part) for part in parts for source in part.sources if source != before[part.name]]
    copied = {before[part.name]: named[source] for source, part in skips if joined(part, named) == "concatenated"}
    loops = any(joined(part, named) == "added" for _, part in skips)

    columns = _columns(parts)
    pitch = max((PAGE - 2 * EDGE) / (columns[-1] + 1), 10 + 7.3 * max(len(_shape(part)) for part in parts))
    top, rows = TITLE + 20 * loops, {}
    for h in heights:
        rows[h] = top + ABOVE, top + ABOVE + max(4.0, TALLEST * h / heights[0])
        top = rows[h][1] + WORDS
    most = max(part.shape[0] for part in parts)
    boxes = {}
    for part, column, following in zip(parts, columns, [*parts[1:], parts[-1]], strict=True):
        x, (y0, y1) = EDGE + pitch * (column + 0.5), rows[part.shape[1]]
        width, copy = (
            max(3.0, WIDEST * (p.shape[0] / most) ** 0.5) if p else 0.0 for p in (part, copied.get(part.name))
        )
        left, right = x + (copy - width) / 2, x + (copy + width) / 2
        boxes[part.name] = Box(x, (y0 + y1) / 2, left, right, y0, y1, left - copy, following.shape[1] > part.shape[1])

    figure, axes = sheet(2 * EDGE + pitch * (columns[-1] + 1), top + LEGEND)
    write(axes, EDGE, 15, kind, size=11, ha="left", weight="bold")
    note = "under each box: its name in the network, channels × height × width"
    write(axes, figure.bbox.width - EDGE, 15, note, GREY, ha="right")
    modules = named_parts(unwrapped(net))
    attentive = {name for name, m in modules if any(isinstance(inner, ATTENTION) for inner in m.modules())}
    for part in parts:
        _part(axes, part, boxes[part.name], part.name in attentive)
        if part.name in before:
            _flow(axes, boxes[before[part.name]], boxes[part.name])
        for which in part.inside:
            _enters(axes, which, boxes[part.name])
        for which in part.before:
            _enters(axes, which, boxes[before[part.name]])
    for source, part in skips:
        if before[part.name] in copied:
            _copy(axes, boxes[source], boxes[before[part.name]])
        else:
            _loop(axes, boxes[source], boxes[part.name], f"+ {source}")
    _legend(axes, parts, bool(copied), bool(attentive))
    return figure


def _shape(part: Part) -> str:
    return "×".join(map(str, part.shape))


def _columns(parts: list[Part]) -> list[float]:
    """The column of each part: one further in the same row, less for another row, as far as there is room."""
    turns = [a.shape[1] != b.shape[1] for a, b in pairwise(parts)]
    slant = min(0.5, max(0, COLUMNS - 1 - turns.count(False)) / turns.count(True))
    return list(accumulate((slant if turn else 1.0 for turn in turns), initial=0.0))


def _part(axes: Axes, part: Part, place: Box, attentive: bool) -> None:
    color = PINK if attentive else BLUE
    box(axes, (place.left + place.right) / 2, place.y, place.right - place.left, place.bottom - place.top, color)
    write(axes, place.x, place.bottom + 9, part.name, GREY)
    write(axes, place.x, place.bottom + 22, _shape(part))


def _flow(axes: Axes, start: Box, end: Box) -> None:
    """The way of the data from a part to the next one, past the words under the boxes."""
    if start.top == end.top:
        arrow(axes, (start.right + 2, start.y), (end.copy - 2, end.y), name="flow")
    elif start.top < end.top:
        arrow(axes, (start.x, start.bottom + WORDS), (end.x, end.top - 3), name="flow")
    else:
        arrow(axes, (start.x, start.top - 3), (end.x, end.bottom + WORDS), name="flow")


def _copy(axes: Axes, start: Box, end: Box) -> None:
    """A skip: what was made on the way down, copied beside what comes up."""
    box(axes, (end.copy + end.left) / 2, end.y, end.left - end.copy, end.bottom - end.top, BLUE, "--")
    arrow(axes, (start.right + 2, start.y), (end.copy - 1, end.y), BLUE, "--", "skip")


def _loop(axes: Axes, start: Box, end: Box, words: str) -> None:
    """A sum with something from further back: over the boxes, and down."""
    y = min(start.top, end.top) - ABOVE - 8
    axes.plot([start.x, start.x, end.x], [start.top - 3, y, y], color=BLUE, linestyle="-", linewidth=1.4)
    arrow(axes, (end.x, y), (end.x, end.top - 3), BLUE, name="sum")
    write(axes, (start.x + end.x) / 2, y - 8, words, BLUE)


def _enters(axes: Axes, which: str, place: Box) -> None:
    """The arrow of what enters a part: from the right where the page is free there, else from above."""
    letter, color = ENTERS[which]
    side, half = -1 if which == "time" else 1, (place.bottom - place.top) / 2
    if place.free:
        tip, tail, right = place.y + side * min(half, 5), place.y + side * 8, 26
    else:
        tip, tail, right = {-1: (place.top, place.top - 20, 12), 1: (place.top + min(4, half), place.top - 5, 24)}[side]
    arrow(axes, (place.right + 1 + right, tail), (place.right + 1, tip), color, name=which)
    write(axes, place.right + 7 + right, tail - 3 * (not place.free), letter, color, weight="bold")


def _legend(axes: Axes, parts: list[Part], copies: bool, attentive: bool) -> None:
    entering = {name for part in parts for name in (*part.before, *part.inside)}
    lines = [(INK, "-", "data")]
    lines += [(BLUE, "--", "skip: concatenated")] * copies
    lines += [
        (color, "-", f"{which} {letter} enters") for which, (letter, color) in ENTERS.items() if which in entering
    ]
    handles: list[Line2D | Patch] = [Line2D([], [], color=c, linestyle=s, label=label) for c, s, label in lines]
    if attentive:
        handles.append(Patch(facecolor=PINK + "38", edgecolor=PINK, label="with attention"))
    axes.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=SMALL)
