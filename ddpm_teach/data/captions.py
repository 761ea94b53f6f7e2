"""Sprites in words: a caption from a record, and from a caption what it claims. Lesson 13.

A record is a row of the sprites' attribute table, column → word (data/sprites/README.md says what each means). A
caption never claims what isn't drawn; of any record it can be asked whether a claim is true: `matches`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

from ddpm_teach.data.attributes import NONE, Claim, words_of
from ddpm_teach.data.sprites import Sprites, sprites

Record = Mapping[str, str]

# How a colour is said where its ramp has another name; the first is the usual one.
SPOKEN = {
    "leaf": ("leaf green", "green"),
    "night": ("midnight blue", "dark blue"),
    "bone": ("ivory", "bone"),
    "crust": ("golden brown", "caramel"),
    "wood": ("wood brown",),
    "steel": ("steel", "silver"),
    "gold": ("gold", "golden"),
    "blond": ("blond", "blonde"),
    "sky": ("sky blue", "light blue"),
    "purple": ("purple", "violet"),
    "teal": ("teal", "turquoise"),
    "grey": ("grey", "gray"),
    "glass": ("clear",),
    "meat": ("meat red",),
    "brown skin": ("brown",),
    "dark skin": ("dark",),
}
# Colours that people mean by a word beside the ramp of that name.
ALSO = {
    "green": ("leaf",),
    "brown": ("wood", "chocolate", "crust", "bronze"),
    "grey": ("steel",),
    "black": ("night",),
    "blue": ("sky",),
    "yellow": ("gold", "blond"),
    "orange": ("ginger",),
    "white": ("bone",),
    "beige": ("bone", "cream"),
    "wooden": ("wood", "crust", "bronze"),
    "silver": ("grey",),
    "dark blue": ("indigo",),
}
WHO = {"hero": "someone", "monster": "a monster", "food": "some food", "potion": "a potion"}
CLASS_WORDS = {"someone": "hero", "somebody": "hero", "person": "hero", "creature": "monster"}
COLOR_OF = {"hair": "hair_color", "beard": "hair_color", "outfit": "color"}  # of other parts: hat → hat_color
MASS = (
    "bread",
    "meat",
    "cheese",
    "hair",
    "skin",
    "trim",
    "armour",
    "icing",
    "cream",
    "writing",
    "mist",
    "plate armour",
)
FACING = {
    "left": ("facing left", "looking left", "facing to the left"),
    "right": ("facing right", "looking right", "facing to the right"),
    "front": ("seen from the front", "facing forward", "facing us"),
}
WALKING = ("striding", "running")
# How a thing's form is said; the others stand before it: "a rolled scroll".
FORMS = {
    "baguette": "baguette",
    "loaf": "loaf",
    "drumstick": "drumstick",
    "joint": "joint of meat",
    "slice": "{kind} slice",
    "wedge": "{kind} wedge",
    "half": "{kind} half",
    "cluster": "{kind} cluster",
    "gem": "{kind} gem",
    "cone": "{kind} in a cone",
    "cup": "{kind} in a cup",
    "in dish": "{kind} in a dish",
    "in grass": "{kind} in the grass",
    "on logs": "{kind} on logs",
    "on plate": "{kind} on a plate",
    "on stand": "{kind} on a stand",
}
SMALL = ("a", "an", "the", "some", "of")
HELD, WORN, OTHER = ("holding", "carrying"), ("wearing",), ("with", "in", "on", "and", ",")
RELATIONS = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
BACKGROUNDS = {
    "meadow": ("in a meadow", "in the meadow", "on a meadow"),
    "forest": ("in a forest", "in the forest"),
    "desert": ("in the desert", "in a desert"),
    "snow": ("in the snow", "in snow"),
    "cave": ("in a cave", "in the cave"),
    "night": ("at night", "by night"),
    "sea": ("at the sea", "at sea", "by the sea"),
    "castle": ("in a castle", "in the castle"),
}


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
            raise ValueError("context: describes a scene; one sprite is drawn here: leave out where it is")
        return self.sprites[0]


def matches(record: Record, claims: Iterable[Claim]) -> bool:
    """Whether all claims about a sprite are true of its record."""
    return all(
        any(all(record[column] in words for column, words in meaning.items()) for meaning in claim) for claim in claims
    )


# ------------------------------------------------------------------------------------------------- the words known


@dataclass(frozen=True)
class Lexicon:
    """Phrases, as tuples of words, and what they mean: of parts each way (column, words) in which they may be meant."""

    kinds: dict[tuple[str, ...], dict[str, frozenset[str]]]
    parts: dict[tuple[str, ...], list[tuple[str, frozenset[str]]]]
    colors: dict[tuple[str, ...], frozenset[str]]
    styles: dict[tuple[str, ...], frozenset[str]]
    states: dict[tuple[str, ...], tuple[str, frozenset[str]]]  # facing and pose

    @property
    def phrases(self) -> set[tuple[str, ...]]:
        return {*self.kinds, *self.parts, *self.colors, *self.styles, *self.states}


@cache
def lexicon() -> Lexicon:
    """Of the sprites' attribute table: what isn't drawn has no word."""
    images = sprites("train")
    words = words_of(images.attributes)
    kinds = _kinds(images, words)
    parts: dict[tuple[str, ...], list[tuple[str, frozenset[str]]]] = {}
    for column in ("outfit", "hat", "cape", "item", "pattern"):
        for word in words[column]:
            parts.setdefault(_split(word), []).append((column, frozenset([word])))
        for word in words[column]:
            last, alike = _split(word)[-1:], frozenset(w for w in words[column] if _split(w)[-1] == _split(word)[-1])
            if (column, alike) not in parts.get(last, []):
                parts[last] = [m for m in parts.get(last, []) if m[0] != column] + [(column, alike)]
    for name in ("hair", "haired"):
        parts[(name,)] = [("hair", frozenset(words["hair"]))]
    for name in ("bob", "ponytail", "buns", "fringe"):
        parts[(name,)] = [("hair", frozenset([name]))]
    for name in ("beard", "bearded"):
        parts[(name,)] = [("beard", frozenset(words["beard"]) - {"moustache"})]
    parts[("moustache",)] = [("beard", frozenset(["moustache"]))]
    parts[("shield",)] = [("shield", frozenset(words["shield"]))]
    parts[("skin",)] = [("skin", frozenset(words["skin"]))]
    parts[("trim",)] = [("second_color", frozenset(words["second_color"]))]

    colors: dict[tuple[str, ...], frozenset[str]] = {}
    ramps = {word for column in words if "color" in column or column == "skin" for word in words[column]}
    for ramp in ramps:
        for word in SPOKEN.get(ramp, ()) if ramp.endswith(" skin") else (ramp, *SPOKEN.get(ramp, ())):
            colors[_split(word)] = colors.get(_split(word), frozenset()) | {ramp}
    for word, others in ALSO.items():
        colors[_split(word)] = colors.get(_split(word), frozenset()) | (frozenset(others) & ramps)
    styles = {(word,): frozenset([word]) for column in ("hair", "beard", "shield") for word in words[column]}
    states = {_split(said): ("facing", frozenset([way])) for way, ways in FACING.items() for said in ways}
    states |= {_split(pose): ("pose", frozenset([pose])) for pose in words["pose"] if pose not in FORMS}
    states[("walking",)] = ("pose", frozenset(WALKING))
    return Lexicon(kinds, parts, colors, styles, states)


def _kinds(images: Sprites, words: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, ...], dict[str, frozenset[str]]]:
    """What names a whole thing: kinds, classes, and forms that have a name of their own, as a baguette is bread."""
    kinds = {_split(kind): {"kind": frozenset([kind])} for kind in words["kind"]}
    for label, name in enumerate(images.classes):
        of_class = frozenset(np.unique(images.attributes["kind"][images.labels == label]).tolist())
        kinds.setdefault(_split(name.removeprefix("side ")), {"kind": of_class})
    for word, name in CLASS_WORDS.items():
        kinds[_split(word)] = kinds[_split(name)]
    for kind in words["kind"]:  # "a flask", where there are round ones and conical ones
        last = _split(kind)[-1:]
        if last != ("cream",):  # a colour
            kinds.setdefault(last, {"kind": frozenset(k for k in words["kind"] if _split(k)[-1:] == last)})
    for form, said in FORMS.items():
        for kind in np.unique(images.attributes["kind"][images.attributes["pose"] == form]).tolist():
            kinds[_split(said.format(kind=kind))] = {"kind": frozenset([kind]), "pose": frozenset([form])}
    return kinds


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption may have, in alphabetical order."""
    places = [_split(said) for table in (RELATIONS, BACKGROUNDS) for ways in table.values() for said in ways]
    words = {word for phrase in (*lexicon().phrases, *places) for word in phrase}
    return tuple(sorted(words | {*SMALL, *HELD, *WORN, *OTHER}))


