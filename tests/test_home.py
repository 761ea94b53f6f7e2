"""A learner's folder of lessons: what is new reaches her, and nothing that she did is lost."""

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ddpm_teach.course import home
from ddpm_teach.course.home import ASIDE, NOTES, copy_lessons, digests_of

A, B = "00_start_here.ipynb", "04_ddpm_sampling.ipynb"
BESIDE = "04_ddpm_sampling.new.ipynb"
OLD_IMPORT = "import torch\n\nfrom ddpm_teach import exercises\nfrom ddpm_teach.pictures import show"


def lesson(text, picture="a picture", **metadata):
    output = new_output("execute_result", {"text/plain": picture, "text/html": "<b>\n1\n</b>"}, execution_count=1)
    cells = [new_markdown_cell(text, id="a"), new_code_cell("1 +\\\n1", id="b", outputs=[output], execution_count=1)]
    return new_notebook(cells=cells, metadata=metadata)


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Writes lessons into a course of two, and says what laying them out for the learner did."""
    (tmp_path / "course").mkdir()
    monkeypatch.setattr(home, "course_path", lambda name: tmp_path / "course")

    def lay(changes=None, **metadata):
        for name, notebook in (changes or {}).items():
            nbformat.write(notebook, tmp_path / "course" / name)
        return copy_lessons(tmp_path / "mine", metadata or None)

    lay.mine = tmp_path / "mine"
    lay({A: lesson("A"), B: lesson("B")})
    return lay


def texts(folder):
    """The first cell of each notebook in a folder."""
    return {path.name: nbformat.read(path, 4).cells[0].source for path in sorted(folder.glob("*.ipynb"))}


def write(path, text):
    """What a learner does: another source in a cell."""
    notebook = nbformat.read(path, 4)
    notebook.cells[0].source = text
    nbformat.write(notebook, path)


def test_lessons_are_copied_once(course):
    assert texts(course.mine) == {A: "A", B: "B"}
    again = course()
    assert (again.kept, again.written, again.told(Path("m"))) == ([A, B], [], "m: lessons: 2 kept as they are")


def test_a_copy_has_the_metadata_that_is_given_and_the_lesson_stays(course):
    (course.mine / A).unlink()
    assert course(language_info={"name": "python"}).new == [A]
    assert nbformat.read(course.mine / A, 4).metadata == {"language_info": {"name": "python"}}
    assert nbformat.read(course.mine / B, 4).metadata == {}
    nbformat.validate(nbformat.read(course.mine / A, 4))


def test_a_newer_lesson_takes_the_place_of_an_untouched_copy_alone(course):
    copied = course({B: lesson("B, corrected")})
    assert (copied.updated, copied.kept) == ([B], [A])
    assert texts(course.mine) == {A: "A", B: "B, corrected"}
    assert copied.told(Path("m")) == "m: lessons: 1 updated, 1 kept as they are"


def test_what_only_a_program_changed_is_untouched(course):
    """Other metadata, other ids, counters, lines in lists or in one piece, another indent."""
    notebook = nbformat.read(course.mine / B, 4)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.99"}
    for cell in notebook.cells:
        cell.id, cell.metadata = f"other-{cell.id}", {"trusted": True}
    notebook.cells[1].execution_count = notebook.cells[1].outputs[0].execution_count = 7
    (course.mine / B).write_text(json.dumps(notebook))  # nbformat would write the lines as lists
    assert course({B: lesson("B, corrected")}).updated == [B]


def test_beside_a_changed_copy_the_newer_lesson_is_laid_and_told(course):
    write(course.mine / B, "my work")
    before = (course.mine / B).read_bytes()
    assert course().kept == [A, B]
    copied = course({B: lesson("B, corrected")})
    assert copied.beside == {B: BESIDE} and copied.written == [BESIDE]
    assert (course.mine / B).read_bytes() == before
    assert texts(course.mine) == {A: "A", BESIDE: "B, corrected", B: "my work"}
    (_, line) = copied.told(Path("m")).splitlines()
    assert B in line and line.endswith(BESIDE)
    assert course().written == [], "once is enough"


def test_outputs_of_a_learners_run_are_not_overwritten(course):
    notebook = nbformat.read(course.mine / B, 4)
    notebook.cells[1].outputs[0].data["text/plain"] = "what an hour of training made"
    nbformat.write(notebook, course.mine / B)
    assert course({B: lesson("B, corrected")}).beside == {B: BESIDE}
    assert "an hour" in (course.mine / B).read_text()


def test_a_lesson_with_other_pictures_alone_reaches_untouched_copies_alone(course):
    write(course.mine / B, "my work")
    copied = course({A: lesson("A", "another picture"), B: lesson("B", "another picture")})
    assert (copied.updated, copied.kept, copied.beside) == ([A], [B], {})


def test_the_one_beside_is_updated_or_left_like_any_other(course):
    write(course.mine / B, "my work")
    course({B: lesson("B2")})
    assert course({B: lesson("B3")}).beside == {B: BESIDE}
    assert texts(course.mine) == {A: "A", BESIDE: "B3", B: "my work"}
    write(course.mine / BESIDE, "work in the newer one")
    assert course().written == []
    assert course({B: lesson("B4")}).beside == {B: "04_ddpm_sampling.new2.ipynb"}
    assert set(texts(course.mine).values()) == {"A", "B4", "my work", "work in the newer one"}


def test_the_one_beside_may_be_taken_away_or_take_the_place(course):
    write(course.mine / B, "my work")
    course({B: lesson("B2")})
    (course.mine / BESIDE).unlink()
    assert course().written == []
    course({B: lesson("B3")})
    (course.mine / BESIDE).replace(course.mine / B)
    course()
    assert texts(course.mine) == {A: "A", B: "B3"}
    assert course({B: lesson("B4")}).updated == [B]


@pytest.mark.parametrize("notes", [None, "", "{", "[]", '{"lessons": {"04_ddpm_sampling.ipynb": 5}}'])
def test_without_notes_nothing_is_lost(course, notes):
    write(course.mine / B, "my work")
    (course.mine / NOTES).unlink()
    if notes is not None:
        (course.mine / NOTES).write_text(notes)
    copied = course()
    assert copied.beside == {B: BESIDE} and texts(course.mine) == {A: "A", BESIDE: "B", B: "my work"}
    assert course({A: lesson("A2")}).updated == [A], "what lay there unchanged is noted again"


def test_an_interrupted_copying_is_completed(course, monkeypatch):
    for name in (A, B, NOTES):
        (course.mine / name).unlink()
    real, calls = home.write_bytes, []

    def killed(path, data):
        calls.append(path.name)
        if path.name != A:
            raise KeyboardInterrupt
        real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(home, "write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            course()
    assert sorted(os.listdir(course.mine)) == [A] and calls == [A, B, NOTES]
    (course.mine / f".{B}.x1y2.part").write_text("half of it")
    (course.mine / B).touch()  # as a full disk leaves it behind other programs
    copied = course()
    assert (copied.updated, copied.new) == ([A], [B])
    assert sorted(os.listdir(course.mine)) == sorted([A, B, NOTES])
    assert course().kept == [A, B]


@pytest.mark.parametrize("content", ["my own words", "{}", '{"cells": [1]}', "[]", None])
def test_what_is_no_notebook_is_left_alone(course, content):
    (course.mine / B).unlink()
    if content is None:
        (course.mine / B).mkdir()
    else:
        (course.mine / B).write_text(content)
    assert course({B: lesson("B2")}).beside == {B: BESIDE}
    assert content is None or (course.mine / B).read_text() == content


def test_other_files_are_not_touched(course):
    for name in ("mine.ipynb", "04_ddpm_sampling-Copy1.ipynb", "notes.txt", ".hidden.part"):
        (course.mine / name).write_text("mine")
    course({B: lesson("B2")})
    for name in ("mine.ipynb", "04_ddpm_sampling-Copy1.ipynb", "notes.txt", ".hidden.part"):
        assert (course.mine / name).read_text() == "mine"


def test_lessons_of_the_first_edition_move_to_a_folder_of_their_own(course):
    old = new_notebook(cells=[new_markdown_cell("first"), new_code_cell(OLD_IMPORT)])
    (course.mine / NOTES).unlink()
    (course.mine / ASIDE).mkdir()
    (course.mine / ASIDE / B).write_text("was there before")
    for name in (A, B, "08_how_good.ipynb", "mine.ipynb"):
        nbformat.write(old, course.mine / name)
    copied = course()
    assert copied.aside == [A, B, "08_how_good.ipynb"] and copied.new == [A, B]
    assert texts(course.mine) == {A: "A", B: "B", "mine.ipynb": "first"}
    assert sorted(os.listdir(course.mine / ASIDE)) == [A, "04_ddpm_sampling-2.ipynb", B, "08_how_good.ipynb"]
    assert (course.mine / ASIDE / B).read_text() == "was there before"
    assert nbformat.read(course.mine / ASIDE / A, 4) == old
    assert "first edition" in (line := copied.told(course.mine).splitlines()[1]) and str(course.mine / ASIDE) in line
    assert course().aside == []


def test_a_copy_of_this_edition_stays_whatever_is_written_in_it(course):
    write(course.mine / A, "my work")
    notebook = nbformat.read(course.mine / B, 4)
    notebook.cells[1].source = OLD_IMPORT
    nbformat.write(notebook, course.mine / B)
    assert course().aside == []


@pytest.mark.parametrize(
    ("source", "old"),
    [
        (OLD_IMPORT, True),
        ("import ddpm_teach.widgets as w", True),
        ("  from ddpm_teach.samplers import Recipe", True),
        ("from ddpm_teach import exercises, show", False),
        ("from ddpm_teach.show import scrub", False),
        ("# from ddpm_teach.widgets import scrub", False),
    ],
)
def test_the_first_edition_is_known_by_its_imports(source, old, tmp_path):
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), tmp_path / A)
    assert home.imports_of_first_edition(tmp_path / A) == old


def test_no_lesson_of_this_edition_is_taken_for_one_of_the_first(tmp_path):
    copied = copy_lessons(tmp_path / "mine")
    (tmp_path / "mine" / NOTES).unlink()
    again = copy_lessons(tmp_path / "mine")
    assert again.aside == [] and again.updated == copied.new
    assert copy_lessons(tmp_path / "mine").kept == copied.new


def test_a_digest_is_of_what_is_read():
    one = digests_of(lesson("A"))
    assert one == digests_of(lesson("A", kernelspec={"name": "x", "display_name": "y"}))
    assert one["text"] == digests_of(lesson("A", "other"))["text"]
    assert one["all"] != digests_of(lesson("A", "other"))["all"]
    assert one["text"] != digests_of(lesson("B"))["text"]


def test_jupyter_finds_ours_after_what_a_learner_names(monkeypatch):
    ours = Path(home.__file__).with_name("jupyter")
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    names = home.environment()
    assert names["JUPYTER_PATH"] == str(ours) and names["JUPYTER_CONFIG_PATH"] == f"mine{os.pathsep}{ours}"
    assert {"labconfig", "labextensions"} == {path.name for path in ours.iterdir()}
    assert all(names[name] == os.environ[name] for name in os.environ if not name.startswith("JUPYTER_"))


def test_the_metadata_is_what_the_kernel_says_of_itself():
    pytest.importorskip("ipykernel")
    manager = pytest.importorskip("jupyter_client").KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=120)
        said = client.kernel_info(reply=True, timeout=60)["content"]["language_info"]
        assert home.kernel_metadata() == {
            "kernelspec": {
                "display_name": manager.kernel_spec.display_name,
                "language": manager.kernel_spec.language,
                "name": "python3",
            },
            "language_info": said,
        }
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
