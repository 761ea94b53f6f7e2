"""What a network can be told of a picture: its class, or a row of zeros and ones from a table of words. Lesson 05.

A table is a dictionary column → (n,) words; `Attributes` is its key, column → the words that occur, "none" left out. In
a row every word has a place: 1 where the picture has it. A picture with nothing in a column has zeros there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

Attributes = Mapping[str, tuple[str, ...]]
Table = Mapping[str, np.ndarray]
Claim = Sequence[Mapping[str, frozenset[str]]]  # one thing said of a picture, in each way that it may be meant
NONE = "none"


def one_hot(
    classes: Sequence[str], names: Sequence[str], n: int, rng: torch.Generator | None = None
) -> Float[Tensor, "b d"]:
    """n one-hot rows for each class named, in capitals or not; without names, n rows of any class, drawn from `rng`.

    Raises:
        ValueError: for an unknown class.
    """
    known = [name.lower() for name in classes]
    for name in names:
        if name.lower() not in known:
            raise ValueError(f"class: unknown class {name!r}; known are {', '.join(classes)}")
    places = torch.tensor([known.index(name.lower()) for name in names], device="cpu").repeat_interleave(n)
    if not names:
        places = torch.randint(len(known), (n,), generator=rng, device="cpu")
    return torch.eye(len(known), device="cpu")[places]


def words_of(table: Table) -> dict[str, tuple[str, ...]]:
    """The key of a table: its columns' words in alphabetical order."""
    return {name: tuple(word for word in np.unique(column).tolist() if word != NONE) for name, column in table.items()}


def width(attributes: Attributes) -> int:
    """The number of places in a row."""
    return sum(map(len, attributes.values()))


def rows(table: Table, attributes: Attributes) -> UInt8[Tensor, "n d"]:
    """A row for each picture of a table; words that the key doesn't have leave no trace."""
    parts = [np.asarray(table[name])[:, None] == np.array(words, dtype=str) for name, words in attributes.items()]
    return torch.from_numpy(np.concatenate(parts, 1).astype(np.uint8))


def holds(table: Table, claim: Claim) -> np.ndarray:
    """Of which pictures a claim is true: (n,) bool."""
    return np.logical_or.reduce(
        [
            np.logical_and.reduce([np.isin(table[column], list(words)) for column, words in meaning.items()])
            for meaning in claim
        ]
    )


def drawn(
    table: Table, claims: Sequence[Claim], n: int, rng: torch.Generator | None = None, of: str = "picture"
) -> dict[str, np.ndarray]:
    """A table of n pictures of which all claims are true; what isn't claimed is as in pictures of `table` that match.

    They are different pictures of the table as long as enough of them match.

    Where no picture has all that is claimed at once, one that has most of it, and the first claim in any case, lends
    what isn't claimed, and others lend what it lacks: so combinations can be asked for that were never seen.

    Args:
        rng: torch's global generator unless given.
        of: what the table's pictures are, for the refusal.

    Raises:
        ValueError: for a claim that is true of no picture, or two that can't both be true of one.
    """
    for one, other in combinations(claims, 2):
        _check_together(one, other)
    held = [holds(table, claim) for claim in claims]
    for claim, mine in zip(claims, held, strict=True):
        if not mine.any():
            raise ValueError(f"context: no {of} of the data set has {_said(claim)}; leave it out, or take another")
    score = np.sum(held, 0) * held[0] if claims else np.ones(len(next(iter(table.values()))))
    chosen = _some(score == score.max(), n, rng)
    result = {name: column[chosen] for name, column in table.items()}
    for claim, mine in zip(claims, held, strict=True):
        lacking, lender = ~mine[chosen], _some(mine, n, rng)
        for column in {column for meaning in claim for word in meaning for column in _with_color(word, table)}:
            result[column][lacking] = table[column][lender[lacking]]
    return result


def _some(among: np.ndarray, n: int, rng: torch.Generator | None) -> np.ndarray:
    """n of the places where `among` is true, at random: every one once before any comes again."""
    places = np.flatnonzero(among)
    rounds = math.ceil(n / len(places))
    order = torch.cat([torch.randperm(len(places), generator=rng, device="cpu") for _ in range(rounds)])
    return places[order[:n].numpy()]


def _check_together(one: Claim, other: Claim) -> None:
    """Refuses two claims of which every pair of meanings says different words of one column."""
    apart = [[column for column in a.keys() & b.keys() if not a[column] & b[column]] for a in one for b in other]
    if all(apart):
        raise ValueError(f"context: {_said(one)} and {_said(other)} can't both be; leave one out")


def _with_color(column: str, table: Table) -> list[str]:
    """A column, and the other of a part and its colour: hat and hat_color."""
    part = column.removesuffix("_color")
    return [name for name in (part, f"{part}_color") if name in table]


def _said(claim: Claim) -> str:
    ways = (", ".join(f"{column} = {'/'.join(sorted(words))}" for column, words in way.items()) for way in claim)
    return " or ".join(ways)