def tokens(text: str) -> list[str]:
    """The words of a caption and its commas, in lower case; hyphens part words."""
    return re.findall(r"[^\W_]+|,", text.lower())


def _split(phrase: str) -> tuple[str, ...]:
    return tuple(tokens(phrase))


# ---------------------------------------------------------------------------------------------- what a caption claims


def parse(text: str) -> Claims:
    """What a caption claims.

    Raises:
        ValueError: for a word that no caption has, or words that don't go together.
    """
    words = tokens(text)
    _check_words(words)
    background, words = _cut(words, BACKGROUNDS)
    relation, *sides = None, words
    for name, ways in RELATIONS.items():
        for said in sorted(map(_split, ways), key=len, reverse=True):
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
    said, known = _split(str(word)), lexicon()
    if word in words[column]:
        return ({column: frozenset([word])},)
    color = column if "color" in column or column == "skin" else COLOR_OF.get(column, f"{column}_color")
    if said in known.colors and color in words and (ramps := known.colors[said] & {*words[color]}):
        return ({color: ramps},)
    for name, meaning in [*known.parts.get(said, []), ("kind", known.kinds.get(said)), known.states.get(said, (0, 0))]:
        if name == column and meaning:
            return ({column: meaning},)
    raise ValueError(f"context: no {column} {word!r}; known are {', '.join(words[column])}")


