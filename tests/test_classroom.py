"""Lessons for a class: without solutions for students, with everything for teachers, with a class's own exercises."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import ddpm_teach
from ddpm_teach.cli import main
from ddpm_teach.course import classroom, exercises
from ddpm_teach.course.build import build, with_exercise
from ddpm_teach.course.exercises.own import FILE
from ddpm_teach.storage import course_path

NOTEBOOKS = course_path("notebooks")
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
COURSE = [exercise for group in exercises.declared().values() for exercise in group]
HOW_TO = (NOTEBOOKS / "README.md").read_text("utf8")
EXAMPLE = next(block for block in re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL) if "Exercise(" in block)


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """A folder of one's own, and nobody's progress."""
    monkeypatch.setenv("DDPM_TEACH_PROGRESS", str(tmp_path / "progress.json"))
    (tmp_path / "class").mkdir()
    monkeypatch.chdir(tmp_path / "class")


@pytest.fixture(scope="module", params=classroom.AUDIENCES)
def everything(request, tmp_path_factory):
    """All lessons for one audience: its name, and the notebooks by their names."""
    out = tmp_path_factory.mktemp("class") / "out"
    classroom.build(out, request.param)
    return request.param, {name: nbformat.read(out / name, as_version=4) for name in NAMES}


def read(path):
    return nbformat.read(path, as_version=4)


def text_of(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells)


def declare(text=EXAMPLE):
    Path(FILE).write_text(text, "utf8")


# --- nbgrader's rules, as it publishes them: nbgraderformat/v3.json and v3.py

KEYS = {"schema_version": int, "grade": bool, "locked": bool, "solution": bool, "task": bool, "grade_id": str}


def broken_rule(notebook):
    """What nbgrader would refuse in a notebook; "" for nothing."""
    ids = set()
    for cell in notebook.cells:
        if "nbgrader" not in cell.metadata:
            continue
        meta = dict(cell.metadata.nbgrader)
        points = meta.pop("points", None)
        if {key: type(value) for key, value in meta.items()} != KEYS or meta["schema_version"] != 3:
            return "form"
        if not re.fullmatch(r"[a-zA-Z0-9_\-]+", meta["grade_id"]):
            return "grade_id"
        if meta["grade_id"] in ids:
            return "twice"
        ids.add(meta["grade_id"])
        if meta["grade"] != (points is not None and points >= 0):
            return "points"
        if cell.cell_type == "markdown" and meta["grade"] != meta["solution"]:
            return "markdown"
        if meta["task"] and cell.cell_type != "markdown":
            return "task"
    return ""


def parts(notebook):
    """The cells that nbgrader knows, by their grade_id, in order."""
    return {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}


def test_students_lessons_keep_nbgraders_rules(everything):
    audience, notebooks = everything
    for name, notebook in notebooks.items():
        assert broken_rule(notebook) == ""
        ids = [exercise.id.replace(".", "-") for exercise in COURSE if exercise.id[:2] == name[:2]]
        expected = [f"{part}-{id}" for id in ids for part in ("exercise", "solution", "check")]
        assert list(parts(notebook)) == (expected if audience == "students" else [])
        for grade_id, cell in parts(notebook).items():
            meta = cell.metadata.nbgrader
            kinds = {"exercise": (False, False, True), "solution": (False, True, False), "check": (True, False, True)}
            assert (meta.grade, meta.solution, meta.locked) == kinds[grade_id.partition("-")[0]]


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("form", lambda cells: cells["check-01-1"].update(schema_version=2)),
        ("form", lambda cells: cells["check-01-1"].update(checksums="")),
        ("grade_id", lambda cells: cells["check-01-1"].update(grade_id="check 01.1")),
        ("twice", lambda cells: cells["check-01-1"].update(grade_id="check-01-2")),
        ("points", lambda cells: cells["check-01-1"].pop("points")),
        ("markdown", lambda cells: cells["exercise-01-1"].update(solution=True)),
        ("task", lambda cells: cells["solution-01-1"].update(task=True)),
    ],
)
def test_what_nbgrader_refuses_is_noticed(rule, change):
    classroom.build(Path("out"), "students", ["01"])
    notebook = read("out/01_forward_noise.ipynb")
    change({grade_id: cell.metadata.nbgrader for grade_id, cell in parts(notebook).items()})
    assert broken_rule(notebook) == rule


# --- what students and teachers get


def test_solutions_are_for_teachers_and_hints_for_both(everything):
    audience, notebooks = everything
    for exercise in COURSE:
        (notebook,) = (one for name, one in notebooks.items() if name[:2] == exercise.id[:2])
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        text, solution, stub = text_of(notebook), exercise.solution_text(), exercise.stub_text()
        body = "\n".join(solution.splitlines()[1:])
        assert (stub in code, solution in code) == ((True, False) if audience == "students" else (False, True))
        assert text.count(body) == (0 if audience == "students" else 2)  # in its cell, and folded
        assert text.count(exercise.task_text()) == 1
        assert all(part in text for part in exercise.folded_text().split("<details><summary>Solution")[:1])
        for mistake in exercise.mistakes:
            assert (f"- {mistake.says}\n" in text) == (audience == "teachers")


def test_pictures_are_those_of_the_course(everything):
    _, notebooks = everything
    for name, notebook in notebooks.items():
        shown, ours = (
            [
                output.data
                for cell in one.cells
                for output in cell.get("outputs", [])
                if {"image/png", "application/vnd.jupyter.widget-view+json"} & set(output.get("data", ()))
            ]
            for one in (notebook, read(NOTEBOOKS / name))
        )
        assert shown == ours
        counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
        assert counts == list(range(1, len(counts) + 1))
        nbformat.validate(notebook)


def test_without_hints_nothing_is_folded_below_an_exercise():
    classroom.build(Path("out"), "students", ["01"], hints=False)
    notebook = read("out/01_forward_noise.ipynb")
    assert "Hint 1" not in text_of(notebook) and "<!-- folded" not in text_of(notebook)
    assert len(parts(notebook)) == 15 and "Then look here" in text_of(notebook)  # which is the lesson's own


def test_a_subset_has_its_title_and_no_link_that_leads_nowhere():
    found = classroom.build(Path("out"), "students", ["01", "00"], title="Week 3")
    assert list(found) == sorted(path.name for path in Path("out").iterdir()) == NAMES[:2]
    assert [len(group) for group in found.values()] == [0, 5]
    for name in found:
        text = text_of(read(Path("out") / name))
        assert text.startswith("**Week 3**\n\n# 0")
        assert all((Path("out") / link).exists() for link in re.findall(r"\]\(([^):\s]+\.ipynb)", text))
    assert "Lesson 14 comes back to it" in text  # a link in the course


def test_a_class_that_builds_its_lessons_again_gets_no_solution_back():
    for audience in classroom.AUDIENCES:
        classroom.build(Path(audience), audience, ["01"])
        for cell in read(f"{audience}/01_forward_noise.ipynb").cells:
            assert with_exercise(cell.source) == cell.source


WORKFLOW = yaml.safe_load((NOTEBOOKS / "lessons.yml").read_text("utf8"))
STEPS = WORKFLOW["jobs"]["lessons"]["steps"]


def test_the_workflow_file_is_one_that_github_takes():
    """Its keys, by GitHub's description of the form; YAML reads `on` as True."""
    (job,) = WORKFLOW["jobs"].values()
    assert WORKFLOW.keys() == {"name", True, "permissions", "jobs"} and set(WORKFLOW[True]) == {"push", "pull_request"}
    assert job.keys() == {"runs-on", "timeout-minutes", "env", "steps"}
    for step in job["steps"]:
        assert step.keys() in ({"run"}, {"uses"}, {"uses", "with"})
        assert "run" in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
        names = re.findall(r"\$(\w+)", step.get("run", ""))
        assert set(names) <= job["env"].keys() and all(f"${name}" in step["run"] for name in names)
    assert STEPS[-1]["run"].replace('"$LESSONS"', "my-lessons") in HOW_TO


