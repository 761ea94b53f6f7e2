"""What students handed in: which files are whose, and what of a file is run.

Of a notebook, or of a file of functions, that is the exercises' functions, and what they name: imports, functions and
classes beside them, and plain values. All other statements, checks and outputs are passed over, so that no
edit of them counts.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import re
import stat
import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.own import ID

LARGEST = 64 * 2**20  # bytes of a file; lessons have 1.5 million at most
SUFFIXES = (".ipynb", ".py")
SHELL = re.compile(r"^(\s*)[%!?].*$", re.MULTILINE)  # IPython's lines, which aren't Python's
IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
MOST_FILES = 20  # of a student
MOST_COPIES = 5  # of one function in a file that are tried, the last ones


class Work(NamedTuple):
    """A student, the files handed in, and what is wrong with others that were ("" for nothing)."""

    student: str
    files: list[Path]
    trouble: str


def find_work(folder: Path) -> list[Work]:
    """One for each file or folder in `folder`, which are called as the students are; in a folder all files count.

    Links aren't followed: they could lead to another student's file. Hidden files are passed over.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if nothing in it can be a submission.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"submissions: {folder} is no folder; name the one that holds the students' files")
    works: dict[str, Work] = {}
    for place in sorted(folder.iterdir()):
        if place.name.startswith(".") or not (_is_folder(place) or place.suffix in SUFFIXES):
            continue
        student = place.name if _is_folder(place) else place.stem
        work = works.setdefault(student, Work(student, [], ""))
        for path in sorted(_files(place)):
            many = f"is one of more than {MOST_FILES} files" if len(work.files) == MOST_FILES else ""
            trouble = many or _trouble(path)
            if trouble:
                works[student] = work = work._replace(trouble=f"{path.relative_to(folder)} {trouble}")
            else:
                work.files.append(path)
    if not works:
        raise ValueError(
            f"submissions: {folder} holds no notebook, no .py file and no folder; put each student's there"
        )
    return list(works.values())


def _is_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()


def _files(place: Path) -> Iterator[Path]:
    if not _is_folder(place):
        yield place
        return
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        yield from (Path(folder, name) for name in names if name.endswith(SUFFIXES) and not name.startswith("."))


def _trouble(path: Path) -> str:
    """Why a file isn't even opened; "" where it can be."""
    try:
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode):
            return "is a link or a device, and no file"
        if info.st_size > LARGEST:
            return f"is larger than {LARGEST >> 20} MB"
        with path.open("rb"):
            return ""
    except OSError as error:
        return f"can't be read ({error.strerror})"


class Cell(NamedTuple):
    """Code, and under which name its lines are told."""

    name: str
    code: str


