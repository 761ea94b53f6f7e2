"""The lessons in real programs: run in JupyterLab from top to bottom, and as exported pages without kernel or network.

A plain run runs the first three in JupyterLab, and leaves the others, which take a minute or more, to `-m browser`.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.browser

LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PIXELS = "root => [...root.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()).join()"
SHORT = ("00_start_here", "01_forward_noise", "02_unet")

every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
every_lesson_run = pytest.mark.parametrize(
    "lesson",
    [pytest.param(one, id=one.stem, marks=[pytest.mark.slow] if one.stem not in SHORT else []) for one in LESSONS],
)


def move_all(page) -> None:
    """Each scrubber changes its pixels on an arrow key, and has the same ones again when it is moved back."""
    page.locator(".ddpm-scrub[data-ready]").first.wait_for()
    for root in page.locator(".ddpm-scrub[data-ready]:visible").all():
        root.scroll_into_view_if_needed()
        slider = root.locator("input")
        slider.focus()
        slider.press("Home")
        seen = [root.evaluate(PIXELS)]
        for _ in range(3):
            slider.press("ArrowRight")
            seen.append(root.evaluate(PIXELS))
        assert len(set(seen)) == 4
        for before in reversed(seen[:-1]):
            slider.press("ArrowLeft")
            assert root.evaluate(PIXELS) == before


@every_lesson_run
def test_restart_and_run_all_in_jupyterlab(lab, new_page, lesson):
    page = new_page()
    lab.open(page, nbformat.read(lesson, as_version=4), lesson.name)
    try:
        lab.run_all(page)
        move_all(page)
    finally:
        lab.shut_down(page)


@every_lesson
def test_exported_page_without_network(new_page, lesson, tmp_path):
    exporter = pytest.importorskip("nbconvert").HTMLExporter()
    (tmp_path / "lesson.html").write_text(exporter.from_filename(str(lesson))[0], encoding="utf-8")
    page = new_page()
    page.route(re.compile("^(?!file:|data:|blob:)"), lambda route: route.abort())
    page.goto((tmp_path / "lesson.html").as_uri())
    move_all(page)
