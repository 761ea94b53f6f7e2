"""The command line as a user meets it: what it writes, and what it says when it can't.

The commands run in this process, since importing torch takes seconds.
"""

import contextlib
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ddpm_teach
from ddpm_teach.cli import COMMANDS, main, sample as sample_command, train as train_command
from ddpm_teach.cli.lab import FIRST_LESSON
from ddpm_teach.cli.sample import draw
from ddpm_teach.model_files import load_model, save_weights
from ddpm_teach.sampler import Sampler
from ddpm_teach.storage import course_path
from ddpm_teach.training import pages, presets, runs
from ddpm_teach.training.checkpoint import load_checkpoint, save_checkpoint
from ddpm_teach.training.options import RunOptions
from ddpm_teach.training.state import TrainState

NET = {"name": "ContextUNet", "config": dict(channels=3, features=8, context_dim=5, size=16, T=1000)}
FAST = ["--steps", "1", "--device", "cpu", "--precision", "float32"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A new current folder, with files and folders that users confuse with others."""
    monkeypatch.chdir(tmp_path)
    for name, color in (("cats/a.png", "red"), ("cats/b.png", "pink"), ("dogs/a.png", "blue")):
        (tmp_path / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), color).save(tmp_path / "album" / name)
    (tmp_path / "afile").write_text("no folder")
    (tmp_path / "arun" / "run.json").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def tiny(monkeypatch):
    """A preset, and a plan for folders, that take moments."""
    options = RunOptions("sprites", net=NET, steps=4, batch_size=4, save_every=2, precision="float32")
    monkeypatch.setitem(presets.PRESETS, "sprites", dict.fromkeys(presets.BUDGETS, options))
    validate, wide = pages.validation_loss, presets._context_unet
    monkeypatch.setattr(pages, "validation_loss", lambda *args, **options: validate(*args, n=8, **options))
    for module in (runs, train_command):
        monkeypatch.setattr(module, "page_of", lambda state, png, **options: str(png))
    monkeypatch.setattr(presets, "_context_unet", lambda channels, _, classes, size: wide(channels, 8, classes, size))


def refusal(capsys):
    """The one sentence on stderr, after nothing on stdout."""
    output = capsys.readouterr()
    assert output.err.startswith("ddpm-teach: ") and len(output.err.strip().splitlines()) == 1, output.err
    assert not output.out, "something was printed before the options were looked at"
    return output.err


# What is refused


HUGE = "99999999999999999999"
SAMPLE = {
    "spritez": ["weights", "sprites, sprites-context, mnist, mnist-context, mnist32"],
    "album": ["weights", "'album'"],
    "afile": ["afile", "checksum"],
    "album/cats/a.png": ["a.png", "checksum"],
    "foreign.pt": ["foreign.pt", "another program"],
    "cut.safetensors": ["cut.safetensors", "cut off"],
    str(course_path("data/weights/sprites-classifier.safetensors")): ["Classifier"],
    "sprites-context --context dog": ["--context", "'dog'", "hero, monster, food, potion, side hero"],
    "sprites --context dog": ["--context", "'dog'", "model.attributes"],
    "mnist --context 3": ["--context", "leave"],
    "sprites --n 0": ["--n", "1…"],
    "sprites --n many": ["--n", "whole number", "'many'"],
    "sprites --n 1000000000": ["--n", "10000"],
    "sprites --n 5000": ["--n", "at most 2000"],
    "sprites --n 100 --steps 1000 --gif x.gif": ["--gif", "GB", "--n"],
    "sprites --n 201 --gif x.gif": ["--gif", "1,000 pictures", "1,005", "--png"],
    "sprites --steps 0": ["--steps", "≥ 1"],
    "sprites --steps 1001": ["--steps", "1…1000"],
    "sprites --sampler euler": ["--sampler", "ddim, ddpm, heun, dpm"],
    "sprites --spacing even": ["--spacing", "trailing"],
    "sprites --eta 2": ["--eta", "[0, 1]"],
    "sprites --eta 0 --sampler heun": ["--eta", "heun", "leave"],
    "sprites --eta 1 --sampler dpm": ["--eta", "dpm", "leave"],
    "sprites --eta 1 --sampler ddpm": ["--eta", "ddpm", "leave"],
    "mnist --guidance 7": ["--guidance", "leave"],
    "sprites --precision float8": ["--precision", "bfloat16"],
    "sprites --png x": ["--png", ".png"],
    "sprites --gif x.txt": ["--gif", ".gif or .webp", "x.txt"],
    "sprites --png afile/x.png": ["--png", "afile", "choose"],
    "sprites --gif /proc/nowhere/x.gif": ["--gif", "/proc", "choose"],
    "sprites --png same.png --gif link.gif": ["--gif", "same file"],
    "sprites --colour red": ["--colour"],
}
TRAIN = {
    "": ["preset", "mnist32", "--images", "--resume"],
    "sprite": ["'sprite'", "sprites, sprites-context, mnist, fashion_mnist, mnist-context, mnist32, cifar10"],
    "sprites --images album": ["preset", "--images", "leave one out"],
    "--images nowhere": ["--images", "nowhere"],
    "--images afile": ["--images", "afile"],
    "--images album --size -3": ["--size", "16, 20, 24, 28 or 32", "use --size 16"],
    "--images album --size 30": ["--size", "scaled", "got 30", "use --size 28"],
    "--images album --size 1000000000": ["--size", "got 1000000000", "use --size 32"],
    "--images nowhere --size 30": ["--images", "nowhere"],
    "--images album --budget gpu": ["--budget", "preset"],
    "--images album --out album/cats": ["--out", "cats", "choose"],
    "sprites --size 20": ["--size", "--images"],
    "sprites --budget weeks": ["--budget", "cpu-minutes, cpu-hour, gpu"],
    "sprites --steps 3 --minutes 1": ["--minutes", "--steps"],
    "sprites --minutes -1": ["--minutes", "positive"],
    "sprites --steps 0": ["--steps", "≥ 1"],
    "sprites --batch-size -1": ["--batch-size", "≥ 1"],
    "sprites --lr 0": ["--lr", "positive"],
    "sprites --ema-decay 1.5": ["--ema-decay", "[0, 1]"],
    "sprites --context-dropout 2": ["--context-dropout", "[0, 1]"],
    "sprites --target score": ["--target", "eps, x0, v, flow"],
    "sprites --times sometimes": ["--times", "uniform, stratified, logit-normal"],
    "sprites --schedule quadratic": ["--schedule", "linear, scaled_linear, sqrt_beta, cosine, straight", "'quadratic'"],
    "sprites --schedule own": ["--schedule", "linear", "'own'"],
    "mnist --schedule straight": ["--target", "eps", "straight", "use x0, v or flow"],
    "sprites --precision float8": ["--precision", "bfloat16"],
    "sprites --out afile": ["--out", "afile", "choose"],
    "sprites --min-snr -5": ["--min-snr", "≥ 0", "-5"],
    "sprites --out arun": ["--out", "run.json is a folder", "move it"],
    "sprites --resume --out arun": ["--out", "run.json is a folder", "move it"],
    "sprites --out afile/run": ["--out", "afile", "choose"],
    "sprites --out /proc/nowhere": ["--out", "/proc", "choose"],
    "--resume": ["--out"],
    "--resume --out album": ["--resume", "album", "preset"],
}
OTHERS = {
    "paint": ["'paint'", "sample"],
    "sample": ["WEIGHTS"],
    "evaluate mnist --guidance 2": ["--guidance", "leave"],
    "evaluate sprites --n 3": ["--n", "10…"],
    "evaluate sprites --n 1000000000": ["--n", "1000000"],
    "evaluate sprites --steps 5000": ["--steps", "1…1000"],
    "evaluate album": ["weights", "'album'"],
    "build 99_nothing.ipynb": ["99_nothing.ipynb"],
    "build afile": ["afile", "notebook"],
    "lab --folder afile": ["--folder", "afile"],
    "class": ["COMMAND"],
    "class grow out": ["'grow'", "build"],
    "class build out": ["--for"],
    "class build out --for parents": ["--for", "students, teachers", "'parents'"],
    "class build album --for students": ["out", "album", "empty"],
    "class build afile --for students": ["out", "afile", "file"],
    "class build out --for students --lessons 00 77": ["--lessons", "'77'", "00, 01"],
    "class build out --for students --exercises album": ["--exercises", "album", "class_exercises.py"],
    "class build out --for teachers --no-hints": ["--no-hints", "leave"],
}
EVERYWHERE = {  # in each command that draws or trains
    f"--seed {HUGE}": ["--seed", "2^63"],
    "--seed -1": ["--seed", "0…"],
    "--steps 1.5": ["--steps", "whole number"],
    "--device meta": ["--device", "'meta'", "leave it out"],
    "--device abacus": ["--device", "'abacus'", "leave it out"],
    "--device cuda:99": ["--device", "'cuda:99'", "leave it out"],
}
INFINITE = ["train --lr", "train --minutes", "train --min-snr", "sample --eta", "sample --guidance", "evaluate --eta"]

CASES = {f"sample {line}": words for line, words in SAMPLE.items()}
CASES |= {f"train {line}": words for line, words in TRAIN.items()} | OTHERS
CASES |= {
    f"{command} sprites {line}": words
    for line, words in EVERYWHERE.items()
    for command in COMMANDS
    if command in ("train", "sample", "evaluate")
}
CASES |= {
    f"{line.replace(' ', ' sprites ')} {value}": [line.split()[1], "finite"]
    for line in INFINITE
    for value in ("inf", "nan", "1e999")
}


@pytest.mark.parametrize(("line", "words"), CASES.items(), ids=CASES)
def test_bad_input_gets_one_sentence_and_leaves_nothing(line, words, home, capsys):
    torch.save({"weight": torch.zeros(2)}, home / "foreign.pt")
    whole = course_path("data/weights/sprites.safetensors").read_bytes()
    (home / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (home / "link.gif").symlink_to(home / "same.png")
    before = sorted(home.rglob("*"))
    assert main(line.split()) == 2
    sentence = refusal(capsys)
    assert all(word in sentence for word in words), sentence
    assert sorted(home.rglob("*")) == before


TAKES_A_PATH = {
    "sample": "WEIGHTS",
    "sample sprites --png": "--png",
    "sample sprites --gif": "--gif",
    "evaluate": "WEIGHTS",
    "train --images": "--images",
    "train sprites --out": "--out",
    "train --resume --out": "--out",
    "lab --folder": "--folder",
    "build": "LESSON",
    "class build --for students": "OUT",
    "class build out --for students --exercises": "--exercises",
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty", "variable"]),
        ("a\0b.gif", ["a\\x00b.gif", "no file can be called"]),
        ("x" * 300 + ".gif", ["File name too long", "choose another"]),
        ("below/circle/x.gif", ["symbolic links", "choose another"]),
    ],
    ids=["empty", "null", "long", "circle"],
)
@pytest.mark.parametrize("line", TAKES_A_PATH)
def test_what_can_t_be_a_path_is_refused_by_every_option_that_takes_one(line, text, words, home, capsys):
    """The empty text of a shell's unset variable would be the current folder."""
    (home / "below").mkdir()
    (home / "below" / "circle").symlink_to(home / "below" / "circle")
    before = sorted(home.rglob("*"))
    assert main([*line.split(), text]) == 2
    sentence = refusal(capsys)
    assert sentence.startswith(f"ddpm-teach: {TAKES_A_PATH[line]}: ") and len(sentence) < 250
    assert all(word in sentence for word in words), sentence
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("WORLD_SIZE", ["x", "", "0", "-1", "1.5", "²", "9" * 5000]),
        ("RANK", ["", "2", "-1", "first"]),
        ("MASTER_ADDR", [""]),
    ],
)
def test_what_no_launcher_says_is_refused_and_not_waited_for(name, values, monkeypatch, home, capsys):
    for other, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(other, value)
    for value in values:
        monkeypatch.setenv(name, value)
        assert main(["train", "sprites"]) == 2
        sentence = refusal(capsys)
        assert sentence.startswith(f"ddpm-teach: {name}: expected") and len(sentence) < 250
        assert "torchrun" in sentence and "unset WORLD_SIZE" in sentence


