"""Scenes: what a caption says of one is so, in the picture as in the records; seeds and splits hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpm_teach import load
from ddpm_teach.data import prompts, scenes
from ddpm_teach.data.scenes import HELD_OUT, load_scenes, records, scene_caption
from ddpm_teach.data.sprites import sprites

N = 300


@pytest.fixture(scope="module", params=["train", "test", "held_out"])
def split(request):
    return request.param


@pytest.fixture(scope="module")
def images(split):
    return load("scenes", split, n=N)


def test_scenes_are_pictures_of_32_pixels_with_their_place_as_the_class(images):
    assert images.image_shape == (3, 32, 32) and len(images) == N
    assert [images.classes[k] for k in images.labels] == images.attributes["background"].tolist()
    assert 6 <= len(images.classes) <= 8 and len(images.labels.unique()) == len(images.classes)


def test_scene_i_follows_from_seed_split_and_number_alone(split, images):
    assert torch.equal(load("scenes", split, n=20).images, images.images[:20])
    assert not torch.equal(load_scenes(split, 20, seed=1).images, images.images[:20])


def test_captions_are_true_of_the_records(images):
    for i in range(N):
        both = [images.attributes["caption"][i], scene_caption(images.attributes, i)]
        for text in both:
            claims, shown = prompts.parse(text), records(images.attributes, i)
            assert len(claims.sprites) == len(shown), text
            assert all(prompts.matches(*pair) for pair in zip(shown, claims.sprites, strict=True)), text
            assert (claims.relation or "none") == images.attributes["relation"][i], text
            assert claims.background in (None, images.attributes["background"][i]), text
        assert claims.background is not None  # of the complete one


def test_sprites_lie_apart_as_the_relation_says(monkeypatch):
    """On a plain ground, which no sprite has, the first sprite's pixels and the second's are found and compared."""
    magic = np.array([1, 2, 3], np.uint8)
    monkeypatch.setattr(scenes, "draw", lambda name, rng: np.tile(magic, (32, 32, 1)))
    images = load_scenes("train", 200)
    seen = []
    for i in range(200):
        shown = records(images.attributes, i)
        drawn = (images.images[i].permute(1, 2, 0) != torch.from_numpy(magic)).any(2).numpy()
        sizes = [_size(record) for record in shown]
        if len(shown) == 1 or None in sizes:
            continue
        relation = images.attributes["relation"][i]
        along = 1 if relation in ("left of", "right of") else 0
        used = drawn.any(1 - along)
        gaps = [k for k in range(32) if used[:k].any() and used[k:].any()]
        parts = {k: [int(part.sum()) for part in np.split(drawn, [k], axis=along)] for k in gaps}
        split_at = [k for k in gaps if sorted(parts[k]) == sorted(sizes)]
        assert split_at, relation
        near = sizes[0] if relation in ("left of", "above") else sizes[1]
        assert any(parts[k][0] == near for k in split_at), relation
        seen.append(relation)
    assert len(seen) > 50 and set(seen) == set(scenes.RELATIONS)


def test_sprites_stand_on_the_grid(monkeypatch):
    """Of a sprite alone on a plain ground: where it is drawn, less where it is drawn on its canvas."""
    monkeypatch.setattr(scenes, "draw", lambda name, rng: np.tile(np.array([1, 2, 3], np.uint8), (32, 32, 1)))
    images, table = load_scenes("train", 200), sprites("train").attributes
    tried = set()
    for i in range(200):
        shown = records(images.attributes, i)
        same = np.flatnonzero(np.logical_and.reduce([table[name] == word for name, word in shown[0].items()]))
        if len(shown) == 1 and len(same) == 1:
            drawn = (images.images[i].permute(1, 2, 0) != torch.tensor([1, 2, 3])).any(2).numpy()
            moved = np.subtract(_begin(drawn), _begin(sprites("train").pixels[same[0]] > 0))
            assert not (moved % scenes.GRID).any()
            tried |= {*moved.tolist()}
    assert {0, 4, 8, 12} <= tried


def _begin(drawn: np.ndarray) -> list[int]:
    return [int(drawn.any(axis).argmax()) for axis in (1, 0)]


def _size(record: dict[str, str]) -> int | None:
    """The drawn pixels of the sprite with this record; None where two share it and differ in size."""
    table = sprites("train").attributes
    same = np.flatnonzero(np.logical_and.reduce([table[name] == word for name, word in record.items()]))
    counts = {int((sprites("train").pixels[i] > 0).sum()) for i in same}
    return counts.pop() if len(counts) == 1 else None


def test_what_is_held_out_is_nowhere_else(split, images):
    held = [
        any(
            HELD_OUT.get(record["kind"]) == images.attributes["background"][i]
            for record in records(images.attributes, i)
        )
        or any(_is_rare(record) for record in records(images.attributes, i))
        for i in range(N)
    ]
    assert all(held) if split == "held_out" else not any(held)


def _is_rare(record: dict[str, str]) -> bool:
    table = sprites("held_out").attributes
    return bool(np.logical_and.reduce([table[name] == word for name, word in record.items()]).any())
