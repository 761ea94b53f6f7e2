"""The course with the versions that Google Colab has, in the classic notebook, whose widgets are of Colab's generation.

colab-constraints.txt holds the versions of Colab's runtime of August 2026, of the packages that an installation here
touches; PyTorch is the default one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.browser.conftest import Server, check_playground

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HERE = Path(__file__).parent
REPO = HERE.parents[1]
CONSTRAINTS = HERE / "colab-constraints.txt"
SOURCE = """
import ddpm_teach
from ddpm_teach.show import playground
model = ddpm_teach.load_pretrained("sprites")
playground(model, n=2, steps=3)
"""


class Classic(Server):
    """The classic notebook, version 6."""

    def __init__(self, home: Path, python: str):
        options = ["notebook", "--ip=127.0.0.1", "--port={port}", "--NotebookApp.token={token}"]
        super().__init__(home, python, [*options, "--notebook-dir={root}"])

    def run_all(self, page, notebook, name):
        """Opens the notebook and runs all of its cells; fails for any cell's error."""
        nbformat.write(notebook, self.root / name)
        page.goto(f"{self.url}/notebooks/{name}?token={self.token}")
        page.wait_for_function(
            "window.Jupyter?.notebook?.kernel?.is_connected() && Jupyter.notebook.kernel.widget_manager"
        )
        page.wait_for_timeout(4000)  # it then restores views from the kernel, and drops those that come meanwhile
        page.evaluate("Jupyter.notebook.execute_all_cells()")
        page.wait_for_function(
            """Jupyter.notebook.get_cells().every(cell => cell.cell_type !== 'code' || cell.input_prompt_number > 0)
               && !Jupyter.notebook.kernel_busy""",
            timeout=300_000,
        )
        errors = page.evaluate("""Jupyter.notebook.toJSON().cells.flatMap(cell => cell.outputs || [])
          .filter(output => output.output_type === 'error').map(error => `${error.ename}: ${error.evalue}`)""")
        assert errors == []


@pytest.fixture(scope="module")
def colab(tmp_path_factory) -> str:
    """The path of a Python with the package from its wheel, and Colab's versions."""
    if shutil.which("uv") is None:
        pytest.skip("uv isn't on PATH")
    home = tmp_path_factory.mktemp("colab")
    subprocess.run(["uv", "build", "-q", "--wheel", "-o", home, REPO], check=True)
    subprocess.run(["uv", "venv", "-q", "--python", sys.executable, home / "venv"], check=True)
    (wheel,), python = home.glob("*.whl"), str(home / "venv/bin/python")
    install = ["uv", "pip", "install", "-q", "--python", python, "-c", CONSTRAINTS, wheel, "notebook", "ipykernel"]
    subprocess.run(install, check=True, env=os.environ | {"UV_EXCLUDE_NEWER": "2026-11-15T00:00:00Z"})
    return python


@pytest.fixture(scope="module")
def classic(colab, chromium, tmp_path_factory):
    server = Classic(tmp_path_factory.mktemp("classic"), colab)
    yield server
    server.close()


def test_installing_changes_none_of_colabs_versions(colab):
    found = subprocess.run(["uv", "pip", "freeze", "-q", "--python", colab], capture_output=True, text=True, check=True)
    installed = dict(line.split("==") for line in found.stdout.splitlines() if "==" in line)
    pinned = dict(line.split("==") for line in CONSTRAINTS.read_text().split())
    both = installed.keys() & pinned.keys()
    assert {"ipywidgets", "anywidget", "ipython", "notebook", "numpy", "matplotlib", "pillow", "accelerate"} <= both
    assert {name: installed[name] for name in both} == {name: pinned[name] for name in both}


@pytest.mark.parametrize("lesson", sorted(path.name for path in (REPO / "notebooks").glob("*.ipynb")))
def test_lessons_run_and_their_scrubbers_move(classic, new_page, lesson):
    page = new_page()
    classic.run_all(page, nbformat.read(REPO / "notebooks" / lesson, as_version=4), lesson)
    roots = page.locator(".ddpm-scrub[data-ready]").all()
    assert roots, "the lesson has a scrubber"
    for root in roots:
        move(page, root)


def move(page, root):
    """To the right and back, from the keyboard, in command mode."""
    pixels = "root => [...root.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()).join()"
    page.keyboard.press("Escape")
    slider = root.locator("input")
    slider.focus()
    slider.press("Home")
    first = root.evaluate(pixels)
    slider.press("ArrowRight")
    assert root.get_attribute("data-index") == "1" and root.evaluate(pixels) != first
    slider.press("ArrowLeft")
    assert root.evaluate(pixels) == first


def test_the_playground_samples_anew(classic, new_page):
    page = new_page()
    cell = nbformat.v4.new_code_cell(SOURCE)
    kernel = {"name": "python3", "display_name": "Python 3"}
    classic.run_all(page, nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), "playground.ipynb")
    check_playground(page, page.locator(".widget-slider .ui-slider-handle").nth(2))  # steps, η, seed
