"""The timestep scrubber: the frames of a walk as a film that the hand moves, in plain HTML that needs no kernel.

    scrub(walk(step, x_T, trailing(schedule.T, 50)), schedule)

All frames of a panel are one PNG, a sheet that scrubber.js cuts up, in few colours chosen to suit it: 51 frames of
eight sprites take a tenth of a megabyte.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ddpm_teach.kinds import Frame
from ddpm_teach.pictures import tile, to_image
from ddpm_teach.schedule import Schedule

TITLES = {"x": "xₜ · picture at time t", "x0": "x̂₀ · guess of the clean picture", "eps": "ε̂ · guess of the noise"}
LIMITS = {"x": 1.0, "x0": 1.0, "eps": 3.0}  # what becomes white; its negative becomes black
LIGHT, GREY, INK = (250, 250, 250), (110, 110, 110), (40, 40, 40)
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

    def __repr__(self) -> str:
        return self.summary

    def html(self) -> str:
        """The film without a kernel or a network: the still, and the script that replaces it."""
        data = json.dumps(self.data, ensure_ascii=False).replace("<", "\\u003c")
        name = f"ddpm-film-{hashlib.sha256(data.encode()).hexdigest()[:12]}"
        # By class, not by id: the same output may stand on a page twice, and whichever script runs first mounts both.
        return (
            f'<div class="{name}"><img alt="{html.escape(self.summary)}" src="{_url(self.still)}"></div>\n'
            f"<style>\n{STYLE}</style>\n<script>(() => {{\n{SCRIPT}\n"
            f'for (const element of document.querySelectorAll(".{name}:not([data-on])")) {{\n'
            f"  element.dataset.on = 1;\n  mount(element, {data});\n}}\n}})();</script>"
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html(), "image/png": _base64(self.still), "text/plain": self.summary}


def scrub(
    frames: Iterable[Frame],
    schedule: Schedule | None = None,
    *,
    panels: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    scale: int | None = None,
    fps: float = 12.0,
) -> Scrubber:
    """The frames of a walk under one slider. Lesson 00.

    Arrow keys, Home and End move it, the space bar plays it. Colours are clamped, never stretched: x and x0 show
    [-1, 1], eps shows [-3, 3]; NaN becomes mid grey, and the label counts it.

    Args:
        frames: pictures (b, c, h, w) with 1 or 3 channels, all of one shape.
        schedule: adds ᾱ and the signal-to-noise ratio to the label, and ᾱ's curve under the slider. Without it the
            curve is the change from frame to frame.
        panels: any of "x", "x0", "eps", from left to right; x, and x0 where some frame has it, unless given.
        titles: a heading for each panel.
        columns: pictures in a row.
        scale: width of a picture's pixel on the screen; less where the page is narrow.
        fps: frames a second at speed 1×.

    Raises:
        ValueError: without frames, for other shapes, other panels, or another number of titles than of panels.
    """
    frames = list(frames)
    if not frames:
        raise ValueError("frames: expected at least one, got none; was the walk already used up?")
    if panels is None:
        panels = ("x", "x0") if any(frame.x0 is not None for frame in frames) else ("x",)
    if not panels or not set(panels) <= set(TITLES):
        raise ValueError(f'panels: expected some of "x", "x0", "eps", got {panels!r}')
    titles = [TITLES[name] for name in panels] if titles is None else list(titles)
    if len(titles) != len(panels):
        raise ValueError(f"titles: expected {len(panels)}, one for each panel, got {len(titles)}")
    films = {name: _film(frames, name) for name in panels}
    count, _, height, width = _shape([frames[0].x, *(x for film in films.values() for x in film)])
    columns = min(columns or _columns(count), count)
    empty = torch.full_like(frames[0].x, 0.8, dtype=torch.float32, device="cpu")
    grids = {
        name: np.stack([tile(empty if x is None else x / LIMITS[name], columns, gap=0) for x in film])
        for name, film in films.items()
    }
    palette = _palette(grids.values())
    sheets = {name: _sheet(grid) for name, grid in grids.items()}
    missing = {name: [i for i, x in enumerate(film) if x is None] for name, film in films.items()}
    data = {
        "size": [width, height],
        "count": count,
        "columns": columns,
        "scale": scale or max(1, 272 // (columns * (width + 1))),
        "fps": fps,
        "labels": [_label(frame, schedule, panels) for frame in frames],
        "panels": [
            {
                "title": title,
                "src": _url(_png(_rgb(sheets[name]), palette)),
                "across": sheets[name].shape[1] // (columns * width),
                "empty": missing[name],
            }
            for title, name in zip(titles, panels, strict=True)
        ],
        "curve": _change(frames) if schedule is None else _level(frames, schedule),
    }
    span = f"t = {frames[0].t}" + f"…{frames[-1].t}" * (len(frames) > 1)
    what = f"{_many(len(panels), 'panel')} of {_many(count, 'picture')} {width}×{height}"
    still = _still([frame.t for frame in frames], grids, missing)
    return Scrubber(data, still, f"Scrubber({_many(len(frames), 'frame')}, {span}, {what})")


def _film(frames: Sequence[Frame], name: str) -> list[Tensor | None]:
    film = [getattr(frame, name) for frame in frames]
    return [None if x is None else x.detach().float().cpu() for x in film]


def _shape(pictures: Iterable[Tensor | None]) -> tuple[int, ...]:
    """The one shape that all of them have."""
    shapes = sorted({tuple(x.shape) for x in pictures if x is not None})
    if len(shapes) > 1 or len(shapes[0]) != 4 or shapes[0][1] not in (1, 3) or 0 in shapes[0]:
        found = ", ".join(map(str, shapes))
        raise ValueError(f"frames: expected pictures (b, 1 or 3, h, w), all of one shape, got {found}")
    return shapes[0]


def _columns(count: int) -> int:
    """About as many as rows, and such that the last row is full where that can be."""
    side = math.ceil(math.sqrt(count))
    return next((k for k in range(side, 2 * side) if count % k == 0), side)


def _label(frame: Frame, schedule: Schedule | None, panels: Sequence[str]) -> str:
    """The time, how much noise that is, and what the eye can't tell from the colours."""
    words = [f"t = {frame.t}"]
    if schedule is not None:
        share, decibel = schedule.at(frame.t), 10 / math.log(10) * schedule.log_snr[frame.t]
        words.append(f"ᾱ = {share:{'.4f' if share >= 1e-3 else '.2g'}}")
        words.append(f"SNR {decibel:+.1f} dB".replace("-", "−").replace("inf", "∞"))
    for name in panels:
        (x,), symbol = _film([frame], name), TITLES[name].split()[0]
        if x is not None and (broken := int(x.isnan().any(1).sum())):
            words.append(f"{_many(broken, 'NaN pixel')} in {symbol}")
        elif x is not None and x.min() == x.max():
            words.append(f"{symbol} is {x.min():.2f} everywhere")
    return " · ".join(words)


