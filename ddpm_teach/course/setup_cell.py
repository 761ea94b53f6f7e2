"""The two cells that a lesson has from here: the setup cell, one and the same in all lessons, and its Colab badge.

`ddpm-teach home` writes them. A setup cell is a code cell with the tag SETUP, and it is folded; a badge is a Markdown
cell with the tag BADGE, which stands above it where the course has an address.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ddpm_teach.course.build import cell_id
from ddpm_teach.course.paths import DRIVE

SETUP, BADGE = "setup", "badge"
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": [SETUP]}  # by Colab, and by JupyterLab


def setup_source(home: str) -> str:
    """The setup cell's text.

    A source is what DDPM_TEACH_SOURCE names, else a wheel that lies beside the notebook or in Drive, else the home.

    Args:
        home: the course's address, or "" without one.
    """
    return f'''\
# @title Setup: installs the course where it is missing, as on Colab; elsewhere it does nothing
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("ddpm_teach") is None:
    home = {json.dumps(home)}  # the course's address
    drive, wheel = Path("{DRIVE.as_posix()}"), "ddpm_teach-*any.whl"
    wheels = [*Path().glob(wheel)] or [*drive.glob(wheel), *drive.glob(f"*/{{wheel}}")]
    found = str(max(wheels, key=os.path.getmtime)) if wheels else home
    source = os.environ.get("DDPM_TEACH_SOURCE", "").strip(" '\\"") or found
    if os.path.exists(file := os.path.expanduser(source)):
        source = os.path.abspath(file)
    elif "://" not in source:
        why = f"is missing, and {{source!r}} is neither an address nor a file" if source else "is missing"
        raise ModuleNotFoundError(
            f"ddpm_teach {{why}}: put %env DDPM_TEACH_SOURCE=ADDRESS into a cell above, where ADDRESS is the "
            "course's (https://…) or the path of its folder, zip or wheel, run that cell, then this one again"
        )
    elif not source.partition("?")[0].endswith((".whl", ".zip", ".tar.gz")):
        source = "git+" + source.removeprefix("git+").replace("/tree/", "@")
    command = [sys.executable, "-m", "pip", "install", "--quiet", source]
    pip = subprocess.run(command, capture_output=True, text=True)
    if pip.returncode:
        raise RuntimeError(f"the course can't be installed from {{source}}; pip says: {{pip.stderr[-1000:]}}")
    importlib.invalidate_caches()

if Path("{DRIVE.as_posix()}").is_dir():
    from ddpm_teach.course.home import keep_in_drive

    keep_in_drive()'''


def stamped(text: str, home: str, badge: str) -> str:
    """A notebook's text with the setup cell and the badge as they should be, and not a letter else changed.

    Args:
        text: the .ipynb file's.
        home: as for `setup_source`.
        badge: Markdown; "" takes the badge out.

    Raises:
        ValueError: for what is no notebook, or has not one setup cell.
    """
    try:
        spans = _spans(text)
        cells = [json.loads(text[start:end]) for start, end in spans]
        tags = [cell["metadata"].get("tags", []) if cell["cell_type"] != "raw" else [] for cell in cells]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ValueError("is no notebook") from None
    setups = [i for i, cell in enumerate(cells) if SETUP in tags[i] and cell["cell_type"] == "code"]
    if len(setups) != 1:
        remedy = f"give its first code cell, and no other, the tag {SETUP!r}"
        raise ValueError(f"has {len(setups) or 'no'} setup cell{'s' * (len(setups) > 1)}; {remedy}")
    (setup,) = setups
    badges = [i for i in range(len(cells)) if BADGE in tags[i]]
    wanted: list[tuple[int, dict | None]] = [(setup, _cell(cells[setup], setup_source(home), FOLDED))]
    if not badge:
        wanted += [(i, None) for i in badges]
    elif badges:
        wanted += [(badges[0], _cell(cells[badges[0]], badge, {"tags": [BADGE]})), *((i, None) for i in badges[1:])]
    for i, cell in sorted(wanted, key=lambda one: -one[0]):  # from the last on, so that the others' places stay
        start, end = spans[i]
        if cell is None:
            start, end = (start, spans[i + 1][0]) if i + 1 < len(spans) else (spans[i - 1][1], end)
        if cell != cells[i]:
            text = text[:start] + (_written(cell) if cell else "") + text[end:]
        if i == setup and badge and not badges:
            new = _cell({"cell_type": "markdown"}, badge, {"tags": [BADGE]})
            text = f"{text[:start]}{_written(new)},\n  {text[start:]}"
    return text


def _cell(cell: dict[str, Any], source: str, metadata: dict) -> dict[str, Any]:
    """The cell with another source, and the id that `ddpm-teach build` gives it then."""
    lines = source.splitlines(keepends=True)
    return cell | {"source": lines, "metadata": metadata, "id": cell_id(cell["cell_type"], source)}


def _written(cell: dict) -> str:
    """A cell as Jupyter writes it, in its place in the file."""
    return json.dumps(cell, indent=1, ensure_ascii=False, sort_keys=True).replace("\n", "\n  ")


def _spans(text: str) -> list[tuple[int, int]]:
    """Where each cell of a notebook begins in its file, and where it ends."""
    json.loads(text)  # all of it has to be well-formed
    scan, between = json.JSONDecoder().raw_decode, re.compile(r"[\s,:]*")

    def after(i: int) -> int:
        return between.match(text, i).end()

    key, i, spans = None, text.index("{") + 1, []
    while key != "cells":
        i = i if key is None else scan(text, i)[1]  # past that key's value
        key, i = scan(text, after(i))
        i = after(i)
    if text[i] != "[":
        raise ValueError("cells: expected a list")
    i = after(i + 1)
    while text[i] != "]":
        spans.append((i, scan(text, i)[1]))
        i = after(spans[-1][1])
    return spans
