"""A network that is told attributes: rows, what is drawn for what isn't named, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ddpm_teach as dt
from ddpm_teach.data.attributes import drawn, rows, words_of
from ddpm_teach.data.prompts import matches, parse

TINY = dict(channels=3, widths=(8, 8, 8, 8, 16, 16), attention_at=(), size=16, groups=8, heads=4, dropout=0.0)


@pytest.fixture(scope="module")
def images():
    return dt.load("sprites").conditioned()


@pytest.fixture(scope="module")
def model(images):
    net = dt.AttentionUNet(**TINY, context_dim=images.context_dim)
    return dt.Model(net.eval(), dt.linear(), "v", images.classes, "", images.told, "sprites")


def table_of(model, contexts) -> list[dict[str, str]]:
    """The records that rows stand for."""
    result = []
    for row in contexts:
        record, place = {}, 0
        for column, words in model.attributes.items():
            part = row[place : place + len(words)]
            assert part.sum() <= 1, column
            record[column] = words[int(part.argmax())] if part.any() else "none"
            place += len(words)
        result.append(record)
    return result


def test_rows_are_the_records(images, model):
    index = torch.arange(0, len(images), 997)
    for i, record in zip(index.tolist(), table_of(model, images.contexts(index)), strict=True):
        assert record == {name: words[i] for name, words in images.attributes.items()}


def test_the_presets_width_is_the_data_sets(images):
    from ddpm_teach.training.presets import WORDS

    assert images.context_dim == WORDS == sum(map(len, images.told.values()))


@pytest.mark.parametrize("name", ["hero", "side hero", "monster", "food", "potion"])
def test_a_class_is_drawn_from_the_training_records(images, model, name):
    contexts = model.context(name, n=6, rng=torch.Generator().manual_seed(0))
    of_class = images.contexts(torch.from_numpy(np.flatnonzero(images.labels.numpy() == images.classes.index(name))))
    assert all((of_class == row).all(1).any() for row in contexts)
    assert len({tuple(row.tolist()) for row in contexts}) > 1, "different ones"


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "knight", "hair": "green"},
        {"kind": "slime", "color": "purple", "hat": "crown"},  # never in one training picture
        {"kind": "king", "hair_color": "green", "item": "axe"},  # neither
        {"facing": "left"},
    ],
)
def test_what_is_named_is_so_and_the_rest_is_of_the_data(model, words):
    for record in table_of(model, model.context(**words, n=5, rng=torch.Generator().manual_seed(1))):
        for column, word in words.items():
            assert word in (record[column], record.get(f"{column}_color"))
        for part in ("hat", "cape", "item", "shield", "pattern"):
            assert (record[part] == "none") == (record[f"{part}_color"] == "none"), "a part has a colour, and only that"


@pytest.mark.parametrize("text", ["a king with green hair, holding an axe", "a red slime", "someone in blue"])
def test_a_caption_is_a_context(model, text):
    for record in table_of(model, model.context(text, n=4, rng=torch.Generator().manual_seed(2))):
        assert matches(record, parse(text).only)


def test_generators_are_left_alone_and_seeds_hold(model):
    before = torch.random.get_rng_state()
    one, other = (model.context("hero", n=3, rng=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, other) and torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.context("elf"), ["context", "'elf'"]),
        (lambda m: m.context(kind="elf"), ["kind", "'elf'", "wizard"]),
        (lambda m: m.context(colour="red"), ["'colour'", "color"]),
        (lambda m: m.context("a bat at night"), ["context", "scene"]),
        (lambda m: m.context("hero", n=0), ["n: ", "≥ 1"]),
        (lambda m: dt.Model(dt.ContextUNet(), dt.linear()).context(kind="king"), ["class alone", "kind"]),
    ],
)
def test_bad_wishes_are_refused_in_one_sentence(model, call, words):
    with pytest.raises(ValueError) as error:
        call(model)
    assert all(word in str(error.value) for word in words), error.value


def test_a_claim_that_no_picture_has_is_told():
    table = {"kind": np.array(["bat", "bat"]), "hat": np.array(["none", "none"])}
    with pytest.raises(ValueError, match="hat = crown"):
        drawn(table, [({"hat": frozenset(["crown"])},)], 1)


def test_words_that_a_key_does_not_have_leave_no_trace():
    table = {"kind": np.array(["bat", "elf"])}
    assert rows(table, {"kind": ("bat",)}).tolist() == [[1], [0]]
    assert words_of({"kind": np.array(["b", "none", "a"])}) == {"kind": ("a", "b")}


def test_training_resuming_and_sampling_keep_the_attributes(images, tmp_path):
    few = images.subset(torch.arange(0, len(images), 500))
    options = dt.RunOptions("sprites", steps=3, batch_size=8, target="v", condition="attributes", warmup=1)
    net = dt.AttentionUNet(**TINY, context_dim=few.context_dim)
    state = dt.TrainState.create(net, dt.linear(), options, few.classes, few.told)
    list(dt.train(state, few))
    dt.save_checkpoint(tmp_path / "run.pt", state)
    dt.save_weights(tmp_path / "weights.safetensors", state.model)
    for path in ("run.pt", "weights.safetensors"):
        model = dt.load_model(tmp_path / path)
        assert dict(model.attributes) == few.told and model.data == "sprites"
        x = dt.sample(model, 2, model.context("hero", n=2), steps=2, seed=0, guidance_scale=2.0)
        assert x.shape == (2, 3, 16, 16)
    with pytest.raises(ValueError, match="attributes"):
        dt.train(state, dt.load("sprites", n=100))  # told the class alone


@pytest.mark.parametrize("word", ["Knight", "KING", "Hero"])
def test_a_kind_may_be_written_in_capitals_or_be_a_class(images, model, word):
    """As a class it stands for all kinds of its pictures."""
    heroes = set(images.attributes["kind"][images.labels.numpy() == images.classes.index("hero")].tolist())
    wanted = heroes if word == "Hero" else {word.lower()}
    assert (
        {record["kind"] for record in table_of(model, model.context(kind=word, n=30))}
        <= wanted
        < {*model.attributes["kind"]}
    )
    same = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    assert torch.equal(model.context("Hero", rng=same[0]), model.context("hero", rng=same[1]))


@pytest.mark.parametrize("said", ["knight, green hair", "a slime", "hero"])
def test_pictures_are_different_as_long_as_enough_match(images, model, said):
    """Rows come again only where training pictures have the same words."""
    claims = parse(said).only if said != "hero" else [({"kind": frozenset(model.attributes["kind"])},)]
    chosen = drawn(dict(images.attributes), claims, 30, torch.Generator().manual_seed(0))
    numbered = dict(images.attributes) | {"place": np.arange(len(images))}
    places = drawn(numbered, claims, 30, torch.Generator().manual_seed(0))["place"]
    assert len(set(places.tolist())) == 30
    assert all((chosen[name] == images.attributes[name][places]).all() for name in chosen)


@pytest.mark.parametrize(
    ("names", "words", "said"),
    [
        (("a knight",), dict(kind="wizard"), "kind = knight and kind = wizard"),
        (("a king with purple hair and a blue beard",), {}, "hair_color = purple"),
        (("an apple with red hair",), {}, "no food .* hair_color = red"),
        ((), dict(kind="slime", hair="green"), "no monster .* hair_color = green"),
        (("hero",), dict(kind="slime"), "no hero .* kind = slime"),
        (("a knight without a cape",), {}, "can't say 'without'"),
        (("",), {}, "empty text"),
    ],
)
def test_what_cannot_be_is_refused_and_named(model, names, words, said):
    with pytest.raises(ValueError, match=f"^context: .*{said}"):
        model.context(*names, **words)


def test_what_is_left_out_can_be_said(model):
    capes = {record["cape"] for record in table_of(model, model.context(kind="knight", cape="none", n=20))}
    assert capes == {"none"}


def test_a_network_of_classes_takes_them_in_any_case_and_draws_them_where_none_is_named():
    model = dt.load_model("sprites-context")
    assert torch.equal(model.context("Hero"), model.context("hero"))
    rows = model.context(n=200, rng=torch.Generator().manual_seed(0))
    assert rows.sum(1).eq(1).all() and (rows.sum(0) > 20).all()
