"""Which exercises are solved: a small file of the user's own."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ddpm_teach.course.exercises.engine import Report
from ddpm_teach.storage import write_bytes


def progress_file() -> Path:
    """DDPM_TEACH_PROGRESS, else progress.json in the user's data folder."""
    if path := os.environ.get("DDPM_TEACH_PROGRESS"):
        return Path(path)
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "ddpm-teach" / "progress.json"


def done() -> set[str]:
    """The ids of the exercises that are solved. A file that can't be read is put aside, as progress.json.damaged."""
    path = progress_file()
    try:
        ids = json.loads(path.read_text(encoding="utf8"))
        if not isinstance(ids, list):
            raise ValueError("no list")
        return set(map(str, ids))
    except FileNotFoundError:
        return set()
    except ValueError:
        path.replace(path.with_name(path.name + ".damaged"))
        return set()


def keep(id: str, report: Report) -> Report:
    """Notes a solved exercise. Where that fails the report says so: a full disk takes no solution away."""
    path = progress_file()
    try:
        solved = done()
        if id not in solved:
            write_bytes(path, json.dumps(sorted({*solved, id})).encode())
    except OSError as error:
        return replace(report, text=f"{report.text}; it couldn't be noted in {path} ({error.strerror})")
    return report


class Progress:
    """A table of lessons and exercises that prints in a terminal and shows in a notebook."""

    def __init__(self, lessons: Mapping[str, Sequence[str]], solved: set[str]) -> None:
        self.rows = [
            (lesson, "".join("●" if id in solved else "○" for id in ids), sum(id in solved for id in ids), len(ids))
            for lesson, ids in lessons.items()
        ]

    def __repr__(self) -> str:
        width = max(len(lesson) for lesson, *_ in self.rows)
        return "\n".join(f"{lesson:{width}}  {dots}  {n} of {total}" for lesson, dots, n, total in self.rows)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align:left">{html.escape(lesson)}</td><td>{dots}</td><td>{n} of {total}</td></tr>'
            for lesson, dots, n, total in self.rows
        )
        return f'<table><tr><th style="text-align:left">lesson</th><th>exercises</th><th>solved</th></tr>{rows}</table>'