def _level(frames: Sequence[Frame], schedule: Schedule) -> dict[str, Any]:
    """ᾱ over all times, in the walk's direction."""
    back, T = frames[0].t >= frames[-1].t, schedule.T
    times = sorted({*range(0, T, math.ceil(T / 100)), T}, reverse=back)

    def point(t: int) -> list[float]:
        return [round(1 - t / T if back else t / T, 4), round(schedule.at(t), 4)]

    return _curve("ᾱ by time", times, [point(t) for t in times], [point(frame.t) for frame in frames])


def _change(frames: Sequence[Frame]) -> dict[str, Any] | None:
    """Root mean square change of x0, or of x where no frame has an x0, from each frame to the next; None where none."""
    name = "x" if all(frame.x0 is None for frame in frames) else "x0"
    film = _film(frames, name)
    moves = {
        i: torch.nan_to_num(film[i] - film[i - 1], 0, 0, 0).square().mean().sqrt().item()
        for i in range(1, len(film))
        if film[i] is not None and film[i - 1] is not None
    }
    if not any(moves.values()):
        return None
    top, last = max(moves.values()), len(film) - 1
    at = [[round(i / last, 4), round(moves[i] / top, 4) if i in moves else None] for i in range(len(film))]
    title = f"change of {TITLES[name].split()[0]} by frame, at most {top:.2g}"
    return _curve(title, [frame.t for frame in frames], [point for point in at if point[1] is not None], at)


def _curve(title: str, times: Sequence[int], line: list, at: list) -> dict[str, Any]:
    return {"title": title, "ends": [f"t = {times[0]}", f"t = {times[-1]}"], "line": line, "at": at}


def _sheet(grids: np.ndarray) -> np.ndarray:
    """(n, h, w, c) as one picture, row by row, about as wide as high, since browsers limit both."""
    n, h, w, c = grids.shape
    across = min(n, max(1, round(math.sqrt(n * h / w))))
    down = math.ceil(n / across)
    sheet = np.pad(grids, ((0, down * across - n), (0, 0), (0, 0), (0, 0)))
    return sheet.reshape(down, across, h, w, c).swapaxes(1, 2).reshape(down * h, across * w, c)


def _palette(grids: Iterable[np.ndarray]) -> Image.Image:
    """64 colours for all panels, so that pictures which are equal look so. The last frame, looked at longest, has a say
    twice as large as all frames together."""
    films = np.concatenate([grid.reshape(-1, grid.shape[-1]) for grid in grids])
    ends = np.concatenate([grid[-1].reshape(-1, grid.shape[-1]) for grid in grids])
    few = films[:: math.ceil(len(films) / 8000)]  # a choice from all pixels would take half a second
    sample = np.concatenate([few, np.resize(ends, (16000, ends.shape[-1]))])
    return _rgb(sample[None]).quantize(64)


def _png(image: Image.Image, palette: Image.Image) -> bytes:
    """In few colours: nothing else makes noise smaller."""
    data = io.BytesIO()
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(data, "PNG", compress_level=9)
    return data.getvalue()


def _rgb(pixels: np.ndarray, scale: int = 1) -> Image.Image:
    return to_image(pixels, scale).convert("RGB")


def _still(times: Sequence[int], grids: dict[str, np.ndarray], missing: dict[str, list[int]]) -> bytes:
    """On its own light ground, so that its words are readable on a dark page too."""
    h, w = next(iter(grids.values())).shape[1:3]
    scale = max(1, round(112 / w))
    h, w = h * scale, w * scale
    shown = np.linspace(0, len(times) - 1, min(len(times), max(2, 780 // (w + 8)))).round().astype(int)
    strip = Image.new("RGB", (8 + len(shown) * (w + 8), 24 + len(grids) * (h + 24)), LIGHT)
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(13)
    for left, i in zip(range(8, strip.width, w + 8), shown, strict=True):
        draw.text((left, 4), f"t = {times[i]}", INK, font)
        for top, (name, film) in zip(range(24, strip.height, h + 24), grids.items(), strict=True):
            if left == 8:
                draw.text((left, top + 1), TITLES[name].split(" · ")[1], GREY, font)
            strip.paste(_rgb(film[i], scale), (left, top + 20))
            if i in missing[name]:
                draw.text((left + w / 2, top + 20 + h / 2), "none yet", GREY, font, "mm")
    return _png(strip, strip.quantize(64))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode()


def _url(png: bytes) -> str:
    return f"data:image/png;base64,{_base64(png)}"
