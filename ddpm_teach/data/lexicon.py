"""The words by which sprites are described, and what they may mean. Lesson 13."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from ddpm_teach.data.attributes import words_of
from ddpm_teach.data.sprites import Sprites, sprites

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
            parts.setdefault(split(word), []).append((column, frozenset([word])))
        for word in words[column]:
            last, alike = split(word)[-1:], frozenset(w for w in words[column] if split(w)[-1] == split(word)[-1])
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
            colors[split(word)] = colors.get(split(word), frozenset()) | {ramp}
    for word, others in ALSO.items():
        colors[split(word)] = colors.get(split(word), frozenset()) | (frozenset(others) & ramps)
    styles = {(word,): frozenset([word]) for column in ("hair", "beard", "shield") for word in words[column]}
    states = {split(said): ("facing", frozenset([way])) for way, ways in FACING.items() for said in ways}
    states |= {split(pose): ("pose", frozenset([pose])) for pose in words["pose"] if pose not in FORMS}
    states[("walking",)] = ("pose", frozenset(WALKING))
    return Lexicon(kinds, parts, colors, styles, states)


def _kinds(images: Sprites, words: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, ...], dict[str, frozenset[str]]]:
    """What names a whole thing: kinds, classes, and forms that have a name of their own, as a baguette is bread."""
    kinds = {split(kind): {"kind": frozenset([kind])} for kind in words["kind"]}
    for label, name in enumerate(images.classes):
        of_class = frozenset(np.unique(images.attributes["kind"][images.labels == label]).tolist())
        kinds.setdefault(split(name.removeprefix("side ")), {"kind": of_class})
    for word, name in CLASS_WORDS.items():
        kinds[split(word)] = kinds[split(name)]
    for kind in words["kind"]:  # "a flask", where there are round ones and conical ones
        last = split(kind)[-1:]
        if last != ("cream",):  # a colour
            kinds.setdefault(last, {"kind": frozenset(k for k in words["kind"] if split(k)[-1:] == last)})
    for form, said in FORMS.items():
        for kind in np.unique(images.attributes["kind"][images.attributes["pose"] == form]).tolist():
            kinds[split(said.format(kind=kind))] = {"kind": frozenset([kind]), "pose": frozenset([form])}
    return kinds


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption may have, in alphabetical order."""
    places = [split(said) for table in (RELATIONS, BACKGROUNDS) for ways in table.values() for said in ways]
    words = {word for phrase in (*lexicon().phrases, *places) for word in phrase}
    return tuple(sorted(words | {*SMALL, *HELD, *WORN, *OTHER}))


@cache
def seen_words() -> frozenset[str]:
    """The words of what can be seen: things, their parts, colours and places; not "a", "with" or "left of"."""
    known = lexicon()
    places = (split(said) for ways in BACKGROUNDS.values() for said in ways)
    words = {word for phrase in (*known.kinds, *known.parts, *known.colors, *places) for word in phrase}
    return frozenset(words - {*SMALL, *HELD, *WORN, *OTHER, "at", "by"})


def tokens(text: str) -> list[str]:
    """The words of a caption and its commas, in lower case; hyphens part words."""
    return re.findall(r"[^\W_]+|,", text.lower())


def split(phrase: str) -> tuple[str, ...]:
    return tuple(tokens(phrase))


def check_words(
    words: Iterable[str],
    known: Collection[str] | None = None,
    name: str = "context",
    see: str = "model.attributes has the words of each column",
) -> None:
    """Refuses a word that isn't known, of all captions unless given, and names those that are like it.

    Args:
        name: of the argument, which begins the sentence.
        see: where the known words are.
    """
    known = vocabulary() if known is None else known
    for word in words:
        if word in known:
            continue
        if word in ("no", "not", "without"):
            remedy = 'model.context("a knight", cape="none")' if name == "context" else "a negative caption"
            raise ValueError(f"{name}: a caption can't say {word!r}; {remedy} does")
        near = difflib.get_close_matches(word, known, 3, cutoff=0.75)
        hint = f"did you mean {' or '.join(near)}?" if near else see
        raise ValueError(f"{name}: {word!r} is a word that no caption has; {hint}")
