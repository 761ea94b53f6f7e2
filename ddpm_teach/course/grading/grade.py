"""Grading what a class handed in: each file in a process of its own, the verdicts in this one.

A submission gets the inputs and gives back values. Whether these are right, which mistake they show, and what is said
of it, is found out here, by code that no submission has touched.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ddpm_teach.checks import check_int
from ddpm_teach.course import exercises
from ddpm_teach.course.exercises.engine import Exercise, Report
from ddpm_teach.course.exercises.own import FILE
from ddpm_teach.course.grading import wire
from ddpm_teach.course.grading.processes import ALLOWANCES, run_all
from ddpm_teach.course.grading.runner import Request, inputs
from ddpm_teach.course.grading.sandbox import CannotIsolate
from ddpm_teach.course.grading.submissions import MOST_COPIES, find_work

SECONDS = 10  # for a function with all its inputs, and for a file's imports and definitions
MEMORY = 2**30  # bytes, beyond what torch itself takes
COLUMNS = ("student", "exercise", "result", "sentence")


class Row(NamedTuple):
    """How a student did an exercise: solved, mistake, wrong, error, not attempted, missing; and what to read of it."""

    student: str
    exercise: str
    result: str
    sentence: str


def grade(
    submissions: Path,
    lessons: Sequence[str] | None = None,
    own: Path | None = None,
    seed: int = 1,
    seconds: int = SECONDS,
    unsafe: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Grades a folder of submissions. Whatever one of them does changes its own rows only.

    Args:
        submissions: holds a file (.ipynb or .py) or a folder of files for each student.
        lessons: numbers of those whose exercises are expected ("01"), "own" for the class's; None for all exercises of
            which anybody handed something in.
        own: the folder of the class's own exercises; None for the current one, where there need be none.
        seed: of the new inputs, half of all; the others are those of `check`. See new_seed.
        seconds: of processor time for each function; for a whole file ALLOWANCES times as many. On the clock it may
            take WAITING times as long (processes.py).
        unsafe: whether to go on where this system can't isolate submissions.
        say: is called with a line after each student.

    Returns:
        A row for each student and expected exercise.

    Raises:
        FileNotFoundError: for a folder that isn't there.
        ValueError: for anything else that can't be as it is, also if nothing was found to grade.
        CannotIsolate: before anything of a submission is run; never if `unsafe`.
    """
    check_int("seed", seed, 1, 2**63 - 1)
    check_int("seconds", seconds, 1, 3600)
    if not hasattr(os, "fork"):
        raise CannotIsolate("submissions: can be graded on Linux, and with --unsafe on macOS; on Windows use WSL")
    if own is not None and not (own / FILE).is_file():
        raise FileNotFoundError(f"exercises: {own} has no {FILE}; declare the class's exercises there")
    folder = (Path() if own is None else own).resolve()
    expected = _expected(lessons, folder)
    works = find_work(submissions.resolve())
    request = Request(Path(), tuple(expected), folder, seed, MEMORY, ALLOWANCES * seconds + 60, unsafe)
    groups = [[request._replace(path=path) for path in work.files] for work in works]
    workers = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

    @functools.cache
    def prepared(id: str) -> tuple[list, list]:
        cases = inputs(expected[id], seed)
        return cases, expected[id].right(cases)

    results = []
    with contextlib.closing(run_all(groups, seconds, workers)) as stream:
        for work, found in zip(works, stream, strict=True):
            trouble = work.trouble or "; ".join(map(str, found.pop("", ())))
            reports = {id: _judged(expected[id], copies, *prepared(id)) for id, copies in found.items()}
            results.append((work.student, reports, trouble))
            say(f"{work.student}: {sum(report.passed for report in reports.values())} solved")
    there = [id for id in expected if lessons is not None or any(id in reports for _, reports, _ in results)]
    if not there:
        raise ValueError(f"submissions: no function of an exercise was found in {submissions}; is it the right folder?")
    return [
        Row(student, id, *_words(expected[id], reports.get(id), trouble))
        for student, reports, trouble in results
        for id in there
    ]


def new_seed() -> int:
    """A seed that nobody can know."""
    return 1 + secrets.randbits(32)


def to_csv(rows: Sequence[Row]) -> bytes:
    """A table for spreadsheets. A name that begins as a formula does, and would be taken for one, gets a '."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(COLUMNS)
    table.writerows((f"'{row.student}" if row.student[:1] in "=+-@" else row.student, *row[1:]) for row in rows)
    return file.getvalue().encode("utf-8-sig", "replace")  # the mark tells spreadsheets that it is UTF-8


def _expected(lessons: Sequence[str] | None, folder: Path) -> dict[str, Exercise]:
    """The exercises that may be graded, by their ids."""
    declared = {one.id: one for group in exercises.declared(folder).values() for one in group}
    known = {id: id[:2] if id[:2].isdigit() else "own" for id in declared}
    for lesson in lessons or ():
        if lesson not in known.values():
            words = ", ".join(dict.fromkeys(known.values()))
            raise ValueError(f"lessons: expected some of {words}, got {lesson!r}")
    return {id: one for id, one in declared.items() if lessons is None or known[id] in lessons}


def _judged(exercise: Exercise, parts: Sequence[bytes | str], cases: list, right: list) -> Report:
    """The report on an exercise: of several copies of its function that which is solved, else the last that is more
    than a stub."""
    reports = [report for part in parts for report in _reports(exercise, part, cases, right)]
    order = {"passed": 2, "not attempted": 0}
    best = max(order.get(report.status, 1) for report in reports)
    return [report for report in reports if order.get(report.status, 1) == best][-1]


def _reports(exercise: Exercise, part: bytes | str, cases: list, right: list) -> list[Report]:
    """A report on each copy of the function in a file, of which came back what `runner` sends; or on a sentence."""
    if isinstance(part, str):
        return [Report("error", f"{exercise.id} {exercise.answer.__name__} {part}")]
    try:
        copies = wire.loads(part)["copies"][-MOST_COPIES:]
        return [_report(exercise, copy, cases, right) for copy in copies] or [_unreadable(exercise)]
    except (LookupError, TypeError, ValueError):
        return [_unreadable(exercise)]


def _report(exercise: Exercise, copy: dict[str, Any], cases: list, right: list) -> Report:
    if "trouble" in copy:
        return Report("error", f"{exercise.id} {wire.text(copy['trouble'])}")
    report = exercise.judge(wire.from_line(copy, len(cases)), cases, right)
    return Report(report.status, f"{exercise.id} passed: {len(cases)} cases") if report.passed else report


def _unreadable(exercise: Exercise) -> Report:
    return Report("error", f"{exercise.id} {exercise.answer.__name__} gave back what can't be read")


def _words(exercise: Exercise, report: Report | None, trouble: str) -> tuple[str, str]:
    if report is not None:
        return "solved" if report.passed else report.status, report.text
    reason = f" ({trouble})" if trouble else ""
    return "missing", f"{exercise.id} missing: no function {exercise.answer.__name__} was found{reason}"
