"""From tensors in [-1, 1] to pictures on disk: tiles, PNG, GIF, WebP.

Always clamped to [-1, 1], never stretched to a picture's own minimum and maximum: that would hide saturation.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from ddpm_teach.checks import check_int, check_pictures
from ddpm_teach.diffusion.types import Frame
from ddpm_teach.show.labels import check_names, labelled
from ddpm_teach.storage import write_bytes

if TYPE_CHECKING:  # importing the package costs no matplotlib
    from matplotlib.figure import Figure


class Film(NamedTuple):
    """A format for films, and the largest picture side and the longest time of a frame that it can hold."""

    name: str
    side: int
    milliseconds: int


FILMS = {".gif": Film("GIF", 65_535, 10 * 65_535), ".webp": Film("WEBP", 16_383, 2**24 - 1)}


def check_batch(name: str, x: Tensor) -> None:
    """Refuses what can't be shown as pictures.

    Raises:
        TypeError: for what is no tensor, or one of whole numbers: bytes 0…255 would all be white.
        ValueError: for another shape than (b, 1 or 3, h, w), or nothing in it.
    """
    check_pictures(name, x)
    if x.ndim != 4:
        remedy = ""
        if x.ndim == 3:
            order = ".permute(2, 0, 1)" if _is_channels_last(x) else ""
            remedy = f"; {name}{order}[None] makes a batch of one picture"
        raise ValueError(f"{name}: expected pictures (b, c, h, w), got {tuple(x.shape)}{remedy}")
    if x.shape[1] not in (1, 3) or 0 in x.shape:
        remedy = f"; {name}[:, :3] shows the first three" if x.shape[1] > 3 else ""
        if _is_channels_last(x):
            remedy = f"; {name}.permute(0, 3, 1, 2) puts the channels where they belong"
        raise ValueError(f"{name}: expected pictures (b, c, h, w) with 1 or 3 channels, got {tuple(x.shape)}{remedy}")


def _is_channels_last(x: Tensor) -> bool:
    """Whether pictures (…, h, w, c) came, as numpy and Pillow have them."""
    return x.shape[-3] not in (1, 3) and x.shape[-1] in (1, 3)


def check_ending(name: str, path: str | Path, endings: Iterable[str]) -> Path:
    """The path, if it ends as what is written there must."""
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise ValueError(f"{name}: expected a file name that ends in {' or '.join(endings)}, got {str(path)!r}")
    return path


def check_frames(name: str, frames: Iterable[Frame]) -> list[Frame]:
    """The frames of a walk as a list.

    Raises:
        TypeError: for something else than frames of floating-point pictures.
        ValueError: for no frame, or other shapes than (b, 1 or 3, h, w).
    """
    frames = list(frames)
    if not frames:
        raise ValueError(f"{name}: expected at least one frame, got none; was the walk already used up?")
    for frame in frames:
        if not isinstance(frame, Frame):
            got = type(frame).__name__
            raise TypeError(
                f"{name}: expected frames as `walk` yields them, got a {got}; Frame(t, x) makes one of a picture"
            )
        for x in (frame.x, frame.x0, frame.eps):
            if x is not None:
                check_batch(name, x)
    return frames


def to_uint8(x: Float[Tensor, "*b c h w"]) -> UInt8[np.ndarray, "*b h w c"]:
    """[-1, 1] → 0…255, channels last, clamped; NaN becomes mid grey. A TypeError for whole numbers."""
    check_pictures("x", x)
    x = torch.nan_to_num(x.detach().float().cpu(), nan=0.0, posinf=1.0, neginf=-1.0).clamp(-1, 1)
    return ((x + 1) * 127.5).round().to(torch.uint8).movedim(-3, -1).numpy()


def tile(x: Float[Tensor, "b c h w"], columns: int | None = None, gap: int = 1) -> UInt8[np.ndarray, "h2 w2 c"]:
    """All pictures of a batch as one, row by row, on light grey.

    Args:
        columns: pictures in a row; about as many as rows unless given.
        gap: pixels between them.

    Raises:
        TypeError: for pictures of whole numbers.
        ValueError: for another shape, or columns below 1.
    """
    check_batch("x", x)
    check_int("gap", gap, 0)
    pictures = to_uint8(x)
    n, h, w, c = pictures.shape
    columns = math.ceil(math.sqrt(n)) if columns is None else check_int("columns", columns, 1)
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, c), 230, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        sheet[top : top + h, left : left + w] = picture
    return sheet


def to_image(pixels: UInt8[np.ndarray, "h w c"], scale: int = 4) -> Image.Image:
    """A Pillow image, each pixel `scale` screen pixels wide; one channel is grey."""
    check_int("scale", scale, 1)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def to_png(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()


def save_png(x: Float[Tensor, "b c h w"], path: str | Path, columns: int | None = None, scale: int = 4) -> None:
    """Writes a batch as one PNG (see `tile`): the whole file, or none.

    Raises:
        TypeError, ValueError: as `tile`, and a ValueError for a path that doesn't end in .png.
        OSError: if the file can't be written.
    """
    check_batch("x", x)
    write_bytes(check_ending("path", path, [".png"]), to_png(to_image(tile(x, columns), scale)))


def save_film(
    frames: Iterable[Frame | Float[Tensor, "b c h w"]],
    path: str | Path,
    columns: int | None = None,
    scale: int = 4,
    milliseconds: int = 60,
    hold: int = 2000,
) -> None:
    """Writes a GIF or a WebP: one frame of a walk, or one batch, each (see `tile`), then from the start.

    GIF has 256 colours; WebP keeps all, here without loss.

    Args:
        frames: all of one shape.
        path: ends in .gif or .webp.
        milliseconds: each frame is shown for.
        hold: milliseconds on the last one.

    Raises:
        TypeError: for pictures of whole numbers.
        ValueError: if there is no frame, for another ending, frames of several shapes, or what the format can't hold.
        OSError: if the file can't be written.
    """
    path = check_ending("path", path, FILMS)
    film = FILMS[path.suffix.lower()]
    check_int("milliseconds", milliseconds, 1, film.milliseconds)
    check_int("hold", hold, 1, film.milliseconds)
    images, shapes = [], set()
    for i, frame in enumerate(frames):
        x = frame.x if isinstance(frame, Frame) else frame
        check_batch(f"frames[{i}]", x)
        shapes.add(tuple(x.shape))
        images.append(to_image(tile(x, columns), scale))
    if not images:
        raise ValueError("frames: expected at least one frame, got none; was the walk already used up?")
    if len(shapes) > 1:
        raise ValueError(f"frames: expected pictures of one shape, got {', '.join(map(str, sorted(shapes)))}")
    if max(size := images[0].size) > film.side:
        raise ValueError(
            f"frames: expected at most {film.side} pixels a side in {path.suffix}, got {size[0]}×{size[1]};"
            " use a smaller scale, or other columns"
        )
    data = io.BytesIO()
    durations = [milliseconds] * (len(images) - 1) + [hold]
    options = {"save_all": True, "append_images": images[1:], "duration": durations, "loop": 0, "lossless": True}
    images[0].save(data, film.name, **options)
    write_bytes(path, data.getvalue())


class Picture:
    """A PNG as a notebook output, with words for those who don't see it. Made by `show`."""

    def __init__(self, png: bytes, alt: str) -> None:
        self.png, self.alt = png, alt

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        data = base64.b64encode(self.png).decode()
        tag = f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{data}" style="max-width:100%">'
        return {"text/html": tag, "image/png": data, "text/plain": self.alt}


