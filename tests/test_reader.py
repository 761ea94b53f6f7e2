"""The reader of scenes: boxes and targets are where sprites are, in a reading's order; it learns what it is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpm_teach import SceneReader
from ddpm_teach.data import scenes
from ddpm_teach.data.attributes import words_of
from ddpm_teach.data.scenes import load_scenes, scene_boxes
from ddpm_teach.data.sprites import sprites
from ddpm_teach.evaluation.reading import (
    ABSENT,
    Reader,
    Reading,
    agreement,
    compared_by_reconstruction,
    targets,
    train_reader,
    truth,
)
from ddpm_teach.model_files import load_net, save_net
from ddpm_teach.nets.reader import centres_of

ATTRIBUTES = words_of(sprites("train").attributes)


def reader_net() -> SceneReader:
    """A small one, that knows every twelfth colour."""
    colors = torch.from_numpy(sprites("train").palette[::12]).float() / 127.5 - 1
    columns = tuple(1 + len(words) for words in ATTRIBUTES.values())
    net = SceneReader(columns=columns, width=8, hidden=64, palette=len(colors))
    net.set_palette(colors)
    return net


@pytest.mark.parametrize("split", ["train", "test", "held_out"])
def test_boxes_are_where_sprites_are_drawn(monkeypatch, split):
    """On a plain ground all that is drawn lies inside of the boxes, and touches each of their sides."""
    ground = np.array([1, 2, 3], np.uint8)
    monkeypatch.setattr(scenes, "draw", lambda name, rng: np.tile(ground, (32, 32, 1)))
    images, boxes = load_scenes(split, 100, seed=3), scene_boxes(split, 100, seed=3)
    for i in range(100):
        left = (images.images[i].permute(1, 2, 0) != torch.from_numpy(ground)).any(2)
        assert (boxes[i, 1] == -1).all() == (images.attributes["second kind"][i] == "none")
        for top, begin, bottom, end in boxes[i][boxes[i, :, 0] >= 0].tolist():
            inside = left[top:bottom, begin:end]
            assert all(side.any() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
            left[top:bottom, begin:end] = False
        assert not left.any()


def test_boxes_of_scene_i_follow_from_seed_split_and_number_alone():
    assert torch.equal(scene_boxes("test", 5, seed=2), scene_boxes("test", 9, seed=2)[:5])
    with pytest.raises(ValueError, match="split: .*'validation'"):
        scene_boxes("validation", 5)


def test_targets_are_in_the_order_of_a_reading():
    """The first is left of the second, or above it: by its box, and by its words the one whose box it is."""
    images, boxes = load_scenes("train", 200), scene_boxes("train", 200)
    told = targets(images, boxes, ATTRIBUTES)
    kinds, both = ("none", *ATTRIBUTES["kind"]), centres_of(boxes)
    for i in range(200):
        reading = truth(images.attributes, i)
        words, centres = told["words"][i, :, list(ATTRIBUTES).index("kind")].tolist(), told["centres"][i].tolist()
        assert [kinds[k] for k in words if k != ABSENT] == [record["kind"] for record in reading.sprites]
        if reading.relation == "none":
            assert (words[1], centres[1], told["relation"][i].item()) == (ABSENT, ABSENT, 0)
            continue
        rows, columns = ([side(point, 9) for point in centres] for side in (int.__floordiv__, int.__mod__))
        along = columns if reading.relation == "left of" else rows
        assert along[0] < along[1] and told["relation"][i] == {"left of": 1, "above": 2}[reading.relation]
        first = images.attributes["first kind"][i], both[i, 0].item()
        assert first in zip((kinds[k] for k in words), centres, strict=True)


def test_a_window_shows_a_sprite_alike_wherever_it_stands_on_the_grid():
    """The words follow from what is around the centre: a picture shifted by whole cells, read at the shifted centre."""
    net = SceneReader(size=64, width=8).eval()  # so large that no border is near
    x = torch.zeros(1, 3, 64, 64)
    x[..., 24:36, 24:36] = torch.rand(1, 3, 12, 12)
    here, there = torch.tensor([[7 * 17 + 7, 7 * 17 + 7]]), torch.tensor([[8 * 17 + 9, 7 * 17 + 7]])
    words, moved = net(x, here).words[0], net(x.roll((4, 8), (2, 3)), there).words[0]
    assert torch.allclose(words[:, 0], moved[:, 0], atol=1e-5)
    assert not torch.allclose(words[:, 1], moved[:, 1], atol=1e-3)


def test_a_small_reader_learns_64_scenes_by_heart(tmp_path):
    images, boxes = load_scenes("train", 64), scene_boxes("train", 64)
    net, before = reader_net(), torch.random.get_rng_state()
    losses = list(train_reader(net, images, targets(images, boxes, ATTRIBUTES), 200, batch_size=16))
    assert losses[-1] < losses[0] / 2 and not net.training and torch.equal(before, torch.random.get_rng_state())
    real, x = [truth(images.attributes, i) for i in range(64)], images.pictures(slice(None))
    right = agreement(real, Reader(net, ATTRIBUTES).read(x))
    assert min(right[name].value for name in ("background", "relation", "kind", "facing")) > 0.9, right
    save_net(tmp_path / "reader.safetensors", net, images.classes, ATTRIBUTES)
    again, meta = load_net(tmp_path / "reader.safetensors")
    known = {name: tuple(words) for name, words in meta["attributes"].items()}
    assert agreement(real, Reader(again, known).read(x))["kind"].value > 0.9


def test_agreement_counts_what_is_wrong_and_what_is_not_seen():
    knight, dragon = {"kind": "knight", "color": "red"}, {"kind": "dragon", "color": "red"}
    real = [Reading("sea", "left of", (knight, dragon)), Reading("cave", "none", (knight,))]
    read = [Reading("sea", "none", (knight,)), Reading("sea", "above", (knight | {"color": "blue"}, dragon))]
    shares = {name: share.value for name, share in agreement(real, read).items()}
    assert shares == {"background": 1 / 2, "relation": 0, "kind": 2 / 3, "color": 1 / 3}


class ByGround:
    """Reads the ground's brightness and nothing else."""

    def read(self, x: torch.Tensor) -> list[Reading]:
        record = dict.fromkeys(ATTRIBUTES, "none")
        return [Reading("snow" if part.mean() > 0.5 else "night", "none", (record,)) for part in x]

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def test_reconstructions_are_compared_with_what_is_read_on_the_originals():
    images, reader = load_scenes("test", 200), ByGround()
    same = compared_by_reconstruction(lambda x: x.clone(), reader, images)
    assert all(one.ratio == 1 for one in same.values() if one.original.value)
    dark = compared_by_reconstruction(lambda x: x - 1, reader, images)["background"]
    assert 0 < dark.reconstruction.value < dark.original.value and 0 < dark.ratio < 1