def test_a_launcher_gives_the_devices(monkeypatch, home, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", "sprites", "--device", "cpu"]) == 2
    assert "--device" in (sentence := refusal(capsys)) and "launcher" in sentence


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 6144000000000 bytes"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("command", ["sample sprites", "evaluate sprites", "train sprites"])
def test_too_little_memory_is_told_with_a_way_out(error, command, tiny, home, monkeypatch, capsys):
    def full(*args, **options):
        raise error

    monkeypatch.setattr(Sampler, "frames", full)
    monkeypatch.setattr(runs, "train", full)  # and not the trial's
    assert main([*command.split(), "--device", "cpu"]) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert ("--batch-size 2 fits" if "train" in command else "smaller --n") in sentence


@pytest.mark.parametrize("mistake", [lambda: [][0], lambda: int(""), lambda: torch.ones(2) + torch.ones(3)])
def test_a_mistake_of_ours_keeps_its_traceback(mistake, home, monkeypatch):
    monkeypatch.setattr(sample_command, "load_model", lambda *args: mistake())
    with pytest.raises((IndexError, ValueError, RuntimeError)):
        main(["sample", "sprites"])


def test_a_folder_that_cannot_be_written_is_told_by_the_system(home, monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device", "samples.png")

    monkeypatch.setattr(sample_command, "save_png", full)
    assert main(["sample", "mnist", "--n", "1", *FAST]) == 2
    assert "samples.png: No space left" in capsys.readouterr().err


@pytest.fixture
def student(home):
    """The path of a network that walks two times, untrained."""
    torch.manual_seed(0)
    net = ddpm_teach.ContextUNet(3, 8, 5, 16)
    classes = load_model("sprites-context").classes
    save_weights("student.safetensors", ddpm_teach.Model(net, ddpm_teach.linear(), "v", classes, times=(1000, 400, 0)))
    return "student.safetensors"


def test_a_student_draws_in_its_own_steps(student, capsys):
    assert main(["sample", student, "--n", "1", "--gif", "film.gif", *FAST[2:]]) == 0
    assert "a student, which walks 1000 → 400 → 0" in capsys.readouterr().out
    with Image.open("film.gif") as film:
        assert film.n_frames == 3
    assert main(["sample", student, "--n", "1", "--steps", "2", "--sampler", "ddim", *FAST[2:]]) == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [("--steps", "20"), ("--steps", "3"), ("--sampler", "dpm"), ("--spacing", "quadratic"), ("--eta", "1"),
     ("--guidance", "2"), ("--guidance", "0")],
)  # fmt: skip
@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_what_a_student_does_not_know_is_refused_by_name(command, option, value, student, home, capsys):
    assert main([command, student, option, value, "--device", "cpu"]) == 2
    sentence = refusal(capsys)
    assert sentence.startswith(f"ddpm-teach: {option}: ") and "1000, 400, 0" in sentence and "leave it out" in sentence
    assert not Path("samples.png").exists()


# What is said


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_has_examples_and_every_terminal_can_show_it(command, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer := io.BytesIO(), "ascii"))
    assert main([*command, "--help"]) == 0
    text = buffer.getvalue().decode("ascii")
    assert "examples:" in text and f"ddpm-teach {' '.join(command)}".strip() in text


