"""Captions: what is said is drawn, what is said is understood, and the sentences of the course's pages parse."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from ddpm_teach.data.captions import caption, some_columns
from ddpm_teach.data.lexicon import BACKGROUNDS, RELATIONS, tokens, vocabulary
from ddpm_teach.data.prompts import matches, parse
from ddpm_teach.data.sprites import sprites


def records(split: str, step: int) -> list[dict[str, str]]:
    table = sprites(split).attributes
    return [{name: str(words[i]) for name, words in table.items()} for i in range(0, len(sprites(split).labels), step)]


RECORDS = [*records("train", 23), *records("held_out", 7)]
HEROES = {str(kind) for kind in np.unique(sprites("train").attributes["kind"][sprites("train").labels == 0])}


def told(claims) -> set[str]:
    return {column for claim in claims for meaning in claim for column in meaning}


def test_a_complete_caption_claims_all_that_is_drawn_and_nothing_else():
    for record in RECORDS:
        text = caption(record)
        claims = parse(text).only
        assert matches(record, claims), text
        assert {column for column, word in record.items() if word != "none"} <= told(claims), text


def test_partial_captions_in_any_order_claim_nothing_that_is_not_drawn():
    rng = Random(0)
    for record in RECORDS:
        for columns in (None, some_columns(record, rng, 3)):
            text = caption(record, columns, rng)
            assert matches(record, parse(text).only), text


def test_captions_are_said_in_more_than_one_order():
    said = [caption(RECORDS[0], None, Random(seed)) for seed in range(40)]
    assert len({tuple(sorted(tokens(text))) for text in said}) < len(set(said))


def test_a_false_claim_is_noticed():
    """A record with another word in a column that its caption tells of doesn't match."""
    rng = Random(1)
    for record in RECORDS[::5]:
        claims = parse(caption(record)).only
        column = rng.choice([name for name, word in record.items() if word != "none"])
        assert not matches(record | {column: "none"}, claims), column


def test_every_word_of_every_caption_is_in_the_vocabulary():
    rng, words = Random(2), set(vocabulary())
    assert all(set(tokens(caption(record, None, rng))) <= words for record in RECORDS)


SENTENCES = {
    "a hero": {"kind": HEROES},
    "someone with green hair": {"kind": HEROES, "hair_color": {"green"}},
    "a red slime with a crown, facing left": {
        "kind": {"slime"},
        "color": {"red"},
        "hat": {"crown"},
        "facing": {"left"},
    },
    "knight, green hair": {"kind": {"knight"}, "hair_color": {"green"}},
    "a king with green hair and an axe": {"kind": {"king"}, "hair_color": {"green"}, "item": {"axe"}},
    "holding an axe, a king": {"kind": {"king"}, "item": {"axe"}},
    "a green-haired king in red": {"kind": {"king"}, "hair_color": {"green"}, "color": {"red"}},
    "a blue and red bat": {"kind": {"bat"}, "color": {"blue"}, "second_color": {"red"}},
    "a star wand": {"kind": {"wand"}, "pose": {"star"}},
    "a baguette": {"kind": {"bread"}, "pose": {"baguette"}},
    "a flask with a white skull": {"kind": {"round flask"}, "pattern": {"skull"}, "pattern_color": {"white"}},
    "a dragon with gold": {"kind": {"dragon"}, "item": {"gold"}},
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences_mean_what_people_mean(text):
    meant: dict[str, set[str]] = {}
    for claim in parse(text).only:
        for meaning in claim:
            for column, words in meaning.items():
                meant.setdefault(column, set()).update(words)
    for column, words in SENTENCES[text].items():
        assert words <= meant[column], (column, meant)


def test_a_scene_is_two_sprites_how_they_stand_and_where():
    scene = parse("a wizard with a red hat left of a green slime, at night")
    (wizard, slime), (hat,) = scene.sprites, scene.sprites[0][1:]
    assert (scene.relation, scene.background) == ("left of", "night")
    assert wizard[0] == ({"kind": frozenset(["wizard"])},) and slime[0] == ({"kind": frozenset(["slime"])},)
    assert "pointed hat" in hat[0]["hat"] and hat[0]["hat_color"] == {"red"}
    assert "green" in slime[1][0]["color"]


@pytest.mark.parametrize(("relation", "ways"), RELATIONS.items())
def test_every_way_to_say_a_relation_is_understood(relation, ways):
    assert {parse(f"a king {said} a bat").relation for said in ways} == {relation}


@pytest.mark.parametrize(("place", "ways"), BACKGROUNDS.items())
def test_every_way_to_say_a_place_is_understood(place, ways):
    assert {parse(f"{text}, a bat").background for text in ways} == {place}
    assert {parse(f"a bat {text}").background for text in ways} == {place}


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "a kinng": ["'kinng'", "king"],
        "a red": ["'a red'", "colour"],
        "a king a slime": ["'slime'", "second"],
    }.items(),
)
def test_what_is_not_understood_is_told(text, words):
    with pytest.raises(ValueError, match="context: ") as error:
        parse(text)
    assert all(word in str(error.value) for word in words)
