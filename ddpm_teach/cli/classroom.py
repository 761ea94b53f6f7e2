"""`ddpm-teach class`: lessons for a class."""

from __future__ import annotations

import argparse

from ddpm_teach.cli.options import check_output_folder, file_path
from ddpm_teach.course import classroom
from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.own import FILE

EPILOG = """examples:
  ddpm-teach class build handout --for students --lessons 00 01 05 --title "Deep learning, week 3"
  ddpm-teach class build handout --for students --no-hints --exercises week3
  ddpm-teach class build notes --for teachers --lessons 01 week3/01_our_own.ipynb"""


def add_options(command: argparse.ArgumentParser) -> None:
    """The commands below this one."""
    command.epilog = EPILOG
    commands = command.add_subparsers(dest="action", required=True, metavar="COMMAND")
    text = "write the lessons into a new folder; without solutions, or with them and the mistakes that are recognised"
    build = commands.add_parser("build", help=text, description=text[0].upper() + text[1:] + ".", epilog=EPILOG)
    build.formatter_class = command.formatter_class
    build.add_argument("out", type=file_path, metavar="OUT", help="the folder; it must not exist, or be empty")
    words = " or ".join(classroom.AUDIENCES)
    build.add_argument("--for", dest="audience", required=True, metavar="WHOM", help=words)
    text = "numbers of the course's, and paths of your own notebooks (default: all of the course's)"
    build.add_argument("--lessons", nargs="+", metavar="LESSON", help=text)
    build.add_argument("--title", default="", metavar="TEXT", help="stands above each lesson's own")
    build.add_argument("--no-hints", dest="hints", action="store_false", help="students get no hints")
    text = f"where {FILE} declares exercises of your own (default: the current folder, if it is there)"
    build.add_argument("--exercises", type=file_path, metavar="FOLDER", help=text)


def run(args: argparse.Namespace) -> int:
    """Writes the lessons, and says what is in them."""
    check_output_folder("out", args.out)
    found = classroom.build(args.out, args.audience, args.lessons, args.title, args.hints, args.exercises)
    for name, group in found.items():
        print(
            f"{name}: {_minutes(group)} for {', '.join(one.id for one in group)}" if group else f"{name}: no exercises"
        )
    everything = [exercise for group in found.values() for exercise in group]
    print(f"{args.out}: lessons for {args.audience}, with {_minutes(everything)} of exercises")
    return 0


def _minutes(group: list[Exercise]) -> str:
    return f"{sum(exercise.minutes for exercise in group)} minutes"
