"""Palettes: sprites stand on theirs, and the projection goes to the nearest colour, once and for all."""

from __future__ import annotations

import itertools

import pytest
import torch

from ddpm_teach import clipped, ddim_step, load, load_model, projected, trailing, walk
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.palette import onto, palette_of
from ddpm_teach.data.sprites import sprites
from tests.laws import generator


@pytest.fixture(scope="module")
def test_set():
    return load("sprites", "test")


@pytest.fixture(scope="module")
def colours(test_set):
    return palette_of(test_set)


def test_the_palette_is_the_one_that_sprites_are_drawn_with(colours):
    drawn_with = {tuple(colour) for colour in sprites("test").palette.tolist()}
    found = {tuple(colour) for colour in ((colours + 1) * 127.5).round().int().tolist()}
    assert len(found) == len(colours) and found <= drawn_with and len(found) > 0.8 * len(drawn_with)


def test_sprites_are_unchanged_bit_for_bit(colours, test_set):
    x = test_set.pictures(slice(0, 200))
    assert torch.equal(onto(colours)(x), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_pixel_becomes_the_nearest_colour(dtype):
    rng = generator(0)
    x, few = torch.randn(2, 3, 4, 5, generator=rng, dtype=dtype), torch.rand(7, 3, generator=rng) * 2 - 1
    y = onto(few)(x)
    assert y.dtype == dtype and y.shape == x.shape
    for b, i, j in itertools.product(range(2), range(4), range(5)):
        best = min(few.to(dtype), key=lambda colour, pixel=x[b, :, i, j]: (colour - pixel).square().sum())
        assert torch.equal(y[b, :, i, j], best)


def test_twice_is_once(colours):
    x = torch.randn(20, 3, 16, 16, generator=generator(1))
    once = onto(colours)(x)
    assert not torch.equal(once, x) and torch.equal(onto(colours)(once), once)


def test_nearby_colours_are_kept_apart():
    """1e-4 apart and far from 0, where a distance by products of matrices can't tell them apart."""
    near = torch.full((30, 3), 0.9) + 1e-4 * torch.arange(30)[:, None]
    x = near.T.reshape(1, 3, 5, 6)
    assert torch.equal(onto(near)(x), x)


def test_a_walk_with_it_ends_on_the_palette(colours):
    model = load_model("sprites-context")
    net = lambda x, t: model.net(x, t, model.context("hero", n=len(x)))  # noqa: E731
    denoise = projected(clipped(model.read(net), model.schedule), model.schedule, onto(colours))
    *_, last = walk(ddim_step(denoise, model.schedule), model.noise(2, generator(0)), trailing(1000, 5))
    assert torch.cdist(last.x.movedim(1, -1).flatten(0, 2), colours).min(1).values.max() < 1e-3


def test_one_channel_has_a_palette_too():
    x = torch.tensor([0, 255, 255, 128], dtype=torch.uint8).reshape(1, 1, 2, 2)
    images = ImageSet(x, torch.zeros(1).long(), ("grey",))
    assert torch.equal(palette_of(images), torch.tensor([0, 128, 255])[:, None] / 127.5 - 1)


def test_photographs_have_none():
    noise = torch.randint(0, 256, (8, 3, 16, 16), generator=generator(0)).to(torch.uint8)
    with pytest.raises(ValueError, match="^images: expected a palette, at most 1024 colours, got 20"):
        palette_of(ImageSet(noise, torch.zeros(8).long(), ("noise",)))


@pytest.mark.parametrize("wrong", [torch.zeros(3), torch.zeros(0, 3), torch.zeros(4, 3, dtype=torch.uint8)])
def test_what_is_no_palette_is_refused(wrong):
    onto_unchecked = getattr(onto, "__wrapped__", onto)  # without the shape checks of the tests
    with pytest.raises(ValueError, match="^palette: expected k ≥ 1 colours"):
        onto_unchecked(wrong)


def test_pictures_of_other_channels_are_refused(colours):
    with pytest.raises(ValueError, match=r"^x: expected pictures \(b, 3, h, w\).* got \(1, 1, 4, 4\)"):
        onto(colours)(torch.zeros(1, 1, 4, 4))
