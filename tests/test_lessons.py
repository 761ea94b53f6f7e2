"""What every lesson keeps to; that it runs and prints what it did before is nbval's part of the test command."""

import ast
import inspect
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from ddpm_teach import exercises
from ddpm_teach.course.bibliography import BIBLIOGRAPHY
from ddpm_teach.course.build import MARKER, with_exercise
from ddpm_teach.course.setup_cell import BADGE, FOLDED

LESSONS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def read(path):
    """A lesson without its Colab badge, which only a course with an address has (see test_address.py)."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if BADGE not in cell.metadata.get("tags", [])]
    return notebook


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return read(request.param)


def code(lesson):
    return [cell for cell in lesson.cells if cell.cell_type == "code"]


def test_there_is_a_lesson():
    assert LESSONS


def test_all_lessons_are_set_up_by_the_same_cell_which_is_folded():
    setups = [code(read(path))[0] for path in LESSONS]
    assert len({cell.source for cell in setups}) == 1
    assert all(cell.metadata == FOLDED and cell.outputs == [] for cell in setups)


FIRST_EDITION = ("09", "10", "14")  # lessons that are still as they were
SECOND_EDITION = pytest.mark.parametrize(
    "path", [path for path in LESSONS if path.stem[:2] not in FIRST_EDITION], ids=lambda p: p.stem
)


@SECOND_EDITION
def test_the_second_thing_on_the_first_screen_is_a_picture_or_a_film(path):
    """Title, folded setup, then at once a short cell that shows something."""
    title, _, film = read(path).cells[:3]
    assert title.cell_type == "markdown" and film.cell_type == "code"
    assert any("text/html" in output.get("data", {}) for output in film.outputs)


@SECOND_EDITION
def test_a_line_of_code_fits_on_a_page_and_no_mark_is_a_comment(path):
    for cell in code(read(path))[1:]:
        assert all(len(line) <= 95 for line in cell.source.splitlines()), cell.source
        assert not re.search("NBVAL|noqa", cell.source), cell.source


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
    stub = "from ddpm_teach import exercises\n\n\n"  # which every exercise's cell begins with, and nobody reads again
    lengths = sorted(len(cell.source.removeprefix(stub).splitlines()) for cell in code(lesson)[1:])  # setup is folded
    assert lengths[len(lengths) // 2] <= 8 and lengths[-1] <= 25
    assert all(path.stat().st_size <= 1_500_000 for path in LESSONS)


def test_no_lesson_defines_what_the_package_has(lesson):
    """What a lesson writes by hand has another name: my_…, …_by_hand, …_with_a_bug."""
    import ddpm_teach

    for cell in code(lesson):
        kinds = ast.FunctionDef | ast.ClassDef
        defined = {node.name for node in ast.walk(ast.parse(cell.source)) if isinstance(node, kinds)}
        assert not defined & set(ddpm_teach.__all__), cell.source


def test_headings_are_one_title_and_sections_without_gaps(lesson):
    levels = [len(marks) for marks in re.findall(r"^(#+) ", markdown(lesson), re.M)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(deeper <= level + 1 for level, deeper in pairwise(levels))


def links(lesson):
    return re.findall(r"\]\(([^)\s]+)\)", markdown(lesson))


def test_every_link_leads_somewhere_in_the_course_or_to_the_bibliography(lesson):
    """Sources of shown mistakes are lines of public files as they were at one commit, which don't change."""
    known = {source.url for source in BIBLIOGRAPHY.values()}
    line = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+/(blob/[0-9a-f]{40}/\S+#L\d+(-L\d+)?|(issues|pull)/\d+)")
    for link in links(lesson):
        if link.startswith("http"):
            assert link in known or line.fullmatch(link), link
        else:
            assert (LESSONS[0].parent / link.split("#")[0]).exists(), link
    assert not re.search(r"<img|!\[\]\(", markdown(lesson))  # a picture in the text would need words


@pytest.mark.parametrize("path", LESSONS[1:], ids=lambda path: path.stem)
def test_every_lesson_names_what_to_read_next(path):
    text = markdown(read(path))
    reading = text[text.index("## Read next") :]
    assert 3 <= len(re.findall(r"\]\(https://", reading)) <= 8


def test_every_source_is_cited_by_a_lesson_and_well_formed():
    cited = {link for path in LESSONS for link in links(read(path))}
    for key, source in BIBLIOGRAPHY.items():
        assert source.url in cited, f"{key} is cited nowhere"
        assert re.fullmatch(r"https://(arxiv\.org/abs/\d{4}\.\d{4,5}|(?!arxiv)[^\s?]+)", source.url), source.url
    assert len({source.url for source in BIBLIOGRAPHY.values()}) == len(BIBLIOGRAPHY)


def test_every_symbol_of_an_equation_is_in_the_notation_table(lesson):
    text = markdown(lesson)
    table = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    explained = set().union(*(symbols(formula) for line in table for formula in formulas(line)))
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("| "))  # a table names others' symbols
    used = set().union(*(symbols(formula) for formula in formulas(prose)))
    assert used <= explained | LOCAL, f"not in the table: {used - explained - LOCAL}"


