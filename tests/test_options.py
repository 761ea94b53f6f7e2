"""The record of a run: every field is checked where it is made, survives a file, and says how times are drawn."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest
import torch

import ddpm_teach as dt
from ddpm_teach import nets
from ddpm_teach.training.options import CHOSEN, TIMES, RunOptions
from ddpm_teach.training.presets import BUDGETS, PRESETS, build_net

NAN, INF = float("nan"), float("inf")
NET = {"name": "ContextUNet", "config": dict(channels=1, features=8, context_dim=2, size=16)}
WHOLE = [0, -1, 2.0, True, None, "3", torch.tensor(3)]
SHARE = [-0.1, 1.1, NAN, INF, "1", None, True, torch.tensor(0.5)]
WORDS = ["", "Eps", None, 1, [], b"eps"]
TOLD = dt.load("sprites").conditioned().context_dim
BAD = {
    "data": [None, 3, b"mnist", ["mnist"]],
    "size": [0, -1, 2.0, True, "3"],
    "net": ["ContextUNet", {}, {"name": "ContextUNet"}, {"name": "UNet", "config": {}}, dict(NET, config=3), 3],
    "autoencoder": [None, 3, b"autoencoder", []],
    "start": [None, 3, b"sprites", []],
    "budget": ["", "gpus", 1, []],
    "minutes": [0, -1, NAN, INF, "1", True],
    "schedule": WORDS,
    "steps": WHOLE,
    "batch_size": WHOLE,
    "lr": [0, -1e-3, NAN, INF, "1", None, True],
    "ema_decay": [1, 1.5, *SHARE],
    "seed": [-1, 2**63, 10**20, 1.0, True, None, "3"],
    "save_every": WHOLE,
    "precision": [*WORDS, "float16", torch.float32],
    "target": [*WORDS, "noise"],
    "times": [*WORDS, "random"],
    "min_snr": [-1, NAN, INF, "5", None, True],
    "context_dropout": SHARE,
    "kl_weight": [-1, NAN, INF, "5", None, True],
    "condition": [*WORDS, "words"],
    "warmup": [-1, 2.0, True, None, "3", torch.tensor(3)],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_refused_where_the_record_is_made(name, value):
    with pytest.raises((ValueError, TypeError), match=f"^{name}: expected .* got ") as error:
        RunOptions(**{name: value})
    assert "\n" not in str(error.value)
    with pytest.raises((ValueError, TypeError), match=f"^{name}: "):
        replace(RunOptions(), **{name: value})


def test_no_field_is_left_unchecked():
    assert BAD.keys() == {field.name for field in fields(RunOptions)}
    assert set(CHOSEN) < BAD.keys()


def test_what_is_right_at_the_edge_is_taken():
    RunOptions(steps=1, batch_size=1, seed=2**63 - 1, ema_decay=0, context_dropout=1, lr=1e30, minutes=1e-3, min_snr=0)
    assert RunOptions(target=dt.V).target == "v"


def test_a_record_is_frozen():
    with pytest.raises(AttributeError):
        RunOptions().steps = 3


@pytest.mark.parametrize("target", dt.TARGETS)
def test_a_target_that_the_schedule_can_t_read_is_refused_before_any_work(target):
    """Sampling begins at T: where ᾱ_T = 0 a prediction of ε says nothing there."""
    net = dt.ContextUNet(1, 8, 2, 16)
    if target == "eps":
        with pytest.raises(ValueError, match="^target: eps .* use x0, v or flow"):
            RunOptions(schedule="straight", target=target)
        with pytest.raises(ValueError, match="^target: eps .* use x0, v or flow"):
            dt.TrainState.create(net, dt.straight(), RunOptions(target=target))
    else:
        dt.TrainState.create(net, dt.straight(), RunOptions(schedule="straight", target=target))


EVERY_PRESET = [(name, budget) for name in PRESETS for budget in BUDGETS]


@pytest.mark.parametrize(("name", "budget"), EVERY_PRESET)
def test_a_record_is_equal_to_itself_after_json(name, budget):
    """JSON has no tuples: a network's widths must not come back as something else."""
    options = dt.preset(name, budget)
    assert RunOptions.recorded(json.loads(json.dumps(options.record())), json.loads(json.dumps(options.net))) == options


def test_a_record_with_fields_of_other_editions_is_read():
    """What this edition doesn't know is passed over, and what isn't named has its default."""
    assert RunOptions.recorded({"steps": 7, "colour": "red"}, None) == RunOptions(steps=7)


@pytest.mark.parametrize(("name", "budget"), EVERY_PRESET)
def test_every_preset_builds_a_network_for_its_pictures(name, budget):
    options = dt.preset(name, budget)
    with torch.device("meta"):
        net = nets.from_config(options.net)
    colored = ("cifar10", "autoencoder")
    channels, side = (3, options.size or 32) if name in colored else (1, options.size or 28)
    if name in ("sprites", "sprites-context"):
        channels, side = 3, 16
    if name == "scenes":
        channels, side = 16, 8  # of latents
    assert net.image_shape == (channels, side, side) and options.budget == budget
    if name == "autoencoder":  # which knows no times and no contexts
        return
    assert net.config.get("context_dim") in (None, {"sprites": TOLD, "sprites-context": 5}.get(name, 10))
    assert net.T == options.noise_schedule().T == 1000


