"""Building a lesson: same bytes each time, and a lesson that fails stays as it was."""

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from ddpm_teach.build import build


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
