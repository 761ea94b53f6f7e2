"""The package as a thing to install: what it weighs at import, what its wheel carries, what its two recipes ask for."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"torch": "pytorch"}


def test_environment_yml_asks_for_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["lab"], f"python{project['requires-python']}"}
    names = "|".join(CONDA_NAMES)
    wanted = {re.sub(rf"^({names})(?=\W)", lambda m: CONDA_NAMES[m[0]], line) for line in wanted}
    listed = set(re.findall(r"^  - (\S+[<>=]\S+)$", (ROOT / "environment.yml").read_text(), re.M))
    assert listed == wanted


def test_messages_and_graphs_without_shape_checks():
    """The package's own error messages, and its graphs, in a process where nothing speaks first or resists tracing."""
    files = ("tests/test_messages.py", "tests/test_compile.py")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *files]
    env = {**os.environ, "DDPM_TEACH_SHAPE_CHECKS": "off"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]


def test_import_loads_little_besides_torch():
    """What only lessons or training need is loaded when it is first used; Triton alone takes half a second."""
    code = (
        "import sys, torch; before = set(sys.modules); import ddpm_teach;"
        " print(*{name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"ddpm_teach", "torch", "numpy", "einops", "jaxtyping", "safetensors"}


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
    code = (
        "import ddpm_teach; from pathlib import Path; from ddpm_teach.cli import copy_lessons;"
        f" assert {str(ROOT)!r} not in ddpm_teach.__file__; copy_lessons(Path('mine'));"
        " print(len(ddpm_teach.load('sprites')), Path('mine/00_start_here.ipynb').exists())"
    )
    assert run(str(bin / "python"), "-c", code).strip() == "25000 True"
