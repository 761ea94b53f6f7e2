"""Whether a picture shows what its caption asks for, attribute by attribute. Lesson 13."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from ddpm_teach.data.attributes import NONE, Claim
from ddpm_teach.data.prompts import Claims, Record, matches, parse
from ddpm_teach.evaluation.reading import Reading, in_order

COLUMNS = {"kind": "kind", "main colour": "color", "facing": "facing", "held item": "item"}  # by attribute
ATTRIBUTES = ("background", "number of sprites", "relation", *COLUMNS, "all that is told")


def as_asked(reading: Reading, claims: Claims | str) -> dict[str, bool]:
    """For every attribute that a caption tells of, whether the picture is read so. Of two sprites both have to be.

    Which sprite of the picture is meant by which words is told by the kinds, and where they don't tell it, by the
    places: so a knight and a dragon that have changed places are the right kinds in the wrong relation.

    Args:
        claims: the caption, or what it claims.
    """
    claims = parse(claims) if isinstance(claims, str) else claims
    relation, asked = in_order(claims.relation or NONE, claims.sprites)
    order = meant(reading, asked)
    shown = [_sprite(reading, k) for k in order]
    right = {"number of sprites": len(reading.sprites) == len(asked)}
    if claims.background:
        right["background"] = reading.background == claims.background
    if claims.relation:
        right["relation"] = reading.relation == relation and order == (0, 1)
    for attribute, column in COLUMNS.items():
        told = [_is_so(record, claim, column) for record, one in zip(shown, asked, strict=True) for claim in one]
        if any(so is not None for so in told):
            right[attribute] = False not in told
    every = all(matches(record, one) for record, one in zip(shown, asked, strict=True))
    return right | {"all that is told": every and all(right.values())}


def meant(reading: Reading, asked: Sequence[Sequence[Claim]]) -> tuple[int, ...]:
    """For each sprite that is asked for, in the order of a reading, the number of the one on the picture: with as many
    kinds right as can be, and else in order."""

    def kinds_right(order: tuple[int, ...]) -> int:
        pairs = [(_sprite(reading, k), claim) for k, one in zip(order, asked, strict=True) for claim in one]
        return sum(_is_so(record, claim, "kind") is True for record, claim in pairs)

    return max(permutations(range(max(len(asked), len(reading.sprites))), len(asked)), key=kinds_right)


def colors_right(reading: Reading, claims: Claims | str) -> int:
    """How many of the main colours that a caption tells of are at the sprites that it tells them of."""
    claims = parse(claims) if isinstance(claims, str) else claims
    _, asked = in_order(claims.relation or NONE, claims.sprites)
    shown = zip(meant(reading, asked), asked, strict=True)
    return sum(_is_so(_sprite(reading, k), claim, "color") is True for k, one in shown for claim in one)


def _sprite(reading: Reading, k: int) -> Record:
    """The record of a sprite; of one that isn't there all words are none."""
    return reading.sprites[k] if k < len(reading.sprites) else dict.fromkeys(reading.sprites[0], NONE)


def _is_so(record: Record, claim: Claim, column: str) -> bool | None:
    """Whether a column is as a claim says; None if the claim isn't about it in every way that it may be meant."""
    if not all(column in meaning for meaning in claim):
        return None
    return any(record[column] in meaning[column] for meaning in claim)