def test_the_help_of_train_has_the_plans_and_what_they_cost(capsys):
    main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for budget, cost in presets.BUDGETS.items():
        assert f"{budget}: {cost}" in text
    for name, plans in presets.PRESETS.items():
        for budget, options in plans.items():
            assert f"{name} {budget} --steps {options.steps}" in text
    assert f"(default: {RunOptions().lr:g})" in text


def test_the_version_is_all_that_is_printed(home, capsys):
    before = sorted(home.rglob("*"))
    assert main(["--version"]) == 0
    text = capsys.readouterr().out
    assert ddpm_teach.__version__ in text and torch.__version__.split("+")[0] in text and text.count("\n") == 1
    assert sorted(home.rglob("*")) == before


def in_a_shell(line: str, folder: Path, stdout: int = subprocess.PIPE, **names: str) -> subprocess.CompletedProcess:
    """A command in a process of its own, as a shell starts it: `line` may say where the output goes."""
    environment = os.environ | {"PYTHONPATH": str(Path(ddpm_teach.__file__).parents[1]), "PYTHONIOENCODING": "ascii"}
    command = f"{shlex.quote(sys.executable)} -m ddpm_teach {line}"
    pipes = {"stdout": stdout, "stderr": subprocess.PIPE, "text": True}
    return subprocess.run(command, shell=True, cwd=folder, env=environment | names, **pipes)


