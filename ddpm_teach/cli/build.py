"""`ddpm-teach build`: executes lessons in place."""

from __future__ import annotations

import argparse

from ddpm_teach.cli.options import file_path
from ddpm_teach.course.build import build
from ddpm_teach.storage import course_path

EPILOG = """examples:
  ddpm-teach build
  ddpm-teach build notebooks/03_training.ipynb"""


def add_options(command: argparse.ArgumentParser) -> None:
    """The lessons."""
    command.epilog = EPILOG
    text = "notebooks (default: all of the course)"
    command.add_argument("lessons", nargs="*", type=file_path, metavar="LESSON", help=text)


def run(args: argparse.Namespace) -> int:
    """Executes lessons in place and writes them reproducibly; all are looked for before the first is run."""
    lessons = args.lessons or sorted(course_path("notebooks").glob("*.ipynb"))
    for path in lessons:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such lesson")
    for path in lessons:
        try:
            build(path)
        except Exception as error:
            tools = type(error).__module__.partition(".")[0] in ("nbformat", "nbclient", "jupyter_client", "jsonschema")
            if not tools:
                raise
            raise ValueError(f"{path}: {_reason(error)}; it stays as it was") from error
        print(f"{path}: executed")
    return 0


def _reason(error: Exception) -> str:
    """What went wrong in a notebook: a cell's error by its name and message, else the kind of error and its words."""
    if hasattr(error, "ename"):
        return f"a cell failed with {error.ename}: {error.evalue}"
    return f"{type(error).__name__}: {error}"
