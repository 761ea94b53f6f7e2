"""Checkpoints: going on from a file is going on, whatever was saved can be loaded, nothing else is taken."""

from __future__ import annotations

import os

import pytest
import torch

import ddpm_teach as dt
from ddpm_teach import nets
from ddpm_teach.storage import read_tensors
from tests.small_runs import (
    STEPS,
    OwnNet,
    SubNet,
    advance,
    assert_same,
    assert_same_run,
    make_net,
    new_run,
    snapshot,
)

# --- resuming -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("at", [0, 1, 3, STEPS])
def test_a_run_resumed_from_a_file_is_the_uninterrupted_run(toy_images, tmp_path, at, fresh):
    whole, part = new_run(), new_run()
    losses, first = advance(whole, toy_images), advance(part, toy_images, at)
    dt.save_checkpoint(tmp_path / "run", part)
    resumed = dt.load_checkpoint(tmp_path / "run", None if fresh else new_run(net_seed=99, seed=7))
    assert resumed.step == at and resumed.classes == ("left", "right")
    assert first + advance(resumed, toy_images) == losses
    assert_same_run(resumed, whole)


def test_an_interruption_after_every_single_step_changes_nothing(toy_images, tmp_path):
    whole, state = new_run(), new_run()
    losses, pieces = advance(whole, toy_images), []
    for step in range(1, STEPS + 1):
        pieces += advance(state, toy_images, step)
        dt.save_checkpoint(tmp_path / "run", state)
        state = dt.load_checkpoint(tmp_path / "run")
    assert pieces == losses
    assert_same_run(state, whole)
    assert os.listdir(tmp_path) == ["run"]


def test_resuming_is_exact_with_dropout_too(toy_images, tmp_path, untouched):
    """Dropout draws from torch's global generator, which no checkpoint holds."""

    def fresh() -> dt.TrainState:
        torch.manual_seed(3)
        return new_run(dt.AttentionUNet(widths=(8,) * 3 + (16,) * 3, size=16, groups=4, heads=2, context_dim=2, T=20))

    whole, part = fresh(), fresh()
    with untouched():
        advance(whole, toy_images)
        advance(part, toy_images, 2)
    dt.save_checkpoint(tmp_path / "run", part)
    torch.manual_seed(1234)  # another process, somewhere else in its stream
    resumed = dt.load_checkpoint(tmp_path / "run", fresh())
    torch.manual_seed(99)
    advance(resumed, toy_images)
    assert_same(snapshot(resumed), snapshot(whole))


CHOICES = dict(  # below the warm-up's 2/11 the decay acts from the start
    lr=3e-4, ema_decay=0.15, steps=4, seed=12345, target="v", times="stratified", min_snr=2.0, context_dropout=0.5,
    batch_size=7, save_every=3, precision="bfloat16", data="toys", budget="gpu", minutes=3.0, size=16,
)  # fmt: skip


def test_a_run_built_from_its_file_keeps_every_choice_it_was_created_with(toy_images, tmp_path):
    whole, part = new_run(**CHOICES), new_run(**CHOICES)
    losses, first = advance(whole, toy_images), advance(part, toy_images, 2)
    dt.save_checkpoint(tmp_path / "run", part)
    resumed = dt.load_checkpoint(tmp_path / "run")
    assert resumed.options == part.options == whole.options
    assert first + advance(resumed, toy_images) == losses
    assert_same_run(resumed, whole)


def test_a_checkpoint_builds_the_network_and_schedule_it_names(tmp_path, strong):
    state = new_run()
    dt.save_checkpoint(tmp_path / "run", state)
    again = dt.load_checkpoint(tmp_path / "run")
    assert again.net.config == state.net.config and torch.equal(again.schedule.alpha_bar, strong.alpha_bar)
    assert_same(snapshot(again), snapshot(state))


def test_saving_does_not_change_the_run(toy_images, tmp_path, untouched):
    state = new_run()
    advance(state, toy_images, 2)
    before = snapshot(state)
    with untouched():
        dt.save_checkpoint(tmp_path / "run", state)
    assert_same(snapshot(state), before)


# --- which networks -------------------------------------------------------------------------------------------------


