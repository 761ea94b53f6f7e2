"""The film of words, and the playground of a network that is told words, without a browser."""

from __future__ import annotations

import inspect
import itertools
import re
from dataclasses import replace

import pytest
import torch

import ddpm_teach as dt
from ddpm_teach.data.lexicon import seen_words
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.show import playground, scrub_words
from ddpm_teach.show.films import words as films
from ddpm_teach.show.films.playground import SCENE
from ddpm_teach.show.films.sheet import make
from ddpm_teach.show.films.words import looking, places_of
from tests.test_words import CAPTION, SMALL, autoencoder_file, model, text_net, tokenizer  # noqa: F401

TWICE = "a red knight left of a red dragon, at night"


def test_the_words_that_can_be_seen_have_panels():
    tokens = Tokenizer()
    assert list(places_of(tokens, CAPTION)) == ["wizard", "red", "hat", "green", "slime", "night"]
    assert places_of(tokens, TWICE) == {"red": 2, "knight": 3, "red (2)": 7, "dragon": 8, "night": 11}
    assert places_of(tokens, TWICE, "red") == {"red": 2, "red (2)": 7}
    assert places_of(tokens, TWICE, ["left of", "Dragon"]) == {"left": 4, "of": 5, "dragon": 8}
    assert places_of(tokens, "") == {} and list(places_of(tokens, "with a")) == ["with", "a"]
    assert seen_words() <= set(tokens.words) and not seen_words() & {"a", "of", "with", "left", ",", "at"}


def test_places_are_those_of_the_maps(model):  # noqa: F811
    """A word of the first place alone is looked at where the caption says; padding never."""
    ids = model.context(TWICE)
    with dt.attention_maps(model.net) as maps:
        model.net(torch.randn(1, 4, 8, 8), torch.tensor([500]), ids)
    seen = maps[0][0].amax((1, 2)) > 0
    assert seen.tolist() == [True] * 12 + [False] * (len(seen) - 12)
    assert [model.tokenizer.words[ids[0, place - 1] - 1] for place in places_of(model.tokenizer, TWICE).values()] == [
        "red", "knight", "red", "dragon", "night"
    ]  # fmt: skip


def test_the_film_is_what_is_drawn_and_each_word_lights_its_map(model, monkeypatch):  # noqa: F811
    panels = []
    monkeypatch.setattr(films, "make", lambda shown, *rest: panels.extend(shown) or make(shown, *rest))
    film = scrub_words(model, CAPTION, seed=3, steps=3, guidance_scale=2.0, words=["wizard", "slime"])
    assert [text.partition(" ·")[0] for text in film.data["labels"]] == ["t = 1000", "t = 667", "t = 333", "t = 0"]
    drawn = model.draw(CAPTION, seed=3, steps=3, guidance_scale=2.0, precision="float32")
    walk, guess, *lit = panels
    assert torch.equal(walk.film[-1], drawn) and torch.equal(guess.film[-1], drawn)

    # By hand: every call's map of its word, over the most that the word gets in the film.
    x = model.noise(1, torch.Generator().manual_seed(3))
    guided = dt.guided(model.net, model.context(CAPTION), 2.0)
    with dt.attention_maps(model.net) as maps:
        frames = list(dt.walk(dt.ddim_step(model.read(guided), model.schedule), x, [1000, 667, 333, 0]))
    assert len(maps) == 3 and len(lit) == 2
    for panel, word, place in zip(lit, ("wizard", "slime"), (2, 11), strict=True):
        own = torch.stack([one[1, place] for one in maps])
        assert panel.title == f"{word} · full light: {100 * own.max().item():.3g} %" and panel.film[0] is None
        light = torch.nn.functional.interpolate(own[:, None] / own.max(), (32, 32), mode="bilinear")
        pictures = torch.cat([model.decoded(frame.x0) for frame in frames[1:]])
        torch.testing.assert_close(torch.cat(panel.film[1:]), (pictures + 1) * light - 1)


def test_the_walk_isnt_changed_by_being_looked_at_and_nothing_stays(model):  # noqa: F811
    before = model.draw(CAPTION, steps=2)
    assert scrub_words(model, CAPTION, steps=2).data == scrub_words(model.tuned(), CAPTION, steps=2).data
    assert torch.equal(model.draw(CAPTION, steps=2), before)
    assert not any(part._forward_hooks for part in model.net.modules())


