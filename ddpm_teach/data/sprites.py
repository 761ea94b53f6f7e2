"""The sprites as they are stored: indices into a palette, of which 0 is nothing, and a table of words. Lesson 00."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ddpm_teach.storage import course_path

SPLITS = ("train", "test", "held_out")

# Combinations of attributes that occur neither in train nor in test: each of these words is common, but never beside
# the others. They make a split of their own, by which it can be asked whether a network composes what it was told.
COMBINATIONS = (
    {"kind": "king", "hair_color": "green"},
    {"kind": "king", "item": "axe"},
    {"kind": "knight", "item": "lute"},
    {"kind": "princess", "item": "sword"},
    {"kind": "wizard", "color": "orange"},
    {"kind": "pirate", "hair_color": "pink"},
    {"kind": "ninja", "color": "red", "cape": "scarf"},
    {"kind": "villager", "hat": "straw hat", "item": "lantern"},
    {"kind": "slime", "color": "purple", "hat": "crown"},
    {"kind": "bat", "color": "red", "item": "coin"},
    {"kind": "dragon", "color": "teal"},
    {"kind": "ghost", "color": "lime"},
    {"kind": "doughnut", "color": "purple"},
    {"kind": "mug", "color": "red", "pattern": "star"},
    {"kind": "round flask", "color": "green", "pattern": "skull"},
    {"kind": "orb", "color": "green", "pattern": "star"},
    {"kind": "book", "color": "blue"},
)


class Sprites(NamedTuple):
    """One split.

    Attributes:
        pixels: (n, 16, 16) indices into `palette`; 0 where nothing is drawn.
        palette: (k, 3) RGB; colour 0 is white.
        labels: (n,) indices into `classes`.
        attributes: column → (n,) words, "none" where there is nothing of the kind.
    """

    pixels: np.ndarray
    palette: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    attributes: dict[str, np.ndarray]


@cache
def sprites(split: str) -> Sprites:
    """A split of the sprites, read once: don't change it.

    Raises:
        ValueError: for a damaged file.
    """
    path = course_path("data/sprites/sprites.npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = [name.removeprefix("words_") for name in file.files if name.startswith("words_")]
            attributes = {name: file[f"words_{name}"][file[f"{split}_{name}"]] for name in columns}
            pixels, labels = file[f"{split}_pixels"], file[f"{split}_labels"]
            return Sprites(pixels, file["palette"], labels, tuple(file["classes"].tolist()), attributes)
    except Exception as error:  # zip, LZMA and numpy each have errors of their own for a damaged file
        raise ValueError(
            f"{path}: damaged ({type(error).__name__}); restore it (git checkout, or install again)"
        ) from None
