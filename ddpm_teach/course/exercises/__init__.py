"""Exercises that say what is wrong. In a lesson:

exercises.check("01.2", my_alpha_bar)      # passed, not attempted yet, or one sentence about what is wrong
alpha_bar_of = exercises.yours_or_ours("01.2", my_alpha_bar)  # what the lesson goes on with
exercises.progress()                       # what is done

Each lesson has a module here, or a few, that declare its exercises, once: task, hints, solution, and the mistakes that
are recognised, as functions that can be run. `ddpm-teach build` writes the texts into the lesson from there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from ddpm_teach.course.exercises.engine import Exercise, Report
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


def declared() -> dict[str, list[Exercise]]:
    """All exercises by lesson: {"01 forward noise": […], …}. lesson02.py has the lesson's title, lesson02_*.py more."""
    groups: dict[str, list] = {}
    for name in sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if name.startswith("lesson")):
        groups.setdefault(name.partition("_")[0], []).append(importlib.import_module(f"{__name__}.{name}"))
    return {
        first.LESSON: sorted(
            (one for module in (first, *more) for one in vars(module).values() if isinstance(one, Exercise)),
            key=lambda exercise: exercise.id,
        )
        for first, *more in groups.values()
    }


def find(id: str) -> Exercise:
    """The exercise with this id.

    Raises:
        ValueError: if there is none.
    """
    known = {exercise.id: exercise for exercises in declared().values() for exercise in exercises}
    if id not in known:
        raise ValueError(f"id: no exercise {id!r}; known are {', '.join(known)}")
    return known[id]
