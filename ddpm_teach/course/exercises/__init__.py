"""Exercises that say what is wrong. In a lesson:

exercises.check("01.2", my_alpha_bar)      # passed, not attempted yet, or one sentence about what is wrong
alpha_bar_of = exercises.yours_or_ours("01.2", my_alpha_bar)  # what the lesson goes on with
exercises.progress()                       # what is done

Each lesson has a module here, or a few, that declare its exercises, once: task, hints, solution, and the mistakes that
are recognised, as functions that can be run. `ddpm-teach build` writes the texts into the lesson from there. A class
can have exercises of its own, in a file beside its lessons: see own.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ddpm_teach.course.exercises.catalogue import of_the_course
from ddpm_teach.course.exercises.engine import Exercise, Report
from ddpm_teach.course.exercises.own import FILE, own_exercises
from ddpm_teach.course.exercises.progress import Progress, done, keep

__all__ = ["Exercise", "Report", "check", "declared", "find", "progress", "yours_or_ours"]


def check(id: str, function: object) -> Report:
    """Runs your function on many inputs and says how it went. What it raises is told, never raised.

    Args:
        id: of the exercise, such as "01.2".
        function: yours, itself and not its result: check("01.2", my_alpha_bar).

    Returns:
        A report that a notebook shows: passed (and on what it was tried), not attempted yet, the mistake in one
        sentence where it is a known one, else the line of yours that failed, or the smallest input that fails.

    Raises:
        ValueError: if there is no such exercise.
    """
    report = find(id).examine(function)
    return keep(id, report) if report.passed else report


def yours_or_ours(id: str, function: Callable) -> Callable:
    """Your function where it passes, else the solution that the lesson folds below it; says in one line which.

    Args:
        id: of the exercise, such as "01.2".
        function: yours, as for check.

    Returns:
        What the lesson goes on with: it then runs whether or not the exercise is done, and on your code once it is.

    Raises:
        ValueError: if there is no such exercise.
    """
    passed = check(id, function).passed
    used = function if passed else find(id).answer
    print(f"exercise {id}: the lesson goes on with {'your' if passed else 'our'} {used.__name__}")
    return used


def progress() -> Progress:
    """The exercises of all lessons, and which of them you have solved on this machine."""
    return Progress({lesson: [exercise.id for exercise in group] for lesson, group in declared().items()}, done())


def declared(folder: Path = Path()) -> dict[str, list[Exercise]]:
    """All exercises by lesson, {"01 forward noise": […], …}, and at the end those of the class whose folder it is.

    Raises:
        ValueError: for a file of a class's own exercises that can't be used.
    """
    groups = of_the_course()
    for title, exercises in own_exercises(folder).items():
        groups.setdefault(title, []).extend(exercises)
    return groups


def find(id: str, folder: Path = Path()) -> Exercise:
    """The exercise with this id. A class's own file is read only for an id that isn't the course's.

    Raises:
        ValueError: if there is none, or the class's file can't be used.
    """
    known = {exercise.id: exercise for exercises in of_the_course().values() for exercise in exercises}
    if id not in known:
        own = {exercise.id: exercise for exercises in own_exercises(folder).values() for exercise in exercises}
        known |= own
    if id not in known:
        hint = "" if own else f"; for a class's own, {FILE} has to lie in {folder.resolve()}"
        raise ValueError(f"id: no exercise {id!r}; known are {', '.join(known)}{hint}")
    return known[id]
