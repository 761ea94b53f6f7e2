"""What an eye sees first and the Fréchet distance hardly: specks on the background, colours that mix. Lesson 10."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ddpm_teach.data.sprites import sprites

NEAR = 5  # levels of a byte by which a background may differ and still be taken for it


def looks(x: Float[Tensor, "n c h w"], dataset: str) -> dict[str, Float[Tensor, " n"]]:
    """Measures of how clean pictures in [-1, 1] are, a number for each; real pictures have them, too: their floors.

    Returns:
        "corners off": 1 where a corner isn't background (white for sprites, else black) after rounding to bytes. Of
        sprites also "palette distance", the mean distance of a pixel from the nearest colour of the palette, in levels
        of a byte (root mean square over the channels), and "colour ramps", how many have at least two pixels.
    """
    levels = ((x + 1) * 127.5).round().clamp(0, 255)
    corners = levels[..., [0, 0, -1, -1], [0, -1, 0, -1]].flatten(1)  # (n, 4 c)
    background = 255 if dataset == "sprites" else 0
    measures = {"corners off": ((corners - background).abs() > NEAR).any(1).float()}
    if dataset != "sprites":
        return measures
    palette = torch.from_numpy(sprites("train").palette).float()
    nearest, distance = [], []
    for part in levels.split(500):  # (part, h w, colours) at a time
        apart = torch.cdist(part.flatten(2).transpose(1, 2), palette) / 3**0.5
        least = apart.min(2)
        nearest.append(least.indices)
        distance.append(least.values.mean(1))
    ramp = (torch.cat(nearest) - 1).div(4, rounding_mode="floor") + 1  # 0 is background; four tones to a ramp
    count = int((len(palette) - 3) / 4)  # white at both ends, and black, are none
    used = [((ramp == k).sum(1) >= 2).float() for k in range(1, count + 1)]
    return measures | {"palette distance": torch.cat(distance), "colour ramps": torch.stack(used).sum(0)}
