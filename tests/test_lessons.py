"""What every lesson keeps to; that it runs and prints what it did before is nbval's part of the test command."""

from pathlib import Path

import nbformat
import pytest

LESSONS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return nbformat.read(request.param, as_version=4)


def code(lesson):
    return [cell for cell in lesson.cells if cell.cell_type == "code"]


def test_there_is_a_lesson():
    assert LESSONS


def test_all_lessons_are_set_up_by_the_same_cell():
    setups = {code(nbformat.read(path, as_version=4))[0].source for path in LESSONS}
    assert len(setups) == 1
    assert "http" not in setups.pop()  # where the course comes from is said in one place, and not in lessons


def test_every_cell_has_run_in_order_without_noise(lesson):
    assert [cell.execution_count for cell in code(lesson)] == list(range(1, len(code(lesson)) + 1))
    for cell in code(lesson):
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr", cell.source


def test_every_picture_has_words(lesson):
    for cell in code(lesson):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.data["text/plain"]) > 20 and " at 0x" not in output.data["text/plain"]
                assert 'alt="' in output.data["text/html"]


def test_cells_are_short_and_files_are_small(lesson):
    lengths = sorted(len(cell.source.splitlines()) for cell in code(lesson))
    assert lengths[len(lengths) // 2] <= 8 and lengths[-1] <= 25
    assert all(path.stat().st_size <= 1_500_000 for path in LESSONS)


def test_no_lesson_defines_what_the_package_has(lesson):
    import ddpm_teach

    for cell in code(lesson):
        defined = {line.split()[1].split("(")[0] for line in cell.source.splitlines() if line.startswith("def ")}
        assert not defined & set(ddpm_teach.__all__), cell.source
