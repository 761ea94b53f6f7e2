"""Going on with a run: what was chosen for it holds, what can't be changed is refused, and its record is what was."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
import torch
from PIL import Image

import ddpm_teach as dt
from ddpm_teach.training import runs
from ddpm_teach.training.options import FIXED, RunOptions
from ddpm_teach.training.resume import resumed_options
from tests.small_runs import assert_same, snapshot
from tests.test_runs import NET, TINY, go, small, some_sprites  # noqa: F401 (a fixture)

OTHER = {  # for every field a value that TINY hasn't
    "data": "cifar10",
    "size": 20,
    "net": {"name": "ContextUNet", "config": NET["config"] | {"features": 16}},
    "budget": "gpu",
    "minutes": 5.0,
    "schedule": "cosine",
    "steps": 8,
    "batch_size": 3,
    "lr": 3e-3,
    "ema_decay": 0.05,
    "seed": 7,
    "save_every": 3,
    "precision": "bfloat16",
    "condition": "attributes",
    "warmup": 30,
    "target": "x0",
    "times": "stratified",
    "min_snr": 2.0,
    "context_dropout": 0.9,
    "autoencoder": "autoencoder",
    "start": "sprites-context",
    "kl_weight": 1.0,
}
NEEDS = ("autoencoder", "start", "kl_weight")  # which TINY's network can't have: they have tests of their own


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A run of TINY that was interrupted after step 4."""
    folder = tmp_path_factory.mktemp("half") / "run"

    def stop(state, png, **options):
        if "000004" in png.name:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "LOG_EVERY", 2)
        patch.setattr(runs, "load_data", lambda options, **how: some_sprites())
        patch.setattr(runs, "page_of", stop)
        go(folder)
    return folder


@pytest.fixture
def cut(half, tmp_path):
    """A copy of it."""
    folder = tmp_path / "cut"
    folder.mkdir()
    for path in half.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_every_field_has_another_value():
    assert OTHER.keys() == {field.name for field in fields(RunOptions)}


@pytest.mark.parametrize("name", FIXED)
def test_what_resuming_can_t_change_is_refused_by_name(cut, name):
    before = {path.name: path.read_bytes() for path in cut.iterdir()}
    with pytest.raises(ValueError, match=name if name not in ("data", "size") else "preset or --images") as error:
        go(cut, resume=True, **{name: OTHER[name]})
    assert str(OTHER[name]) in str(error.value) and "--out" in str(error.value)
    assert {path.name: path.read_bytes() for path in cut.iterdir()} == before


@pytest.mark.parametrize("name", FIXED)
def test_the_same_again_is_no_change(name, tmp_path):
    assert resumed_options(TINY, tmp_path, {name: getattr(TINY, name)}) == TINY


@pytest.mark.parametrize("name", [name for name in OTHER if name not in (*FIXED, *NEEDS)])
def test_what_may_be_changed_has_an_effect_and_is_recorded(cut, tmp_path, name):
    """Each makes another run from step 4 on, or the record would be a lie; but for what has no part in the weights."""
    state = go(cut, resume=True, **{name: OTHER[name]})
    record = json.loads((cut / "run.json").read_text())
    expected = replace(TINY, **{name: OTHER[name]})
    assert {key: value for key, value in expected.record().items() if record[key] != value} == {}
    saved = dt.load_checkpoint(cut / "last.pt").options
    assert saved == state.options == replace(expected, net=state.options.net)
    plain = go(tmp_path / "plain")
    nets = (run.ema.module if name == "ema_decay" else run.net for run in (state, plain))
    one, other = (torch.cat([weight.flatten() for weight in net.parameters()]) for net in nets)
    assert torch.equal(one, other) == (name in ("save_every", "minutes"))


def test_what_was_chosen_for_the_run_holds_when_it_goes_on(tmp_path, monkeypatch):
    """An option that was given once and forgotten on resuming would make another run: the weights would differ."""
    fixed = ("data", "size", "net", "minutes", "steps", "budget", *NEEDS)
    chosen = {name: OTHER[name] for name in OTHER if name not in fixed}
    whole = go(tmp_path / "whole", **chosen)

    def stop(state, png, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "page_of", stop)
        go(tmp_path / "cut", **chosen)
    assert_same(snapshot(go(tmp_path / "cut", resume=True)), snapshot(whole))


def test_the_record_is_what_was(tmp_path):
    options = replace(TINY, budget="cpu-hour")
    state = go(tmp_path, options=options)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record == json.loads(json.dumps(options.record())) == json.loads(json.dumps(state.options.record()))


def test_a_time_limit_is_kept_with_the_number_of_steps_that_it_made(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "seconds_per_step", lambda *args: 10.0)
    state = go(tmp_path, minutes=1.0)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["minutes"] == 1.0 and record["steps"] == state.step == state.options.steps == 5  # 60 s and a bit less


def test_a_run_that_is_done_says_how_to_go_on(tmp_path, capsys):
    go(tmp_path)
    assert go(tmp_path, resume=True).step == 6
    assert "--steps 12 goes on" in capsys.readouterr().out
    with pytest.raises(ValueError, match="^steps: .*has done 6 already"):
        go(tmp_path, resume=True, steps=5)


def test_the_log_has_no_step_twice(cut):
    """A run that was killed has logged steps that no checkpoint holds, perhaps half a line."""
    with (cut / "losses.csv").open("a") as file:
        file.write("5,9.0,0.1\n6,9.0,0.1\n7,9.0")
    go(cut, resume=True, steps=8)
    rows = [line.split(",") for line in (cut / "losses.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["step", "2", "4", "6", "8"] and not any(row[1] == "9.0" for row in rows)
    go(cut, resume=True, steps=9)
    assert (cut / "losses.csv").read_text().splitlines()[-1].startswith("9,")


def test_a_run_keeps_what_it_predicts_and_is_sampled_by_it(tmp_path):
    go(tmp_path, target="x0", steps=2)
    assert go(tmp_path, resume=True, steps=4).target is dt.X0
    assert dt.load_model(tmp_path / "last.pt").target is dt.X0


def test_a_folder_of_pictures_may_be_moved_and_its_size_may_not_change(tmp_path):
    album = tmp_path / "album"
    for kind in ("cats", "dogs"):
        (album / kind).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (20, 30), (40 * i, 0, 99 if kind == "cats" else 0)).save(album / kind / f"{i}.png")
    net = {"name": "ContextUNet", "config": NET["config"] | {"context_dim": 2}}
    options = replace(TINY, data=str(album), size=16, net=net, steps=2)
    go(tmp_path / "run", options=options)
    moved = album.rename(tmp_path / "moved")
    state = go(tmp_path / "run", resume=True, data=str(moved), steps=4)
    assert state.step == 4 and state.classes == ("cats", "dogs") and state.options.size == 16
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"] == str(moved)
    with pytest.raises(ValueError, match="^--size: .*made with 16.* 20"):
        go(tmp_path / "run", resume=True, size=20, steps=6)
