"""A 16×16 canvas of palette indices, and the one palette that all sprites share.

A sprite is painted as indices into PALETTE (index 0 is the white background). Colours come as *ramps* of four
tones, dark to light (`line`, `shade`, `base`, `light`), whose hue drifts towards violet in the shadows and towards
yellow in the lights, as pixel artists do, so any two ramps look well beside each other.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np

SIZE = 16


class Ramp(NamedTuple):
    """Palette indices of one colour, dark to light; `name` is the word used in the attribute table."""

    line: int
    shade: int
    base: int
    light: int
    name: str


# name: line, shade, base, light (RGB hex). Order matters: it fixes the palette indices in sprites.npz.
_TONES = {
    # skin
    "pale": "7a4a4a d99b82 f2c6a5 ffe3c8",
    "peach": "6e3f3a c9825f e8ad84 f9d0a8",
    "tan": "573029 a86845 c98d62 e3b184",
    "brown skin": "3f2420 7a4a33 9c6645 bd8760",
    "dark skin": "2c1a1c 54332b 71483a 91624c",
    # hair and cloth
    "black": "16141f 2a2838 413f54 63617a",
    "grey": "2f3142 6b7084 969cab c4c9d1",
    "white": "4a4d66 b3b9cc dfe3ec f8f9fc",
    "brown": "38211f 6b4130 93603f b98558",
    "ginger": "5a2418 a84a1e d4702c f09d4f",
    "blond": "6b4420 c08a33 e6bd55 f8e08b",
    "red": "4a1226 9e2036 d0394a ee6f6a",
    "orange": "5c2411 c2571a ec8630 fbb45c",
    "yellow": "6b4a0f d19e1f f4cf3a fdec85",
    "lime": "2e4a16 6d9e26 9fcf3c cfee78",
    "green": "163a2c 2a7a45 47a857 82d072",
    "teal": "0f3a44 1b7a7d 32a99f 6fd6bf",
    "sky": "1c3a66 3d86c4 66b5e6 a6dff6",
    "blue": "17204f 2b47a0 4270d0 74a2ee",
    "indigo": "1d1745 3c2f87 5a4cb8 8b80de",
    "purple": "31124a 6b2b8c 964bba c283dc",
    "magenta": "4a0f42 a02a86 cf4fae ee8fd0",
    "pink": "6b2a4a d1708f f09db1 fcc9cf",
    # materials
    "steel": "272c40 6a768f a3b0c2 dde6ec",
    "gold": "5c3710 b87a1c e8b53a fce58a",
    "bronze": "40230f 8f5524 bd7d3c e0aa66",
    "wood": "35201a 6e4428 95653a b98a56",
    "bone": "5b4c44 bfae94 e3d7bd f7f1df",
    "crust": "5a2f16 b06b2c d99a4d f2c884",
    "cream": "7a5a44 dcc19a f5e4c0 fff6e0",
    "chocolate": "26140f 4a2a1e 6b4230 8f6044",
    "leaf": "1f3d1a 3f7a2a 62a63c 97cf5f",
    "meat": "4f1a1e 9c4140 c96a5c e89c86",
    "glass": "4a6478 9cc0cf cfe6ec f2fbfc",
    "night": "0d0b16 1a1830 2c2a4c 484672",
}

_COLOURS = [(255, 255, 255)]  # index 0: the background
RAMPS: dict[str, Ramp] = {}
for _name, _hex in _TONES.items():
    _first = len(_COLOURS)
    _COLOURS += [tuple(bytes.fromhex(h)) for h in _hex.split()]
    RAMPS[_name] = Ramp(*range(_first, _first + 4), _name)
WHITE = len(_COLOURS)  # a painted pure white (eyes, glints): unlike 0 it counts as drawn
_COLOURS.append((255, 255, 255))
BLACK = len(_COLOURS)
_COLOURS.append((12, 10, 18))
PALETTE = np.array(_COLOURS, dtype=np.uint8)  # (n, 3), n < 256

# Groups to choose from, so that colours are independent of kind wherever the thing allows it.
SKINS = [RAMPS[n] for n in ("pale", "peach", "tan", "brown skin", "dark skin")]
HAIRS = [
    RAMPS[n] for n in ("black", "grey", "white", "brown", "ginger", "blond", "red", "sky", "purple", "pink", "green")
]
CLOTHS = [
    RAMPS[n]
    for n in [
        "black",
        "grey",
        "white",
        "brown",
        "red",
        "orange",
        "yellow",
        "lime",
        "green",
        "teal",
        "sky",
        "blue",
        "indigo",
        "purple",
        "magenta",
        "pink",
    ]
]
BRIGHTS = [
    RAMPS[n]
    for n in ["red", "orange", "yellow", "lime", "green", "teal", "sky", "blue", "indigo", "purple", "magenta", "pink"]
]


def tones(chars: str, ramp: Ramp) -> dict[str, int]:
    """Key for `Canvas.stamp`: three characters → shade, base, light of `ramp`; four → line, shade, base, light."""
    return dict(zip(chars, ramp[1:4] if len(chars) == 3 else ramp[:4], strict=True))


class Canvas:
    """`pixels` (16, 16) uint8 of palette indices, 0 where nothing is drawn; row 0 is the top."""

    def __init__(self) -> None:
        self.pixels = np.zeros((SIZE, SIZE), dtype=np.uint8)

    def dot(self, x: int, y: int, index: int) -> None:
        """One pixel; outside the canvas nothing happens, so parts may hang over the edge."""
        if 0 <= x < SIZE and 0 <= y < SIZE:
            self.pixels[y, x] = index

    def stamp(self, art: str, x: int, y: int, key: dict[str, int], mirror: bool = False) -> None:
        """Paint rows of characters with their top left at (x, y). '.' and ' ' leave what is below as it is.

        `key` maps a character to a palette index (see `tones`). Leading and trailing blank lines are dropped,
        rows may differ in length; `mirror` flips the art left-right within its own width.
        """
        rows = art.strip("\n").split("\n")
        width = max(map(len, rows))
        for j, row in enumerate(rows):
            row = row.ljust(width, ".")
            for i, char in enumerate(reversed(row) if mirror else row):
                if char not in ". ":
                    self.dot(x + i, y + j, key[char])

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, ramp: Ramp) -> None:
        """A filled ellipse lit from the upper left: light, base and shade tones, no outline. Half pixels centre it."""
        y, x = np.mgrid[:SIZE, :SIZE]
        dx, dy = (x - cx) / rx, (y - cy) / ry
        lit = -(0.6 * dx + 0.8 * dy)  # +1 at the upper left edge, -1 at the lower right
        tone = np.where(lit > 0.38, ramp.light, np.where(lit < -0.35, ramp.shade, ramp.base))
        self.pixels = np.where(dx**2 + dy**2 <= 1, tone, self.pixels).astype(np.uint8)

    def line(self, x0: int, y0: int, x1: int, y1: int, index: int) -> None:
        """A one-pixel line with both ends drawn."""
        n = max(abs(x1 - x0), abs(y1 - y0), 1)
        for k in range(n + 1):
            self.dot(round(x0 + (x1 - x0) * k / n), round(y0 + (y1 - y0) * k / n), index)

    def outline(self, index: int | None = None) -> None:
        """Draw the silhouette's outline on empty pixels beside drawn ones (4 neighbours).

        With `index` in one colour; without, each outline pixel takes the `line` tone of the ramp it touches.
        """
        around = np.pad(self.pixels, 1)
        neighbours = np.stack([around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]])
        touched = neighbours.max(0)
        colour = _LINE_OF[touched] if index is None else np.full_like(touched, index)
        self.pixels = np.where((self.pixels == 0) & (touched > 0), colour, self.pixels).astype(np.uint8)

    def flip(self) -> None:
        """Mirror the whole canvas left-right."""
        self.pixels = self.pixels[:, ::-1].copy()

    def shift(self, dx: int, dy: int) -> None:
        """Move the whole picture; what leaves the canvas is lost, what enters is background."""
        moved = np.zeros_like(self.pixels)
        h = SIZE
        moved[max(dy, 0) : h + min(dy, 0), max(dx, 0) : h + min(dx, 0)] = self.pixels[
            max(-dy, 0) : h + min(-dy, 0), max(-dx, 0) : h + min(-dx, 0)
        ]
        self.pixels = moved


_LINE_OF = np.zeros(len(PALETTE), dtype=np.uint8)
for _ramp in RAMPS.values():
    _LINE_OF[list(_ramp[:4])] = _ramp.line
_LINE_OF[[WHITE, BLACK]] = BLACK


def rgb(pixels: np.ndarray) -> np.ndarray:
    """Palette indices (..., 16, 16) to colours (..., 16, 16, 3) uint8."""
    return PALETTE[pixels]


def pick(rng: random.Random, names: str) -> Ramp:
    """One of the ramps named (single words, repeat a name to make it likelier)."""
    return RAMPS[rng.choice(names.split())]


def contrast(one: Ramp, other: Ramp) -> float:
    """How far apart the base tones are, weighted by what the eye sees best."""
    red, green, blue = PALETTE[one.base].astype(int) - PALETTE[other.base]
    return (2.5 * red**2 + 4 * green**2 + 2.5 * blue**2) ** 0.5


def pick_clear(rng: random.Random, names: str, *beside: Ramp) -> Ramp:
    """One of the ramps named that doesn't melt into any of those beside it, or else the one that does so least."""
    clearest = {name: min((contrast(RAMPS[name], ramp) for ramp in beside), default=999) for name in names.split()}
    limit = min(150, max(clearest.values()))
    return RAMPS[rng.choice([name for name in names.split() if clearest[name] >= limit])]


