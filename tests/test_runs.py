"""Runs in a folder: what is kept there survives damage, divergence and interruption."""

from __future__ import annotations

import errno
import functools
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import ddpm_teach as dt
from ddpm_teach import nets, storage
from ddpm_teach.training import runs
from ddpm_teach.training.presets import load_data
from ddpm_teach.training.runs import train_run
from tests.small_runs import assert_same, snapshot

NET = {"name": "ContextUNet", "config": dict(channels=3, features=8, context_dim=5, size=16, T=1000)}
PAGE = runs.page_of
TINY = dt.RunOptions("sprites", net=NET, steps=6, batch_size=4, save_every=2, precision="float32")


@functools.cache
def some_sprites():
    """A few of the sprites: to train on, and held out."""
    return tuple(part.subset(torch.arange(n)) for part, n in zip(load_data(TINY), (400, 20), strict=True))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A log of every other step, few pictures, and pages that cost nothing; the real page is in a test of its own."""
    monkeypatch.setattr(runs, "LOG_EVERY", 2)
    monkeypatch.setattr(runs, "page_of", lambda state, png, **options: storage.write_bytes(png, b"a page"))
    few = lambda options, **how: some_sprites() if options.data == "sprites" else load_data(options, **how)  # noqa: E731
    monkeypatch.setattr(runs, "load_data", few)


def go(folder, resume=False, options=TINY, **changes):
    """A run, with changes that are asked for by name, as on the command line."""
    options = replace(options, **changes) if not resume else options
    return train_run(options, folder, device=torch.device("cpu"), changes=changes, resume=resume)


def test_the_last_the_one_before_and_the_best_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "page_of", PAGE)
    state = go(tmp_path)
    steps = {name: dt.load_checkpoint(tmp_path / f"{name}.pt").step for name in ("last", "previous")}
    assert steps == {"last": 6, "previous": 4} and state.step == 6
    best, again = json.loads((tmp_path / "best.json").read_text()), dt.load_checkpoint(tmp_path / "best.pt")
    assert again.step == best["step"]
    assert dt.validation_loss(again.model, some_sprites()[1], precision="float32") == pytest.approx(
        best["loss"], rel=1e-6
    )
    names = {"best.json", "best.pt", "last.pt", "losses.csv", "previous.pt", "run.json"}
    pages = {f"samples-{step:06}.png" for step in (2, 4, 6)}
    assert {path.name for path in tmp_path.iterdir()} == names | pages
    assert Image.open(tmp_path / "samples-000006.png").size == (4 * (4 * 17 + 1), 4 * (5 * 17 + 1))


def test_a_damaged_checkpoint_is_told_and_the_one_before_goes_on_exactly(tmp_path, capsys):
    whole = go(tmp_path / "whole")
    go(tmp_path / "hurt")
    path = tmp_path / "hurt" / "last.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    state = go(tmp_path / "hurt", resume=True)
    assert "damaged" in capsys.readouterr().out
    assert (tmp_path / "hurt" / "damaged.pt").read_bytes() == data  # and it didn't become previous.pt on the way
    assert_same(snapshot(state), snapshot(whole))


def test_two_damaged_checkpoints_are_refused(tmp_path):
    for name in ("last.pt", "previous.pt"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"previous\.pt: not a ddpm-teach checkpoint"):
        go(tmp_path, resume=True)


def test_a_damaged_checkpoint_never_takes_the_good_ones_place(tmp_path, monkeypatch):
    """The process dies in the first save after falling back, before the new checkpoint is whole."""
    go(tmp_path)
    (tmp_path / "last.pt").write_bytes(b"half")

    def die(path, state):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "save_checkpoint", die)
        go(tmp_path, resume=True)
    assert dt.load_checkpoint(tmp_path / "previous.pt").step == 4
    assert go(tmp_path, resume=True).step == 6


@pytest.mark.parametrize(
    "damage",
    [b"{\n2,0.5", b"\xff\xfe\n2", "²,0.5,0.1".encode(), b"9" * 5000 + b",0.5,0.1", b"[" * 100_000],
    ids=["torn", "no text", "no digit", "long", "deep"],
)
def test_damaged_notes_beside_the_checkpoints_cost_nothing(tmp_path, damage):
    """The checkpoint says all; the notes are for people."""
    go(tmp_path, steps=2)
    for name in ("best.json", "run.json", "losses.csv"):
        (tmp_path / name).write_bytes(damage)
    assert go(tmp_path, resume=True, steps=4).step == 4
    assert json.loads((tmp_path / "best.json").read_text())["step"] == 4
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 4
    assert [row.split(",")[0] for row in (tmp_path / "losses.csv").read_text().split()] == ["step", "4"]


def test_resuming_an_empty_folder_starts_at_step_zero(tmp_path, capsys):
    assert go(tmp_path, resume=True).step == 6
    assert "starting at step 0" in capsys.readouterr().out


def test_a_loss_that_is_no_number_stops_with_a_sentence_and_good_files(tmp_path):
    """A rate of 1e30 throws the weights away in one step."""
    with pytest.raises(FloatingPointError) as error:
        go(tmp_path / "wild", lr=1e30, steps=50)
    message = str(error.value)
    assert "at step 2 (learning rate 9.8e+29)" in message and "--lr" in message and "nothing was saved yet" in message
    assert not list((tmp_path / "wild").glob("*.pt"))

    go(tmp_path / "good", steps=2)
    with pytest.raises(FloatingPointError, match=r"last\.pt holds the last good state"):
        go(tmp_path / "good", steps=50, lr=1e30, resume=True)
    assert dt.load_checkpoint(tmp_path / "good" / "last.pt").step == 2


@pytest.mark.parametrize("where", ["validation", "page"])
def test_what_is_not_finite_is_noticed_though_the_training_loss_is(tmp_path, monkeypatch, where):
    """One step at a huge rate: its own loss was taken before it. Nothing is saved then, and no grey page is drawn."""
    if where == "validation":
        with pytest.raises(FloatingPointError, match="held-out pictures .* nothing was saved yet"):
            go(tmp_path, lr=1e25, steps=1)
        assert not list(tmp_path.glob("*.pt")) and not list(tmp_path.glob("*.png"))
        return
    state = go(tmp_path, steps=1)
    next(state.ema.module.parameters()).data.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="finite"):
        PAGE(state, tmp_path / "page.png")
    assert not (tmp_path / "page.png").exists()


def test_other_pictures_than_the_runs_own_are_refused(tmp_path, monkeypatch):
    go(tmp_path, steps=2)
    fewer = tuple(part.subset(torch.arange(20)) for part in some_sprites())
    monkeypatch.setattr(runs, "load_data", lambda options, **how: fewer)
    with pytest.raises(ValueError, match="^images: the run began on other pictures or labels than these"):
        go(tmp_path, resume=True, steps=4)
    assert dt.load_checkpoint(tmp_path / "last.pt").step == 2
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 2


# --- the disk -------------------------------------------------------------------------------------------------------


NOTHING = "no checkpoint was there before; make room, then begin again"
COSTLY = {"last.pt": NOTHING, "previous.pt": "holds step 2; make room, then --resume", "run.json": NOTHING}


@pytest.mark.parametrize("spoiled", ["losses.csv", "best.pt", "best.json", "samples-", *COSTLY])
def test_only_a_checkpoint_that_can_t_be_written_ends_a_run(tmp_path, monkeypatch, capsys, spoiled):
    """Whatever else fails is told, and costs no step. Each sentence names the file."""
    real = os.replace

    def full(source, target):
        if os.path.basename(target).startswith(spoiled):
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(storage.os, "replace", full)
        if spoiled in COSTLY:
            with pytest.raises(OSError, match=rf"{spoiled}: can't be written ") as error:
                go(tmp_path)
            assert COSTLY[spoiled] in str(error.value)
        else:
            assert go(tmp_path).step == 6
            said = capsys.readouterr()
            assert spoiled in said.out + said.err and "the run goes on" in said.out + said.err
    assert not list(tmp_path.glob(".*.part"))
    assert go(tmp_path, resume=True).step == 6


@pytest.mark.parametrize("name", runs.FILES)
@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_where_the_run_writes_a_file_is_told_before_any_work(tmp_path, monkeypatch, name, resume):
    monkeypatch.setattr(runs, "load_data", None)
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"^--out: .*{name} is a folder .*move it, or choose another place"):
        go(tmp_path, resume=resume)


def test_every_file_of_a_run_is_looked_for(tmp_path):
    go(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith("samples-")} <= set(runs.FILES)


def test_a_page_that_a_folder_is_in_the_way_of_costs_no_step(tmp_path, capsys):
    (tmp_path / "samples-000002.png").mkdir()
    assert go(tmp_path).step == 6
    said = capsys.readouterr()
    assert "samples-000002.png: is a folder" in said.out + said.err and "the run goes on" in said.out + said.err


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


def test_a_batch_that_does_not_fit_is_told_with_one_that_does(tmp_path, monkeypatch):
    monkeypatch.setitem(nets.NETS, "Narrow", Narrow)
    options = replace(TINY, net=NET | {"name": "Narrow"}, batch_size=32)
    with pytest.raises(MemoryError) as error:
        go(tmp_path, options=options)
    assert "--batch-size: a step of 32 pictures doesn't fit" in str(error.value)
    assert "--batch-size 4 fits" in str(error.value)
    assert train_run(replace(options, batch_size=4), tmp_path, device=torch.device("cpu"), resume=True).step == 6


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from ddpm_teach import storage
from tests import test_runs
real = os.replace
def replace(source, target):
    if Path(target).name == "last.pt" and Path(target).with_name("previous.pt").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
storage.os.replace = replace
test_runs.runs.load_data = lambda options, **how: test_runs.some_sprites()
test_runs.train_run(test_runs.TINY, Path(sys.argv[1]), device=torch.device("cpu"))
"""


