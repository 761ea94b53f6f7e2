"""A class's own exercises: those that FILE declares, in the folder of its lessons.

The file is an ordinary Python module with `Exercise` objects, as the course's own are in lesson01.py and so on; LESSON
may say under which title `progress` lists them. It is looked for where the notebook runs, which is the notebook's own
folder in JupyterLab and in `ddpm-teach build`, and on Colab what `%cd` names. notebooks/README.md has an example.
"""

from __future__ import annotations

import functools
import re
import sys
import traceback
import types
from pathlib import Path

from ddpm_teach.course.exercises.catalogue import of_the_course
from ddpm_teach.course.exercises.compare import message
from ddpm_teach.course.exercises.engine import Exercise

FILE = "class_exercises.py"
ID = r"[A-Za-z][A-Za-z0-9_-]*\.\d+"  # never like the course's, and fit for nbgrader's names
TITLE = "exercises of this class"


def own_exercises(folder: Path) -> dict[str, list[Exercise]]:
    """The exercises that FILE declares in this folder, in its order, under their title; nothing without such a file.

    An edited file is read anew.

    Raises:
        ValueError: in one sentence, with the file and, where it is known, the line: for a file that can't be run, an
            id that isn't like "mine.1" or is there twice, and an exercise without a solution.
    """
    path = (folder / FILE).resolve()
    if not path.is_file():
        return {}
    stat = path.stat()
    title, exercises = _read(path, (stat.st_mtime_ns, stat.st_size))
    return {title: list(exercises)} if exercises else {}


def check_own(exercise: Exercise, path: Path) -> None:
    """Refuses an exercise that its own solution doesn't solve, or whose mistakes aren't recognised.

    Args:
        path: of the file that declares it, for the sentence.

    Raises:
        ValueError: with what a student would read.
    """
    report = exercise.examine(exercise.answer)
    if not report.passed:
        raise ValueError(f"{path}: the solution of {exercise.id} doesn't pass ({report.text}); mend one of the two")
    for mistake in exercise.mistakes:
        report = exercise.examine(mistake.function)
        if report.text != f"{exercise.id} {mistake.says}":
            raise ValueError(
                f"{path}: the mistake {mistake.says!r} of {exercise.id} isn't told as that, but as:"
                f" {report.text}; make its function return something else"
            )


@functools.lru_cache(maxsize=8)
def _read(path: Path, stamp: tuple[int, int]) -> tuple[str, tuple[Exercise, ...]]:
    """The title and the exercises of the file; `stamp` tells one state of it from another."""
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module  # where dataclasses and pickle look for it
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else message(error)}"
        raise ValueError(f"{path}, line {_line(error, path)}: {told}; mend it, or take the file away") from error
    imported = {id(one) for exercises in of_the_course().values() for one in exercises}  # say for its cases
    found = {id(one): one for one in vars(module).values() if isinstance(one, Exercise)}
    own = [one for key, one in found.items() if key not in imported]
    seen: set[str] = set()
    for exercise in own:
        _check_id(path, exercise.id, seen)
        seen.add(exercise.id)
        _check_solution(path, exercise)
    return str(getattr(module, "LESSON", TITLE)), tuple(own)


def _check_id(path: Path, id: object, seen: set[str]) -> None:
    if not isinstance(id, str) or not re.fullmatch(ID, id):
        raise ValueError(
            f"{path}: an exercise has the id {id!r}; expected a name of letters, a dot and a number, such as 'mine.1'"
        )
    if id in seen:
        raise ValueError(f"{path}: two exercises have the id {id!r}; give one of them another")


def _check_solution(path: Path, exercise: Exercise) -> None:
    """Its name and parameters are the stub's, so it has to be a `def` whose first line can be written again."""
    if not isinstance(exercise.answer, types.FunctionType):
        raise ValueError(f"{path}: exercise {exercise.id} has no solution; decorate a function with its .solution")
    try:
        compile(exercise.stub_text(), str(path), "exec")
    except SyntaxError:
        first = exercise.stub_text().partition("\n")[0]
        raise ValueError(
            f"{path}: the solution of {exercise.id} would be a stub {first!r}, which isn't Python; make it a def with"
            " plain defaults"
        ) from None


def _line(error: BaseException, path: Path) -> int:
    """Where in the file it went wrong: the last line of it on the way to the error."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = traceback.walk_tb(error.__traceback__)
    return [1, *(number for frame, number in frames if frame.f_code.co_filename == str(path))][-1]
