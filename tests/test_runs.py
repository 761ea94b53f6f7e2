"""Runs in a folder: what is kept there survives damage, divergence and interruption."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_teach import files, nets, runs, training
from ddpm_teach.cli import main
from ddpm_teach.data import load
from ddpm_teach.denoise import from_x0
from ddpm_teach.presets import BUDGETS, PRESETS, Preset
from ddpm_teach.runs import train_preset
from ddpm_teach.training import load_checkpoint, validation_loss


@pytest.fixture
def tiny(monkeypatch):
    """A preset that takes moments."""
    monkeypatch.setattr(runs, "LOG_EVERY", 2)


NET = {"name": "ContextUNet", "config": dict(channels=3, features=8, context_dim=5, size=16, T=1000)}
TINY = Preset("sprites", NET, steps=6, batch_size=4, save_every=2, precision="float32")


def go(folder, resume=False, preset=TINY, **given):
    return train_preset(preset, folder, device=torch.device("cpu"), given=given, resume=resume)


def test_the_last_the_one_before_and_the_best_are_kept(tiny, tmp_path):
    state = go(tmp_path)
    steps = {name: load_checkpoint(tmp_path / f"{name}.pt").step for name in ("last", "previous")}
    assert steps == {"last": 6, "previous": 4} and state.step == 6
    best, again = json.loads((tmp_path / "best.json").read_text()), load_checkpoint(tmp_path / "best.pt")
    assert again.step == best["step"]
    found = validation_loss(again.ema.module, again.schedule, load("sprites", "test"))
    assert found == pytest.approx(best["loss"], rel=1e-6)
    names = {"best.json", "best.pt", "last.pt", "losses.csv", "previous.pt", "run.json"}
    pages = {f"samples-{step:06}.png" for step in (2, 4, 6)}
    assert {path.name for path in tmp_path.iterdir()} == names | pages
    assert Image.open(tmp_path / "samples-000006.png").size == (4 * (4 * 17 + 1), 4 * (5 * 17 + 1))


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
    assert (tmp_path / "hurt" / "damaged.pt").read_bytes() == data  # and it didn't become previous.pt on the way
    for name, value in whole.net.state_dict().items():
        assert torch.equal(state.net.state_dict()[name], value), name


def test_two_damaged_checkpoints_are_refused(tiny, tmp_path):
    go(tmp_path)
    for name in ("last.pt", "previous.pt"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"previous\.pt: not a whole ddpm-teach checkpoint"):
        go(tmp_path, resume=True)


def test_a_damaged_checkpoint_never_takes_the_good_ones_place(tiny, tmp_path, monkeypatch):
    """The process dies in the first save after falling back, before the new checkpoint is whole."""
    go(tmp_path)
    (tmp_path / "last.pt").write_bytes(b"half")

    def die(path, state):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "save_checkpoint", die)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, resume=True)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "previous.pt").step == 4
    assert go(tmp_path, resume=True).step == 6


def test_damaged_notes_beside_the_checkpoints(tiny, tmp_path):
    go(tmp_path, steps=2)
    (tmp_path / "best.json").write_text("{")
    assert go(tmp_path, resume=True, steps=4).step == 4
    assert json.loads((tmp_path / "best.json").read_text())["step"] == 4
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json: isn't readable .* remove it"):
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


def test_what_was_chosen_for_the_run_holds_when_it_goes_on(tiny, tmp_path, monkeypatch):
    """An option that was given once and forgotten on resuming would make another run: the weights would differ."""
    chosen = dict(batch_size=3, lr=0.003, min_snr=2.0, times="stratified")
    whole = go(tmp_path / "whole", **chosen)

    def interrupt(state, *args, **options):
        if state.step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(runs, "page_of_samples", interrupt)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", **chosen)
    monkeypatch.undo()
    resumed = go(tmp_path / "cut", resume=True)
    assert resumed.step == 6
    for name, value in whole.net.state_dict().items():
        assert torch.equal(resumed.net.state_dict()[name], value), name
    for name, default in {"min_snr": 0.0, "times": "uniform"}.items():  # each has an effect
        other = go(tmp_path / name, **chosen | {name: default})
        assert not torch.equal(other.net.stem.first[0].weight, whole.net.stem.first[0].weight)


def test_a_run_keeps_what_it_predicts_and_is_sampled_by_it(tiny, tmp_path, monkeypatch):
    """Read as noise, a network that was asked for the picture would draw noise."""
    go(tmp_path, target="x0", steps=2)
    assert go(tmp_path, resume=True, steps=4).target == "x0"
    seen = []
    monkeypatch.setattr("ddpm_teach.samplers.READERS", {"x0": lambda *args: seen.append("x0") or from_x0(*args)})
    assert (
        main(["sample", str(tmp_path / "last.pt"), "--n", "1", "--steps", "2", "--png", str(tmp_path / "x.png")]) == 0
    )
    assert seen == ["x0"]
    with pytest.raises(ValueError, match=r"target: the run predicts 'x0', got 'v'; begin a new run"):
        go(tmp_path, resume=True, target="v", steps=6)


def test_other_pictures_than_the_runs_own_are_refused(tiny, tmp_path, monkeypatch):
    go(tmp_path, steps=2)
    load_it = Preset.load
    monkeypatch.setattr(Preset, "load", lambda self: tuple(part.subset(torch.arange(100)) for part in load_it(self)))
    with pytest.raises(ValueError, match="images: the run began on other pictures or labels than these"):
        go(tmp_path, resume=True, steps=4)
    assert load_checkpoint(tmp_path / "last.pt").step == 2


@pytest.mark.parametrize("writes", range(9))
def test_a_full_disk_is_told_and_what_was_there_stays(tiny, tmp_path, monkeypatch, writes):
    """The disk is full after so many files: run.json, losses.csv, last.pt, best.pt, best.json, samples, losses, …"""
    real, count = os.fsync, []

    def full(handle):
        count.append(handle)
        if len(count) > writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as error:
        go(tmp_path)
    assert "make room, then --resume" in str(error.value)
    assert ("holds step 2" if writes > 2 else "no checkpoint was there before") in str(error.value)
    assert not list(tmp_path.glob(".*.part"))
    monkeypatch.undo()
    if writes > 2:
        assert load_checkpoint(tmp_path / "last.pt").step == 2
    if writes > 1:
        assert (tmp_path / "losses.csv").read_text().startswith("step,loss,lr\n2,")
    if writes in (1, 8):
        assert go(tmp_path, resume=True).step == 6


def test_a_real_limit_on_the_size_of_files_ends_in_the_same_sentence(tmp_path):
    """The system itself refuses: a checkpoint of the smallest network for sprites is 6 MB."""
    command = [sys.executable, "-m", "ddpm_teach", "train", "sprites", "--budget", "cpu-minutes"]
    run = subprocess.run(
        [*command, "--steps", "2", "--batch-size", "2", "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6)),
    )
    last_line = run.stderr.strip().splitlines()[-1]
    assert run.returncode == 2 and "can't be written" in last_line and "no checkpoint was there before" in last_line
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"losses.csv", "run.json"}


class Narrow(nets.ContextUNet):
    """A network on a device whose memory ends at five pictures."""

    def forward(self, x, t, c=None):
        if self.training and len(x) > 5:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x, t, c)


def test_a_batch_that_does_not_fit_is_told_with_one_that_does(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(nets.NETS, "Narrow", Narrow)
    preset = replace(TINY, net=NET | {"name": "Narrow"}, batch_size=32)
    with pytest.raises(MemoryError) as error:
        go(tmp_path, preset=preset)
    assert "--batch-size: a step of 32 pictures doesn't fit" in str(error.value)
    assert "--batch-size 4 fits" in str(error.value)
    assert go(tmp_path, preset=preset, batch_size=4, resume=True).step == 6


def test_kill_9_in_the_middle_loses_nothing_that_was_saved(tmp_path, monkeypatch):
    """The process has no time for a last word; what it wrote before goes on to the same run, bit for bit."""
    options = ["sprites", "--budget", "cpu-minutes", "--steps", "12", "--batch-size", "2"]
    options += ["--save-every", "4", "--precision", "float32"]
    folder = tmp_path / "killed"
    run = subprocess.Popen(
        [sys.executable, "-m", "ddpm_teach", "train", *options, "--out", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not (folder / "previous.pt").exists() and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    (folder / ".last.pt.abc.part").write_bytes(b"half a checkpoint")
    assert load_checkpoint(folder / "last.pt").step in (4, 8)
    monkeypatch.setattr(runs, "page_of_samples", lambda *args, **options: "")  # has no part in this
    main(["train", *options, "--out", str(folder), "--resume"])
    assert not list(folder.glob(".*.part"))
    main(["train", *options, "--out", str(tmp_path / "whole")])
    one, other = (load_checkpoint(path / "last.pt") for path in (folder, tmp_path / "whole"))
    assert one.step == other.step == 12
    for part in ("net", "ema"):
        weights = getattr(other, part).state_dict()
        for name, value in getattr(one, part).state_dict().items():
            assert torch.equal(value, weights[name]), (part, name)
    assert one.optimizer.param_groups[0]["lr"] == other.optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_a_network_for_its_pictures(name, budget):
    preset = PRESETS[name][budget]
    with torch.device("meta"):
        net = nets.build(preset.net)
    channels, side = (3, preset.size or 32) if name == "cifar10" else (1, preset.size or 28)
    if name == "sprites":
        channels, side = 3, 16
    assert net.image_shape == (channels, side, side)
    assert net.config.get("context_dim") in (None, 5 if name == "sprites" else 10)
    assert net.T == 1000


def test_the_attention_network_for_cpus_is_small():
    with torch.device("meta"):
        net = nets.build(PRESETS["mnist32"]["cpu-hour"].net)
    assert sum(weight.numel() for weight in net.parameters()) <= 1_500_000


def test_a_preset_builds_the_same_weights_from_its_seed_and_leaves_the_global_generator_alone(untouched):
    with untouched():
        one, same, other = (replace(TINY, seed=seed).build().state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["stem.first.0.weight"], other["stem.first.0.weight"])


def test_a_folder_of_your_own_pictures_is_trained_and_sampled(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for kind in ("cats", "dogs"):
        (tmp_path / "album" / kind).mkdir(parents=True)
        for i in range(12):
            picture = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "album" / kind / f"{i}.png")
    options = ["--size", "16", "--steps", "2", "--batch-size", "4"]
    assert main(["train", "--images", "album", *options]) == 0
    assert "a row of 8 for each of cats, dogs" in capsys.readouterr().out
    state = load_checkpoint("runs/album/last.pt")
    assert state.classes == ("cats", "dogs") and state.net.image_shape == (3, 16, 16)
    sampling = ["--context", "dogs", "--n", "2", "--steps", "2", "--png", "dogs.png"]
    assert main(["sample", "runs/album/last.pt", *sampling]) == 0
    assert Image.open("dogs.png").size[0] > 2 * 16


def test_held_out_pictures_are_not_trained_on(tmp_path):
    for i in range(40):
        Image.new("RGB", (8, 8), (6 * i, 0, 0)).save(tmp_path / f"{i}.png")
    train, held_out = Preset(tmp_path, NET, size=8).load()
    seen = [set(part.images[:, 0, 0, 0].tolist()) for part in (train, held_out)]
    assert len(train) == 38 and len(held_out) == 2 and not seen[0] & seen[1]
