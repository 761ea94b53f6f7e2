"""Lessons for a class: for its students without the solutions, for its teachers with them and with what goes wrong.

Both are made from the course's lessons and from a lecturer's own notebooks, in which an exercise is what it is in ours:
a marked text with the task, a cell that holds the stub and ends in `exercises.check("01.3", my_add_noise)`, and a
marked text with hints and solution. Nothing is run but the exercises' own checks, so pictures and figures are those
that the notebooks hold. notebooks/README.md tells a lecturer more.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddpm_teach.checks import check_word
from ddpm_teach.course import exercises
from ddpm_teach.course.build import MARKER, notebook_bytes, read_notebook, with_exercise
from ddpm_teach.course.exercises.engine import Exercise, folded
from ddpm_teach.course.exercises.own import FILE, ID, check_own, own_exercises
from ddpm_teach.storage import course_path, write_bytes

if TYPE_CHECKING:
    from nbformat import NotebookNode

AUDIENCES = ("students", "teachers")
IMPORT = "from ddpm_teach import exercises\n"
CHECK = re.compile(rf"""^exercises\.check\((["'])(\d\d\.\d|{ID})\1, *(\w+)\)\s*\Z""", re.MULTILINE)
BLOCK = re.compile(r"<details>.*?</details>\s*", re.DOTALL)
LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:)([^)\s#]+\.ipynb)(#[^)\s]*)?\)")
GOES_ON = re.compile(r"^(exercise \S+: the lesson goes on with) (?:your|our) ", re.MULTILINE)


def build(
    out: Path,
    audience: str,
    lessons: Sequence[str] | None = None,
    title: str = "",
    hints: bool = True,
    own: Path | None = None,
) -> dict[str, list[Exercise]]:
    """Writes lessons for a class into a new folder, and its own exercises' file beside them: whole or not at all.

    Exercises of the class that stand in none of the notebooks get one of their own.

    Args:
        out: the folder; it may be there already if it is empty.
        audience: "students" or "teachers".
        lessons: numbers of the course's ("01"), and paths of notebooks of one's own; None for all of the course's.
        title: stands above each lesson's own.
        hints: whether students get them.
        own: the folder of the class's own exercises; None for the current one, where there need be none.

    Returns:
        The names of the notebooks, and for each the exercises in it.

    Raises:
        FileNotFoundError: for a notebook or a file of exercises that isn't there.
        ModuleNotFoundError: without the notebook tools.
        ValueError: for anything else that can't be as it is; nothing has been written then.
        OSError: if it can't be written; nothing is left behind.
    """
    check_word("audience", audience, AUDIENCES)
    out = _new_folder(out)
    if audience == "teachers" and not hints:
        raise ValueError("hints: teachers' lessons keep them; leave the option out")
    if own is not None and not (own / FILE).is_file():
        raise FileNotFoundError(f"exercises: {own} has no {FILE}; declare the class's exercises there")
    folder = Path() if own is None else own
    declared = own_exercises(folder)
    for exercise in (one for group in declared.values() for one in group):
        check_own(exercise, folder / FILE)
    notebooks = {path.name: read_notebook(path) for path in _chosen(lessons)}
    placed = {id for notebook in notebooks.values() for id in _ids(notebook)}
    for name, group in declared.items():
        if left := [exercise for exercise in group if exercise.id not in placed]:
            place = f"{Path(FILE).stem}.ipynb"
            if place in notebooks:
                raise ValueError(f"lessons: {place} has to hold {left[0].id} as well, or be called something else")
            notebooks[place] = _lesson_of(name, left)
    found = {}
    for name, notebook in notebooks.items():
        found[name] = _prepare(notebook, name, folder, audience, hints)
        _entitle(notebook, title, notebooks)
    files = {name: notebook_bytes(notebook) for name, notebook in notebooks.items()}
    if declared:
        files[FILE] = (folder / FILE).read_bytes()
    _write(out, files)
    return found


def _new_folder(out: Path) -> Path:
    """The folder's full path; refuses one that holds something, which nobody wants to find mixed with lessons."""
    full = out.resolve()
    if full.exists() and not full.is_dir():
        raise ValueError(f"out: {out} is a file; choose a new folder")
    if full.is_dir() and any(full.iterdir()):
        raise ValueError(f"out: {out} isn't empty; choose a new folder, or empty it")
    if full == Path.cwd():
        raise ValueError(f"out: {out} is the current folder, which is replaced; go to another, or choose a new one")
    return full


def _chosen(lessons: Sequence[str] | None) -> list[Path]:
    """The notebooks that `lessons` names, in the order of their names."""
    known = {path.name[:2]: path for path in sorted(course_path("notebooks").glob("*.ipynb"))}
    paths: dict[str, Path] = {}
    for lesson in known if lessons is None else lessons:
        path = Path(lesson) if lesson.endswith(".ipynb") else known.get(lesson)
        if path is None:
            words = f"expected {', '.join(known)}, or the path of a notebook"
            raise ValueError(f"lessons: {words}, got {lesson!r}")
        if paths.setdefault(path.name, path).resolve() != path.resolve():
            raise ValueError(f"lessons: two are called {path.name}; leave one out, or give it another name")
    return [paths[name] for name in sorted(paths)]


def _ids(notebook: NotebookNode) -> set[str]:
    """Of the exercises that stand in a notebook."""
    return {match[2] for cell in notebook.cells if (match := MARKER.match(cell.source) or CHECK.search(cell.source))}


def _lesson_of(title: str, group: Iterable[Exercise]) -> NotebookNode:
    """A notebook that holds exercises and nothing else."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    first = read_notebook(next(iter(_chosen(None))))
    cells = [new_markdown_cell(f"# {title}"), next(cell for cell in first.cells if cell.cell_type == "code")]
    for exercise in group:
        check = f'exercises.check("{exercise.id}", {exercise.answer.__name__})'
        cells += [
            new_markdown_cell(f"<!-- exercise {exercise.id} -->"),
            new_code_cell(f"{IMPORT}\n\n{exercise.stub_text()}\n\n\n{check}", execution_count=1),
            new_markdown_cell(f"<!-- folded {exercise.id} -->"),
        ]
    return new_notebook(cells=cells)


def _prepare(notebook: NotebookNode, name: str, folder: Path, audience: str, hints: bool) -> list[Exercise]:
    """Makes a notebook one for students or teachers, in place; the exercises in it."""
    cells, parts, found = [], set(), []
    for cell in notebook.cells:
        part, id, new = _cells_for(cell, folder, audience, hints)
        if part and (part, id) in parts:
            raise ValueError(f"lessons: exercise {id} stands in {name} twice; leave one of them out")
        if part == "solution":
            found.append(exercises.find(id, folder))
        parts.add((part, id))
        cells += new
    count = 0
    for cell in cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                whose = "our" if audience == "students" else "your"
                output.text = GOES_ON.sub(rf"\1 {whose} ", output.text)
        if cell.get("execution_count") is not None:  # cells have become more
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
    notebook.cells = cells
    return found


def _cells_for(cell: NotebookNode, folder: Path, audience: str, hints: bool) -> tuple[str, str, list[NotebookNode]]:
    """Which part of which exercise a cell is ("" for none), and what stands in its place."""
    if marker := MARKER.match(cell.source):
        exercise = exercises.find(marker[2], folder)
        text = with_exercise(cell.source, folder).removeprefix(marker[0])
        if marker[1] == "folded":
            text = _for_students(text, exercise, hints) if audience == "students" else _for_teachers(text, exercise)
        elif audience == "students":
            cell.metadata["nbgrader"] = _nbgrader("exercise", exercise, locked=True)
        # "kept": in this folder the texts stay as they are now, and no solution comes back
        cell.source = f"<!-- {marker[1]} {exercise.id} kept -->{text}"
        return marker[1], exercise.id, [cell] if text.strip() else []
    check = CHECK.search(cell.source) if cell.cell_type == "code" else None
    if check is None:
        return "", "", [cell]
    exercise = exercises.find(check[2], folder)
    code = cell.source[: check.start()]
    place = _place(code, exercise.answer.__name__)
    if place is None:
        return "", "", [cell]
    return "solution", exercise.id, _solution_and_check(cell, code, place, exercise, audience)


def _for_students(text: str, exercise: Exercise, hints: bool) -> str:
    """A folded text without its solution; nothing where nothing is left."""
    solution = f"def {exercise.answer.__name__}("
    text = BLOCK.sub(lambda block: "" if solution in block[0] else block[0], text).rstrip()
    return text if hints and "<details>" in text else ""


def _for_teachers(text: str, exercise: Exercise) -> str:
    """A folded text with what is tried, and what is recognised."""
    mistakes = "\n".join(f"- {mistake.says}" for mistake in exercise.mistakes)
    lines = f"Tried on {exercise.covers}. The mistakes that are recognised, by what a student reads:\n\n{mistakes}"
    return f"{text}\n\n{folded(f'For teachers: {len(exercise.mistakes)} mistakes', lines)}"


def _place(code: str, name: str) -> tuple[int, int] | None:
    """The first and the last line of a cell's function of this name; None without one."""
    try:
        nodes = ast.parse(code).body
    except SyntaxError:
        return None
    found = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name]
    return (found[0].lineno - 1, found[0].end_lineno) if found else None


def _solution_and_check(
    cell: NotebookNode, code: str, place: tuple[int, int], exercise: Exercise, audience: str
) -> list[NotebookNode]:
    """An exercise's cell as two: what a student writes, and what looks at it, which nbgrader wants apart.

    nbgrader counts a cell that shows nothing at its end as right, and takes a number there for the points.
    """
    from nbformat.v4 import new_code_cell, new_output

    students = audience == "students"
    lines = code.splitlines()
    lines[place[0] : place[1]] = (exercise.stub_text() if students else exercise.solution_text()).splitlines()
    call = f'report = exercises.check("{exercise.id}", {exercise.answer.__name__})'
    check = new_code_cell(f"{IMPORT}\n{call}\ndisplay(report)\nNone if report.passed else 0  # for nbgrader")
    if cell.get("execution_count") is not None:
        check.execution_count = 1  # it gets its number later
        report = exercise.examine(_stub(exercise) if students else exercise.answer)
        shown = {"text/plain": repr(report), "text/html": report._repr_html_()}
        check.outputs = [new_output("display_data", shown)]
        if not report.passed:
            check.outputs.append(new_output("execute_result", {"text/plain": "0"}, execution_count=1))
    cell.source = "\n".join(lines).removeprefix(IMPORT).strip()
    cell.outputs = []
    if students:
        cell.metadata["nbgrader"] = _nbgrader("solution", exercise, solution=True)
        check.metadata["nbgrader"] = _nbgrader("check", exercise, grade=True, locked=True, points=1)
    return [cell, check]


def _stub(exercise: Exercise) -> Callable:
    space = dict(exercise.answer.__globals__)  # where what its first line names is known
    exec(exercise.stub_text(), space)
    return space[exercise.answer.__name__]


def _nbgrader(part: str, exercise: Exercise, **what: Any) -> dict[str, Any]:
    """A cell's metadata, by the third edition of nbgrader's form."""
    default = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    return default | what | {"grade_id": f"{part}-{exercise.id.replace('.', '-')}"}


def _entitle(notebook: NotebookNode, title: str, names: Mapping[str, Any]) -> None:
    """Puts the class's title above the lesson's, and leaves no link to a lesson that isn't there."""
    from nbformat.v4 import new_markdown_cell

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(lambda link: link[0] if link[2] in names else link[1], cell.source)
    if title:
        first = notebook.cells[0] if notebook.cells else None
        if first is None or first.cell_type != "markdown" or MARKER.match(first.source):
            notebook.cells.insert(0, new_markdown_cell())
        notebook.cells[0].source = f"**{title}**\n\n{notebook.cells[0].source}".rstrip()


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder under another name, then renames it."""
    part = out.with_name(f".{out.name[:40]}.{os.getpid()}.part")
    try:
        for name, data in files.items():
            write_bytes(part / name, data)
        if out.exists():
            out.rmdir()
        part.rename(out)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(out)) from None  # and not the other name, which is gone
        raise