@pytest.mark.parametrize("audience", classroom.AUDIENCES)
def test_a_built_lesson_runs_from_top_to_bottom_and_prints_what_it_holds(audience, tmp_path):
    """By the command that the workflow file for lecturers has. Untouched stubs stop nothing."""
    declare()
    classroom.build(tmp_path / "out", audience, ["01"])
    command = [
        sys.executable,
        "-m",
        *shlex.split(STEPS[-1]["run"].replace("$LESSONS", "out")),
        "-p",
        "no:cacheprovider",
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(ddpm_teach.__file__).parents[1]), "PYTEST_ADDOPTS": ""}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    notebooks = [read(tmp_path / "out" / name) for name in ("01_forward_noise.ipynb", "class_exercises.ipynb")]
    cells = sum(cell.cell_type == "code" for notebook in notebooks for cell in notebook.cells)
    assert run.returncode == 0 and f"{cells} passed" in run.stdout, run.stdout


# --- written whole or not at all


def test_a_folder_that_is_empty_is_filled():
    Path("out").mkdir()
    classroom.build(Path("out"), "students", ["00"])
    assert os.listdir("out") == NAMES[:1]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("at", [0, 1])
def test_where_it_can_t_be_written_nothing_is_left(there, at, monkeypatch):
    if there:
        Path("out").mkdir()
    writes, write = [], classroom.write_bytes

    def full(path, data):
        if len(writes) == at:
            raise OSError(28, "No space left on device", str(path))
        writes.append(path)
        write(path, data)

    monkeypatch.setattr(classroom, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '\S+/out'"):
        classroom.build(Path("out"), "students", ["00", "01"])
    assert os.listdir() == (["out"] if there else []) and len(writes) == at
    assert not there or not os.listdir("out")


# --- exercises of one's own


def test_the_example_of_the_how_to_is_found_by_everything(capsys):
    declare()
    exercise = exercises.find("mine.1")
    assert exercises.check("mine.1", exercise.answer).passed
    for mistake in exercise.mistakes:
        assert exercises.check("mine.1", mistake.function).text == f"mine.1 {mistake.says}"
    assert repr(exercises.progress()).splitlines()[-1].split() == ["our", "class", "●", "1", "of", "1"]
    assert exercises.yours_or_ours("mine.1", lambda alpha_bar: alpha_bar) is exercise.answer

    cells = [new_markdown_cell("# Ours"), new_markdown_cell("<!-- exercise mine.1 -->\nlast year's")]
    code = "from ddpm_teach import exercises\nexercises.check('mine.1', exercises.find('mine.1').answer)"
    Path("lessons").mkdir()
    Path(FILE).rename(Path("lessons") / FILE)
    nbformat.write(new_notebook(cells=[*cells, new_code_cell(code)]), "lessons/20_ours.ipynb")
    build("lessons/20_ours.ipynb")
    _, task, check = read("lessons/20_ours.ipynb").cells
    assert task.source.endswith(exercise.task_text()) and "✓ mine.1 passed" in check.outputs[0].data["text/plain"]

    capsys.readouterr()
    line = "class build out --for teachers --lessons 01 lessons/20_ours.ipynb --exercises lessons"
    assert main(line.split()) == 0
    assert "20_ours.ipynb: no exercises" in capsys.readouterr().out  # it has no stub
    assert sorted(os.listdir("out")) == [NAMES[1], "20_ours.ipynb", FILE]
    assert (Path("out") / FILE).read_text("utf8") == EXAMPLE


def test_exercises_that_stand_nowhere_get_a_notebook():
    declare()
    assert [one.id for one in classroom.build(Path("out"), "students", ["00"])["class_exercises.ipynb"]] == ["mine.1"]
    notebook = read("out/class_exercises.ipynb")
    assert broken_rule(notebook) == "" and list(parts(notebook)) == [
        "exercise-mine-1",
        "solution-mine-1",
        "check-mine-1",
    ]
    assert notebook.cells[0].source == "# our class" and "log10()\n" not in text_of(notebook)


OWN = """# <!-- folded mine.1 kept -->
<details><summary>Tipp</summary>

Zehnmal ein Logarithmus.

</details>

<details><summary>Lösung</summary>

```python
def my_decibels(alpha_bar):
    return 10 * (alpha_bar / (1 - alpha_bar)).log10()
```

</details>
""".removeprefix("# ")
SOLVED = """import math

from ddpm_teach import exercises


def my_decibels(alpha_bar):
    return alpha_bar * math.e  # the lecturer's own attempt


exercises.check("mine.1", my_decibels)
"""


def test_a_translated_exercise_keeps_its_words_and_loses_its_solution():
    declare()
    cells = [new_markdown_cell("<!-- exercise mine.1 kept -->\n### Aufgabe"), new_code_cell(SOLVED)]
    nbformat.write(new_notebook(cells=[*cells, new_markdown_cell(OWN)]), "20_unseres.ipynb")
    for audience in classroom.AUDIENCES:
        classroom.build(Path(audience), audience, ["20_unseres.ipynb"], title="Woche 3")
        title, task, stub, check, folded = read(f"{audience}/20_unseres.ipynb").cells
        assert title.source == "**Woche 3**" and task.source.endswith("### Aufgabe") and "Tipp" in folded.source
        assert stub.source.startswith("import math") or "import math" in stub.source
        assert "attempt" not in stub.source and "my_decibels)" in check.source and check.outputs == []
        solution = "return 10 * (alpha_bar / (1 - alpha_bar)).log10()"
        assert (solution in stub.source, solution in folded.source) == (audience == "teachers",) * 2
    with pytest.raises(ValueError, match=r"mine.1 stands in 20_twice.ipynb twice"):
        nbformat.write(new_notebook(cells=[new_markdown_cell(OWN), new_markdown_cell(OWN)]), "20_twice.ipynb")
        classroom.build(Path("out"), "students", ["20_twice.ipynb"])


def test_an_edited_file_is_read_anew_and_may_borrow_from_the_course():
    declare()
    assert exercises.find("mine.1").minutes == 10
    declare("from ddpm_teach import exercises\njump = exercises.find('01.3')\n" + EXAMPLE.replace("=10,", "=125,"))
    assert exercises.find("mine.1").minutes == 125
    assert [one.id for one in exercises.declared()["our class"]] == ["mine.1"]
    declare("from ddpm_teach import exercises\n")
    with pytest.raises(ValueError, match=r"no exercise 'mine.1'.*class_exercises.py"):
        exercises.find("mine.1")


BROKEN = {
    "def f(:": ["class_exercises.py, line 1", "SyntaxError"],
    "import torch\n\ntorch.zero(3)": ["class_exercises.py, line 3", "AttributeError", "zero"],
    "from ddpm_teach import exercises\n\n\nexercises.Exercise('mine.1')": ["line 4", "TypeError"],
    "import sys\nsys.exit(3)": ["class_exercises.py, line 2", "SystemExit"],
    EXAMPLE.replace('"mine.1"', '"01.3"'): ["'01.3'", "'mine.1'"],
    EXAMPLE.replace('"mine.1"', '"mine"'): ["'mine'", "'mine.1'"],
    EXAMPLE.replace('"mine.1"', '"my own.1"'): ["'my own.1'"],
    f"{EXAMPLE}\nimport copy\nother = copy.copy(decibels)": ["two exercises", "'mine.1'"],
    EXAMPLE.replace("@decibels.solution", "#"): ["mine.1", "no solution"],
    f"{EXAMPLE}\ndecibels.solution(lambda alpha_bar: 1)": ["mine.1", "<lambda>", "def"],
    EXAMPLE.replace("return 10 * (alpha_bar / (1 - alpha_bar)).log10()", "return alpha_bar"): ["mine.1", "pass"],
    EXAMPLE.replace("return 20 *", "return 10 *"): ["20 is for amplitudes", "passed"],
}


@pytest.mark.parametrize(("text", "words"), BROKEN.items(), ids=[str(words) for words in BROKEN.values()])
def test_a_file_of_exercises_that_can_t_be_used_is_told_in_one_sentence(text, words, capsys):
    declare(text)
    assert main(["class", "build", "out", "--for", "students", "--lessons", "00"]) == 2
    output = capsys.readouterr()
    assert not output.out and output.err.startswith("ddpm-teach: ") and len(output.err.splitlines()) == 1
    assert FILE in output.err and all(word in output.err for word in words), output.err
    assert os.listdir() == [FILE]
    assert exercises.check("01.1", exercises.find("01.1").answer).passed, "the course's own don't read it"


def test_notebooks_of_one_name_are_refused(capsys):
    Path("mine").mkdir()
    Path("mine", NAMES[1]).write_bytes((NOTEBOOKS / NAMES[1]).read_bytes())
    Path("no.ipynb").write_text(json.dumps([1]))
    declare()
    nbformat.write(new_notebook(), "class_exercises.ipynb")
    before = sorted(os.listdir())
    for lessons, words in {
        f"01 mine/{NAMES[1]}": ["--lessons", NAMES[1], "two"],
        "00 no.ipynb": ["no.ipynb", "notebook"],
        "00 nowhere.ipynb": ["nowhere.ipynb"],
        "class_exercises.ipynb": ["--lessons", "mine.1"],
    }.items():
        assert main(["class", "build", "out", "--for", "students", "--lessons", *lessons.split()]) == 2
        sentence = capsys.readouterr().err
        assert len(sentence.splitlines()) == 1 and all(word in sentence for word in words), sentence
    assert sorted(os.listdir()) == before
