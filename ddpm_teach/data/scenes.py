"""Scenes: one or two sprites in a place, 32×32, made as they are asked for; there is no file. Lessons 12 and 13.

Scene i of a split follows from (seed, split, i) alone. Of two sprites neither covers the other, and how they stand to
each other is never in doubt: "left of" means apart from side to side, and further so than up or down. Sprites' canvases
stand on a grid of GRID pixels, the width of a place of the autoencoder's latents: so a sprite has the same latent
wherever it stands, but for the ground around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ddpm_teach.checks import check_int
from ddpm_teach.data.attributes import NONE, Claim, Table, holds
from ddpm_teach.data.backgrounds import PLACES, SIZE, draw
from ddpm_teach.data.captions import caption, place_in_words, some_columns
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.lexicon import RELATIONS
from ddpm_teach.data.prompts import Claims, Record, parse
from ddpm_teach.data.sprites import COMBINATIONS, SPLITS, sprites

ALONE = 0.25  # share of the scenes with one sprite
GRID = 4  # pixels
TRIES = 32  # places for two sprites that are drawn at once; about one in ten is as the relation wants it

# Kinds that are never in these places in train and test. A held-out scene shows one of these, or a sprite with a
# held-out combination of attributes.
HELD_OUT = {"dragon": "snow", "king": "desert", "pirate": "forest", "apple": "night", "slime": "castle", "book": "sea"}


class Pool(NamedTuple):
    """Sprites to choose from: their pixels as RGB, where they are drawn, that part's (top, left, bottom, right), and
    their records. From `rare` on they have held-out combinations."""

    colors: np.ndarray
    drawn: np.ndarray
    boxes: list[tuple[int, int, int, int]]
    table: dict[str, np.ndarray]
    rare: int


class Cast(NamedTuple):
    """What a scene shows: which sprites of the pool, one or two, where, how the first stands to the second, the corners
    (y, x) of their canvases, and the generator with which the place is drawn."""

    which: list[int]
    place: str
    relation: str
    corners: np.ndarray
    rng: np.random.Generator


def load_scenes(split: str, n: int, seed: int = 0) -> ImageSet:
    """The first n scenes of a split.

    Returns:
        pictures (n, 3, 32, 32), with their place as the class. `attributes` has background, relation ("left of", …;
        "none" where there is one sprite), a caption, and for both sprites all columns of their records as "first
        kind", "second kind", … ("none" where there is no second).

    Raises:
        ValueError: for n < 1, or an unknown split.
    """
    check_int("n", n, 1)
    pool = _pool(split)
    pixels, attributes = _painted(pool, _casts(split, pool, n, seed), n)
    attributes["caption"] = np.array([scene_caption(attributes, i, Random(f"{seed}/{split}/{i}")) for i in range(n)])
    return _images(pixels, attributes)


def scenes_of(captions: Sequence[str], split: str = "train", seed: int = 0) -> ImageSet:
    """Scenes that show what captions say; what they leave open is chosen from a split's sprites and the places.

    Raises:
        ValueError: for an unknown split, no caption, one that can't be understood, or one that no sprite fits.
    """
    pool, asked = _pool(split), [parse(text) for text in captions]
    if not asked:
        raise ValueError("captions: expected at least one, got none; name what the scenes shall show")
    fitting = [[_fitting(pool.table, claims) for claims in one.sprites] for one in asked]
    for text, both in zip(captions, fitting, strict=True):
        if not all(map(len, both)):
            raise ValueError(f"captions: no sprite of {split} is as {text!r} says; ask for another")
    casts = (
        _casting(pool, *pair, np.random.default_rng([seed, i]))
        for i, pair in enumerate(zip(asked, fitting, strict=True))
    )
    pixels, attributes = _painted(pool, casts, len(asked))
    return _images(pixels, attributes | {"caption": np.array(captions)})


def scene_boxes(split: str, n: int, seed: int = 0) -> Int[Tensor, "n 2 4"]:
    """Where sprites are drawn in the first n scenes of a split; nothing else is drawn for it.

    Returns:
        top, left, bottom, right of the first and the second in pixels, the ends excluded; -1 where there is no second.

    Raises:
        ValueError: as `load_scenes`.
    """
    check_int("n", n, 1)
    pool, boxes = _pool(split), torch.full((n, 2, 4), -1, device="cpu")
    for i, (which, _, _, corners, _) in enumerate(_casts(split, pool, n, seed)):
        drawn = np.array([pool.boxes[k] for k in which]) + np.tile(corners, 2)
        boxes[i, : len(which)] = torch.from_numpy(drawn)
    return boxes


def records(attributes: dict[str, np.ndarray], i: int) -> list[Record]:
    """The records of the sprites of scene i."""
    both = [
        {name.removeprefix(f"{who} "): words[i] for name, words in attributes.items() if name.startswith(f"{who} ")}
        for who in ("first", "second")
    ]
    return [record for record in both if record["kind"] != NONE]


def scene_caption(attributes: dict[str, np.ndarray], i: int, rng: Random | None = None, parts: int = 3) -> str:
    """A caption of scene i.

    Args:
        rng: chooses how it is said, and what: of each sprite mostly the kind and up to so many parts, and mostly the
            place. Everything is told unless given.
    """
    shown, relation = records(attributes, i), attributes["relation"][i]
    told = [rng and some_columns(record, rng, parts) for record in shown]
    said = [caption(record, columns, rng, len(shown) == 1) for record, columns in zip(shown, told, strict=True)]
    place = None if rng and rng.random() < 0.2 else attributes["background"][i]
    return place_in_words(said, None if relation == NONE else relation, place, rng)


def tells_held_out(claims: Claims) -> bool:
    """Whether a caption tells of a kind in a place, or of a combination of attributes, that train and test never show.

    The caption of a held-out scene needn't: it may leave out the place, or one of the attributes.
    """
    elsewhere = {kind for kind, place in HELD_OUT.items() if place == claims.background}
    table = sprites("train").attributes
    for told in claims.sprites:
        if any("kind" in meaning and meaning["kind"] <= elsewhere for claim in told for meaning in claim):
            return True
        if any(_tells(told, words) for words in COMBINATIONS) and not len(_fitting(table, told)):
            return True
    return False


def _tells(claims: Sequence[Claim], words: Mapping[str, str]) -> bool:
    """Whether claims about a sprite are about all these columns, and may mean these words."""
    return all(
        any(all(word in meaning.get(column, ()) for meaning in claim) for claim in claims)
        for column, word in words.items()
    )


@cache
def _pool(split: str) -> Pool:
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)} for scenes, got {split!r}")
    sets = [sprites("test"), sprites("held_out")] if split == "held_out" else [sprites(split)]
    pixels = np.concatenate([one.pixels for one in sets])
    table = {name: np.concatenate([one.attributes[name] for one in sets]) for name in sets[0].attributes}
    drawn = pixels > 0
    rows, columns = drawn.any(2), drawn.any(1)
    ends = [line.argmax(1) for line in (rows, columns)]
    far = [line.shape[1] - line[:, ::-1].argmax(1) for line in (rows, columns)]
    boxes = list(zip(*(edge.tolist() for edge in (*ends, *far)), strict=True))
    return Pool(sets[0].palette[pixels], drawn, boxes, table, len(sets[0].pixels))


def _painted(pool: Pool, casts: Iterable[Cast], n: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The pictures of n scenes, (n, 32, 32, 3), and all that is known of them but their captions."""
    pixels, places, relations = np.empty((n, SIZE, SIZE, 3), np.uint8), [], []
    chosen = np.full((n, 2), -1)
    for i, (which, place, relation, corners, rng) in enumerate(casts):
        chosen[i, : len(which)] = which
        pixels[i] = draw(place, rng)
        for k, (y, x) in zip(which, corners, strict=True):
            top, left, bottom, right = pool.boxes[k]
            under = pixels[i, y + top : y + bottom, x + left : x + right]
            inside = np.s_[k, top:bottom, left:right]
            np.copyto(under, pool.colors[inside], where=pool.drawn[inside][..., None])
        places.append(place)
        relations.append(relation)
    attributes = {"background": np.array(places), "relation": np.array(relations)}
    for who, index in zip(("first", "second"), chosen.T, strict=True):
        for column, words in pool.table.items():
            attributes[f"{who} {column}"] = np.where(index < 0, NONE, words[index])
    return pixels, attributes