def show(
    x: Float[Tensor, "b c h w"] | Figure,
    alt: str,
    columns: int | None = None,
    scale: int = 4,
    *,
    rows: Sequence[str] | None = None,
    cols: Sequence[str] | None = None,
) -> Picture:
    """A batch as one picture (see `tile`), or a figure, in a notebook; `alt` says in words what it shows.

    Args:
        columns: pictures in a row; as many as `cols` has names, or what `rows` leaves, or about as many as rows.
        rows, cols: a name for each row and column, written beside and above the pictures.

    Raises:
        TypeError: for something else, or pictures of whole numbers.
        ValueError: for another shape, or other numbers of names than of rows and columns.
    """
    if hasattr(x, "savefig"):
        data = io.BytesIO()
        x.savefig(data, format="png")
        colours = Image.open(data).convert("RGB").quantize(256, dither=Image.Dither.NONE)  # a third of the bytes
        return Picture(to_png(colours), alt)
    check_batch("x", x)
    if columns is None and (rows or cols):
        columns = len(cols) if cols else math.ceil(len(x) / len(rows))
    pixels = tile(x, columns)
    columns = columns or math.ceil(math.sqrt(len(x)))
    row_names = check_names("rows", rows, math.ceil(len(x) / columns), "row")
    col_names = check_names("cols", cols, columns, "column")
    return Picture(to_png(labelled(to_image(pixels, scale), row_names, col_names)), alt)