def _check_words(words: Iterable[str]) -> None:
    known = vocabulary()
    for word in words:
        if word not in known:
            near = difflib.get_close_matches(word, known, 3)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; captions.vocabulary() has all"
            raise ValueError(f"context: {word!r} is a word that no caption has{hint}")


def _find(words: list[str], phrase: tuple[str, ...]) -> int | None:
    """Where a phrase begins."""
    n = len(phrase)
    return next((i for i in range(len(words) - n + 1) if tuple(words[i : i + n]) == phrase), None)


def _cut(words: list[str], table: Mapping[str, tuple[str, ...]]) -> tuple[str | None, list[str]]:
    """The entry of a table that is named, and the words without it."""
    for name, ways in table.items():
        for said in map(_split, ways):
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
                raise ValueError(f"context: {' '.join(said)!r} is a second thing; say how it stands to the first")
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


# ------------------------------------------------------------------------------------------------ what is said of it


def caption(
    record: Record, columns: Collection[str] | None = None, rng: Random | None = None, front: bool = True
) -> str:
    """A sprite in words.

    Args:
        record: column → word.
        columns: what is told of; all that there is unless given. Without "kind" it is "someone", "a monster", …
        rng: chooses among ways to say a colour, and the order; the usual ones unless given.
        front: whether something may be said before the thing itself: "holding an axe, a king".
    """
    told = {column: word for column, word in record.items() if word != NONE and (columns is None or column in columns)}
    hero, pick = record["outfit"] != NONE, (rng.choice if rng else lambda ways: ways[0])

    def color(column: str) -> str:
        return f"{pick(SPOKEN.get(told[column], (told[column],)))} " if column in told else ""

    parts: list[str] = []
    if told.get("outfit") == "bare chest":
        parts += ["with a bare chest", *([f"in {color('color').strip()}"] if "color" in told else [])]
    elif hero and "outfit" in told:
        parts.append(f"in {_with_article(color('color') + told['outfit'])}")
    elif hero and "color" in told:
        parts.append(f"in {color('color').strip()}")
    if hero and "second_color" in told:
        parts.append(f"with {color('second_color')}trim")
    if "skin" in told:
        parts.append(f"with {color('skin')}skin")
    adjective = ""
    if "hair" in told:
        named = told["hair"] in ("bob", "ponytail", "buns", "fringe")
        hair = f"{color('hair_color')}{told['hair']}" if named else f"{told['hair']} {color('hair_color')}hair"
        parts.append(f"with {_with_article(hair)}")
    elif "hair_color" in told and record["hair"] != NONE:
        adjective = f"{color('hair_color').strip().replace(' ', '-')}-haired "
    if "beard" in told:
        shown = color("hair_color") if record["hair"] == NONE else ""
        beard = f"{shown}moustache" if told["beard"] == "moustache" else f"{told['beard']} {shown}beard"
        parts.append(f"with {_with_article(beard)}")
    for how, column, after in (
        ("with", "pattern", ""),
        ("wearing", "hat", ""),
        ("wearing", "cape", ""),
        ("holding", "item", ""),
        ("carrying", "shield", " shield"),
    ):
        if column in told:
            thing = f"{color(f'{column}_color')}{told[column]}{after}"
            parts.append(f"{how} {_with_article(thing)}")
    if "facing" in told:
        parts.append(pick(FACING[told["facing"]]))
    if hero and "pose" in told:
        parts.append(told["pose"])

    name = told.get("kind") or _class_noun(record["kind"])
    if not hero:
        both = f"{color('color')}and {color('second_color')}" if {"color", "second_color"} <= told.keys() else ""
        pose = told.get("pose") if "kind" in told else None
        name = FORMS.get(pose, "{pose} {kind}").format(kind=name, pose=pose) if pose else name
        adjective = both or color("color")
    head = name if name == "someone" and not adjective else _with_article(adjective + name.replace("someone", "hero"))
    first = ""
    if rng:
        rng.shuffle(parts)
        if front and parts and rng.random() < 0.25:
            first = f"{parts.pop()}, "
    return f"{first}{', '.join([' '.join([head, *parts[:1]]), *parts[1:]])}"


