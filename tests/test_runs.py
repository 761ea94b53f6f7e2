"""Runs in a folder: what is kept there survives damage, divergence and interruption."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from ddpm_teach import presets, runs, training
from ddpm_teach.data import load
from ddpm_teach.runs import train_preset
from ddpm_teach.training import load_checkpoint, validation_loss


@pytest.fixture
def tiny(monkeypatch):
    """A preset that takes moments."""
    net = {"name": "ContextUNet", "config": dict(channels=3, features=8, context_dim=5, size=16, T=1000)}
    preset = replace(presets.PRESETS["sprites"], net=net, steps=6, batch_size=4)
    monkeypatch.setitem(presets.PRESETS, "sprites", preset)
    monkeypatch.setattr(runs, "LOG_EVERY", 2)


def go(folder, **options):
    options = {"device": torch.device("cpu"), "save_every": 2, "precision": "float32", **options}
    return train_preset("sprites", folder, **options)


def test_the_last_the_one_before_and_the_best_are_kept(tiny, tmp_path):
    state = go(tmp_path)
    steps = {name: load_checkpoint(tmp_path / f"{name}.pt").step for name in ("last", "previous")}
    assert steps == {"last": 6, "previous": 4} and state.step == 6
    best, again = json.loads((tmp_path / "best.json").read_text()), load_checkpoint(tmp_path / "best.pt")
    assert again.step == best["step"]
    assert validation_loss(again, load("sprites", "test")) == pytest.approx(best["loss"], rel=1e-6)
    names = {"best.json", "best.pt", "last.pt", "losses.csv", "previous.pt"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_damaged_checkpoint_is_told_and_the_one_before_goes_on_exactly(tiny, tmp_path, capsys):
    whole = go(tmp_path / "whole")
    go(tmp_path / "hurt")
    path = tmp_path / "hurt" / "last.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    state = go(tmp_path / "hurt", resume=True)
    assert "damaged" in capsys.readouterr().out
    assert state.step == 6
    for name, value in whole.net.state_dict().items():
        assert torch.equal(state.net.state_dict()[name], value), name


def test_two_damaged_checkpoints_are_refused(tiny, tmp_path):
    go(tmp_path)
    for name in ("last.pt", "previous.pt"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"previous\.pt: not a whole ddpm-teach checkpoint"):
        go(tmp_path, resume=True)


def test_resuming_an_empty_folder_starts_at_step_zero(tiny, tmp_path, capsys):
    assert go(tmp_path, resume=True).step == 6
    assert "starting at step 0" in capsys.readouterr().out


def test_a_loss_that_is_no_number_stops_with_a_sentence_and_good_files(tiny, tmp_path, monkeypatch):
    """A rate of 1e30 throws the weights away in one step."""
    with pytest.raises(FloatingPointError) as error:
        go(tmp_path / "wild", lr=1e30, steps=50)
    message = str(error.value)
    assert "at step 2 (learning rate 9.8e+29)" in message and "--lr" in message and "nothing was saved yet" in message
    assert not list((tmp_path / "wild").glob("*.pt"))

    go(tmp_path / "good", steps=2)
    monkeypatch.setitem(training.TARGETS, "eps", lambda schedule, x0, eps, t: eps * float("nan"))
    with pytest.raises(FloatingPointError, match=r"last\.pt holds the last good state"):
        go(tmp_path / "good", steps=6, resume=True)
    assert load_checkpoint(tmp_path / "good" / "last.pt").step == 2
