"""The still of a film: evenly chosen frames side by side, for pages on which no script runs."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ddpm_teach.show.labels import INK, font
from ddpm_teach.show.pictures import to_image

LIGHT, FAINT, GREY = (250, 250, 250), (200, 200, 200), (110, 110, 110)


def png(image: Image.Image, palette: Image.Image) -> bytes:
    """In few colours: nothing else makes noise smaller."""
    data = io.BytesIO()
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(data, "PNG", compress_level=9)
    return data.getvalue()


def rgb(pixels: np.ndarray, scale: int = 1) -> Image.Image:
    """Bytes (h, w, 1 or 3) as a picture of three channels, enlarged."""
    return to_image(pixels, scale).convert("RGB")


def _still_scale(width: int) -> int:
    """A still's pictures are large enough to be recognised: a sprite has 32 pixels, a single one 112."""
    return max(1, round(112 / width), math.ceil(160 / width) if width < 320 else 1)


def evenly(n: int, width: int) -> list[int]:
    """As many of n positions as a still of pictures this wide has room for, the first and the last among them."""
    scale = _still_scale(width)
    return np.linspace(0, n - 1, min(n, max(2, 780 // (width * scale + 8)))).round().astype(int).tolist()


def strip(
    marks: Sequence[str], rows: list[tuple[str, list[tuple[np.ndarray, bool]]]], words: Sequence[str] = ()
) -> bytes:
    """A row for each title: grids (h, w, c), and whether there was nothing to show, with a mark over each column.

    On its own light ground, so that its words are readable on a dark page too; `words` are lines below.
    """
    h, w = rows[0][1][0][0].shape[:2]
    scale = max(_still_scale(w), (780 // len(marks) - 8) // w)  # few positions leave room for larger pictures
    h, w = h * scale, w * scale
    size, ink = (8 + len(marks) * (w + 8), 24 + len(rows) * (h + 24) + 20 * len(words)), font(13)
    page = Image.new("RGB", size, LIGHT)
    draw = ImageDraw.Draw(page)
    for i, line in enumerate(words, 1):
        draw.text((8, page.height - 20 * i), line, GREY, ink)
    for top, (title, grids) in zip(range(24, 24 + len(rows) * (h + 24), h + 24), rows, strict=True):
        draw.text((8, top + 1), title, GREY, ink)
        for left, mark, (grid, none) in zip(range(8, page.width, w + 8), marks, grids, strict=True):
            draw.text((left, 4), mark, INK, ink)
            page.paste(rgb(grid, scale), (left, top + 20))
            # Without a line white grids would run together.
            draw.rectangle((left - 1, top + 19, left + w, top + 20 + h), outline=FAINT)
            if none:
                draw.text((left + w / 2, top + 20 + h / 2), "none yet", GREY, ink, "mm")
    return png(page, page.quantize(128, kmeans=3))
