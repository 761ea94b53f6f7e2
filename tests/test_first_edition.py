"""A lesson copy of the first edition meets one sentence, wherever it is run; no other import notices."""

import importlib
import importlib.machinery
import importlib.util
import subprocess
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell

import ddpm_teach
from ddpm_teach.course import first_edition

IMPORTS = """\
ddpm_teach: Frame, LayerNormUNet, Pretrained, exercises
ddpm_teach: widgets
ddpm_teach.denoise: guided
ddpm_teach.devices: self_check
ddpm_teach.exercises: find
ddpm_teach.exercises.engine: Exercise
ddpm_teach.metrics: Measured, Moments, class_accuracy, frechet, frechet_distance, load_classifier
ddpm_teach.paths: course_path
ddpm_teach.pictures: save_film, show
ddpm_teach.plots: forward_strip, schedule_curves
ddpm_teach.presets: find
ddpm_teach.samplers: Recipe
ddpm_teach.widgets: forward
ddpm_teach.widgets.scrubber: scrub
ddpm_teach.data: ImageSet
ddpm_teach.evaluation: Judge
ddpm_teach.nets: build
ddpm_teach.training: TrainState, load_checkpoint, save_checkpoint
ddpm_teach.training: snr_weight, step_generator, stratified_times, train
ddpm_teach.training: validation_loss"""
CELLS = {  # the import cell of each of its lessons
    "00": """
import torch

from ddpm_teach import add_noise, clipped, ddim_step, from_eps, guided, load, load_pretrained, sample, trailing, walk
from ddpm_teach.devices import self_check
from ddpm_teach.pictures import show
from ddpm_teach.widgets import scrub""",
    "01": """
import torch

from ddpm_teach import (
    add_noise,
    exercises,
)
from ddpm_teach.pictures import show
from ddpm_teach.plots import forward_strip, schedule_curves
from ddpm_teach.widgets import forward""",
    "02": """
from ddpm_teach import ContextUNet, Frame, LayerNormUNet, add_noise, exercises, from_eps, guided
from ddpm_teach import linear, load, load_pretrained, picture_from, summary
from ddpm_teach.nets.blocks import sinusoids
from ddpm_teach.paths import course_path
from ddpm_teach.pictures import show
from ddpm_teach.plots import loss_curve
from ddpm_teach.training import TrainState, train
from ddpm_teach.widgets import scrub""",
    "03": """
from ddpm_teach import Schedule, add_noise, clipped, ddim_step, exercises, from_eps, guided, linear
from ddpm_teach import from_x0, load, load_pretrained, posterior, trailing, variational_weights, walk
from ddpm_teach.metrics import class_accuracy, load_classifier
from ddpm_teach.paths import course_path
from ddpm_teach.presets import find
from ddpm_teach.training import TrainState, load_checkpoint, save_checkpoint""",
    "04": """
from ddpm_teach import Estimate, Frame, clipped, ddpm_step, every, exercises, forward_step, from_eps
from ddpm_teach import guided, linear, load, load_pretrained, noise_from, posterior, trailing, walk
from ddpm_teach.pictures import save_film, show
from ddpm_teach.plots import trajectory_strip""",
    "05": """
from ddpm_teach import Estimate, clipped, ddim_step, exercises, from_eps, guided, linear
from ddpm_teach import load_pretrained, noise_from, thresholded, trailing, walk
from ddpm_teach.metrics import Measured, class_accuracy, load_classifier""",
    "06": """
from ddpm_teach import guided, heun_step, inpainting, leading, linear, load, load_pretrained
from ddpm_teach import noise_from, quadratic, trailing, walk
from ddpm_teach.metrics import Moments, frechet_distance, in_parts, load_classifier""",
    "07": """
from ddpm_teach import AttentionUNet, Frame, LayerNormUNet, Pretrained, exercises, from_folder
from ddpm_teach import load, load_pretrained, summary
from ddpm_teach.samplers import Recipe
from ddpm_teach.training import TrainState, train, validation_loss""",
    "08": """
from ddpm_teach import Estimate, clipped, ddpm_step, exercises, from_eps, guided, linear, load
from ddpm_teach import load_pretrained, move_variance, noise_from, trailing, variational_bound, walk
from ddpm_teach.metrics import Measured, Moments, class_accuracy, frechet, frechet_distance""",
    "09": """
from ddpm_teach import Frame, add_noise, clipped, cosine, ddim_step, dropped_out, every, exercises
from ddpm_teach import from_eps, from_v, gradient, guided, inpainting, ldm_quad, ldm_uniform, linear
from ddpm_teach import load_pretrained, move_variance, projected, quadratic, repeated, sample
from ddpm_teach import scaled_linear, score_corrected, sqrt_beta, trailing, variational_weights
from ddpm_teach import walk, zero_terminal_snr
from ddpm_teach.metrics import load_classifier""",
}
LINES = [f"from {line.split(': ')[0]} import {line.split(': ')[1]}" for line in IMPORTS.splitlines()]
LINES += ["import ddpm_teach.widgets", "import ddpm_teach.pictures as p", "import ddpm_teach; ddpm_teach.metrics"]