def overlay(canvas: Canvas, part: Canvas, line: int | None = None) -> None:
    """Outline `part` by itself and lay it over the picture."""
    part.outline(line)
    drawn = part.pixels > 0
    canvas.pixels[drawn] = part.pixels[drawn]


def coin(rng: random.Random) -> bool:
    """Heads or tails."""
    return rng.random() < 0.5


def height(art: str) -> int:
    """Number of rows of a piece of art."""
    return len(art.strip("\n").split("\n"))


# What the attribute table says about a sprite: column → what it means. One meaning each; "none" where nothing of the
# kind is drawn, or where it is hidden. Columns that end in _color hold names of ramps.
COLUMNS = {
    "kind": "what it is: knight, slime, apple, …",
    "color": "main colour: clothes (a knight in plate: the armour), body, fruit, liquid",
    "second_color": "second colour of the body or the clothes: belt and sash, wings, belly, leaf, stopper",
    "outfit": "what a hero wears: tunic, robe, armour, …",
    "hair": "how the hair that shows is worn: short, long, curly, …",
    "hair_color": "of hair and beard",
    "skin": "a hero's skin, where it shows",
    "beard": "full, long, moustache",
    "hat": "what is on the head: hat, helmet, crown, hood, horns, a sprout",
    "hat_color": "its colour",
    "cape": "what hangs from the shoulders: cape, scarf, quiver",
    "cape_color": "its colour",
    "item": "what is held or carried: sword, book, coin, …",
    "item_color": "the colour that most of it has: steel, wood, …",
    "shield": "round, kite, tower, cross",
    "shield_color": "its colour",
    "pattern": "pattern, topping or emblem on the body: stripes, sprinkles, a plume, a label, a bite",
    "pattern_color": "its colour",
    "facing": "front, left or right; none for things",
    "pose": "how it stands, or in which form it comes: standing, walking, coiled, rolled, sliced, …",
}


def record(color: Ramp | None, **parts: Ramp | str | None) -> dict[str, str]:
    """A row of the attribute table but for the kind: what isn't named is "none", a ramp is written by its name.

    A part that isn't drawn has no colour: where `hat` is "none", so is `hat_color`, whatever was chosen for it.
    """
    row = dict.fromkeys(COLUMNS, "none") | {"color": color}
    for column, value in parts.items():
        if column not in row or column == "kind":
            raise ValueError(f"{column}: no column of the attribute table")
        row[column] = value
    row = {column: value.name if isinstance(value, Ramp) else value or "none" for column, value in row.items()}
    for part in ("hat", "cape", "item", "shield", "pattern"):
        if row[part] == "none":
            row[f"{part}_color"] = "none"
        elif row[f"{part}_color"] == "none":
            raise ValueError(f"{part}: {row[part]} needs a {part}_color")
    if row["hair"] == row["beard"] == "none":
        row["hair_color"] = "none"
    del row["kind"]
    return row
