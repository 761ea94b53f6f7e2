"""Building a lesson: same bytes each time, and a lesson that fails stays as it was."""

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from ddpm_teach.course.build import build


def lesson(path, *sources):
    cells = [nbformat.v4.new_markdown_cell("# A lesson"), *map(nbformat.v4.new_code_cell, sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_building_twice_gives_the_same_bytes_with_outputs(tmp_path):
    path = lesson(tmp_path / "a.ipynb", "print('a'); print('b')", "{1, 2} and 3")
    build(path)
    first = path.read_bytes()
    build(path)
    assert path.read_bytes() == first
    _, one, two = nbformat.read(path, as_version=4).cells
    assert [output.text for output in one.outputs] == ["a\nb\n"] and one.execution_count == 1
    assert two.outputs[0].data == {"text/plain": "3"}


def test_two_cells_with_the_same_text_have_different_ids(tmp_path):
    path = lesson(tmp_path / "a.ipynb", "1", "1")
    build(path)
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    assert len(set(ids)) == 3


def test_a_lesson_that_fails_is_left_alone(tmp_path):
    path = lesson(tmp_path / "a.ipynb", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        build(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.ipynb"]


def with_cells(path, *cells):
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)
    return path


def test_the_texts_of_exercises_are_filled_in_from_their_declaration(tmp_path):
    stale = "<!-- exercise 01.2 -->\nwhat the task was last year"
    cells = [nbformat.v4.new_markdown_cell(text) for text in ("# A lesson", stale, "<!-- folded 01.2 -->")]
    path = with_cells(tmp_path / "a.ipynb", *cells)
    build(path)
    title, task, folded = (cell.source for cell in nbformat.read(path, as_version=4).cells)
    assert title == "# A lesson"
    assert task.startswith("<!-- exercise 01.2 -->\n### Exercise 01.2 ·") and "last year" not in task
    assert folded.count("<summary>Hint") == 2 and "cumprod(0)])\n```" in folded


def test_an_exercise_that_nobody_declared_is_refused(tmp_path):
    path = with_cells(tmp_path / "a.ipynb", nbformat.v4.new_markdown_cell("<!-- exercise 99.1 -->"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="'99.1'"):
        build(path)
    assert path.read_bytes() == before


def test_a_lesson_is_built_as_if_nothing_were_solved(tmp_path, monkeypatch):
    monkeypatch.setenv("DDPM_TEACH_PROGRESS", str(tmp_path / "mine.json"))
    source = "from ddpm_teach import exercises\nexercises.check('01.1', exercises.find('01.1').answer)\nprint('ran')"
    build(lesson(tmp_path / "a.ipynb", source))
    assert not (tmp_path / "mine.json").exists()