def test_the_attention_network_for_cpus_is_small():
    with torch.device("meta"):
        net = nets.from_config(dt.preset("mnist32", "cpu-hour").net)
    assert sum(weight.numel() for weight in net.parameters()) <= 1_500_000


@pytest.mark.parametrize(("name", "budget", "word"), [("emnist", "gpu", "sprites"), ("mnist", "tpu", "cpu-hour")])
def test_an_unknown_preset_or_budget_is_refused_with_those_that_are_known(name, budget, word):
    with pytest.raises(ValueError, match=word):
        dt.preset(name, budget)


def test_a_network_s_first_weights_follow_from_the_seed_alone(untouched):
    """Whatever the global generator's state, whatever the default device; and it is left as it was."""
    make = lambda seed: build_net(RunOptions(net=NET, seed=seed)).state_dict()  # noqa: E731
    with untouched():
        one, same, other = make(1), make(1), make(2)
        with torch.device("meta"):
            elsewhere = make(1)
    assert all(torch.equal(one[name], same[name]) and torch.equal(one[name], elsewhere[name]) for name in one)
    assert not torch.equal(one["stem.first.0.weight"], other["stem.first.0.weight"])


def test_options_without_a_network_build_none():
    with pytest.raises(ValueError, match="^net: .* preset"):
        build_net(RunOptions())


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uniform", "stratified"])
def test_every_time_is_drawn_as_often_as_any_other(name):
    """20,000 batches of 7 from 10 times: 14,000 of each, with a standard deviation of at most √(14,000 · 0.9) = 112."""
    rng, schedule = torch.Generator().manual_seed(0), dt.straight(10)
    batches = torch.stack([TIMES[name](7, schedule, rng) for _ in range(20_000)])
    counts = batches.flatten().bincount(minlength=11)
    assert counts[0] == 0 and len(counts) == 11 and ((counts[1:] - 14_000).abs() < 5 * 112).all()


@pytest.mark.parametrize(("n", "T"), [(1, 1), (4, 4), (4, 1000), (64, 1000), (1000, 1000), (3000, 1000)])
def test_stratified_times_leave_out_no_part(n, T):
    times = dt.stratified_times(n, T, torch.Generator().manual_seed(1))
    place = torch.arange(n, dtype=torch.float64) / n * T  # where each part begins
    assert times.shape == (n,) and times.dtype == torch.long
    assert (times > place).all() and (times <= (place + T / n).ceil() + (n < T)).all() and times.max() <= T
    if n % T == 0:
        assert (times.bincount()[1:] == n // T).all()


def test_stratified_batches_are_steadier():
    """The mean of n independent times has the standard deviation T / √(12 n); one from each part, an n-th of that."""
    n, T, rng = 16, 1000, torch.Generator().manual_seed(0)
    spread = torch.stack([dt.stratified_times(n, T, rng).double().mean() for _ in range(2000)]).std()
    assert spread == pytest.approx(T / (12 * n) ** 0.5 / n, rel=0.1)


def normal_cdf(z):
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


@pytest.mark.parametrize(
    "schedule",
    [dt.straight(10), dt.cosine(8), dt.zero_terminal_snr(dt.linear(6, 0.3, 0.9)), dt.straight(1), dt.straight(2)],
    ids=["straight", "cosine", "ends in noise", "one step", "two steps"],
)
def test_logit_normal_times_have_their_exact_distribution(schedule):
    """Time t stands for the flow times above t - 1's up to its own (t / T on `straight`), and T for all that is more:
    P(t) = Φ(logit s_t) - Φ(logit s_{t-1}). 400,000 draws; five standard errors."""
    n, T = 400_000, schedule.T
    times = TIMES["logit-normal"](n, schedule, torch.Generator().manual_seed(0))
    assert times.dtype == torch.long and times.shape == (n,) and times.min() >= 1 and times.max() <= T
    edges = [0.0]
    for t in range(1, T):
        signal, noise = math.sqrt(schedule.at(t)), math.sqrt(1 - schedule.at(t))
        s = noise / (signal + noise)
        edges.append(normal_cdf(math.log(s / (1 - s))))
    chances = [high - low for low, high in zip(edges, [*edges[1:], 1.0], strict=True)]
    counts = times.bincount(minlength=T + 1)
    assert counts[0] == 0
    for count, chance in zip(counts[1:].tolist(), chances, strict=True):
        assert abs(count - n * chance) <= 5 * math.sqrt(n * chance * (1 - chance))
    if T == 10:
        assert counts[5] + counts[6] > counts[1] + counts[2] + counts[9] + counts[10], "most are from the middle"


def test_logit_normal_times_follow_from_their_generator_alone(untouched):
    with untouched():
        one, same, other = (dt.logit_normal_times(50, dt.linear(), torch.Generator().manual_seed(k)) for k in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