def compiled() -> torch.nn.Module:
    return torch.compile(make_net(), backend="eager")


@pytest.mark.parametrize("make", [OwnNet, lambda: SubNet(1, 8, 2, 16, T=20)])
def test_a_network_of_your_own_comes_back_into_a_state_of_it(toy_images, tmp_path, make):
    """No file can build it, and the sentence says so; into a state that has one, the run is loaded and goes on."""
    whole, part = new_run(make()), new_run(make())
    part.net.load_state_dict(whole.net.state_dict()), part.ema.load_state_dict(whole.ema.state_dict())
    advance(whole, toy_images)
    advance(part, toy_images, 2)
    dt.save_checkpoint(tmp_path / "run", part)
    with pytest.raises(ValueError, match=r"network of your own, .*state=…"):
        dt.load_checkpoint(tmp_path / "run")
    resumed = dt.load_checkpoint(tmp_path / "run", new_run(make()))
    advance(resumed, toy_images)
    assert_same(snapshot(resumed), snapshot(whole))
    with pytest.raises(ValueError, match=r"^net: expected a network of this course.*save_checkpoint"):
        dt.save_weights(tmp_path / "weights", part.model)
    assert os.listdir(tmp_path) == ["run"]


def test_a_compiled_network_is_saved_as_what_is_inside(toy_images, tmp_path):
    state = new_run(compiled())
    advance(state, toy_images, 2)
    dt.save_checkpoint(tmp_path / "run", state)
    for again in (dt.load_checkpoint(tmp_path / "run"), dt.load_checkpoint(tmp_path / "run", new_run(compiled()))):
        assert_same(snapshot(again), snapshot(state))
    dt.save_weights(tmp_path / "weights", dt.Model(state.net, state.schedule, state.target, state.classes))
    assert dt.load_weights(tmp_path / "weights").classes == ("left", "right")


# --- refusing -------------------------------------------------------------------------------------------------------


def other_runs(strong) -> dict:
    """Runs that a checkpoint of `new_run()` doesn't belong to, and the word that says why."""
    options, classes = dt.RunOptions(steps=STEPS), ("left", "right")
    return {
        "schedule": (dt.TrainState.create(make_net(), dt.linear(20, 0.05, 0.61), options, classes), "schedule"),
        "width": (new_run(make_net(features=16)), "features = 8"),
        "size": (new_run(make_net(size=20)), "size = 16"),
        "classes": (dt.TrainState.create(make_net(), strong, options, ("right", "left")), "classes"),
        "target": (new_run(target="v"), "target='eps'"),
        "subclass": (new_run(SubNet(1, 8, 2, 16, T=20)), "ContextUNet"),
        "own": (new_run(OwnNet()), "ContextUNet"),
    }


@pytest.mark.parametrize("name", ["schedule", "width", "size", "classes", "target", "subclass", "own"])
def test_a_checkpoint_of_another_run_is_refused_by_name_and_changes_nothing(toy_images, tmp_path, strong, name):
    saved = new_run()
    advance(saved, toy_images, 1)
    dt.save_checkpoint(tmp_path / "run", saved)
    state, word = other_runs(strong)[name]
    before = snapshot(state)
    with pytest.raises(ValueError, match=word):
        dt.load_checkpoint(tmp_path / "run", state)
    assert_same(snapshot(state), before)


def test_an_own_network_of_another_width_is_refused_before_a_weight_is_copied(toy_images, tmp_path):
    dt.save_checkpoint(tmp_path / "run", new_run(OwnNet(4)))
    state = new_run(OwnNet(5))
    before = snapshot(state)
    with pytest.raises(ValueError, match=r"layers\.0\.weight of shape \(4, 1, 3, 3\).* \(5, 1, 3, 3\); build"):
        dt.load_checkpoint(tmp_path / "run", state)
    assert_same(snapshot(state), before)


def test_a_run_on_other_pictures_is_refused(toy_images, tmp_path):
    run, begun = new_run(), new_run()
    advance(run, toy_images, 1)
    dt.save_checkpoint(tmp_path / "run", run)
    advance(begun, toy_images.subset(torch.arange(5)), 1)
    with pytest.raises(ValueError, match="other pictures than the run at hand; load that data set"):
        dt.load_checkpoint(tmp_path / "run", begun)
    with pytest.raises(ValueError, match="^images: the run began on other pictures"):
        dt.train(dt.load_checkpoint(tmp_path / "run"), toy_images.subset(torch.arange(5)))


