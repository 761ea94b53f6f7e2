"""Where the course's own files are: beside the package in a clone, inside it in an installation."""

from __future__ import annotations

from pathlib import Path


def course_path(name: str) -> Path:
    """The path of "data" or "notebooks" (or a file below), wherever this package was installed.

    Raises:
        FileNotFoundError: if it isn't there.
    """
    package = Path(__file__).parent
    for root in (package / "course", package.parent):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} is missing from this installation of ddpm-teach; reinstall it, or use a clone")