@pytest.fixture(scope="module")
def shell():
    return InteractiveShell.instance()


@pytest.mark.parametrize("source", [*CELLS.values(), *LINES], ids=[*CELLS, *LINES])
def test_an_old_import_shows_the_sentence_and_nothing_else(shell, source, capsys):
    result = shell.run_cell(source)
    shown = "".join(capsys.readouterr())
    assert isinstance(result.error_in_exec, first_edition.FirstEdition)
    assert shown.strip() == first_edition.SENTENCE


def test_the_sentence_names_the_remedy_and_calms():
    assert "first edition" in first_edition.SENTENCE and "`ddpm-teach`" in first_edition.SENTENCE
    assert "yours stays as it is" in first_edition.SENTENCE and "\n" not in first_edition.SENTENCE


def test_outside_of_ipython_the_sentence_stands_last():
    done = subprocess.run([sys.executable, "-c", CELLS["00"].replace("import torch", "")], capture_output=True)
    assert done.returncode == 1
    assert done.stderr.decode("utf8", "replace").splitlines()[-1].partition(": ")[2].startswith("this lesson is of")


def test_it_costs_neither_torch_nor_anything_else_to_import():
    code = "import sys; import ddpm_teach; print([m for m in sys.modules if m.startswith(('torch', 'ddpm_teach.'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['ddpm_teach.course', 'ddpm_teach.course.first_edition']"


@pytest.mark.parametrize("name", sorted(first_edition.GONE))
def test_what_exists_is_not_refused(name):
    """No name of the list leads to a module of today (a folder that a pull left behind is none)."""
    home = importlib.import_module(name.rpartition(".")[0])
    spec = importlib.machinery.PathFinder.find_spec(name, home.__path__)
    assert spec is None or not spec.has_location


@pytest.mark.parametrize("module", ["ddpm_teach", "ddpm_teach.training", "ddpm_teach.data", "torch"])
def test_a_name_that_never_was_is_an_ordinary_error(module):
    with pytest.raises(ImportError) as error:
        exec(f"from {module} import never_was")
    assert not isinstance(error.value, first_edition.FirstEdition)
    assert not hasattr(ddpm_teach, "never_was")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{module}.never_was")


def test_modules_of_today_can_be_looked_for():
    assert importlib.util.find_spec("ddpm_teach.data") and importlib.util.find_spec("ddpm_teach.nets.blocks")


def test_an_empty_folder_of_old_does_not_hide_the_sentence(tmp_path, monkeypatch):
    """`git pull` leaves ddpm_teach/widgets/__pycache__ behind: Python takes the folder for a package."""
    (tmp_path / "widgets" / "__pycache__").mkdir(parents=True)
    monkeypatch.setattr(ddpm_teach, "__path__", [*ddpm_teach.__path__, str(tmp_path)])
    with pytest.raises(first_edition.FirstEdition):
        exec("from ddpm_teach.widgets import scrub")
    sys.modules.pop("ddpm_teach.widgets", None)
    vars(ddpm_teach).pop("widgets", None)


def test_it_is_installed_once_and_last():
    first_edition.install()
    assert sys.meta_path.count(first_edition._Finder) == 1