def _images(pixels: np.ndarray, attributes: dict[str, np.ndarray]) -> ImageSet:
    labels = torch.tensor([list(PLACES).index(place) for place in attributes["background"]], device="cpu")
    return ImageSet(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels, tuple(PLACES), attributes)


def _fitting(table: Table, claims: Sequence[Claim]) -> np.ndarray:
    """The numbers of the sprites of which all claims are true."""
    everyone = np.ones(len(table["kind"]), bool)
    return np.flatnonzero(np.logical_and.reduce([everyone, *(holds(table, claim) for claim in claims)]))


def _casting(pool: Pool, asked: Claims, fitting: list[np.ndarray], rng: np.random.Generator) -> Cast:
    """A scene as it is asked for."""
    which = [int(rng.choice(index)) for index in fitting]
    place = asked.background or list(PLACES)[rng.integers(len(PLACES))]
    return Cast(which, place, *_arranged([pool.boxes[k] for k in which], rng, asked.relation), rng)


def _casts(split: str, pool: Pool, n: int, seed: int) -> Iterator[Cast]:
    """The first n scenes before they are drawn."""
    for i in range(n):
        rng = np.random.default_rng([seed, SPLITS.index(split), i])
        which, place = _chosen(split, pool, rng)
        yield Cast(which, place, *_arranged([pool.boxes[k] for k in which], rng), rng)


