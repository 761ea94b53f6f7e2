"""The evaluation, with samplers that are not samplers: what they return is known, so the verdict is, too."""

import functools
from dataclasses import dataclass, replace

import pytest
import torch

from ddpm_teach import Frame, LayerNormUNet, Model, Sampler, evaluate, linear, load, load_model
from ddpm_teach.evaluation.evaluate import PARTS, chunk_seed, judge_of


@functools.cache
def sprites_set():
    return load("sprites")


@dataclass(frozen=True)
class FromTheSet(Sampler):
    """Training sprites of the class that is asked for, or `off` classes further, darkened by a factor."""

    off: int = 0
    brightness: float = 1.0

    def frames(self, model, n, contexts=None, seed=0):
        BATCHES.append((n, seed))
        train, rng = sprites_set(), torch.Generator().manual_seed(seed)
        wanted = (contexts.argmax(1) + self.off) % 5
        of_class = [(train.labels == k).nonzero().flatten() for k in range(5)]
        index = torch.stack([of_class[k][torch.randint(len(of_class[k]), (), generator=rng)] for k in wanted])
        return iter([Frame(0, (train.pictures(index) + 1) * self.brightness - 1)])


BATCHES = []


@pytest.fixture(scope="module")
def sprites():
    return load_model("sprites-context")


def test_real_sprites_in_the_samples_place_are_at_the_floor(sprites):
    found = evaluate(sprites, FromTheSet(), 500)
    assert found.n == 500 and found.accuracy.value > 0.99
    assert abs(found.frechet.value - found.floor.value) < 4 * (found.frechet.error + found.floor.error)


@pytest.mark.parametrize("n", [60, 130])
def test_the_floor_has_the_samples_classes_whatever_n_is(sprites, n):
    """With n not a multiple of the classes in every part, a floor of other shares of classes was ten times too far."""
    found = evaluate(sprites, FromTheSet(), n)
    assert found.floor.value < 2 * found.frechet.value + 4 * found.frechet.error


def test_other_classes_than_asked_for_are_named_so_and_are_as_near(sprites):
    found = evaluate(sprites, FromTheSet(off=1), 200)
    assert found.accuracy.value < 0.01 and found.frechet.value < 10 * found.floor.value


def test_darker_sprites_are_farther(sprites):
    distances = [evaluate(sprites, FromTheSet(brightness=b), 200).frechet.value for b in (1.0, 0.8, 0.5)]
    assert distances[0] < distances[1] < distances[2]


def test_few_are_in_memory_at_a_time_and_every_batch_has_its_own_seed(sprites):
    BATCHES.clear()
    assert evaluate(sprites, FromTheSet(), 109, size=4).n == 100
    assert sum(n for n, _ in BATCHES) == 100 and max(n for n, _ in BATCHES) == 4
    assert len({seed for _, seed in BATCHES}) == len(BATCHES)


def test_a_judge_is_found_by_shape_and_classes():
    judges = {"sprites": "sprites", "sprites-context": "sprites"} | dict.fromkeys(
        ("mnist", "mnist-context", "mnist32"), "mnist"
    )
    assert {name: judge_of(load_model(name)).dataset for name in judges} == judges
    digits = judge_of(load_model("mnist32"))
    x = torch.zeros(1, 1, 32, 32)
    x[..., 2:-2, 2:-2] = 1
    assert digits.crop(x).shape == (1, 1, 28, 28) and digits.crop(x).eq(1).all()
    clothes = Model(LayerNormUNet(), linear(), classes=("T-shirt", "Trouser"))
    with pytest.raises(ValueError, match=r"no classifier for pictures \(1, 28, 28\) of T-shirt, Trouser"):
        judge_of(clothes)


def test_a_network_that_makes_nan_is_refused(sprites):
    broken = replace(sprites, net=load_model("sprites-context").net)
    broken.net.head[-1].bias.data.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="^model: .*finite"):
        evaluate(broken, Sampler(steps=1), 10)


@dataclass(frozen=True)
class Noting(FromTheSet):
    """Notes the pictures as well."""

    def frames(self, model, n, contexts=None, seed=0):
        frames = list(super().frames(model, n, contexts, seed))
        PICTURES.extend(Sampler.frames(self, model, n, contexts, seed))
        return iter(frames)


PICTURES = []


def test_no_two_evaluations_share_a_picture(sprites):
    """Whoever reports a mean and a spread over seeds 0, 1, 2 speaks of different pictures: each first noise is new."""
    noises = []
    for seed in (0, 1, 2):
        PICTURES.clear()
        evaluate(sprites, Noting(steps=1), 20, seed, size=1)
        noises += [frame.x.flatten()[:8].tolist() for frame in PICTURES if frame.t > 0]
    assert len(noises) == 60 and len({tuple(noise) for noise in noises}) == 60


def test_seeds_of_all_evaluations_are_different():
    """Neighbours in all three numbers, and seeds that differ by a multiple of 2^32 or of the number of parts."""
    seeds = [*range(40), *range(2**32 - 5, 2**32 + 20), *range(2**33, 2**33 + 20), 2**40 + 1, 2**63 - 1]
    draws = {chunk_seed(seed, part, i) for seed in seeds for part in range(PARTS) for i in range(12)}
    assert len(draws) == len(seeds) * PARTS * 12
    assert min(draws) >= 0 and max(draws) < 2**63


def test_the_network_is_prepared_once_for_all_chunks(sprites, monkeypatch):
    """On a GPU each preparation would record a graph of its own, inside the time that is measured."""
    seen, real = [], Sampler.frames

    def frames(self, model, *args):
        seen.append(model.net)
        return real(self, model, *args)

    monkeypatch.setattr(Sampler, "frames", frames)
    evaluate(sprites, Sampler(steps=1), 20, size=1)
    assert len(seen) == 20 and len(set(map(id, seen))) == 1


@pytest.mark.parametrize(("options", "name"), [({"n": 9}, "n"), ({"size": 0}, "size"), ({"seed": -1}, "seed")])
def test_bad_numbers_are_refused_before_any_work(sprites, options, name):
    BATCHES.clear()
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        evaluate(sprites, FromTheSet(), **({"n": 10} | options))
    assert not BATCHES


def test_another_default_device_breaks_nothing(sprites):
    one = evaluate(sprites, Sampler(steps=1, precision="float32"), 20)
    torch.set_default_device("meta")
    try:
        other = evaluate(sprites, Sampler(steps=1, precision="float32"), 20)
    finally:
        torch.set_default_device(None)
    assert one[:4] == other[:4]
