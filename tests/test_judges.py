"""Judges: unsure of what isn't data, and in agreement with the eye. Looks: what an eye sees first."""

from __future__ import annotations

import pytest
import torch

from ddpm_teach import load, sample
from ddpm_teach.evaluation.evaluate import _moments, judge_of
from ddpm_teach.evaluation.judges import not_data, numbered, sure, train_judge
from ddpm_teach.evaluation.looks import looks
from ddpm_teach.evaluation.metrics import Moments, class_accuracy, frechet_distance, in_parts, load_classifier
from ddpm_teach.model_files import load_model
from ddpm_teach.nets import Classifier


@pytest.fixture(scope="module")
def test_set():
    return load("sprites", "test").conditioned(load("sprites").conditioned().told)


@pytest.fixture(scope="module")
def judge():
    return load_classifier("sprites")


def test_the_judge_is_unsure_of_what_is_not_data_and_sure_of_what_is(judge, test_set):
    x = test_set.pictures(slice(None))
    assert sure(judge, x) > 0.95 and class_accuracy(judge, x, test_set.labels) > 0.99
    for what, pictures in not_data(x, test_set.labels, torch.Generator().manual_seed(7)).items():
        assert sure(judge, pictures) <= 0.05, what


def test_the_judge_names_kinds_and_parts(judge, test_set):
    right = torch.stack(judge.words(test_set.pictures(slice(None))), 1) == numbered(
        test_set.contexts(slice(None)), test_set.told
    )
    share = dict(zip(test_set.told, right.float().mean(0).tolist(), strict=True))
    assert share["kind"] > 0.98 and min(share.values()) > 0.6, share


def half_and_half(x: torch.Tensor) -> torch.Tensor:
    mixed = x.clone()
    mixed[..., 8:] = x.roll(1, 0)[..., 8:]
    return mixed


RNG = torch.Generator().manual_seed(3)
WORSE = {  # what an eye puts below the real ones at once
    "speckled": lambda x: (x + 0.1 * torch.randn(x.shape, generator=RNG)).clamp(-1, 1),
    "slightly speckled": lambda x: (x + 0.03 * torch.randn(x.shape, generator=RNG)).clamp(-1, 1),
    "blurred": lambda x: torch.nn.functional.avg_pool2d(x, 3, 1, 1),
    "grey background": lambda x: x * 0.9,
    "half and half": half_and_half,
    "colours mixed": lambda x: x.roll(1, 0) * 0.3 + x * 0.7,
    "tinted": lambda x: x * torch.tensor([1.0, 0.8, 1.0])[:, None, None],
}


@pytest.mark.parametrize("what", WORSE)
def test_a_measure_sees_what_an_eye_sees(judge, test_set, what):
    """The distance, or what an eye sees first, puts every spoilt half of the test split below the whole other half."""
    x = test_set.pictures(slice(None))
    good, spoilt = x[:1250], WORSE[what](x[:1250])
    reference = Moments.of(in_parts(judge.features, x[1250:]))
    distance = [frechet_distance(Moments.of(in_parts(judge.features, part)), reference) for part in (good, spoilt)]
    clean = [{name: values.mean().item() for name, values in looks(part, "sprites").items()} for part in (good, spoilt)]
    further = distance[1] > 1.5 * distance[0]
    dirtier = any(clean[1][name] > 1.2 * clean[0][name] + 0.05 for name in clean[0])
    assert further or dirtier, (distance, clean)


def test_the_measures_see_which_network_draws_better(judge, test_set):
    """Of one told every part, and one told the class: outlines and colours of the second run at a glance."""
    reference, seen = Moments.of(in_parts(judge.features, test_set.pictures(slice(None)))), {}
    for name in ("sprites", "sprites-context"):
        model = load_model(name)
        contexts = model.all_contexts(40, torch.Generator().manual_seed(0))
        x = sample(model, 200, contexts, steps=20, spacing="quadratic", guidance_scale=1.5, seed=0)
        distance = frechet_distance(Moments.of(in_parts(judge.features, x)), reference)
        seen[name] = [distance, *(values.mean().item() for values in looks(x, "sprites").values())]
    assert all(better < worse for better, worse in zip(*seen.values(), strict=True)), seen


def test_real_sprites_look_clean(test_set):
    measures = looks(test_set.pictures(slice(None)), "sprites")
    assert measures["corners off"].sum() == 0 and measures["palette distance"].max() == 0
    assert 2 <= measures["colour ramps"].mean() <= 8


def test_a_corner_counts_after_rounding_to_bytes():
    white = torch.ones(2, 3, 16, 16)
    white[0, 0, 0, 0] = 250 / 127.5 - 1
    white[1, 2, 15, 15] = 249.4 / 127.5 - 1
    assert looks(white, "sprites")["corners off"].tolist() == [0, 1]
    assert looks(-torch.ones(1, 1, 28, 28), "mnist") == {"corners off": torch.zeros(1)}


def test_training_a_judge_lowers_its_loss_and_draws_no_global_number():
    images = load("sprites", n=256)
    net = Classifier(3, 16, 5, 8)
    before = torch.random.get_rng_state()
    losses = list(train_judge(net, images, epochs=4, batch_size=32))
    assert losses[-1] < losses[0] and not net.training and torch.equal(before, torch.random.get_rng_state())


def test_moments_of_a_split_are_those_of_its_features(judge):
    model = load_model("sprites")
    images = load("sprites", "test", n=100)
    ours = _moments(judge_of(model), images, torch.arange(100))
    assert torch.allclose(ours.mean, judge.features(images.pictures(slice(None))).mean(0).double(), atol=1e-4)