@pytest.mark.parametrize("kind", ["ddim", "ddpm", "heun"])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_frame_has_the_map_of_the_first_call_that_led_to_it(model, kind, scale):  # noqa: F811
    sampler = dt.Sampler(kind, steps=3, guidance_scale=scale, precision="float32")
    contexts = model.context("a king", CAPTION)
    looks = list(looking(model.net, sampler.frames(model, 2, contexts, seed=1)))
    assert looks[0][1] is None and len(looks) == 4
    for (before, _), (_, seen) in itertools.pairwise(looks):
        with dt.attention_maps(model.net) as maps:
            model.net(before.x, torch.full((2,), before.t), contexts)
        torch.testing.assert_close(seen, maps[0][0])


def test_pictures_without_an_autoencoder_have_maps_too():
    net = text_net(channels=3, size=32, patch=4)
    film = scrub_words(dt.Model(net, dt.linear(), "v", tokenizer=Tokenizer()), "a red apple", steps=2)
    assert film.data["size"] == [32, 32] and len(film.data["panels"]) == 4


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (dict(model="sprites"), TypeError, "model: expected a Model"),
        (dict(model=None), ValueError, "model: expected one that is told words"),
        (dict(caption="a wizzard"), ValueError, "captions: 'wizzard' .* did you mean wizard"),
        (dict(caption=" "), ValueError, "caption: expected words"),
        (dict(words=["king"]), ValueError, "words: 'king' isn't in the caption, whose words are a, wizard"),
        (dict(words=[5]), TypeError, "words: expected words of the caption"),
        (dict(words=5), TypeError, "words: expected words of the caption"),
        (dict(guidance_scale=0), ValueError, "guidance_scale: at 0"),
        (dict(steps=0), ValueError, "steps: "),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict) else "",
)
def test_bad_input_is_refused_in_one_sentence_before_any_walk(model, arguments, error, sentence, monkeypatch):  # noqa: F811
    monkeypatch.setattr(type(model.net), "forward", lambda *_: pytest.fail("it has begun"))
    given = {"model": model, "caption": CAPTION} | arguments
    if given["model"] is None:
        given["model"] = replace(model, tokenizer=None)
    with pytest.raises(error, match=sentence) as raised:
        inspect.unwrap(scrub_words)(**given)
    assert "\n" not in str(raised.value)


# --- the playground


@pytest.fixture
def ground(model):  # noqa: F811
    return playground(model, n=2, steps=2)


def below(ground) -> list[str]:
    ground.wait()
    return [panel["title"].partition(" ·")[0] for panel in ground.film.data.get("below", {"panels": []})["panels"]]


def test_below_the_film_are_the_maps_of_the_prompts_words(ground, model):  # noqa: F811
    assert ground.controls["prompt"].value == SCENE and below(ground) == [*places_of(model.tokenizer, SCENE)]
    film = ground.film.data
    assert len(film["below"]["labels"]) == len(film["labels"]) and film["count"] == 2 and film["below"]["count"] == 1
    settings = dict(seed=0, steps=2, guidance_scale=4.0)
    alone = scrub_words(model, SCENE, **settings).data["panels"][2:]
    assert [panel["title"] for panel in alone] == [panel["title"] for panel in film["below"]["panels"]]
    ground.controls["negative"].value = "a king"
    assert below(ground) == [*places_of(model.tokenizer, SCENE)] and ground.film.data != film
    ground.controls["prompt"].value = "a red slime"
    assert below(ground) == ["red", "slime"] and ground.maps.data == ground.film.data["below"]
    ground.controls["prompt"].value = ""
    assert below(ground) == [] and ground.maps is None and ground.message.value == ""


def test_an_unknown_word_is_told_and_the_film_stays(ground):
    names, film = below(ground), ground.film.data
    ground.controls["prompt"].value = "a wizzard"
    assert below(ground) == names and ground.film.data == film
    assert re.search("wizzard.*did you mean wizard", ground.message.value)


def test_the_fields_complete_words_of_the_vocabulary_alone(ground, model):  # noqa: F811
    for name in ("prompt", "negative"):
        words = ground.controls[name].words
        assert set(words) == set(model.tokenizer.words) - {","} and words == sorted(words)
    assert repr(ground.controls["negative"]) == "PromptField('')"


def test_training_further_changes_no_film(ground, model):  # noqa: F811
    ground.controls["seed"].value = 1
    ground.wait()
    before = ground.film.data
    for parameter in model.net.parameters():
        parameter.data.add_(1.0)
    ground.controls["seed"].value = 2
    ground.wait()
    ground.controls["seed"].value = 1
    ground.wait()
    assert ground.film.data == before
