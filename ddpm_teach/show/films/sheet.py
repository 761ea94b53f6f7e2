"""How a film is packed: all frames of a panel are one PNG, a sheet that scrubber.js cuts up, in few chosen colours.

51 frames of eight sprites in two panels take a tenth of a megabyte.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_teach.checks import check_int, check_number
from ddpm_teach.show.films.still import evenly, png, rgb, strip
from ddpm_teach.show.labels import check_names
from ddpm_teach.show.pictures import check_batch, check_ending, tile, to_image, to_png
from ddpm_teach.storage import write_bytes

UNRUN = "<p>A still picture: run this cell for the slider.</p>"  # goes with the still, where the script runs
SCRIPT, STYLE = (resources.files(__package__).joinpath(f"scrubber.{kind}").read_text("utf-8") for kind in ("js", "css"))


@dataclass(frozen=True, eq=False)
class Scrubber:
    """A film of frames as a notebook output: live HTML, a PNG still, and one line of text. Made by `scrub`.

    Attributes:
        data: what scrubber.js's `mount` shows: JSON, the same for the same frames.
        still: PNG, evenly chosen frames from left to right, a row for each panel.
        summary: the line of text.
    """

    data: dict[str, Any]
    still: bytes
    summary: str

    @property
    def alt(self) -> str:
        """What it shows, in words, for those who don't see it."""
        return self.data.get("alt") or self.summary

    def __repr__(self) -> str:
        return self.summary

    @property
    def json(self) -> str:
        """The data as a script may hold it."""
        return json.dumps(self.data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")

    @property
    def name(self) -> str:
        """A name that only films with the same data have."""
        return f"ddpm-film-{hashlib.sha256(self.json.encode()).hexdigest()[:12]}"

    def html(self) -> str:
        """The film without a kernel or a network: the still, and the script that replaces it."""
        data, name = self.json, self.name
        # By class, not by id: the same output may stand on a page twice, and whichever script runs first mounts both.
        return (
            f'<div class="{name}"><img alt="{html.escape(self.alt)}" src="{data_url(self.still)}">{UNRUN}</div>\n'
            f"<style>\n{STYLE}</style>\n<script>(() => {{\n{SCRIPT}\n"
            f'for (const element of document.querySelectorAll(".{name}:not([data-on])")) {{\n'
            f"  element.dataset.on = 1;\n  mount(element, {data});\n}}\n}})();</script>"
        )

    def save(self, path: str | Path) -> None:
        """Writes a page of its own with the film in it, for any browser; `html` is the fragment for a page of yours.

        Raises:
            ValueError: for a path that doesn't end in .html.
            OSError: if the file can't be written.
        """
        path = check_ending("path", path, [".html", ".htm"])
        title = html.escape(self.summary)
        head = (
            '<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        )
        look = "<style>:root { color-scheme: light dark; }</style>"
        page = f"{head}\n<title>{title}</title>{look}\n<body>\n{self.html()}\n</body></html>\n"
        write_bytes(path, page.encode())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html(), "image/png": _base64(self.still), "text/plain": self.summary}


@dataclass(frozen=True)
class Layout:
    """How the pictures of a panel are arranged and named, as the makers of films take it.

    Attributes:
        columns: pictures in a row. Unless given, as many as there are names for columns, or as names for rows leave;
            else about as many as rows, and such that the last row is full where that can be.
        scale: width of a picture's pixel on the screen; less where the page is narrow.
        fps: frames a second at speed 1×, 0.1…1000.
        rows, cols: a name for each row and column of pictures, written beside and above them.
        alt: what the film shows, in words, for those who don't see it.
    """

    columns: int | None
    scale: int | None
    fps: float
    rows: Sequence[str] | None
    cols: Sequence[str] | None
    alt: str | None

    def columns_of(self, count: int) -> int:
        """Pictures in a row, of so many."""
        if self.columns is not None:
            return min(check_int("columns", self.columns, 1), count)
        if self.cols:
            return min(len(self.cols), count)
        if self.rows:
            return math.ceil(count / len(self.rows))
        side = math.ceil(math.sqrt(count))
        return next((k for k in range(side, 2 * side) if count % k == 0), side)

    def data(self, width: int, height: int, count: int, panels: int) -> dict[str, Any]:
        """What scrubber.js must know of the arrangement: all panels in one row on a page 1000 pixels wide."""
        columns, room = self.columns_of(count), {1: 400, 2: 272}.get(panels, 220)
        scale = max(1, room // (columns * (width + 1))) if self.scale is None else check_int("scale", self.scale, 1)
        check_number("fps", self.fps, 0.1, 1000)  # a browser's timer takes a longest wait, and beyond it none
        data = {"size": [width, height], "count": count, "columns": columns, "scale": scale, "fps": self.fps}
        names = {
            "rows": check_names("rows", self.rows, math.ceil(count / columns), "row"),
            "cols": check_names("cols", self.cols, columns, "column"),
            "alt": self.alt,
        }
        return data | {key: value for key, value in names.items() if value}

    def words(self) -> list[str]:
        """The names in lines of text, for the still, which has no room beside its pictures."""
        lines = {"from left to right": self.cols, "from above": self.rows}
        return [f"{where}: {', '.join(map(str, names))}" for where, names in lines.items() if names]


@dataclass(frozen=True, eq=False)
class Panel:
    """A heading, the pictures in [-1, 1] under it, and which of them each position of the slider shows."""

    title: str
    film: list[Tensor | None]
    at: Sequence[int]


def make(
    panels: Sequence[Panel],
    like: Tensor,
    marks: Sequence[str],
    labels: list[str],
    curve: dict[str, Any] | None,
    layout: Layout,
) -> Scrubber:
    """The film of panels, of which all pictures have one shape; `like` is one, where none has anything to show.

    Each position has a label, on the page, and a shorter mark, in the still.
    """
    count, _, height, width = like.shape
    columns = layout.columns_of(count)
    empty = torch.full(like.shape, 0.8, device="cpu")
    grids = [np.stack([tile(empty if x is None else x, columns, gap=0) for x in panel.film]) for panel in panels]
    palette = _palette(grids)
    sheets = [_sheet(grid) for grid in grids]
    data = {
        **layout.data(width, height, count, len(panels)),
        "start": len(marks) - 1,  # the end is what the walk is about
        "labels": labels,
        "panels": [
            {
                "title": panel.title,
                "src": data_url(png(rgb(sheet), palette)),
                "across": sheet.shape[1] // (columns * width),
                "empty": [i for i, k in enumerate(panel.at) if panel.film[k] is None],
            }
            | ({} if panel.at == range(len(marks)) else {"at": list(panel.at)})
            for panel, sheet in zip(panels, sheets, strict=True)
        ],
        "curve": curve,
    }
    chosen = evenly(len(marks), width)
    rows = [
        (panel.title, [(grid[panel.at[i]], panel.film[panel.at[i]] is None) for i in chosen])
        for panel, grid in zip(panels, grids, strict=True)
    ]
    what = f"{many(len(panels), 'panel')} of {many(count, 'picture')} {width}×{height}"
    still = strip([marks[i] for i in chosen], rows, layout.words())
    return Scrubber(data, still, f"Scrubber({many(len(marks), 'frame')}, {span(marks)}, {what})")


def check_one_shape(name: str, pictures: Iterable[Tensor | None]) -> tuple[int, ...]:
    """The one shape (b, 1 or 3, h, w) that all of them have."""
    shapes = set()
    for x in pictures:
        if x is not None:
            check_batch(name, x)
            shapes.add(tuple(x.shape))
    if len(shapes) > 1:
        raise ValueError(f"{name}: expected pictures all of one shape, got {', '.join(map(str, sorted(shapes)))}")
    return shapes.pop()


def _sheet(grids: np.ndarray) -> np.ndarray:
    """(n, h, w, c) as one picture, row by row, about as wide as high, since browsers limit both."""
    n, h, w, c = grids.shape
    across = min(n, max(1, round(math.sqrt(n * h / w))))
    down = math.ceil(n / across)
    sheet = np.pad(grids, ((0, down * across - n), (0, 0), (0, 0), (0, 0)))
    return sheet.reshape(down, across, h, w, c).swapaxes(1, 2).reshape(down * h, across * w, c)


def _palette(grids: Iterable[np.ndarray]) -> Image.Image:
    """128 colours for all panels, so that pictures which are equal look so. The last frame, looked at longest, has a
    say twice as large as all frames together. With 64, none of them moved to the middle of what it stands for, one
    pixel in a hundred was off by 70 of 255 levels instead of 33, and a teal potion looked blue."""
    films = np.concatenate([grid.reshape(-1, grid.shape[-1]) for grid in grids])
    ends = np.concatenate([grid[-1].reshape(-1, grid.shape[-1]) for grid in grids])
    few = films[:: math.ceil(len(films) / 8000)]  # a choice from all pixels would take half a second
    sample = np.concatenate([few, np.resize(ends, (16000, ends.shape[-1]))])
    return rgb(sample[None]).quantize(128, kmeans=3)


def column(x: Tensor) -> str:
    """A batch in [-1, 1] as the URL of a PNG, one picture under the other, every level kept."""
    return data_url(to_png(to_image(tile(x, columns=1, gap=0), scale=1)))


def span(marks: Sequence[str]) -> str:
    """t = 1000…0 for the marks from "t = 1000" to "t = 0"."""
    same = marks[0].rpartition(" ")[0] + " "
    return marks[0] + f"…{marks[-1].removeprefix(same)}" * (len(marks) > 1)


def many(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode()


def data_url(png: bytes) -> str:
    return f"data:image/png;base64,{_base64(png)}"
