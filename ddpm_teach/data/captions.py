"""Sprites in words: a caption from a record, complete or in part, in several orders. Lesson 13.

A record is a row of the sprites' attribute table, column → word (data/sprites/README.md says what each means). A
caption never claims what isn't drawn; prompts.py finds out what one claims.
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from ddpm_teach.data.attributes import NONE
from ddpm_teach.data.lexicon import BACKGROUNDS, COLOR_OF, FACING, FORMS, MASS, RELATIONS, SPOKEN, lexicon
from ddpm_teach.data.prompts import Record


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
    adjective = ""
    if told.get("outfit") == "bare chest":
        parts += ["with a bare chest", *([f"in {color('color').strip()}"] if "color" in told else [])]
    elif hero and "outfit" in told:
        parts.append(f"in {_with_article(color('color') + told['outfit'])}")
    elif hero and "color" in told:  # "a knight in red", and as often "a red knight"
        if rng and "kind" in told and rng.random() < 0.5:
            adjective = color("color")
        else:
            parts.append(f"in {color('color').strip()}")
    if hero and "second_color" in told:
        parts.append(f"with {color('second_color')}trim")
    if "skin" in told:
        parts.append(f"with {color('skin')}skin")
    if "hair" in told:
        named = told["hair"] in ("bob", "ponytail", "buns", "fringe")
        hair = f"{color('hair_color')}{told['hair']}" if named else f"{told['hair']} {color('hair_color')}hair"
        parts.append(f"with {_with_article(hair)}")
    elif "hair_color" in told and record["hair"] != NONE and not adjective:
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
    told = ({"kind"} if rng.random() < 0.95 else set()) | ({"color"} if rng.random() < 0.75 else set())
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


def place_in_words(sprites: Collection[str], relation: str | None, background: str | None, rng: Random | None) -> str:
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
