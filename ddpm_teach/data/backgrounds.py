"""The places of the scenes: eight backgrounds of 32×32, each a ground with small things strewn over it. Lesson 12."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SIZE = 32


class Place(NamedTuple):
    """How a background is drawn.

    Attributes:
        tones: RGB in hexadecimal, by character; "0" is the ground.
        specks: characters that lie about singly, and the share of pixels that they have together.
        things: art that lies about, rows of characters; "." leaves the ground.
        count: the least and the greatest number of things.
        rows: rows that repeat all over, under everything else; none for a plain ground.
    """

    tones: dict[str, str]
    specks: tuple[str, float]
    things: tuple[str, ...]
    count: tuple[int, int]
    rows: tuple[str, ...] = ()


PLACES = {
    "meadow": Place(
        {"0": "8fd05c", "1": "7cbd4e", "2": "64a63e", "w": "fdfdf5", "y": "f6d44a", "r": "ee7d8f", "b": "8fa8f0"},
        ("1", 0.05),
        ("2.2.2\n.222.", ".2.2\n222.", "2.2\n.2.", ".w.\nwyw\n.w.", ".r.\nryr\n.r.", ".b.\nbyb\n.b.", "w\n2", "r\n2"),
        (8, 13),
    ),
    "forest": Place(
        {"0": "3f7d4a", "1": "356d42", "2": "4f9356", "3": "67ad64", "4": "27543a", "t": "6e4a2c", "r": "d8504c"},
        ("1", 0.10),
        (
            "..33..\n.3322.\n332222\n322224\n.2244.\n..tt..",
            "..3..\n.322.\n.224.\n32224\n22244\n..t..",
            "332.\n2224\n.44.",
            ".rr.\nr3rr\n.33.",
            "2.2\n.2.",
        ),
        (8, 12),
    ),
    "desert": Place(
        {"0": "f1d48b", "1": "e5c274", "2": "d3a95c", "3": "f9e6b0", "g": "5d9a4d", "h": "82bf63", "k": "b78b6a"},
        ("1", 0.04),
        ("1111..\n..1111", ".222\n2...", "3333.\n.3333", "..h...\nh.hg.h\nhghghg\n.hhgg.\n..hg..\n..hg..", "kk\nk2"),
        (8, 13),
    ),
    "snow": Place(
        {"0": "eef6fc", "1": "dbe8f5", "2": "bfd3e8", "g": "4f8f7c", "h": "7db8a0", "t": "7a5a44", "k": "a4b4c8"},
        ("1", 0.10),
        ("1111..\n..1122", "222\n.11", "..0..\n..h..\n.0hg.\n.hgg.\n0hhgg\n..t..", ".kk.\nk00k\n2kk2", "2.2\n.2.\n2.2"),
        (7, 11),
    ),
    "cave": Place(
        {"0": "5a5468", "1": "4e485c", "2": "413b4f", "3": "6f687f", "4": "8a8399", "c": "58c7c9", "d": "a9ecec"},
        ("1", 0.10),
        (".33.\n3002\n2222", "..43..\n.4332.\n433322\n222222", ".d.\ndcc\ncc2", "2222\n.22.", ".2.\n22.\n.2.", "3.3"),
        (8, 12),
    ),
    "night": Place(
        {"0": "232a5c", "1": "2c3570", "2": "1b2049", "s": "f8f3c8", "t": "8f9ad6", "m": "f6e7a1", "n": "d9c476"},
        ("t", 0.02),
        ("s", "s", ".t.\ntst\n.t.", "..s..\n..s..\ntssst\n..s..\n..s..", "11111..\n.111111", "2222.\n.2222"),
        (10, 15),
    ),
    "sea": Place(
        {"0": "4c9be0", "1": "3f8ad1", "2": "3478bd", "3": "7fbdf0", "w": "e8f6ff"},
        ("1", 0.05),
        (".33.\n3..3", "33..33\n..33..", ".ww..\nw33w3", "2222..\n..2222", "1111\n.111", "w.w"),
        (9, 14),
    ),
    "castle": Place(
        {"0": "a7a3b4", "1": "9691a5", "2": "7f7a90", "3": "bdbac8", "r": "b8404e", "q": "d8606a", "y": "f2cf5b"},
        ("3", 0.02),
        ("qrrr\nqyyr\nqyyr\nqrrr\n.rr.", "y\n2\n2", "333333\n300001\n111111", "1111111\n1000000", "2.\n.2"),
        (4, 7),
        ("00000002", "00000002", "00000002", "22222222", "00020000", "00020000", "00020000", "22222222"),
    ),
}  # fmt: skip


def _colors(place: Place) -> np.ndarray:
    table = np.zeros((128, 3), np.uint8)
    for char, tone in place.tones.items():
        table[ord(char)] = list(bytes.fromhex(tone))
    return table


def _chars(art: str) -> np.ndarray:
    rows = art.split("\n")
    return np.array([list(row.ljust(max(map(len, rows)), ".").encode()) for row in rows], np.uint8)


_COLORS = {name: _colors(place) for name, place in PLACES.items()}
_THINGS = {name: [_chars(art) for art in place.things] for name, place in PLACES.items()}
_MOON = _chars("..mmm.\n.mm...\nmm....\nmm....\nmmm..n\n.mmmn.")


def tones() -> np.ndarray:
    """The colours of all places, (n, 3) RGB."""
    return np.unique(
        np.concatenate([[list(bytes.fromhex(tone)) for tone in p.tones.values()] for p in PLACES.values()]), axis=0
    )


def draw(name: str, rng: np.random.Generator) -> np.ndarray:
    """A background (32, 32, 3) uint8, no two alike."""
    place, things = PLACES[name], _THINGS[name]
    ground = np.full((SIZE, SIZE), ord("0"), np.uint8)
    if place.rows:
        tile = _chars("\n".join(place.rows))
        ground = np.roll(np.tile(tile, (SIZE // len(tile), SIZE // tile.shape[1])), rng.integers(0, 8, 2), (0, 1))
    char, share = place.specks
    specks = (rng.random((SIZE, SIZE)) < share) & (ground == ord("0"))
    ground[specks] = ord(char)
    count = rng.integers(place.count[0], place.count[1] + 1)
    which, places = rng.integers(0, len(things), count), rng.integers(-2, SIZE, (count, 2))
    laid = [(things[k], *at) for k, at in zip(which, places.tolist(), strict=True)]
    if name == "night":
        laid.append((_MOON, 1, int(rng.integers(1, SIZE - 7))))
    for art, y, x in laid:
        top, left = max(0, y), max(0, x)
        inside = art[top - y : SIZE - y, left - x : SIZE - x]
        under = ground[top : top + inside.shape[0], left : left + inside.shape[1]]
        np.copyto(under, inside, where=inside != ord("."))
    return _COLORS[name][ground]
