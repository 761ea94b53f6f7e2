"""The weights that ship: what they draw is what was asked for, and how it is computed doesn't show."""

import os

import pytest
import torch
from PIL import Image

from ddpm_teach import load, load_pretrained, sample
from ddpm_teach.devices import has_native_bfloat16
from ddpm_teach.metrics import class_accuracy, load_classifier
from ddpm_teach.paths import course_path
from ddpm_teach.training import validation_loss
from ddpm_teach.weights import NAMES


@pytest.fixture(scope="module")
def model():
    return load_pretrained("sprites")


def draw(model, n, **options):
    """n pictures of each class and their labels."""
    labels = torch.arange(len(model.classes)).repeat_interleave(n)
    context = model.context(*model.classes)[labels]
    options = dict(steps=20, guidance_scale=2.0, seed=0) | options
    return sample(model.net, model.schedule, (len(labels), 3, 16, 16), context=context, **options), labels


def test_the_classifier_knows_real_sprites():
    sprites = load("sprites", "test")
    assert class_accuracy(load_classifier("sprites"), sprites.pictures(slice(None)), sprites.labels) >= 0.99


def test_samples_are_of_the_class_that_was_asked_for(model):
    """The course promises 90 %. 100 samples have a standard error of 3 points there; the card's are at 99."""
    x, labels = draw(model, 20)
    assert class_accuracy(load_classifier("sprites"), x, labels) >= 0.9


def test_without_its_context_the_network_draws_what_it_likes(model):
    """The same noise with the context switched off gives all classes, so it was the context that chose them."""
    x, labels = draw(model, 20, guidance_scale=0.0)
    assert class_accuracy(load_classifier("sprites"), x, labels) < 0.6


@pytest.mark.skipif(not has_native_bfloat16(torch.device("cpu")), reason="this processor has no bfloat16 matrix units")
def test_bfloat16_draws_the_same_pictures(model):
    fast, exact = (draw(model, 2, precision=precision)[0] for precision in ("bfloat16", "float32"))
    assert not torch.equal(fast, exact)
    assert (fast - exact).abs().mean() * 127.5 <= 2


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_file_is_small_and_comes_with_a_card_and_a_sheet(name):
    folder, model = course_path("data/weights"), load_pretrained(name)
    assert (folder / f"{name}.safetensors").stat().st_size <= 6e6
    assert "steps" in model.card and "loss" in model.card and f"({name}.png)" in model.card
    assert Image.open(folder / f"{name}.png").width > 100
    assert model.schedule.T == 1000 and not model.net.training


def test_digits_are_of_the_class_that_was_asked_for():
    """The card's figure is for 100 of each class; 80 in all have a standard error of about 3 points."""
    model = load_pretrained("mnist32")
    labels = torch.arange(10).repeat_interleave(8)
    context = model.context(*model.classes)[labels]
    options = dict(context=context, guidance_scale=2.0, steps=20, seed=0)
    x = sample(model.net, model.schedule, (80, 1, 32, 32), **options)
    assert class_accuracy(load_classifier("mnist"), x[..., 2:30, 2:30], labels) >= 0.85
    assert (frame(x) < -0.9).all()  # black, as of every real digit


def frame(x):
    """The mean over the outermost pixels of each picture."""
    return torch.cat([x[..., 0, :], x[..., -1, :], x[..., 0], x[..., -1]], dim=-1).mean(-1)


def test_digits_that_nobody_asked_for_are_white_strokes_on_black():
    """A network that is blind to the level of x_t draws on grey. Of the card's 200 the classifier is sure of 68 %."""
    model = load_pretrained("mnist")
    x = sample(model.net, model.schedule, (60, 1, 28, 28), steps=50, seed=0)
    assert (frame(x) < -0.9).all()
    ink = (x > 0).float().mean((1, 2, 3))
    assert 0.08 < ink.mean() < 0.2  # real digits: 0.13
    assert (load_classifier("mnist")(x).softmax(1).amax(1) > 0.9).float().mean() >= 0.5


@pytest.fixture(scope="module")
def digits():
    if "DDPM_TEACH_DATA" not in os.environ:
        pytest.skip("the real MNIST isn't at hand; set DDPM_TEACH_DATA to the folder that has it")
    return load("mnist", "test")


def test_the_classifier_knows_real_digits(digits):
    assert class_accuracy(load_classifier("mnist"), digits.pictures(slice(None)), digits.labels) >= 0.99


@pytest.mark.parametrize("name, size, linear", [("mnist", None, 0.0745), ("mnist32", 32, 0.0570)])
def test_the_digits_networks_are_far_below_every_linear_one(digits, name, size, linear):
    """`linear` is the ε-loss of the best linear denoiser on these pictures; 0.024 and 0.018 are on the cards."""
    model, pictures = load_pretrained(name), load("mnist", "test", size=size)
    assert validation_loss(model.net, model.schedule, pictures, n=1000, precision="float32") <= 0.030 < linear