def test_symbols_are_found_in_formulas():
    (formula,) = formulas(r"a line with $\bar\alpha_{t-1} = \operatorname{Var}(x_t) + \sqrt{\tilde \mu}$ and `$no`")
    assert symbols(formula) == {r"\bar\alpha", "t", "x", r"\tilde\mu"}


def exercises_of(path):
    return next((found for title, found in exercises.declared().items() if title[:2] == path.stem[:2]), [])


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_exercises_stand_in_the_lesson_as_they_are_declared(path):
    """Task, stub, check and folded texts, each exercise once, in order, and word for word what was declared."""
    cells = read(path).cells
    marked = [(i, MARKER.match(cell.source)) for i, cell in enumerate(cells) if MARKER.match(cell.source)]
    assert all(with_exercise(cells[i].source) == cells[i].source for i, _ in marked), "run ddpm-teach build"
    expected = [(kind, one.id) for one in exercises_of(path) for kind in ("exercise", "folded")]
    assert [match.groups() for _, match in marked] == expected
    for (i, match), (end, _) in zip(marked[::2], marked[1::2], strict=True):
        answer = exercises.find(match[2]).answer
        (stub,) = (cell.source for cell in cells[i + 1 : end])
        first = "from ddpm_teach import exercises\n\n\n"  # a cell that is run alone says no NameError
        assert stub.startswith(f"{first}def {answer.__name__}{inspect.signature(answer)}:\n")
        assert stub.endswith(f'\n\n\nexercises.check("{match[2]}", {answer.__name__})')


def test_where_mnist_cannot_be_had_the_lesson_that_needs_it_is_skipped_and_says_why(tmp_path):
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy")}  # nothing listens there
    env = {**os.environ, **nowhere, "DDPM_TEACH_DATA": str(tmp_path)}
    (lesson,) = (path for path in LESSONS if path.stem.startswith("09"))
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "-rs", str(lesson)]
    run = subprocess.run(command, env=env, capture_output=True, text=True, cwd=LESSONS[0].parent.parent)
    assert run.returncode == 0 and "skipped" in run.stdout and "passed" not in run.stdout, run.stdout
    assert "set DDPM_TEACH_DATA to a folder" in run.stdout


def test_every_exercise_has_a_lesson():
    assert {title[:2] for title in exercises.declared()} <= {path.stem[:2] for path in LESSONS}


def markdown(lesson):
    return "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")


def formulas(text):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
    return [a or b for a, b in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.S)]


def symbols(formula):
    """Letters with their accents: x, \\bar\\alpha. Functions, words and signs aren't symbols."""
    formula = re.sub(r"\\(?:text|operatorname|mathrm)\{[^}]*\}", "", formula)
    found = re.findall(r"(\\(?:bar|hat|tilde|mathcal|mathbb)\s*\{?\s*)?(\\[a-zA-Z]+|[a-zA-Z])", formula)
    return {accent.strip().strip("{").strip() + base for accent, base in found if base not in SIGNS}


LOCAL = {"a", "b", "e"}  # letters that a sentence introduces for itself
WORDS = r"""
\underbrace \Rightarrow \tfrac \lVert \rVert
\sqrt \frac \sum \prod \log \ln \exp \sin \cos \min \max \int \nabla \partial \infty \dots \cdots \cdot \times \le \ge
\lt \gt \ne \approx \sim \propto \pm \in \mid \to \quad \qquad \left \right \big \Big \bigl \bigr \Bigl \Bigr
"""
SIGNS = set(WORDS.split())
