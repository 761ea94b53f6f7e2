"""A page about a class: what it solved, which mistakes it makes, and what was read last before it was solved.

Without names it holds no word of a student's: mistakes are told in the exercises' own sentences, errors by their type.
"""

from __future__ import annotations

import builtins
import csv
import html
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ddpm_teach.course import exercises
from ddpm_teach.course.grading.grade import COLUMNS, Row

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #282828 }
h2 { margin: 2rem 0 .3rem; font-size: 1.1rem } ul { margin: .3rem 0 } li { margin: .15rem 0 } small { color: #6e6e6e }
.bar { background: #d55e0038; height: .6rem } .bar div { background: #009e73; height: .6rem }
table { border-collapse: collapse } td, th { border: 1px solid #cccccc; padding: .1rem .5rem; text-align: left }
"""
MARKS = {"solved": "✓", "missing": "–", "not attempted": "○"}  # anything else: ✗
OPEN = ("not attempted", "missing")


def read_csv(path: Path) -> list[Row]:
    """The rows of a table that `class grade` wrote.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: for a file that is something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"grades: {path} is no file; name a table that `ddpm-teach class grade` wrote")
    try:
        header, *lines = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
        rows = [Row(*line) for line in lines]
    except (ValueError, TypeError, csv.Error):
        header, rows = [], []
    if tuple(header) != COLUMNS or not rows:
        raise ValueError(
            f"grades: {path} isn't a table with the columns {', '.join(COLUMNS)}; `class grade` writes such"
        )
    return rows


def page(tables: Sequence[Sequence[Row]], own: Path | None = None, names: bool = False) -> str:
    """The page, as HTML that needs nothing else.

    Args:
        tables: of one class, in the order of time. All is told of the last one; those before it tell what students read
            before they solved an exercise.
        own: the folder of the class's own exercises, for their titles; None for the current one.
        names: whether to say who.
    """
    declared = exercises.declared(Path() if own is None else own).values()
    titles = {one.id: one.title for group in declared for one in group}
    now: dict[str, dict[str, Row]] = {}
    for row in tables[-1]:
        now.setdefault(row.exercise, {})[row.student] = row
    students = list(dict.fromkeys(row.student for row in tables[-1]))
    solved = sum(row.result == "solved" for row in tables[-1])
    parts = [
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>How the class did</title>',
        f"<style>{STYLE}</style>",
        f"<h1>How the class did</h1><p>{len(students)} students, {len(now)} exercises, {solved} of {len(tables[-1])}"
        " solved.</p>",
    ]
    for id, rows in now.items():
        last = _last_before(tables, id)
        parts += _about(id, titles.get(id, ""), list(rows.values()), last, names)
    if names:
        parts += _table(students, now)
    return "\n".join(parts) + "\n"


def _about(id: str, title: str, rows: Sequence[Row], last: Sequence[Row], names: bool) -> list[str]:
    """One exercise: how many solved it, and what the others read."""
    solved, n = sum(row.result == "solved" for row in rows), len(rows)
    parts = [
        f"<h2>{html.escape(f'{id} {title}')}</h2>",
        f'<div class="bar"><div style="width:{100 * solved / n:.0f}%"></div></div>',
        f"<p>{solved} of {n} solved it</p>",
        _counted([row for row in rows if row.result != "solved"], n, names),
    ]
    if last:
        words = f"The last that was read before it was solved, by {len(last)} of whom an earlier attempt is known:"
        parts += [f"<small>{words}</small>", _counted(last, len(last), names)]
    return parts


def _counted(rows: Iterable[Row], n: int, names: bool) -> str:
    """Which words how often, the most frequent first; what wasn't attempted comes last."""
    who: dict[tuple[bool, str], list[str]] = {}
    for row in rows:
        who.setdefault((row.result in OPEN, _in_our_words(row)), []).append(row.student)
    items = []
    for (_, words), students in sorted(who.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][1])):
        by = f" <small>({html.escape(', '.join(students))})</small>" if names else ""
        items.append(f"<li>{len(students)} of {n}: {html.escape(words)}{by}</li>")
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _in_our_words(row: Row) -> str:
    """A result in words that no student can have written."""
    if row.result in OPEN:
        return row.result
    if row.result == "mistake":
        return row.sentence.removeprefix(f"{row.exercise} ")
    if row.result != "error":
        return "not right, and no recognised mistake"
    first = row.sentence.partition("\n")[0]
    for word in re.findall(r"\b[A-Z]\w+\b", first):
        kind = getattr(builtins, word, None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            return word
    for words in ("took more than", "took too long", "ended its own process", "gave back", "returns None"):
        if words in first:
            return {"took more than": "took too long", "gave back": "gave back too much"}.get(words, words)
    return "another error"


def _last_before(tables: Sequence[Sequence[Row]], id: str) -> list[Row]:
    """For each student who has solved an exercise the attempt before the first table that says so."""
    last: dict[str, Row] = {}
    solved: set[str] = set()
    for rows in tables:
        for row in rows:
            if row.exercise != id or row.student in solved:
                continue
            if row.result == "solved":
                solved.add(row.student)
            elif row.result not in OPEN:
                last[row.student] = row
    return [row for student, row in last.items() if student in solved]


def _table(students: Sequence[str], now: dict[str, dict[str, Row]]) -> list[str]:
    head = "".join(f"<th>{html.escape(id)}</th>" for id in now)
    lines = [f"<h2>Who</h2><table><tr><th>student</th>{head}</tr>"]
    for student in students:
        marks = [MARKS.get(rows[student].result, "✗") if student in rows else "" for rows in now.values()]
        lines.append(f"<tr><td>{html.escape(student)}</td>{''.join(f'<td>{mark}</td>' for mark in marks)}</tr>")
    return [*lines, "</table>"]
