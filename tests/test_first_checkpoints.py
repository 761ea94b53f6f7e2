"""Checkpoints and folders of the first edition are read, and what goes on from them is the same run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import ddpm_teach as dt
from ddpm_teach.storage import write_tensors
from ddpm_teach.training.runs import train_run
from tests.small_runs import SubNet, advance, assert_same, new_run, tensors_of


def write_first_edition(path, state: dt.TrainState, lr: float, **changed) -> None:
    """The file that ddpm_teach 0.1 wrote for this run: what is in it, written by hand."""
    groups = [dict(group, initial_lr=lr) for group in state.optimizer.state_dict()["param_groups"]]
    names = ("steps", "ema_decay", "seed", "target")
    numbers = {name: getattr(state.options, name) for name in names} | {"data": state.data, "step": state.step}
    parts = {
        "net": state.net.state_dict(),
        "ema": state.ema.state_dict(),
        "optimizer": state.optimizer.state_dict() | {"param_groups": groups},
        "numbers": numbers,
    }
    tensors = {"schedule.alpha_bar": state.schedule.alpha_bar}

    def plain(value, name):
        if isinstance(value, torch.Tensor):
            tensors[name] = value.clone()
            return {"tensor": name}
        if isinstance(value, dict):
            return {"pairs": [[key, plain(item, f"{name}.{key}")] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            return [plain(item, f"{name}.{i}") for i, item in enumerate(value)]
        return value

    meta = {"net": {"name": type(state.net).__name__, "config": state.net.config}, "classes": state.classes}
    write_tensors(path, "checkpoint", tensors, meta | {"state": plain(parts, "state")} | changed)


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_a_checkpoint_of_the_first_edition_goes_on_bit_for_bit(toy_images, tmp_path, target):
    """It kept the optimizer's first rate, and neither the batch's size nor how times are drawn: these are asked for."""
    options = dict(lr=3e-3, ema_decay=0.5, seed=5, target=target)
    whole, part = new_run(**options), new_run(**options)
    advance(whole, toy_images)
    advance(part, toy_images, 2)
    write_first_edition(tmp_path / "old", part, lr=3e-3)
    state = dt.load_checkpoint(tmp_path / "old")
    assert state.step == 2 and state.options.lr == 3e-3 and state.target.name == target and state.data == part.data
    state.options = replace(state.options, batch_size=8, precision="float32")
    advance(state, toy_images)
    one, other = tensors_of(state.state_dict()), tensors_of(whole.state_dict())
    assert {name for name in one if name not in other} == {".optimizer.param_groups.0.initial_lr"}
    assert_same({name: value for name, value in one.items() if name in other}, other)
    assert dt.load_model(tmp_path / "old").target.name == target


def test_a_subclass_that_the_first_edition_saved_is_rescued(toy_images, tmp_path):
    """It wrote such files, and could never read them."""
    part = new_run(SubNet(1, 8, 2, 16, T=20))
    advance(part, toy_images, 2)
    write_first_edition(tmp_path / "old", part, lr=1e-3)
    state = dt.load_checkpoint(tmp_path / "old", new_run(SubNet(1, 8, 2, 16, T=20)))
    assert state.step == 2
    advance(state, toy_images)


def test_a_folder_of_the_first_edition_is_resumed(tmp_path, monkeypatch):
    """Its run.json has the options that its checkpoint hasn't."""
    net = {"name": "ContextUNet", "config": dict(channels=3, features=8, context_dim=5, size=16, T=1000)}
    options = dt.RunOptions(
        "sprites", net=net, steps=4, batch_size=4, lr=2e-3, seed=3, save_every=2, precision="float32",
        times="stratified", min_snr=2.0,
    )  # fmt: skip
    device = torch.device("cpu")
    whole = train_run(options, tmp_path / "whole", device=device)
    half = dt.load_checkpoint(tmp_path / "whole" / "previous.pt")
    assert half.step == 2
    old = tmp_path / "old"
    write_first_edition(old / "last.pt", half, lr=2e-3)
    names = ("steps", "batch_size", "lr", "seed", "save_every", "precision", "target", "times", "min_snr")
    (old / "run.json").write_text(json.dumps({name: getattr(options, name) for name in names}))
    other = dt.RunOptions("sprites", net=net)  # what the command line would plan for a new run
    record = (old / "run.json").read_text()
    (old / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json: isn't readable.*remove it"):
        train_run(other, old, device=device, resume=True)
    (old / "run.json").write_text(record)
    with pytest.raises(ValueError, match="^preset: .*name its preset"):  # the file doesn't say what it was trained on
        train_run(dt.RunOptions(), old, device=device, resume=True)
    with pytest.raises(ValueError, match="^--schedule: .*made with linear"):  # which it didn't record either
        train_run(replace(other, schedule="cosine"), old, device=device, resume=True, changes={"schedule": "cosine"})
    state = train_run(other, old, device=device, resume=True)
    assert_same(
        {name: value for name, value in tensors_of(state.state_dict()).items() if "initial_lr" not in name},
        tensors_of(whole.state_dict()),
    )
    record = json.loads((old / "run.json").read_text())
    assert {name: record[name] for name in names} == {name: getattr(options, name) for name in names}