@pytest.mark.parametrize(
    ("where", "status", "words"),
    [
        (">&-", 0, []),
        (">&- 2>&-", 0, []),
        ("2>&-", 0, []),
        pytest.param(
            ">/dev/full",
            2,
            ["standard output: can't be written (No space left on device)", "elsewhere"],
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full"),
        ),
    ],
)
def test_output_that_goes_nowhere_is_no_mistake_of_ours(where, status, words, tmp_path):
    run = in_a_shell(f"sample mnist --n 1 {' '.join(FAST)} {where}", tmp_path)
    assert run.returncode == status and "Traceback" not in run.stderr and "Exception" not in run.stderr, run.stderr
    assert all(word in run.stderr for word in words), run.stderr
    assert (tmp_path / "samples.png").exists() == (status == 0), "a full disk is told before anything is computed"


def test_a_reader_who_has_left_gets_no_traceback(tmp_path):
    read, write = os.pipe()
    os.close(read)
    run = in_a_shell(f"sample mnist --n 1 {' '.join(FAST)}", tmp_path, stdout=write)
    os.close(write)
    assert run.returncode == 141 and "Traceback" not in run.stderr and "Broken" not in run.stderr, run.stderr


# Sampling


def test_sample_writes_the_pictures_and_the_film_it_says(tmp_path, capsys):
    png, gif = tmp_path / "heroes.png", tmp_path / "heroes.gif"
    command = ["sample", "sprites", "--context", "hero", "--n", "3", "--steps", "5"]
    assert main([*command, "--png", str(png), "--gif", str(gif)]) == 0
    text = capsys.readouterr().out
    assert str(png) in text and str(gif) in text and "3 of each: hero" in text
    # three sprites, a line around each, 4 times enlarged
    assert Image.open(png).size == (4 * (3 * 17 + 1), 4 * (17 + 1))
    film = Image.open(gif)
    assert film.n_frames == 6  # five moves and where they started
    film.seek(5)
    assert film.info["duration"] == 2000  # the last frame is held


