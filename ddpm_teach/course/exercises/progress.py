"""Which exercises are solved: a small file of the user's own."""

from __future__ import annotations

import contextlib
import html
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddpm_teach.course.exercises.engine import Report
from ddpm_teach.course.paths import drive_folder
from ddpm_teach.storage import write_bytes

EDITION = 2
# Where the exercises of the first edition are: those of a whole lesson, or a single one; None for one that has no
# successor. What isn't named has kept its number.
EDITION_1: dict[str, str | None] = {
    **{"02.1": "02.3", "02.2": "02.1", "02.3": None, "02.4": "02.5", "03.2": "08.3", "06.4": "07.4"},
    **{"07": "09", "08": "10", "09": "14"},
}


def progress_files() -> list[Path]:
    """The file that is written, DDPM_TEACH_PROGRESS, else progress.json in Drive, else in the user's data folder.

    In Drive it is followed by the one in the data folder: what was solved before Drive was mounted counts.
    """
    if path := os.environ.get("DDPM_TEACH_PROGRESS"):
        return [Path(path)]
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "ddpm-teach"
    return [folder / "progress.json" for folder in (drive_folder(), data) if folder]


def done() -> set[str]:
    """The ids of the exercises that are solved. A file that can't be read is put aside, as progress.json.damaged."""
    return {id for path in progress_files() for id in _read(path)["solved"]}


def keep(id: str, report: Report) -> Report:
    """Notes a solved exercise. Where that fails the report says so: a full disk takes no solution away."""
    path = progress_files()[0]
    try:
        kept = _read(path)
        if id not in kept["solved"]:
            _write(path, kept | {"solved": sorted({*done(), id})})
    except OSError as error:
        return replace(report, text=f"{report.text}; it couldn't be noted in {path} ({error.strerror})")
    return report


def carried_over(solved: Iterable[str]) -> dict[str, Any]:
    """What is kept, made from the ids of the first edition. One that has no successor stays, under "edition 1"."""
    ids = {id: EDITION_1.get(id, EDITION_1.get(id[:2], id[:2]) + id[2:]) for id in solved}
    kept = {"edition": EDITION, "solved": sorted({new for new in ids.values() if new})}
    gone = sorted(id for id, new in ids.items() if new is None)
    return kept | ({"edition 1": gone} if gone else {})


def _read(path: Path) -> dict[str, Any]:
    """{"edition": 2, "solved": [ids], …}: what the file holds. The first edition's, a list, is carried over."""
    try:
        kept = json.loads(path.read_text(encoding="utf8"))
        if isinstance(kept, list):
            return _told(path, carried_over(map(str, kept)))
        return kept | {"solved": [str(id) for id in kept["solved"]]}
    except FileNotFoundError:
        return {"edition": EDITION, "solved": []}
    except (ValueError, LookupError, TypeError):
        path.replace(path.with_name(path.name + ".damaged"))
        return {"edition": EDITION, "solved": []}


def _told(path: Path, kept: dict[str, Any]) -> dict[str, Any]:
    """Writes what was carried over, and says so: once, since the file is then of this edition."""
    solved, gone = len(kept["solved"]), len(kept.get("edition 1", []))
    text = f"what you solved in the first edition counts: {solved} exercises, under the numbers that they have now"
    print(text + f"; {gone} others have no successor, and stay noted" * bool(gone))
    with contextlib.suppress(OSError):
        _write(path, kept)
    return kept


def _write(path: Path, kept: dict[str, Any]) -> None:
    write_bytes(path, json.dumps(kept).encode())


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