SCHEDULES = {name: lambda name=name: dt.SCHEDULES[name]() for name in dt.SCHEDULES}
SCHEDULES |= {
    "linear, 300 steps": lambda: dt.linear(300),
    "other betas": lambda: dt.linear(1000, 2e-4, 0.02),
    "zero terminal SNR": lambda: dt.zero_terminal_snr(dt.linear()),
}


@pytest.mark.parametrize("asked", ["linear", "cosine"])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore:alpha_bar")
def test_the_record_says_what_the_schedule_is_whatever_it_was_made_with(tmp_path, name, asked):
    """By a name that makes this very table, or by none."""
    schedule = SCHEDULES[name]()
    options = dt.RunOptions(steps=2, target="v", schedule=asked)
    dt.save_checkpoint(tmp_path / "run", dt.TrainState.create(make_net(T=schedule.T), schedule, options))
    record = dt.load_checkpoint(tmp_path / "run").options
    assert record.schedule == (name.split(",")[0] if name.split(",")[0] in dt.SCHEDULES else "own")
    if record.schedule == "own":
        with pytest.raises(ValueError, match=r"^schedule: .*state\.schedule"):
            record.noise_schedule()
    else:
        assert torch.equal(record.noise_schedule().alpha_bar, schedule.alpha_bar)


# --- devices --------------------------------------------------------------------------------------------------------


def places(state: dt.TrainState) -> set[str]:
    weights = [*state.net.state_dict().values(), *state.ema.module.state_dict().values()]
    moments = [value for moment in state.optimizer.state.values() for value in moment.values() if value.ndim]
    return {tensor.device.type for tensor in (*weights, *moments)}


def test_all_of_a_run_moves_at_once(toy_images, tmp_path):
    state = new_run()
    advance(state, toy_images, 2)
    dt.save_checkpoint(tmp_path / "run", state)
    assert places(dt.load_checkpoint(tmp_path / "run", device="meta")) == {"meta"}
    assert places(dt.load_checkpoint(tmp_path / "run")) == {"cpu"}
    assert dt.load_checkpoint(tmp_path / "run", state, device="cpu") is state
    advance(state, toy_images)
    assert dt.load_model(tmp_path / "run").to("meta").device.type == "meta"
    assert state.to("meta") is state and places(state) == {"meta"} and state.device.type == "meta"


def test_another_default_device_breaks_nothing(toy_images, tmp_path):
    """Everything that is drawn or built names its device. "meta" holds no numbers, so one slip would show."""
    plain = new_run()
    losses, model = advance(plain, toy_images), plain.model
    loss = dt.validation_loss(model, toy_images, precision="float32")
    pictures = dt.sample(model, 2, model.context("left"), seed=0, guidance_scale=2.0, steps=3, precision="float32")
    dt.save_weights(tmp_path / "weights", model)
    state = new_run()
    torch.set_default_device("meta")
    try:
        assert advance(state, toy_images, 2) == losses[:2]
        dt.save_checkpoint(tmp_path / "run", state)
        state = dt.load_checkpoint(tmp_path / "run")
        assert advance(state, toy_images) == losses[2:]
        assert dt.validation_loss(state.model, toy_images, precision="float32") == loss
        options = dict(seed=0, guidance_scale=2.0, steps=3, precision="float32")
        assert torch.equal(dt.sample(state.model, 2, state.model.context("left"), **options), pictures)
        assert dt.load_weights(tmp_path / "weights").device.type == "cpu"
    finally:
        torch.set_default_device(None)
    assert_same_run(state, plain)


def test_the_file_s_metadata_says_what_the_network_is(tmp_path):
    state = new_run()
    dt.save_checkpoint(tmp_path / "run", state)
    _, meta = read_tensors(tmp_path / "run", "checkpoint")
    assert meta["net"]["name"] == "ContextUNet" and nets.completed(meta["net"]) == nets.describe(state.net)
