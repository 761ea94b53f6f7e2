"""Where words look: how much of an attention map lies inside the box of what the word names. Lesson 13."""

from __future__ import annotations

import torch
from jaxtyping import Float, Num
from torch import Tensor

from ddpm_teach.data.backgrounds import SIZE


def mass_inside(maps: Float[Tensor, "b words h w"], boxes: Num[Tensor, "b words 4"]) -> Float[Tensor, "b words"]:
    """The share of each map that lies inside of a box; a cell that is inside in part counts in part.

    With the boxes of other pictures, `boxes.roll(1, 0)`, it is the floor: what a map has there that looks at no sprite.

    Args:
        maps: ≥ 0, of any size; they needn't sum to 1.
        boxes: (top, left, bottom, right) in pixels of scenes, of the sprite that each word names (see `scene_boxes`).

    Raises:
        ValueError: for a map without mass, or a box without area, such as that of a sprite that isn't there.
    """
    total = maps.sum((2, 3))
    if not (total > 0).all():
        raise ValueError("maps: expected some attention in every map, got one that sums to 0; leave that word out")
    if not (boxes[..., 2:] > boxes[..., :2]).all():
        raise ValueError("boxes: expected top < bottom and left < right, got an empty box; leave that word out")
    rows, columns = (_covered(boxes[..., [k, k + 2]].to(maps), maps.shape[2 + k]) for k in (0, 1))
    return torch.einsum("bkhw,bkh,bkw->bk", maps, rows, columns) / total


def _covered(ends: Tensor, cells: int) -> Tensor:
    """(b, words, cells) the share of each row of cells, or column, that lies between two ends in pixels."""
    edges = torch.arange(cells + 1, device=ends.device) * (SIZE / cells)
    begin, end = (ends[..., k, None] for k in (0, 1))
    overlap = torch.minimum(end, edges[1:]) - torch.maximum(begin, edges[:-1])
    return overlap.clamp(min=0) / (SIZE / cells)
