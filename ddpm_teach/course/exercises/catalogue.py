"""The exercises of the course: those that lesson01.py and so on declare."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from ddpm_teach.course.exercises.engine import Exercise


def of_the_course() -> dict[str, list[Exercise]]:
    """By lesson: {"01 forward noise": […], …}. lesson02.py has the lesson's title, lesson02_*.py more exercises."""
    groups: dict[str, list] = {}
    names = sorted(
        name for _, name, _ in pkgutil.iter_modules([str(Path(__file__).parent)]) if name.startswith("lesson")
    )
    for name in names:
        groups.setdefault(name.partition("_")[0], []).append(importlib.import_module(f"{__package__}.{name}"))
    return {
        first.LESSON: sorted(
            (one for module in (first, *more) for one in vars(module).values() if isinstance(one, Exercise)),
            key=lambda exercise: exercise.id,
        )
        for first, *more in groups.values()
    }