def test_weights_by_name_and_as_a_file_draw_the_same(home):
    model = load_model("mnist")
    save_weights("mine.safetensors", model)
    for name, weights in (("a.png", "mnist"), ("b.png", "mine.safetensors"), ("c.png", "mnist")):
        assert main(["sample", weights, "--n", "2", *FAST, "--png", name]) == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes() == Path("c.png").read_bytes()


def test_pictures_are_computed_in_parts_and_only_what_is_written_is_kept(monkeypatch):
    monkeypatch.setattr(sample_command, "PART", 3)
    model, sampler = load_model("mnist"), Sampler(steps=2, precision="float32")
    (few,) = draw(model, sampler, None, 3, seed=4)
    (many,) = draw(model, sampler, None, 8, seed=4)
    assert many.shape == (8, 28, 28, 1) and many.dtype == np.uint8
    assert np.array_equal(many[:3], few)
    assert len({picture.tobytes() for picture in many}) == 8, "no part repeats another"
    frames = draw(model, sampler, None, 8, seed=4, film=True)
    assert len(frames) == 3 and np.array_equal(frames[-1], many)


def test_what_is_not_finite_is_told_and_not_drawn(home, monkeypatch, capsys):
    model = load_model("mnist")
    next(model.net.parameters()).fill_(float("nan"))
    monkeypatch.setattr(sample_command, "load_model", lambda *args: model)
    assert main(["sample", "mnist", "--n", "1", *FAST]) == 2
    assert "finite" in capsys.readouterr().err and not Path("samples.png").exists()


# Training


def train(*options):
    return main(["train", *options, "--device", "cpu"])


