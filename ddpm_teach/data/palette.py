"""Palettes: the few colours that pictures are drawn with, and the projection onto them. Lesson 14.

    colours = palette_of(load("sprites"))
    denoise = projected(model.denoiser, model.schedule, onto(colours))

Latent diffusion's quantize_x0 is such a projection, onto the codebook of its VQ autoencoder.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ddpm_teach.checks import check_finite, check_pictures, shown
from ddpm_teach.data.images import ImageSet

MOST = 1024  # colours of a palette: photographs have none


def palette_of(images: ImageSet) -> Float[Tensor, "k c"]:
    """The colours that occur in a data set, in [-1, 1], each once.

    Raises:
        ValueError: for pictures of more than 1024 colours.
    """
    places = torch.tensor([256**i for i in range(images.image_shape[0])], device=images.images.device)
    numbers = [  # a colour as one number: to sort these takes less than to sort rows of three
        torch.einsum("bchw,c->bhw", part.long(), places).unique() for part in images.images.split(5000)
    ]
    colours = torch.cat(numbers).unique()
    if len(colours) > MOST:
        raise ValueError(f"images: expected a palette, at most {MOST} colours, got {len(colours)}; draw with fewer")
    channels = (colours[:, None] // places) % 256
    return channels / 127.5 - 1


def onto(palette: Float[Tensor, "k c"]) -> Callable[[Tensor], Tensor]:
    """The projection of pictures onto a palette: each pixel becomes the nearest of its k colours.

    What is returned takes pictures (b, c, h, w) and gives their projection; a ValueError for another number of channels
    than the palette's colours have.
    """
    if not isinstance(palette, Tensor) or not palette.is_floating_point() or palette.ndim != 2 or len(palette) == 0:
        raise ValueError(
            f"palette: expected k ≥ 1 colours in [-1, 1], a tensor of floats (k, channels), got {shown(palette)};"
            " palette_of(images) makes one"
        )
    check_finite("palette", palette)

    def project(x: Tensor) -> Tensor:
        check_pictures("x", x)
        if x.ndim != 4 or x.shape[1] != palette.shape[1]:
            raise ValueError(
                f"x: expected pictures (b, {palette.shape[1]}, h, w) for this palette, got {tuple(x.shape)};"
                " make one of pictures of your kind"
            )
        colours = palette.to(x)
        pixels = x.movedim(1, -1)  # (b, c, h, w) → (b, h, w, c)
        # Exact distances: by products of matrices a colour wouldn't be its own nearest.
        apart = torch.cdist(pixels.flatten(0, 2), colours, compute_mode="donot_use_mm_for_euclid_dist")
        return colours[apart.argmin(1)].reshape(pixels.shape).movedim(-1, 1)

    return project
