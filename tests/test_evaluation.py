"""The evaluation, with samplers that are not samplers: what they return is known, so the verdict is, too."""

from dataclasses import dataclass, replace

import pytest
import torch

from ddpm_teach import Frame, load, load_pretrained
from ddpm_teach.cli import main
from ddpm_teach.evaluation import evaluate, judge_of
from ddpm_teach.nets import LayerNormUNet
from ddpm_teach.samplers import Recipe
from ddpm_teach.schedule import linear
from ddpm_teach.weights import Pretrained


@dataclass(frozen=True)
class FromTheSet(Recipe):
    """Training sprites of the class that is asked for, or `off` classes further, darkened by a factor."""

    off: int = 0
    brightness: float = 1.0

    def frames(self, model, n, contexts=None, seed=0):
        BATCHES.append((n, seed))
        train, rng = load("sprites"), torch.Generator().manual_seed(seed)
        wanted = (contexts.argmax(1) + self.off) % 5
        of_class = [(train.labels == k).nonzero().flatten() for k in range(5)]
        index = torch.stack([of_class[k][torch.randint(len(of_class[k]), (), generator=rng)] for k in wanted])
        return iter([Frame(0, (train.pictures(index) + 1) * self.brightness - 1)])


BATCHES = []


@pytest.fixture(scope="module")
def sprites():
    return load_pretrained("sprites")


def test_real_sprites_in_the_samples_place_are_at_the_floor(sprites):
    found = evaluate(sprites, FromTheSet(), 500)
    assert found.n == 500 and found.accuracy.value > 0.99
    assert abs(found.frechet.value - found.floor.value) < 4 * (found.frechet.error + found.floor.error)


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
    judges = {"sprites": "sprites", "mnist": "mnist", "mnist32": "mnist"}
    assert {name: judge_of(load_pretrained(name)).dataset for name in judges} == judges
    digits = judge_of(load_pretrained("mnist32"))
    x = torch.zeros(1, 1, 32, 32)
    x[..., 2:-2, 2:-2] = 1
    assert digits.crop(x).shape == (1, 1, 28, 28) and digits.crop(x).eq(1).all()
    clothes = Pretrained(LayerNormUNet(), linear(), ("T-shirt", "Trouser"), "")
    with pytest.raises(ValueError, match=r"no classifier for pictures \(1, 28, 28\) of T-shirt, Trouser"):
        judge_of(clothes)


def test_a_network_that_makes_nan_is_refused(sprites):
    broken = replace(sprites, net=load_pretrained("sprites").net)
    broken.net.head[-1].bias.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="aren't finite"):
        evaluate(broken, Recipe(steps=1), 10)


def test_the_command_prints_a_table(capsys):
    assert main(["evaluate", "sprites", "--sampler", "ddim", "--steps", "2", "--n", "20", "--device", "cpu"]) == 0
    table = capsys.readouterr().out
    assert "20 samples" in table and "Fréchet distance" in table and "class accuracy" in table and "seconds" in table


@pytest.mark.parametrize(
    "words, message",
    [
        (["--sampler", "euler"], "sampler: expected one of ddim, ddpm, heun, got 'euler'"),
        (["--n", "3"], "n: expected"),
        (["--steps", "0"], "steps: expected"),
    ],
)
def test_what_cannot_be_evaluated_is_one_sentence(words, message, capsys):
    assert main(["evaluate", "sprites", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
