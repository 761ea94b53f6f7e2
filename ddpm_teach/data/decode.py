"""One picture as a viewer would show it. Lesson 07.

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
            upright = ImageOps.exif_transpose(picture)
        return np.asarray(ImageOps.fit(_over_white(upright, picture.format), (size, size), Image.Resampling.LANCZOS))
    except Image.DecompressionBombError:
        reason, remedy = f"it has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels", "shrink it, or remove it"
    except MemoryError:
        reason, remedy = "it doesn't fit into memory", "shrink it, or remove it"
    except UnidentifiedImageError:
        empty = file.stat().st_size == 0
        reason, remedy = "it is empty" if empty else "no format that Pillow knows", "repair or remove it"
    except Exception as error:  # decoders raise whatever they stumble over: OSError, SyntaxError, struct.error, …
        reason, remedy = " ".join(str(error).split()) or type(error).__name__, "repair or remove it"
    raise ValueError(f"{file}: can't be read as a picture ({reason}); {remedy}")


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
