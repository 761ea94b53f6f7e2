"""`ddpm-teach lab`, or `ddpm-teach` alone: a copy of the lessons, opened in JupyterLab."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from ddpm_teach.cli.options import check_output_folder, file_path
from ddpm_teach.storage import course_path, write_bytes

FIRST_LESSON = "00_start_here.ipynb"
EPILOG = """All other options go to JupyterLab.

examples:
  ddpm-teach
  ddpm-teach --no-browser --port 8890
  ddpm-teach lab --folder ~/diffusion"""


def add_options(command: argparse.ArgumentParser) -> None:
    """--folder; the rest is JupyterLab's, abbreviations included."""
    command.allow_abbrev, command.epilog = False, EPILOG
    text = "your copy of the lessons (default: %(default)s)"
    command.add_argument("--folder", type=file_path, default=Path("my-lessons"), help=text)


def run(args: argparse.Namespace) -> int:
    """Copies the lessons that aren't in the folder yet, then starts JupyterLab on the first."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ModuleNotFoundError('JupyterLab is not installed; run: pip install "ddpm-teach[lab]"')
    check_output_folder("--folder", args.folder)
    mine = set(args.folder.glob("*.ipynb"))
    copied, left = copy_lessons(args.folder)
    for lesson in set(args.folder.glob("*.ipynb")) - mine:
        _trust(lesson)
    print(f"{args.folder}: lessons copied: {copied}, lessons of yours kept: {left}", flush=True)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={args.folder.resolve()}"]
    command.append(f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often nobody else to be
    try:
        return subprocess.run([*command, *args.rest]).returncode
    except KeyboardInterrupt:  # JupyterLab heard it too and has said goodbye
        return 0


def _trust(lesson: Path) -> None:
    """Signs a fresh copy of ours, so that JupyterLab shows its stored sliders alive before anything is run."""
    import nbformat
    from nbformat.sign import NotebookNotary

    NotebookNotary().sign(nbformat.read(lesson, as_version=4))


def copy_lessons(folder: Path) -> tuple[int, int]:
    """Copies every lesson that `folder` doesn't have; (copied, left alone). What is there is never overwritten."""
    lessons = sorted(course_path("notebooks").glob("*.ipynb"))
    new = [lesson for lesson in lessons if not (folder / lesson.name).exists()]
    for lesson in new:
        write_bytes(folder / lesson.name, lesson.read_bytes())
    return len(new), len(lessons) - len(new)
