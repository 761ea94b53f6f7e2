"""Executing lessons in place, so that the same lesson on the same machine gives the same bytes."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ddpm_teach.course import exercises
from ddpm_teach.course.exercises.own import ID
from ddpm_teach.storage import how_to_install, write_bytes

if TYPE_CHECKING:
    from nbformat import NotebookNode

# "kept": the text below is somebody's own, a translation say; it isn't written anew.
MARKER = re.compile(rf"<!-- (exercise|folded) (\d\d\.\d|{ID})(?: kept)? -->")


def build(path: str | Path, timeout: int = 600) -> None:
    """Fills in the exercises' texts, runs all cells in a new kernel and writes the notebook back, whole or not at all.

    Args:
        path: the .ipynb file.
        timeout: seconds for a cell.

    Raises:
        FileNotFoundError: if there is no such notebook.
        ModuleNotFoundError: without the notebook tools.
        ValueError: for what is no notebook, and for an exercise that neither the course nor the file of a class's own
            exercises beside the notebook declares; the file stays as it was, as it does below.
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    path = Path(path)
    notebook = read_notebook(path)
    from nbclient import NotebookClient

    for cell in notebook.cells:
        cell.source = with_exercise(cell.source, path.parent)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory() as nowhere:  # what this machine's user has solved isn't the lesson's
        fixed = {"PYTHONHASHSEED": "0", "TQDM_DISABLE": "1", "DDPM_TEACH_PROGRESS": str(Path(nowhere) / "none.json")}
        client.execute(env={**os.environ, **fixed})
    write_bytes(path, notebook_bytes(notebook))


def read_notebook(path: Path) -> NotebookNode:
    """A notebook, in the newest form of its format.

    Raises:
        FileNotFoundError: if there is none.
        ModuleNotFoundError: without the notebook tools.
        ValueError: for a file that is no notebook.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such lesson")
    try:
        import nbclient  # noqa: F401
        import nbformat
    except ModuleNotFoundError:
        tools = how_to_install("lab", "jupyterlab")
        raise ModuleNotFoundError(f"the notebook tools are not installed; run: {tools}") from None
    try:
        notebook = nbformat.read(path, as_version=4)
        _ = [cell.source for cell in notebook.cells]
    except (AttributeError, LookupError, TypeError, ValueError):  # no JSON, or JSON of something else
        raise ValueError(f"{path}: is no notebook; it stays as it was") from None
    return notebook


def notebook_bytes(notebook: NotebookNode) -> bytes:
    """What is written for a notebook: the same bytes for the same cells and outputs."""
    import nbformat

    _make_stable(notebook)
    nbformat.validate(notebook)
    return (nbformat.writes(notebook).rstrip("\n") + "\n").encode()  # writes() sorts the keys


def with_exercise(source: str, folder: Path = Path()) -> str:
    """A cell's text; if it begins with a marker, such as <!-- exercise 01.2 -->, with what is declared below it.

    "exercise" stands for the task, "folded" for hints and solution (see `exercises.Exercise`). The folder is where a
    class's own exercises are looked for. A marker such as <!-- exercise 01.2 kept --> leaves the cell as it is.
    """
    marker = MARKER.match(source)
    if not marker or marker[0].endswith(" kept -->"):
        return source
    exercise = exercises.find(marker[2], folder)
    return f"{marker[0]}\n{exercise.task_text() if marker[1] == 'exercise' else exercise.folded_text()}"


def cell_id(cell_type: str, source: str) -> str:
    """An id from the cell's own text, so that an edit touches no other cell."""
    return hashlib.sha256((cell_type + source).encode()).hexdigest()[:8]


def _make_stable(notebook) -> None:
    """Takes out what differs from run to run: random ids, the kernel's details, streams that arrive in pieces."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        name = cell_id(cell.cell_type, cell.source)
        seen[name] += 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"
        outputs = []
        for output in cell.get("outputs", []):
            last = outputs[-1] if outputs else None
            if last and output.output_type == last.output_type == "stream" and output.name == last.name:
                last.text += output.text
            else:
                outputs.append(output)
        if cell.cell_type == "code":
            cell.outputs = outputs
