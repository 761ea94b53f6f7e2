"""`ddpm-teach home`: the course's address, in every place that names it."""

from __future__ import annotations

import argparse
from pathlib import Path

from ddpm_teach.course.address import find_clone, parse_address, read_address, stale, write_all

EPILOG = """It is run in a clone of the course, and changes pyproject.toml, README.md and two cells of each lesson: the
setup cell, and the badge that opens the lesson in Google Colab. Without ADDRESS it brings all of them in step
with pyproject.toml, as after a new lesson.

examples:
  ddpm-teach home https://github.com/OWNER/REPO
  ddpm-teach home https://github.com/OWNER/REPO --branch spring
  ddpm-teach home
  ddpm-teach home --none"""


def add_options(command: argparse.ArgumentParser) -> None:
    """ADDRESS, --branch, --none."""
    command.epilog = EPILOG
    command.add_argument("address", nargs="?", metavar="ADDRESS", help="of the repository on GitHub")
    command.add_argument("--branch", metavar="NAME", help="the branch that learners get (default: main)")
    command.add_argument("--none", action="store_true", help="take the address out again")


def run(args: argparse.Namespace) -> int:
    """Looks at everything before anything is written, and again afterwards."""
    if args.none and args.address is not None:
        raise ValueError("--none: takes the address out, so give either it or ADDRESS")
    if args.branch is not None and args.address is None:
        raise ValueError("--branch: is part of an address; name that, too")
    clone = find_clone(Path.cwd())
    if args.address is not None:
        address = parse_address(args.address, args.branch)
    else:
        address = None if args.none else read_address(clone)
    files = stale(clone, address)
    write_all(files)
    home = address or "no home"
    if not files:
        print(f"{home}: nothing is stale")
        return 0
    if left := stale(clone, address):
        raise AssertionError(f"stamping isn't idempotent: {', '.join(path.name for path in left)}")
    others = [path.name for path in files if path.suffix != ".ipynb"]
    lessons = len(files) - len(others)
    written = ", ".join([*others, *([f"{lessons} lesson{'s' * (lessons > 1)}"] if lessons else [])])
    print(f"{home}: written into {written}" + "; commit and push: Colab opens what is on GitHub" * bool(address))
    return 0