def test_train_keeps_a_checkpoint_and_losses_and_resumes(tiny, home, capsys):
    assert train("sprites", "--steps", "2") == 0
    assert "with --steps 2 --batch-size 4" in capsys.readouterr().out
    names = {path.name for path in Path("runs/sprites").iterdir()}
    assert names >= {"best.json", "best.pt", "last.pt", "losses.csv", "run.json"}
    assert Path("runs/sprites/losses.csv").read_text().splitlines()[1].startswith("2,")

    assert train("sprites") == 2  # it would overwrite the run
    assert "--resume" in refusal(capsys)
    assert train("sprites", "--resume") == 0
    assert "2 steps are done" in capsys.readouterr().out
    for option, value in (("--batch-size", "3"), ("--lr", "0.5"), ("--precision", "bfloat16"), ("--minutes", "5")):
        assert train("sprites", "--resume", option, value) == 2
        sentence = refusal(capsys)
        assert f"{option}: changes nothing" in sentence and "2 steps" in sentence and "--steps 4" in sentence
    assert train("sprites", "--resume", "--batch-size", "4") == 0, "as it was: nothing was to be changed"
    capsys.readouterr()
    assert train("sprites", "--resume", "--steps", "3") == 0
    assert "3 of 3 steps" in capsys.readouterr().out
    assert train("--resume", "--out", "runs/sprites", "--steps", "4", "--batch-size", "2") == 0
    assert "4 of 4 steps" in capsys.readouterr().out
    record = json.loads(Path("runs/sprites/run.json").read_text())
    assert record["steps"] == 4 and record["batch_size"] == 2 and record["data"] == "sprites"
    assert main(["sample", "runs/sprites/last.pt", "--n", "1", *FAST]) == 0


def test_a_chosen_schedule_and_times_are_trained_with_and_stay(tiny, home, capsys):
    """The network's T is kept; a flow network of the straight path is drawn from as what it is."""
    chosen = ["--schedule", "straight", "--target", "flow", "--times", "logit-normal"]
    assert train("sprites", "--steps", "2", *chosen) == 0
    assert "--schedule straight --times logit-normal" in capsys.readouterr().out
    model = load_model("runs/sprites/last.pt")
    assert torch.equal(model.schedule.alpha_bar, ddpm_teach.straight(1000).alpha_bar) and model.target.name == "flow"
    record = json.loads(Path("runs/sprites/run.json").read_text())
    assert (record["schedule"], record["times"], record["target"]) == ("straight", "logit-normal", "flow")
    assert train("--resume", "--out", "runs/sprites", "--steps", "3", "--schedule", "straight") == 0, "the same again"
    assert train("sprites", "--resume", "--steps", "4") == 0
    assert load_checkpoint("runs/sprites/last.pt").options.schedule == "straight"
    capsys.readouterr()
    assert train("sprites", "--resume", "--steps", "5", "--schedule", "cosine") == 2
    assert "--schedule: the run in runs/sprites was made with straight" in refusal(capsys)
    assert main(["sample", "runs/sprites/last.pt", "--n", "1", "--sampler", "dpm", "--steps", "3", *FAST[2:]]) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["sprites", "--seed", "7"], ["--seed"]),
        (["sprites", "--target", "x0"], ["--target"]),
        (["sprites", "--schedule", "cosine"], ["--schedule", "linear", "cosine"]),
        (["sprites", "--budget", "gpu"], ["--budget", "gpu"]),
        (["mnist", "--out", "runs/sprites"], ["preset"]),
        (["--images", "album", "--out", "runs/sprites"], ["preset or --images"]),
        (["sprites", "--steps", "1"], ["--steps", "2"]),
    ],
)
def test_what_resuming_cannot_change_is_refused_by_name(options, words, tiny, home, capsys):
    plan = replace(presets.preset("sprites", "cpu-hour"), steps=4)
    state = TrainState.create(presets.build_net(plan), plan.noise_schedule(), plan)
    state.step = 2
    save_checkpoint("runs/sprites/last.pt", state)
    assert train(*options, "--resume") == 2
    sentence = refusal(capsys)
    assert all(word in sentence for word in words), sentence
    assert [path.name for path in Path("runs/sprites").iterdir()] == ["last.pt"]


def test_what_is_planned_follows_from_the_options_and_not_from_the_way_they_are_said(tiny, home, monkeypatch):
    plans = []
    monkeypatch.setattr(train_command, "train_run", lambda options, *_, **__: plans.append(options) or 1 / 0)
    lines = ["sprites --budget cpu-hour", "sprites --budget cpu-hour --steps 4 --seed 0 --batch-size 4", "sprites"]
    lines += ["--images album", "--images ./album --size 32", f"--images {home / 'album'} --steps 12000"]
    for line in lines:
        with pytest.raises(ZeroDivisionError):
            train(*line.split())
    assert plans[0] == plans[1] == plans[2] and plans[3] == plans[4] == plans[5] != plans[0]


