"""From a caption to what it claims, and whether that is true of a record. Lesson 13."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ddpm_teach.data.attributes import NONE, Attributes, Claim, drawn, holds, rows, words_of
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.lexicon import (
    BACKGROUNDS,
    COLOR_OF,
    HELD,
    OTHER,
    RELATIONS,
    SMALL,
    WORN,
    check_words,
    lexicon,
    split,
    tokens,
)
from ddpm_teach.data.sprites import sprites

Record = Mapping[str, str]


@dataclass(frozen=True)
class Claims:
    """What a caption claims: of one sprite or two, how the first stands to the second, and where they are."""

    sprites: tuple[tuple[Claim, ...], ...]
    relation: str | None = None
    background: str | None = None

    @property
    def only(self) -> tuple[Claim, ...]:
        """Of the one sprite, where no scene is described.

        Raises:
            ValueError: for a scene.
        """
        if len(self.sprites) != 1 or self.background:
            raise ValueError("context: describes a scene; one sprite is drawn here: say what it is alone")
        return self.sprites[0]


def matches(record: Record, claims: Iterable[Claim]) -> bool:
    """Whether all claims about a sprite are true of its record."""
    return all(
        any(all(record[column] in words for column, words in meaning.items()) for meaning in claim) for claim in claims
    )


def parse(text: str) -> Claims:
    """What a caption claims.

    Raises:
        ValueError: for a word that no caption has, or words that don't go together.
    """
    words = tokens(text)
    check_words(words)
    background, words = _cut(words, BACKGROUNDS)
    relation, *sides = None, words
    for name, ways in RELATIONS.items():
        for said in sorted(map(split, ways), key=len, reverse=True):
            place = _find(words, said)
            if place is not None and relation is None:
                relation, sides = name, [words[:place], words[place + len(said) :]]
    if relation is None:
        sides = [words]
    return Claims(tuple(_Sprite(side).claims() for side in sides), relation, background)


def claim(column: str, word: str) -> Claim:
    """What `column=word` claims: `kind="knight"`, `hair="green"`, `hat="crown"`, `item_color="brown"`.

    Raises:
        ValueError: for an unknown column, or a word that it doesn't have.
    """
    words = words_of(sprites("train").attributes)
    if column not in words:
        raise ValueError(f"context: no column {column!r}; known are {', '.join(words)}")
    said, known = split(str(word)), lexicon()
    if word in (*words[column], NONE):
        return ({column: frozenset([word])},)
    if column == "kind" and said in known.kinds:
        return (known.kinds[said],)
    color = column if "color" in column or column == "skin" else COLOR_OF.get(column, f"{column}_color")
    if said in known.colors and color in words and (ramps := known.colors[said] & {*words[color]}):
        return ({color: ramps},)
    for name, meaning in [*known.parts.get(said, []), known.states.get(said, (0, 0))]:
        if name == column and meaning:
            return ({column: meaning},)
    raise ValueError(f"context: no {column} {word!r}; known are {', '.join(words[column])}")


def described(
    images: ImageSet,
    told: Attributes,
    name: str = "",
    claims: Sequence[Claim] = (),
    n: int = 1,
    rng: torch.Generator | None = None,
) -> Float[Tensor, "n d"]:
    """Rows of attributes for n pictures of a class or a caption; what isn't said is as in pictures of `images`.

    Args:
        told: the key of the rows.
        name: a class of `images`, or a caption; "" for neither.
        claims: more that has to be true.

    Raises:
        ValueError: for words that aren't known, or that no picture of the class can have.
    """
    labels, classes = images.labels.numpy(), [name.lower() for name in images.classes]
    if name.lower() in classes:
        places = [classes.index(name.lower())]
    else:
        claims = [*parse(name).only, *claims] if name else claims
        held = holds(images.attributes, claims[0]) if claims else np.ones(len(labels), bool)
        places = np.unique(labels[held]).tolist() or list(range(len(classes)))
    table = {column: words[np.isin(labels, places)] for column, words in images.attributes.items()}
    of = " or ".join(classes[k] for k in places) if len(places) < len(classes) else "picture"
    return rows(drawn(table, claims, n, rng, of), told).float()


def _find(words: list[str], phrase: tuple[str, ...]) -> int | None:
    """Where a phrase begins."""
    n = len(phrase)
    return next((i for i in range(len(words) - n + 1) if tuple(words[i : i + n]) == phrase), None)


def _cut(words: list[str], table: Mapping[str, tuple[str, ...]]) -> tuple[str | None, list[str]]:
    """The entry of a table that is named, and the words without it."""
    for name, ways in table.items():
        for said in map(split, ways):
            if (place := _find(words, said)) is not None:
                return name, words[:place] + words[place + len(said) :]
    return None, words


class _Sprite:
    """Reads the words about one sprite from left to right: what a colour or a style belongs to comes after it."""

    def __init__(self, words: list[str]) -> None:
        self.words, self.found = words, list[Claim]()
        self.kind: Claim | None = None
        self.how = ""  # the last of with, in, holding, …
        self.colors: list[frozenset[str]] = []
        self.style: frozenset[str] | None = None

    def claims(self) -> tuple[Claim, ...]:
        """The kind first, then all else in the order in which it is said."""
        i, known = 0, lexicon()
        while i < len(self.words):
            said = next((s for n in range(6, 0, -1) if (s := tuple(self.words[i : i + n])) in known.phrases), None)
            if said is None:
                self._between(self.words[i])
            elif said in known.kinds and self._begins() and not self._is_form(said, i + len(said)):
                self._name(known.kinds[said])
            elif said in known.styles and self._is_style(i + 1):
                self.style = known.styles[said]
            elif said in known.states and self._begins():
                self.found.append(({known.states[said][0]: known.states[said][1]},))
            elif said in known.parts and not (said in known.colors and self._leads_on(i + len(said))):
                self._part(known.parts[said])
            elif said in known.states:
                column, words = known.states[said]
                self.found.append(({column: words},))
            elif said in known.colors:
                self.colors.append(known.colors[said])
            else:
                second = " ".join(said)
                raise ValueError(f"context: {second!r} is a second thing; of two in a scene say how they stand")
            i += len(said) if said else 1
        self._between(",")
        return tuple(([self.kind] if self.kind else []) + self.found)

    def _begins(self) -> bool:
        """Whether the thing itself hasn't been named yet."""
        return self.kind is None and self.how in ("", ",")

    def _is_form(self, said: tuple[str, ...], i: int) -> bool:
        """Whether a word is the form of the thing that is named right after it: a star wand, a flame wand."""
        known = lexicon()
        return said in known.states and any(tuple(self.words[i : i + n]) in known.kinds for n in (1, 2, 3))

    def _is_style(self, i: int) -> bool:
        """Whether the words at i, colours passed over, are what has a style: hair, a beard, a shield."""
        while said := next((s for n in (2, 1) if (s := tuple(self.words[i : i + n])) in lexicon().colors), None):
            i += len(said)
        return self.words[i : i + 1] in (["hair"], ["haired"], ["beard"], ["shield"])

    def _leads_on(self, i: int) -> bool:
        """Whether a colour whose words end at i belongs to a thing, and isn't one itself: bone, gold."""
        more = i < len(self.words) and self.words[i] not in (*OTHER, *HELD, *WORN)
        return more or self._begins() or self.how == "in"

    def _between(self, word: str) -> None:
        """Articles and the small words; a colour that waits for its thing must be of the clothes: "in red"."""
        if word in SMALL or (word == "and" and self.colors and self._begins()):
            return
        if self.colors:
            if self.how != "in":
                raise ValueError(f"context: a colour without a thing in {' '.join(self.words)!r}; name what has it")
            self.found.append(({"color": self.colors.pop()},))
        self.how = word if word != "and" else self.how

    def _name(self, meaning: dict[str, frozenset[str]]) -> None:
        self.kind = (meaning,)
        columns = zip(("color", "second_color"), self.colors, strict=False)
        self.found += [({column: ramps},) for column, ramps in columns]
        self.colors, self.how = [], ""

    def _part(self, meanings: list[tuple[str, frozenset[str]]]) -> None:
        if self.how in HELD:
            meanings = [m for m in meanings if m[0] in ("item", "shield")] or meanings
        elif self.how in WORN:
            meanings = [m for m in meanings if m[0] != "item"] or meanings
        ways = []
        for column, words in meanings:
            way = {column: self.style if self.style and self.style <= words else words}
            if self.colors:
                color = column if column in ("skin", "second_color") else COLOR_OF.get(column, f"{column}_color")
                way |= {color: self.colors[-1]}
            ways.append(way)
        self.found.append(tuple(ways))
        self.colors, self.style = [], None