def some_columns(record: Record, rng: Random, most: int) -> set[str]:
    """Columns to tell of in a short caption: the kind mostly, the colour often, and up to so many parts."""
    told = ({"kind"} if rng.random() < 0.9 else set()) | ({"color"} if rng.random() < 0.6 else set())
    parts = [name for name in ("hair", "beard", "hat", "cape", "item", "shield", "pattern") if record[name] != NONE]
    parts += ["facing"] if record["facing"] in ("left", "right") else []
    for part in rng.sample(parts, rng.randint(0, min(most, len(parts)))):
        color = COLOR_OF.get(part, f"{part}_color")
        if rng.random() < 0.3 and color in record:
            told.add(color)
            if part == "hair":  # "green-haired"
                continue
        told |= {part, color} & record.keys() if rng.random() < 0.7 else {part}
    return told


def scene_caption(sprites: Collection[str], relation: str | None, background: str | None, rng: Random | None) -> str:
    """Captions of one or two sprites, how the first stands to the second, and where they are, as one caption."""
    pick = rng.choice if rng else lambda ways: ways[0]
    text = f" {pick(RELATIONS[relation])} ".join(sprites) if relation else next(iter(sprites))
    if background is None:
        return text
    place = pick(BACKGROUNDS[background])
    return f"{place}, {text}" if rng and rng.random() < 0.3 else f"{text}, {place}"


def _class_noun(kind: str) -> str:
    kinds = lexicon().kinds
    return next(noun for noun in ("someone", "monster", "food", "potion") if kind in kinds[(noun,)]["kind"])


def _with_article(thing: str) -> str:
    """With "a" or "an", but for what isn't counted."""
    last = thing.split()[-1]
    if last in MASS or (last.endswith("s") and not last.endswith("ss")):
        return thing
    if last in ("food",):
        return f"some {thing}"
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