def test_the_way_on_from_a_run_that_ended_early_works_as_it_is_printed(tiny, home, monkeypatch, capsys):
    """After a stop a line of the output goes on without another word, also with a folder's name that a shell cuts."""
    with monkeypatch.context() as patch:
        patch.setattr(runs, "signals_noted", lambda: contextlib.nullcontext([True]))
        assert train("sprites", "--out", "my run") == 130
    (line,) = re.findall(r"to go on: (ddpm-teach train [^;]+);", capsys.readouterr().out)
    command, *words = shlex.split(line)
    assert command == "ddpm-teach" and main([*words, "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "4 of 4 steps" in text
    (line,) = re.findall(r"draw more: ddpm-teach (.+)", text)
    assert main([*shlex.split(line), "--n", "1", *FAST]) == 0


def test_a_rate_that_was_too_high_before_anything_was_saved_is_told_with_a_way_that_works(tiny, home, capsys):
    assert train("sprites", "--lr", "1e30", "--save-every", "99", "--steps", "40", "--out", "wild") == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert "nothing was saved yet" in sentence and "begin again with a lower rate (--lr)" in sentence
    assert train("--resume", "--out", "wild", "--lr", "1e-3") == 2
    assert "wild holds no checkpoint" in (sentence := refusal(capsys)) and "preset or --images" in sentence
    assert train("sprites", "--out", "wild", "--steps", "1") == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [([], True), (["--minutes", "0.01"], False), (["--steps", "2"], False), (["--resume", "--steps", "2"], False)],
)
def test_how_long_a_folder_takes_is_told_first_unless_it_was_said(options, told, tiny, home, monkeypatch, capsys):
    monkeypatch.setattr(presets, "FOLDER", replace(presets.FOLDER, steps=2, batch_size=2))
    assert train("--images", "album", "--size", "16", *options) == 0
    text = capsys.readouterr().out
    first = text.splitlines()[0]
    assert ("2 steps are planned" in first and "hours" in first and "--minutes 30" in first) == told
    assert "held-out pictures (1 of them)" in text


def test_the_help_says_what_a_folder_needs_and_what_can_be_judged(capsys):
    main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "12,000 steps of them take hours" in text and "--minutes 30" in text and "16, 20, 24, 28 or 32" in text
    main(["evaluate", "--help"])
    assert "like those of sprites and mnist, for which there is a judge" in " ".join(capsys.readouterr().out.split())


def test_a_run_among_the_pictures_is_no_class(tiny, home, monkeypatch, capsys):
    monkeypatch.chdir(home / "album")
    options = ["--images", ".", "--size", "16", "--batch-size", "2"]
    assert train(*options, "--steps", "1") == 0
    assert "3 pictures: cats 2, dogs 1" in capsys.readouterr().out
    assert train(*options[:2], "--steps", "2", "--resume") == 0  # the size is in the record
    assert "2 of 2 steps" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_a_run_that_is_interrupted_keeps_what_it_trained(number, times, tiny, home, monkeypatch, capsys):
    steps = runs.train

    def pressed(state, images, processes):
        for log in steps(state, images, processes):
            if log.step == 3:
                for _ in range(times):
                    signal.raise_signal(number)
            yield log

    # Tests in the background inherit an ignored Ctrl-C, and a second SIGTERM would end them.
    before = [signal.signal(one, signal.default_int_handler) for one in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(runs, "train", pressed)
    try:
        assert train("sprites", "--steps", "99") == 130
    finally:
        for one, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(one, handler)
    assert capsys.readouterr().err.rstrip().endswith("ddpm-teach: interrupted")
    saved = load_checkpoint("runs/sprites/last.pt")
    assert saved.step == (3 if times == 1 else 2), "once: the step at hand is saved; twice: it stops at once"


# The course


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
        lab.terminate()  # the command alone: who ends it means JupyterLab, which mustn't stay behind
        lab.wait(30)
        with pytest.raises(OSError):
            opener.open(url, timeout=5)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(lab.pid, signal.SIGKILL)