def _chosen(split: str, pool: Pool, rng: np.random.Generator) -> tuple[list[int], str]:
    """Which sprites, one or two, and in which place."""
    count, kinds, places = 1 if rng.random() < ALONE else 2, pool.table["kind"], list(PLACES)
    if split != "held_out":
        while True:
            which, place = rng.integers(0, len(kinds), count).tolist(), places[rng.integers(len(places))]
            if all(HELD_OUT.get(kinds[k]) != place for k in which):
                return which, place
    which, place = rng.integers(0, pool.rare, count).tolist(), places[rng.integers(len(places))]
    star = rng.integers(count)
    if rng.random() < 0.5:
        which[star] = int(rng.integers(pool.rare, len(kinds)))
    else:
        kind, place = list(HELD_OUT.items())[rng.integers(len(HELD_OUT))]
        which[star] = int(rng.choice(np.flatnonzero(kinds[: pool.rare] == kind)))
    return which, place


def _arranged(
    boxes: list[tuple[int, int, int, int]], rng: np.random.Generator, relation: str | None = None
) -> tuple[str, np.ndarray]:
    """How the first stands to the second, and the corners (y, x) of their canvases: multiples of GRID, and so that what
    is drawn on them, their boxes, is inside of the scene."""
    box = np.array(boxes).reshape(-1, 2, 2)  # (sprite, begin and end, down and across)
    low, high = -(box[:, 0] // GRID), (SIZE - box[:, 1]) // GRID  # of corners, in GRIDs
    if len(boxes) == 1:
        return NONE, GRID * rng.integers(low, high + 1)
    relation = relation or list(RELATIONS)[rng.integers(len(RELATIONS))]
    along = 1 if relation in ("left of", "right of") else 0
    near, far = (0, 1) if relation in ("left of", "above") else (1, 0)
    while True:
        corners = GRID * rng.integers(low, high + 1, (TRIES, *low.shape))
        begin, end = corners + box[:, 0], corners + box[:, 1]
        apart = (begin + end)[:, far] - (begin + end)[:, near]  # of the middles, times 2
        good = (begin[:, far] >= end[:, near])[:, along] & (apart[:, along] > abs(apart[:, 1 - along]))
        if good.any():
            return relation, corners[good.argmax()]
