"""The command line as a user meets it: what it writes, and what it says when it can't."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from ddpm_teach.cli import FIRST_LESSON, copy_lessons, main

SMALL = ["train", "sprites", "--budget", "cpu-minutes", "--batch-size", "4"]  # the smallest network of the presets
TINY = [*SMALL, "--steps", "4"]


def test_sample_writes_the_pictures_and_the_film_it_says(tmp_path, capsys):
    png, gif = tmp_path / "heroes.png", tmp_path / "heroes.gif"
    command = ["sample", "sprites", "--context", "hero", "--n", "3", "--steps", "5"]
    assert main([*command, "--png", str(png), "--gif", str(gif)]) == 0
    said = capsys.readouterr().out
    assert str(png) in said and str(gif) in said and "3 of each: hero" in said
    assert Image.open(png).size == (
        4 * (3 * 17 + 1),
        4 * (17 + 1),
    )  # three sprites, a line around each, 4 times enlarged
    film = Image.open(gif)
    assert film.n_frames == 6  # five moves and where they started
    film.seek(5)
    assert film.info["duration"] == 2000  # the last frame is held


def test_the_same_seed_gives_the_same_file(tmp_path):
    for name in ("a.png", "b.png"):
        main(["sample", "sprites", "--context", "food", "--n", "2", "--steps", "3", "--png", str(tmp_path / name)])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_train_keeps_a_checkpoint_losses_and_pictures_and_resumes(tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    assert main([*TINY, *out]) == 0
    assert "with --steps 4 --batch-size" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        "best.json",
        "best.pt",
        "last.pt",
        "losses.csv",
        "run.json",
        "samples-000004.png",
        "samples.png",
    }
    header, row = (tmp_path / "losses.csv").read_text().splitlines()
    assert header == "step,loss,lr" and row.startswith("4,")

    assert main([*TINY, *out]) == 2  # it would overwrite the run
    assert "--resume" in capsys.readouterr().err
    assert main([*TINY, *out, "--resume", "--steps", "6"]) == 0  # a later end
    assert "6 of 6 steps" in capsys.readouterr().out
    assert (
        main(["sample", str(tmp_path / "last.pt"), "--n", "1", "--steps", "2", "--png", str(tmp_path / "x.png")]) == 0
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_keeps_what_it_trained(how, tmp_path):
    command = [sys.executable, "-m", "ddpm_teach", *SMALL, "--out", str(tmp_path)]
    run = subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # tests that run in the background inherit an ignored Ctrl-C; a person's terminal doesn't ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "losses.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        run.send_signal(how)
        assert run.wait(60) == 130
    finally:
        run.kill()
    assert (
        main(["sample", str(tmp_path / "last.pt"), "--n", "1", "--steps", "1", "--png", str(tmp_path / "x.png")]) == 0
    )


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["train", "sprite"], ["'sprite'", "sprites, mnist, fashion_mnist, mnist32, cifar10"]),
        (["sample", "spritez"], ["'spritez'", "sprites"]),
        (["sample", "sprites", "--context", "dog"], ["'dog'", "hero, monster, food, potion, side hero"]),
        (["sample", "sprites", "--steps", "0"], ["steps", "1…1000"]),
        (["sample", "sprites", "--gif", "x.txt"], ["--gif", ".gif or .webp", "x.txt"]),
        (["sample", "sprites", "--png", "x"], ["--png", ".png"]),
        (["sample", "sprites", "--n", "0"], ["--n", "positive"]),
        (["sample", "sprites", "--eta", "2"], ["eta", "[0, 1]"]),
        (["sample", "sprites", "--device", "abacus"], ["'abacus'", "--device"]),
        (["train", "sprites", "--minutes", "-1"], ["--minutes", "positive"]),
        (["train"], ["preset", "mnist32", "--images"]),
        (["train", "sprites", "--images", "."], ["preset", "--images"]),
        (["train", "--images", "nowhere"], ["nowhere", "no folder"]),
        (["train", "--images", ".", "--size", "-3"], ["--size", "positive"]),
        (["train", "sprites", "--size", "20"], ["--size", "--images"]),
        (["train", "sprites", "--budget", "weeks"], ["'weeks'", "cpu-minutes, cpu-hour, gpu"]),
        (["train", "sprites", "--steps", "3", "--minutes", "1"], ["--minutes", "--steps"]),
        (["train", "sprites", "--target", "score"], ["target", "'score'", "eps, x0, v"]),
        (["train", "sprites", "--times", "sometimes"], ["times", "'sometimes'", "uniform, stratified"]),
        (["train", "sprites", "--precision", "float8"], ["precision", "float8", "bfloat16"]),
        (["build", "99_nothing.ipynb"], ["99_nothing.ipynb"]),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(command, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.startswith("ddpm-teach: ") and len(error.strip().splitlines()) == 1
    assert all(word in error for word in words), error
    assert not list(tmp_path.iterdir())


def test_lessons_are_copied_and_never_overwritten(tmp_path):
    copied, kept = copy_lessons(tmp_path / "mine")
    assert copied >= 1 and kept == 0
    lesson = tmp_path / "mine" / FIRST_LESSON
    lesson.write_text("my own work")
    assert copy_lessons(tmp_path / "mine") == (0, copied)
    assert lesson.read_text() == "my own work"


def test_the_bare_command_opens_lesson_00_in_jupyterlab(tmp_path):
    """The real JupyterLab on a loopback port: it serves the copied lesson, trusted; --port, --no-browser reach it."""
    pytest.importorskip("jupyterlab", reason="JupyterLab isn't installed: the extra `lab` brings it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--no-browser", "--port", str(port), "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=secret"]
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME", "DATA")}
    lab = subprocess.Popen(
        [sys.executable, "-m", "ddpm_teach", *options],
        cwd=tmp_path,
        env={**os.environ, **folders},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}/api/contents/{FIRST_LESSON}?token=secret"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(600):
            try:
                answer = json.load(opener.open(url, timeout=5))
                break
            except OSError:
                assert lab.poll() is None, lab.stderr.read().decode()
                time.sleep(0.2)
        assert answer["type"] == "notebook"
        code = [cell for cell in answer["content"]["cells"] if cell["cell_type"] == "code"]
        assert code and all(cell["metadata"]["trusted"] for cell in code), "else the stored sliders show as stills"
        assert (tmp_path / "my-lessons" / FIRST_LESSON).exists()
        page = opener.open(f"http://127.0.0.1:{port}/?token=secret", timeout=5)
        assert Path(page.url.split("?")[0]).name == FIRST_LESSON
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(30)
