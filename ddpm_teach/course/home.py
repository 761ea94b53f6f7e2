"""A learner's folder of lessons: laid out, kept up to date, and nothing in it lost.

Every notebook that is laid there is noted in one small file of the folder, NOTES, by digests of its cells. One that
still has them is as it was laid, and a newer lesson takes its place. Beside one that was changed, or run, the newer
lesson is laid as 04_ddpm_sampling.new.ipynb. Lessons of the course's first edition move to a folder of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ddpm_teach.course.first_edition import GONE
from ddpm_teach.course.paths import drive_folder, lessons_folder
from ddpm_teach.storage import course_path, write_bytes

NOTES = ".ddpm-teach.json"
EDITION = 2
ASIDE = "first-edition"
FIRST_EDITION = [  # the names of its lessons
    *("00_start_here.ipynb", "01_forward_noise.ipynb", "02_unet.ipynb", "03_training.ipynb", "04_ddpm_sampling.ipynb"),
    *("05_context.ipynb", "06_ddim.ipynb", "07_attention_and_mnist.ipynb", "08_how_good.ipynb"),
    "09_towards_stable_diffusion.ipynb",
]
IMPORT = re.compile(r"^\s*(?:from|import)\s+(ddpm_teach\.\w+)", re.MULTILINE)


@dataclass
class Copied:
    """What `copy_lessons` did, by the names of the files.

    Attributes:
        new: lessons that the folder didn't have.
        updated: those that were as they had been laid, and gave way to newer ones.
        kept: those with nothing newer.
        beside: a changed one, and the name under which the newer lesson lies beside it.
        aside: lessons of the first edition, which lie in the folder ASIDE now.
    """

    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)
    aside: list[str] = field(default_factory=list)

    @property
    def written(self) -> list[str]:
        """The names of all files that hold a lesson as it was shipped since this call."""
        return [*self.new, *self.updated, *self.beside.values()]

    def told(self, folder: Path) -> str:
        """The same for a learner, a sentence in each line."""
        counts = {"copied": self.new, "updated": self.updated, "kept as they are": [*self.kept, *self.beside]}
        done = ", ".join(f"{len(names)} {what}" for what, names in counts.items() if names)
        lines = [f"{folder}: lessons: {done}"]
        if self.aside:
            lines.append(f"your lessons of the first edition are in {folder / ASIDE} now, as you left them")
        lines += [
            f"{name} is yours now, changed or run; the newer lesson is {new}" for name, new in self.beside.items()
        ]
        return "\n".join(lines)


def copy_lessons(folder: Path, metadata: Mapping[str, Any] | None = None) -> Copied:
    """Lays every lesson of the course into the folder, and deletes or overwrites nothing that was changed there.

    Args:
        folder: a learner's own; it is made if need be.
        metadata: of every notebook that is laid, such as `kernel_metadata()`; None leaves it as it is.
    """
    notes, copied = _read_notes(folder), Copied()
    lessons = {
        path.name: json.loads(path.read_text("utf8")) for path in sorted(course_path("notebooks").glob("*.ipynb"))
    }
    _sweep(folder, lessons)
    copied.aside = [name for name in _of_first_edition(folder, lessons, notes) if _set_aside(folder, name)]
    try:
        for name, lesson in lessons.items():
            _lay(folder, name, lesson if metadata is None else lesson | {"metadata": dict(metadata)}, notes, copied)
    finally:
        data = json.dumps({"edition": EDITION, "lessons": notes}, indent=1, sort_keys=True)
        write_bytes(folder / NOTES, f"{data}\n".encode())
    return copied


def keep_in_drive() -> None:
    """What a setup cell calls on Colab: lays the lessons into Drive, where it is mounted, and says where they are."""
    if drive_folder() is None:
        return
    try:
        print(copy_lessons(lessons_folder()).told(lessons_folder()))
        print("open them from there: what you write in them stays, and so does what you solve")
    except OSError as error:
        print(f"{lessons_folder()}: the lessons can't be kept there ({error.strerror}); make room in Drive")


def _lay(folder: Path, name: str, lesson: dict, notes: dict[str, dict], copied: Copied) -> None:
    """Lays one lesson where it costs nobody anything: at its name, else beside it."""
    digests = digests_of(lesson)
    for place in _names(name):
        path, noted = folder / place, notes.get(place)
        missing = not path.exists() or (path.is_file() and path.stat().st_size == 0)
        if missing and place != name and noted and noted["text"] == digests["text"]:
            copied.kept.append(name)  # it lay beside, and the learner took it away again
            return
        found = None if missing else _digests_at(path)
        if found == digests and noted == digests:
            copied.kept.append(name)
            return
        if missing or found == digests or (noted and found == noted):
            write_bytes(path, _bytes(lesson))
            notes[place] = digests
            if place != name:
                copied.beside[name] = place
            else:
                (copied.new if missing else copied.updated).append(name)
            return
        if noted and noted["text"] == digests["text"]:  # changed, and nothing is newer but pictures
            copied.kept.append(name)
            return


def _names(name: str) -> Iterator[str]:
    """04_x.ipynb, 04_x.new.ipynb, 04_x.new2.ipynb, …"""
    stem = Path(name).stem
    yield name
    yield f"{stem}.new.ipynb"
    yield from (f"{stem}.new{n}.ipynb" for n in count(2))


def digests_of(notebook: Mapping[str, Any]) -> dict[str, str]:
    """Of what a reader sees: "text" of the cells' kinds and sources, "all" of the outputs as well.

    The rest, and whether lines are kept as lists, is what every program that saves a notebook does in its own way.
    """
    cells = [(cell["cell_type"], _joined(cell["source"])) for cell in notebook["cells"]]
    outputs = [(_joined(cell.get("outputs", [])), _joined(cell.get("attachments", {}))) for cell in notebook["cells"]]
    digest = {"text": cells, "all": [cells, outputs]}
    return {
        name: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest() for name, value in digest.items()
    }


def _joined(value: Any) -> Any:
    """Without counters and metadata, and with every text in one piece."""
    if isinstance(value, dict):
        return {name: _joined(one) for name, one in value.items() if name not in ("execution_count", "metadata")}
    if isinstance(value, list):
        parts = [_joined(one) for one in value]
        return "".join(parts) if parts and all(isinstance(one, str) for one in parts) else parts
    return value


def _digests_at(path: Path) -> dict[str, str] | None:
    """Those of a file; None for what is no notebook."""
    try:
        return digests_of(json.loads(path.read_text("utf8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _bytes(notebook: dict) -> bytes:
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _read_notes(folder: Path) -> dict[str, dict]:
    """What was laid, by the names of the files; nothing where that can't be read, and then nothing is replaced."""
    try:
        lessons = json.loads((folder / NOTES).read_text("utf8"))["lessons"]
        return {name: {"text": str(noted["text"]), "all": str(noted["all"])} for name, noted in lessons.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _sweep(folder: Path, lessons: Mapping[str, dict]) -> None:
    """Removes what a copying that was killed has left behind (see `storage.write_bytes`)."""
    for name in (NOTES, *lessons):
        for part in folder.glob(f".{name[:40]}.*.part"):
            part.unlink(missing_ok=True)


def _of_first_edition(folder: Path, lessons: Mapping[str, dict], notes: Mapping[str, dict]) -> list[str]:
    """The names of a first edition's lessons: those that import from where only it had something, or are no more."""
    present = [name for name in FIRST_EDITION if name not in notes and (folder / name).is_file()]
    return [name for name in present if name not in lessons or imports_of_first_edition(folder / name)]


def imports_of_first_edition(path: Path) -> bool:
    """Whether a notebook imports a module that only the first edition had."""
    try:
        cells = json.loads(path.read_text("utf8"))["cells"]
        code = "\n".join(_joined(cell["source"]) or "" for cell in cells if cell["cell_type"] == "code")
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
    return not GONE.isdisjoint(IMPORT.findall(code))


def _set_aside(folder: Path, name: str) -> Path:
    """Moves a notebook into the folder ASIDE, under a name that is free there."""
    (folder / ASIDE).mkdir(exist_ok=True)
    names = (name, *(f"{Path(name).stem}-{n}.ipynb" for n in range(2, 1000)))
    free = next(path for path in (folder / ASIDE / one for one in names) if not path.exists())
    return (folder / name).rename(free)


def kernel_metadata() -> dict[str, Any]:
    """A notebook's metadata as JupyterLab writes it once the kernel runs; with any other, opening is a change."""
    from ipykernel.ipkernel import IPythonKernel
    from jupyter_client.kernelspec import KernelSpecManager

    spec = KernelSpecManager().get_kernel_spec("python3")
    kernel = {"display_name": spec.display_name, "language": spec.language, "name": "python3"}
    return {"kernelspec": kernel, "language_info": dict(IPythonKernel.language_info)}


def environment() -> dict[str, str]:
    """The environment in which JupyterLab finds the folder `jupyter` here: no question about news, a style for text.

    Both add to what a learner has: what she chose in JupyterLab's settings counts, and nothing of hers is written to.
    """
    ours = str(Path(__file__).with_name("jupyter"))
    paths = {name: os.environ.get(name) for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH")}
    return os.environ | {name: f"{path}{os.pathsep}{ours}" if path else ours for name, path in paths.items()}