def test_kill_9_in_the_middle_of_saving_loses_nothing_that_was_saved(tmp_path):
    """The process has no time for a last word; what it wrote before goes on to the same run, bit for bit."""
    folder, root = tmp_path / "killed", Path(__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", KILLED, str(folder)], cwd=root, capture_output=True)
    assert run.returncode == -signal.SIGKILL
    assert dt.load_checkpoint(folder / "last.pt").step == 2 and len(list(folder.glob(".*.part"))) == 1
    assert_same(snapshot(go(folder, resume=True)), snapshot(go(tmp_path / "whole")))
    assert not list(folder.glob(".*.part"))


@pytest.mark.parametrize(
    ("steps", "changes", "expected"),
    [(12_000, {}, 600), (400, {}, 100), (12_000, {"save_every": 5000}, 5000), (12_000, {"minutes": 9}, 100)],
)
def test_pages_of_a_folder_come_early_unless_it_is_said_when(tmp_path, monkeypatch, steps, changes, expected):
    """Nobody knows yet whether the pictures work. With a time limit the steps are what it holds, here 539."""
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    net = {"name": "ContextUNet", "config": NET["config"] | {"context_dim": 1}}
    plan = replace(TINY, data=str(tmp_path), net=net, size=16, steps=steps, save_every=1000)
    monkeypatch.setattr(runs, "seconds_per_step", lambda *args: 1.0)
    monkeypatch.setattr(runs, "train", lambda *args: 1 / 0)
    made = []
    create = runs.TrainState.create
    monkeypatch.setattr(runs.TrainState, "create", lambda *args: made.append(args[2]) or create(*args))
    with pytest.raises(ZeroDivisionError):
        go(tmp_path / "run", options=plan, **changes)
    assert made[0].save_every == expected


def test_held_out_pictures_are_not_trained_on(tmp_path):
    for i in range(40):
        Image.new("RGB", (8, 8), (6 * i, 0, 0)).save(tmp_path / f"{i}.png")
    train, held_out = load_data(dt.RunOptions(str(tmp_path), 8, NET))
    seen = [set(part.images[:, 0, 0, 0].tolist()) for part in (train, held_out)]
    assert len(train) == 38 and len(held_out) == 2 and not seen[0] & seen[1]
