"""The weights that ship: what they draw is what was asked for, and how it is computed doesn't show."""

import pytest
import torch

from ddpm_teach import load, load_pretrained, sample
from ddpm_teach.devices import has_native_bfloat16
from ddpm_teach.metrics import class_accuracy, load_classifier


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


def test_the_card_says_how_it_was_trained(model):
    assert "steps" in model.card and "loss" in model.card
