"""One picture as a viewer would show it. Lesson 09.

`convert("RGB")` alone gives other pixels than the eye has seen: it drops transparency (what lies under it is often
black), clips 16 bits to 8, and leaves a photograph on the side on which the camera lay.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError


def read_picture(file: Path, size: int) -> np.ndarray:
    """The picture's centred square as (size, size, 3) bytes: upright, its first frame, over white, 8 bits a channel.

    Raises:
        ValueError: for whatever stops the decoder; the file is named.
    """
    try:
        with Image.open(file) as picture:
            _apply_colour_key(picture, file)
            upright = ImageOps.exif_transpose(picture)
        return np.asarray(ImageOps.fit(_over_white(upright, picture.format), (size, size), Image.Resampling.LANCZOS))
    except Image.DecompressionBombError:
        reason, remedy = f"it has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels", "shrink it, or remove it"
    except MemoryError:
        reason, remedy = "it doesn't fit into memory", "shrink it, or remove it"
    except UnidentifiedImageError:
        empty = file.stat().st_size == 0
        reason, remedy = "it is empty" if empty else "no format that Pillow knows", "repair or remove it"
    except FileNotFoundError:  # the folder has just listed it
        reason, remedy = "it is a link to nothing, or was moved away", "restore what it points to, or remove it"
    except PermissionError as error:
        reason, remedy = error.strerror or "not allowed", "allow reading it, or remove it"
    except Exception as error:  # decoders raise whatever they stumble over: OSError, SyntaxError, struct.error, …
        reason, remedy = " ".join(str(error).split()) or type(error).__name__, "repair or remove it"
    raise ValueError(f"{file}: can't be read as a picture ({reason}); {remedy}")


def _apply_colour_key(picture: Image.Image, file: Path) -> None:
    """Makes a PNG's transparent colour (tRNS) mean what the file says, where Pillow compares it with other numbers.

    Pillow scales 2 and 4 bits of grey to 8 and cuts 16 bits of a colour to 8, and leaves the key as it is in the file.
    """
    key = picture.info.get("transparency")
    packing = picture.tile[0].args if picture.format == "PNG" and picture.tile and key is not None else None
    if packing in ("L;2", "L;4"):
        picture.info["transparency"] = key * {"L;2": 85, "L;4": 17}[packing]
    elif packing == "RGB;16B":
        with Image.open(file) as again:
            again.tile = [again.tile[0]._replace(args="RGB;16L")]  # of each two bytes the other one
            low = np.asarray(again).astype(np.uint16)
        clear = (np.asarray(picture).astype(np.uint16) * 256 + low == key).all(-1)
        picture.putalpha(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)))
        del picture.info["transparency"]


def _over_white(picture: Image.Image, file_format: str | None) -> Image.Image:
    """The picture in RGB, 8 bits a channel; what shows through is white, as behind the sprites."""
    if picture.mode.startswith("I;16") or (picture.mode == "I" and file_format in ("PNG", "PPM")):
        values = np.asarray(picture)
        grey = (values / 257).round().clip(0, 255)  # 65535 → 255
        if picture.info.get("transparency") is not None:
            grey[values == picture.info["transparency"]] = 255
    elif picture.mode == "F":
        values = np.asarray(picture)
        if not (values.min() >= 0 and values.max() <= 1):  # NaN fails too
            raise ValueError(
                f"floats from {values.min():.4g} to {values.max():.4g}, where white is 1; save it with 8 bits"
            )
        grey = (values * 255).round()
    elif picture.mode == "I":
        raise ValueError("32 bits, where nothing says which number is white; save it with 8 or 16 bits")
    elif picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    else:
        return picture.convert("RGB")
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