def cells_of(data: bytes, name: str) -> list[Cell]:
    """The code cells of a notebook, or one for a file of functions.

    Raises:
        ValueError: for what is neither.
    """
    if not name.endswith(".ipynb"):
        try:
            return [Cell(f"<{name}>", data.decode("utf8"))]
        except UnicodeDecodeError:
            raise ValueError("isn't text in UTF-8") from None
    try:
        cells = [cell for cell in json.loads(data)["cells"] if cell["cell_type"] == "code"]
        codes = [cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"]) for cell in cells]
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
        raise ValueError("is no notebook") from None
    return [Cell(f"<{name}, code cell {i}>", code) for i, code in enumerate(codes, 1)]


class Candidate(NamedTuple):
    """A definition that bears the name of an exercise's function, or the sentence why there is none."""

    exercise: Exercise
    cell: Cell
    node: ast.stmt | None
    trouble: str = ""


class Taken(NamedTuple):
    """What is run of a file: the definitions that count, and before them what they need, each with its cell."""

    candidates: list[Candidate]
    rest: list[tuple[Cell, ast.stmt]]


def take(cells: Sequence[Cell], name: str, exercises: Iterable[Exercise]) -> Taken:
    """What is run of a file's cells.

    Args:
        name: the file's; a lesson's number at its beginning decides where two lessons' functions have one name.
        exercises: all that may be in it.
    """
    text = "\n".join(cell.code for cell in cells)
    named = _by_function(exercises, text, name)
    taken = Taken([], [])
    for cell in cells:
        try:
            nodes = _parsed(cell.code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None) or 1
            told = f"{type(error).__name__}: {getattr(error, 'msg', error)}, in line {line} of its cell"
            for function in set(re.findall(r"^(?:async )?def (\w+)", cell.code, re.MULTILINE)):
                taken.candidates.extend(Candidate(one, cell, None, told) for one in named.get(function, ()))
            continue
        linecache.cache[cell.name] = (len(cell.code), None, cell.code.splitlines(keepends=True), cell.name)
        for node in nodes:
            if not isinstance(node, IMPORTS):
                taken.candidates.extend(
                    Candidate(one, cell, node) for name in _given(node) for one in named.get(name, ())
                )
            taken.rest.append((cell, node))
    return taken._replace(rest=_needed(taken))


def _parsed(code: str) -> list[ast.stmt]:
    try:
        return ast.parse(code).body
    except SyntaxError:
        return ast.parse(SHELL.sub(r"\1pass", code)).body


def _needed(taken: Taken) -> list[tuple[Cell, ast.stmt]]:
    """Of all other statements those that give something the names which the functions use, and which these use."""
    names = _names(candidate.node for candidate in taken.candidates if candidate.node is not None)
    left, needed = taken.rest, []
    while found := [i for i, (_, node) in enumerate(left) if names & _given(node)]:
        names |= _names(left[i][1] for i in found)
        needed += [left[i] for i in found]
        left = [one for i, one in enumerate(left) if i not in set(found)]
    place = {id(one): i for i, one in enumerate(taken.rest)}
    return sorted(needed, key=lambda one: place[id(one)])


def _names(nodes: Iterable[ast.stmt]) -> set[str]:
    """All names that are used in statements; and *, which any name may come from."""
    return {"*"} | {one.id for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name)}


def _given(node: ast.stmt) -> set[str]:
    """The names that a statement gives, if it is one of those that count."""
    if isinstance(node, IMPORTS):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, DEFINITIONS):
        return {node.name}
    if not _is_plain(node):
        return set()
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _by_function(exercises: Iterable[Exercise], text: str, name: str) -> dict[str, list[Exercise]]:
    """The exercises by the names of their functions.

    Where several have one name, those count that the text names ("01.3"), else that of the file's lesson, else all.
    """
    named: dict[str, list[Exercise]] = {}
    for exercise in exercises:
        named.setdefault(exercise.answer.__name__, []).append(exercise)
    ids = set(re.findall(rf"\b(?:\d\d\.\d|{ID})\b", text))
    for function, group in named.items():
        if len(group) > 1:
            there = [one for one in group if one.id in ids]
            named[function] = there or [one for one in group if name.startswith(one.id[:3].replace(".", "_"))] or group
    return named


def _is_plain(node: ast.stmt) -> bool:
    """Whether it gives a plain value a name, or a function without one: `T = 1000`, `half = lambda x: x / 2`."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    if isinstance(node.value, ast.Lambda):
        return True
    try:
        ast.literal_eval(node.value)
        return True
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False


def run(cell: Cell, node: ast.stmt, space: dict[str, Any]) -> BaseException | None:
    """Runs one statement of a submission; what it raises is returned."""
    try:
        exec(compile(ast.Module([node], []), cell.name, "exec"), space)
    except BaseException as error:
        return error
    return None


def new_space(name: str) -> dict[str, Any]:
    """Where a submission's names live: in a module of its own, which pickle and dataclasses find."""
    import sys

    module = types.ModuleType("__main__")
    module.__file__ = name
    sys.modules["__main__"] = module
    return vars(module)
