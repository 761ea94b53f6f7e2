"""Pictures against their words: with a reader that knows the scenes, and drawers whose faults are known."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

import ddpm_teach as dt
from ddpm_teach.cli import evaluate as cli_evaluate, main
from ddpm_teach.data.prompts import parse
from ddpm_teach.data.scenes import HELD_OUT, load_scenes, records, scenes_of, tells_held_out
from ddpm_teach.data.sprites import COMBINATIONS, sprites
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.evaluation.asked import as_asked, colors_right
from ddpm_teach.evaluation.maps import mass_inside
from ddpm_teach.evaluation.reading import Reading, truth
from ddpm_teach.evaluation.scenes import binding, evaluate_scenes, held_out_scenes, swapped_pairs

N = 60


class Oracle:
    """Reads pictures by looking them up among the scenes that it was shown."""

    def __init__(self) -> None:
        self.known: dict[bytes, Reading] = {}
        self.scenes: dict[str, Tensor] = {}

    def shown(self, images) -> Tensor:
        x = images.pictures(slice(None))
        self.known |= {key(picture): truth(images.attributes, i) for i, picture in enumerate(x)}
        return x

    def read(self, x: Tensor) -> list[Reading]:
        return [self.known[key(picture)] for picture in x]

    def features(self, x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, 16).flatten(1)

    def scene(self, caption: str) -> Tensor:
        """Always the same scene to a caption."""
        if caption not in self.scenes:
            self.scenes[caption] = self.shown(scenes_of([caption], "held_out"))[0]
        return self.scenes[caption]


def key(picture: Tensor) -> bytes:
    return ((picture + 1) * 127.5).round().byte().numpy().tobytes()


@pytest.fixture(scope="module")
def oracle():
    oracle, pairs = Oracle(), swapped_pairs(N // 4)
    oracle.shown(load_scenes("test", N))
    oracle.shown(held_out_scenes(N))
    for side in (0, 1):
        oracle.shown(scenes_of([pair[side] for pair in pairs], "test"))
    return oracle


@pytest.fixture(scope="module")
def real(oracle):
    return evaluate_scenes(lambda captions, seed: torch.stack([*map(oracle.scene, captions)]), oracle, N, size=N)


def test_scenes_as_the_captions_say_reach_the_ceiling(real):
    for name in ("test", "two sprites", "held-out combinations"):
        rows = real.accuracy[name]
        assert {"background", "kind", "main colour", "facing", "held item", "all that is told"} <= rows.keys()
        assert all(one.drawn.value == one.ceiling == 1 and 0 < one.drawn.error < 0.2 for one in rows.values()), name
        assert rows["all that is told"].floor < 0.1 and rows["kind"].floor < 0.35 < rows["number of sprites"].floor
    assert real.binding.drawn.value == real.binding.ceiling == 1 and real.binding.floor == 0.5
    assert real.accuracy["two sprites"]["kind"].n < real.accuracy["test"]["kind"].n == N


def test_the_pictures_of_other_captions_are_at_the_floor(oracle, real):
    def shuffled(captions: list[str], seed: int) -> Tensor:
        return torch.stack([*map(oracle.scene, captions[1:] + captions[:1])])

    drawn = evaluate_scenes(shuffled, oracle, N, size=N)
    for name in ("test", "held-out combinations"):
        assert {key: one.drawn.value for key, one in drawn.accuracy[name].items()} == {
            key: one.floor for key, one in real.accuracy[name].items()
        }


def test_colours_on_the_wrong_sprites_fail_binding(oracle):
    swap = {pair[side]: pair[1 - side] for pair in swapped_pairs(N // 4) for side in (0, 1)}
    swapped = binding(
        lambda captions, seed: torch.stack([oracle.scene(swap[text]) for text in captions]), oracle, N // 4
    )
    assert swapped.drawn.value == 0 and swapped.ceiling == 1


def test_who_ignores_the_words_is_at_chance(oracle):
    """One picture to a caption and its swap, since the noise is the same."""
    said = [text for pair in swapped_pairs(N // 4) for text in pair]

    def deaf(captions: list[str], seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        return torch.stack([oracle.scene(said[k]) for k in torch.randint(len(said), (len(captions),), generator=rng)])

    assert binding(deaf, oracle, N // 4, size=10).drawn.value == 0.5


def test_pairs_are_swapped_in_their_colours_alone():
    pairs = swapped_pairs(50)
    assert len({*pairs}) > 45
    for one, other in (map(str.split, pair) for pair in pairs):
        differ = [k for k, words in enumerate(zip(one, other, strict=True)) if words[0] != words[1]]
        colors = [k for k in differ if one[k] not in ("a", "an")]
        assert len(colors) == 2 and [one[k] for k in colors] == [other[k] for k in colors[::-1]]
        assert not any(tells_held_out(parse(" ".join(words))) for words in (one, other))


KNIGHT = {"kind": "knight", "color": "red", "facing": "left", "item": "axe", "item_color": "steel"}
DRAGON = {"kind": "dragon", "color": "blue", "facing": "front", "item": "none", "item_color": "none"}
CAPTION = "a blue dragon on the right of a red knight holding an axe, facing left, at night"
RIGHT = Reading("night", "left of", (KNIGHT, DRAGON))
FAULTS = {
    "nothing": (RIGHT, set()),
    "background": (RIGHT._replace(background="sea"), {"background"}),
    "places": (RIGHT._replace(sprites=(DRAGON, KNIGHT)), {"relation"}),
    "one above the other": (RIGHT._replace(relation="above"), {"relation"}),
    "kind": (RIGHT._replace(sprites=(KNIGHT, DRAGON | {"kind": "bat"})), {"kind"}),
    "colour": (RIGHT._replace(sprites=(KNIGHT | {"color": "blue"}, DRAGON)), {"main colour"}),
    "colours swapped": (
        RIGHT._replace(sprites=(KNIGHT | {"color": "blue"}, DRAGON | {"color": "red"})),
        {"main colour"},
    ),
    "facing": (RIGHT._replace(sprites=(KNIGHT | {"facing": "right"}, DRAGON)), {"facing"}),
    "item": (RIGHT._replace(sprites=(KNIGHT | {"item": "sword"}, DRAGON)), {"held item"}),
    "no second": (
        RIGHT._replace(relation="none", sprites=(KNIGHT,)),
        {"number of sprites", "relation", "kind", "main colour"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen_where_it_is(fault):
    reading, wrong = FAULTS[fault]
    right = as_asked(reading, parse(CAPTION))
    assert {name for name, so in right.items() if not so} == wrong | ({"all that is told"} if wrong else set())


def test_attributes_that_a_caption_does_not_tell_of_are_not_counted():
    told = as_asked(RIGHT, parse("a knight left of a dragon"))
    assert told == dict.fromkeys(("number of sprites", "relation", "kind", "all that is told"), True)
    alone = as_asked(RIGHT, parse("a dragon"))
    assert alone["kind"] and not alone["number of sprites"] and not alone["all that is told"]


def test_colours_are_counted_at_the_sprites_that_are_meant():
    own, swap = parse("a red knight left of a blue dragon"), parse("a blue knight left of a red dragon")
    assert (colors_right(RIGHT, own), colors_right(RIGHT, swap)) == (2, 0)
    turned = Reading("sea", "above", (DRAGON, KNIGHT))
    assert (colors_right(turned, own), colors_right(turned, swap)) == (2, 0)


def test_a_caption_may_stand_for_what_it_claims():
    """Lesson 13 compares with texts; the fault has to be seen in both."""
    for reading, _ in FAULTS.values():
        assert as_asked(reading, CAPTION) == as_asked(reading, parse(CAPTION))
        assert colors_right(reading, CAPTION) == colors_right(reading, parse(CAPTION))


def test_all_real_scenes_are_as_their_captions_say():
    for split in ("train", "test", "held_out"):
        images = load_scenes(split, 100)
        for i, text in enumerate(images.attributes["caption"].tolist()):
            assert all(as_asked(truth(images.attributes, i), parse(text)).values()), text


@pytest.mark.parametrize("split", ["train", "test", "held_out"])
def test_combinations_are_those_of_the_data(split):
    table = sprites(split).attributes
    shows = [
        any(all(table[column][i] == word for column, word in words.items()) for words in COMBINATIONS)
        for i in range(len(table["kind"]))
    ]
    assert all(shows) if split == "held_out" else not any(shows)


SAID = {
    "a king with green hair": True,
    "a dragon on the left of a king, in the snow": True,
    "a purple slime wearing a crown below a red bat": True,
    "a purple slime below a knight wearing a gold crown": False,
    "a king, at night": False,
    "someone with green hair, in the snow": False,
    "a blue book": False,  # one of a light blue is among those of train
}


@pytest.mark.parametrize("text", SAID)
def test_a_caption_tells_what_is_held_out_or_leaves_it_open(text):
    assert tells_held_out(parse(text)) == SAID[text]


def test_held_out_captions_are_those_that_tell_it():
    scenes = held_out_scenes(N)
    assert len(scenes) == N
    for i, text in enumerate(scenes.attributes["caption"].tolist()):
        assert tells_held_out(parse(text))
        place, shown = scenes.attributes["background"][i], records(scenes.attributes, i)
        combined = (words.items() <= record.items() for record in shown for words in COMBINATIONS)
        assert any(combined) or any(HELD_OUT.get(record["kind"]) == place for record in shown)
    assert not any(tells_held_out(parse(text)) for text in load_scenes("train", 200).attributes["caption"].tolist())


def test_scenes_of_captions_are_as_the_captions_say():
    texts = ["a red knight above a blue dragon", "a slime, in a cave", "in snow, a bat right of a bat"]
    scenes = scenes_of(texts * 5, "train", seed=4)
    for i, text in enumerate(texts * 5):
        assert all(as_asked(truth(scenes.attributes, i), parse(text)).values())
    assert torch.equal(scenes.images, scenes_of(texts * 5, "train", seed=4).images)
    assert len({key(x) for x in scenes.pictures(slice(None))}) == 15
    with pytest.raises(ValueError, match="captions: .*a king with green hair"):
        scenes_of(["a king with green hair"])


def test_the_record_is_json_with_every_error_ceiling_and_floor(real):
    record = json.loads(json.dumps(real.record(), allow_nan=False))
    assert record["test"]["kind"]["value"] == 1 and record["held-out combinations"]["kind"]["n"] == N
    for row in (*record["test"].values(), record["binding"]):
        assert {"value", "error", "ceiling", "floor", "share of the ceiling", "n"} == row.keys()
    assert {"value", "error", "floor"} == record["Fréchet distance"].keys()
    assert sum("main colour" in line for line in real.lines()) == 3


def test_the_command_prints_and_keeps_what_a_model_that_draws_from_words_reaches(oracle, monkeypatch, tmp_path, capsys):
    net = dt.TextUNet(Tokenizer().size, channels=3, size=32, patch=4, widths=(8, 8), text_width=8, groups=4)
    asked = {}

    def draw(self, captions: list[str], seed: int, **how: object) -> Tensor:
        asked.update(how)
        return torch.stack([*map(oracle.scene, captions)])

    monkeypatch.setattr(dt.Model, "draw", draw)
    model = dt.Model(net, dt.linear(), tokenizer=Tokenizer())
    monkeypatch.setattr(cli_evaluate, "load_model", lambda name, device: model)
    monkeypatch.setattr(cli_evaluate, "load_reader", lambda: oracle)
    assert main(["evaluate", "scenes", "--n", "20", "--json", str(tmp_path / "scenes.json")]) == 0
    record = json.loads((tmp_path / "scenes.json").read_text())
    assert record["weights"] == "scenes" and record["two sprites"]["relation"]["share of the ceiling"] == 1
    out = capsys.readouterr().out
    assert "held-out combinations:" in out and "binding" in out and "100.0% ±" in out
    assert asked["steps"] == 20 and asked["guidance_scale"] > 1
    assert main(["evaluate", "scenes", "--n", "20", "--steps", "5", "--guidance", "3", "--eta", "1"]) == 0
    assert (asked["steps"], asked["guidance_scale"], asked["eta"]) == (5, 3, 1)


def test_the_distance_of_grey_pictures_is_above_the_floor_and_that_of_scenes_near_it(oracle, real):
    assert real.frechet.value < 3 * real.floor.value
    nothing = dict.fromkeys(sprites("train").attributes, "none")
    oracle.known[key(torch.zeros(3, 32, 32))] = Reading("sea", "none", (nothing,))
    grey = evaluate_scenes(lambda captions, seed: torch.zeros(len(captions), 3, 32, 32), oracle, 20)
    assert grey.frechet.value > 2 * grey.floor.value


def test_pictures_of_another_shape_are_refused(oracle):
    with pytest.raises(ValueError, match=r"draw: .*\(20, 3, 32, 32\).*\(20, 3, 16, 16\)"):
        evaluate_scenes(lambda captions, seed: torch.zeros(len(captions), 3, 16, 16), oracle, 20)


def test_mass_inside_a_box():
    flat = torch.ones(1, 2, 8, 8)
    boxes = torch.tensor([[[0, 0, 16, 32], [4, 4, 8, 12]]])
    assert torch.allclose(mass_inside(flat, boxes), torch.tensor([[0.5, 2 / 64]]))
    assert torch.allclose(mass_inside(torch.ones(1, 2, 16, 16), boxes), torch.tensor([[0.5, 2 / 64]]))
    spot = torch.zeros(1, 2, 8, 8)
    spot[:, :, 2, 3] = 5.0  # rows 8…11, columns 12…15
    half = torch.tensor([[[8, 12, 12, 14], [12, 0, 32, 32]]])
    assert torch.allclose(mass_inside(spot, half), torch.tensor([[0.5, 0.0]]))
    with pytest.raises(ValueError, match="maps: "):
        mass_inside(torch.zeros(1, 2, 8, 8), boxes)
    with pytest.raises(ValueError, match="boxes: "):
        mass_inside(flat, torch.full((1, 2, 4), -1))
