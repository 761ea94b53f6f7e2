"""`ddpm-teach lab`, or `ddpm-teach` alone: a copy of the lessons, opened in JupyterLab."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

from ddpm_teach.cli.options import check_output_folder, file_path
from ddpm_teach.course.home import copy_lessons, environment, kernel_metadata
from ddpm_teach.course.paths import lessons_folder
from ddpm_teach.storage import how_to_install

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
    command.add_argument("--folder", type=file_path, default=lessons_folder(), help=text)


def run(args: argparse.Namespace) -> int:
    """Brings the folder of lessons up to date, then starts JupyterLab on the first."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ModuleNotFoundError(f"JupyterLab is not installed; run: {how_to_install('lab', 'jupyterlab')}")
    check_output_folder("--folder", args.folder)
    copied = copy_lessons(args.folder, kernel_metadata())
    for name in copied.written:
        _trust(args.folder / name)
    print(copied.told(args.folder), flush=True)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={args.folder.resolve()}"]
    command.append(f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often nobody else to be
    lab = subprocess.Popen([*command, *args.rest], env=environment())
    signal.signal(signal.SIGTERM, lambda *_: lab.terminate())  # who ends this process means JupyterLab
    try:
        return lab.wait()
    except KeyboardInterrupt:  # JupyterLab heard it too and has said goodbye
        return 0


def _trust(lesson: Path) -> None:
    """Signs a fresh copy of ours, so that JupyterLab shows its stored sliders alive before anything is run."""
    import nbformat
    from nbformat.sign import NotebookNotary

    NotebookNotary().sign(nbformat.read(lesson, as_version=4))
