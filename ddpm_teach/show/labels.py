"""Names in pictures: beside the rows and above the columns of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

INK, PEN = (40, 40, 40), ImageDraw.Draw(Image.new("RGB", (1, 1)))  # the pen only measures


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has x̂₀, ᾱ and η."""
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def check_names(name: str, names: Sequence[str] | None, n: int, what: str) -> list[str]:
    """As many names as there are rows or columns; none if none are given.

    Raises:
        ValueError: for another number, or one string, whose letters would be the names.
    """
    if names is None:
        return []
    if isinstance(names, str) or len(names) != n:
        got = repr(names) if isinstance(names, str) else len(names)
        raise ValueError(f"{name}: expected {n} names, one for each {what}, got {got}")
    return [str(one) for one in names]


def labelled(image: Image.Image, rows: Sequence[str], cols: Sequence[str], size: int = 13) -> Image.Image:
    """The picture of a grid with names on the left of its rows and above its columns, on white.

    A name that is wider than its column is broken between words, then written smaller.
    """
    if not rows and not cols:
        return image
    room = image.width / max(1, len(cols)) - 4
    names = [_broken(name, room, size) for name in cols]
    while size > 8 and any(_size(name, size)[0] > room for name in names):
        size -= 1
        names = [_broken(name, room, size) for name in cols]
    left = max((_size(name, size)[0] + 12 for name in rows), default=0)
    top = max((_size(name, size)[1] + 10 for name in names), default=0)
    sheet = Image.new("RGB", (left + image.width, top + image.height), "white")
    sheet.paste(image, (left, top))
    draw = ImageDraw.Draw(sheet)
    for i, name in enumerate(rows):
        draw.text((left - 6, top + (i + 0.5) * image.height / len(rows)), name, INK, font(size), "rm")
    for i, name in enumerate(names):
        middle = left + (i + 0.5) * image.width / len(names)
        draw.multiline_text((middle, top - 5), name, INK, font(size), "md", align="center")
    return sheet


def _size(name: str, size: int) -> tuple[int, int]:
    left, _, right, bottom = PEN.multiline_textbbox((0, 0), name, font(size))
    return round(right - left), round(bottom)


def _broken(name: str, room: float, size: int) -> str:
    """A name in lines of at most this width, broken between words where that helps."""
    lines = [""]
    for word in name.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and PEN.textlength(longer, font(size)) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)
