"""The package as a thing to install: what it weighs at import, what its wheel carries, what its two recipes ask for."""

import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ddpm_teach
from ddpm_teach import storage

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"torch": "pytorch"}


def test_environment_yml_asks_for_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["lab"], f"python{project['requires-python']}"}
    names = "|".join(CONDA_NAMES)
    wanted = {re.sub(rf"^({names})(?=\W)", lambda m: CONDA_NAMES[m[0]], line) for line in wanted}
    listed = set(re.findall(r"^  - (\S+[<>=]\S+)$", (ROOT / "environment.yml").read_text(), re.M))
    assert listed == wanted


def test_a_plain_uv_run_brings_jupyterlab_and_none_of_the_developers_tools():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups, default = pyproject["dependency-groups"], pyproject["tool"]["uv"]["default-groups"]
    names = {re.match(r"[\w-]+(\[\w+\])?", line)[0] for group in default for line in groups[group]}
    assert names == {"ddpm-teach[lab]"} and names < {re.match(r"[\w-]+(\[\w+\])?", line)[0] for line in groups["dev"]}


@pytest.mark.parametrize(("clone", "told"), [(True, 'pip install ".[lab]" in '), (False, "pip install jupyterlab")])
def test_what_is_missing_is_named_by_a_command_that_works(clone, told, tmp_path, monkeypatch):
    """The course is on no package index, so an extra has a name in a clone only."""
    monkeypatch.setattr(storage, "_PACKAGE", tmp_path / "ddpm_teach")
    if clone:
        (tmp_path / "pyproject.toml").touch()
    assert storage.how_to_install("lab", "jupyterlab") == told + f"{tmp_path}" * clone


def test_messages_and_graphs_without_shape_checks():
    """The package's own error messages, and its graphs, in a process where nothing speaks first or resists tracing."""
    files = ("tests/test_messages.py", "tests/test_compile.py", "tests/test_options.py")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *files]
    env = {**os.environ, "DDPM_TEACH_SHAPE_CHECKS": "off"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]


def modules_after(code: str) -> set[str]:
    """The top-level modules, but the standard library's, that a fresh process has after these lines."""
    code += "; import sys; print(*{name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split()) - {"__main__", "__mp_main__"}


def test_import_loads_nothing_but_the_standard_library():
    """Not even torch: each name is loaded from its home when it is first used."""
    assert modules_after("import ddpm_teach") == {"ddpm_teach"}


def test_what_training_and_sampling_need_loads_little_besides_torch():
    """What only pictures, widgets or several processes need waits until it's used; Triton alone takes half a second."""
    names = "Schedule, Sampler, sample, Model, load_model, TrainState, train, ContextUNet, ImageSet, load, evaluate"
    extra = modules_after(f"from ddpm_teach import {names}") - modules_after("import torch")
    assert extra <= {"ddpm_teach", "numpy", "einops", "jaxtyping", "safetensors", "tqdm", "PIL", "wadler_lindig"}


def test_the_names_of_the_package_are_all_there_and_listed():
    for name in ddpm_teach.__all__:
        if name == "interop" and importlib.util.find_spec("diffusers") is None:
            continue
        assert getattr(ddpm_teach, name) is not None and name in dir(ddpm_teach)
    assert sorted(set(ddpm_teach.__all__)) == ddpm_teach.__all__
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ddpm_teach.no_such_name


@pytest.mark.parametrize("name", [name for name in ddpm_teach.__all__ if name not in ("exercises", "interop", "show")])
def test_a_public_name_lives_where_the_package_says(name):
    """So that documentation, pickles and error messages name one home."""
    value = getattr(ddpm_teach, name)
    if isinstance(value, type) or inspect.isfunction(value):
        home = f"ddpm_teach.{ddpm_teach._HOME_OF[name]}"
        assert value.__module__ == home or value.__module__.startswith(f"{home}.")


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the PATH: it builds the wheel and its environment")
def test_the_wheel_in_a_clean_environment_samples_and_has_the_lessons(tmp_path):
    newest = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["exclude-newer"]
    env = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT")}

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    run("uv", "venv", "--quiet", "--python", sys.executable, "clean")
    bin = tmp_path / "clean" / ("Scripts" if os.name == "nt" else "bin")
    run("uv", "pip", "install", "--quiet", "--exclude-newer", newest, "--python", str(bin / "python"), str(wheel))
    said = run(str(bin / "ddpm-teach"), "sample", "sprites", "--context", "food", "--n", "1", "--steps", "3")
    assert "samples.png" in said and (tmp_path / "samples.png").stat().st_size > 100
    run(str(bin / "ddpm-teach"), "page", "sprites.html")  # without npm, onnx and a network
    assert (tmp_path / "sprites.html").stat().st_size > 10_000_000
    code = (
        "import ddpm_teach; from pathlib import Path; from ddpm_teach.cli.lab import copy_lessons;"
        f" assert {str(ROOT)!r} not in ddpm_teach.__file__; copy_lessons(Path('mine'));"
        " print(len(ddpm_teach.load('sprites')), Path('mine/00_start_here.ipynb').exists())"
    )
    assert run(str(bin / "python"), "-c", code).strip() == "25000 True"
