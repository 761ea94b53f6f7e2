"""Where words look: how much of an attention map lies inside the box of what the word names. Lesson 13."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Num
from torch import Tensor

from ddpm_teach import nets
from ddpm_teach.checks import check_int
from ddpm_teach.data.backgrounds import SIZE
from ddpm_teach.data.lexicon import tokens
from ddpm_teach.data.scenes import load_scenes, records, scene_boxes
from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.evaluation.metrics import Measured
from ddpm_teach.model import Model
from ddpm_teach.nets.maps import attention_maps

TIMES = (0.3, 0.5, 0.7)  # shares of T at which the maps are read: sprites are decided about there


class Inside(NamedTuple):
    """The share of a noun's map that lies inside its sprite's box, of n scenes; the floor is what scenes have whose
    network is told another scene's caption."""

    share: Measured
    floor: Measured
    n: int

    def record(self) -> dict:
        """As JSON keeps it: all of a map may lie inside."""
        return {**self.share._asdict(), "ceiling": 1.0, "floor": self.floor.value, "n": self.n}

    def __str__(self) -> str:
        return f"{self.share.value:6.1%} ± {self.share.error:.1%}   (another scene's caption: {self.floor.value:.1%})"


@torch.no_grad()
def nouns_in_boxes(model: Model, n: int = 500, seed: int = 0, size: int = 100) -> Inside:
    """Do nouns look at their sprites? Of n test scenes with two sprites, noised, as the network denoises them.

    A scene counts if each sprite's noun is in its caption once.

    Args:
        model: told words by cross-attention.
        seed: of the noise.
        size: scenes that are looked at at a time.

    Raises:
        ValueError: for n < 2, or a network without maps of words.
    """
    check_int("n", n, 2)
    check_int("size", size, 1)
    drawn = 4 * n  # three in four have two sprites, and some kinds go by another name
    scenes, boxes = load_scenes("test", drawn), scene_boxes("test", drawn)
    places = {i: found for i in range(drawn) if (found := _nouns(scenes.attributes, i))}
    which = torch.tensor(list(places)[:n])
    nouns = torch.tensor([places[i] for i in which.tolist()])  # (n, 2)
    model = replace(model, net=nets.unwrapped(model.net))
    told = model.tokenizer.encode(scenes.attributes["caption"][which.numpy()].tolist())
    x0 = torch.cat([model.encoded(scenes.pictures(part).to(model.device)) for part in which.split(size)])
    eps = torch.randn(x0.shape, generator=torch.Generator("cpu").manual_seed(seed), device="cpu").to(x0)

    def shares(told: Tensor, nouns: Tensor) -> Measured:
        each = torch.stack([inside(told, nouns, round(time * model.schedule.T)) for time in TIMES]).mean(0)
        return Measured(each.mean().item(), each.std().item() / len(each) ** 0.5)

    def inside(told: Tensor, nouns: Tensor, t: int) -> Tensor:
        """(n,) the mean over the two nouns."""
        times, found = torch.full((len(which),), t, device=x0.device), []
        xt = add_noise(model.schedule, x0, times, eps)
        for part in torch.arange(len(which)).split(size):
            with attention_maps(model.net) as maps:
                model.net(xt[part], times[part], told[part].to(xt.device))
            looks = maps[0].cpu()[torch.arange(len(part))[:, None], nouns[part]]  # (b, 2, h, w)
            found.append(mass_inside(looks, boxes[which[part]]).mean(1))
        return torch.cat(found)

    return Inside(shares(told, nouns), shares(told.roll(1, 0), nouns.roll(1, 0)), len(which))


def _nouns(attributes: dict, i: int) -> list[int] | None:
    """Where the nouns of a scene's two sprites stand in its caption, from 1 on; None unless each is there once."""
    said, kinds = tokens(attributes["caption"][i]), [tokens(record["kind"])[-1] for record in records(attributes, i)]
    if len(kinds) == 2 and all(said.count(kind) == 1 for kind in kinds):
        return [1 + said.index(kind) for kind in kinds]
    return None


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
