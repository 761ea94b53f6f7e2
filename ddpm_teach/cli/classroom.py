"""`ddpm-teach class`: lessons for a class, grades for what it hands in, and a page about them."""

from __future__ import annotations

import argparse

from ddpm_teach.cli.options import check_output, check_output_folder, file_path, whole
from ddpm_teach.course import classroom
from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.own import FILE
from ddpm_teach.storage import write_bytes

EPILOG = """examples:
  ddpm-teach class build handout --for students --lessons 00 01 05 --title "Deep learning, week 3"
  ddpm-teach class build handout --for students --no-hints --exercises week3
  ddpm-teach class build notes --for teachers --lessons 01 week3/01_our_own.ipynb
  ddpm-teach class grade submissions --csv grades.csv --lessons 01 05
  ddpm-teach class report monday.csv friday.csv --out report.html"""
OWN = f"where {FILE} declares exercises of your own (default: the current folder, if it is there)"


def add_options(command: argparse.ArgumentParser) -> None:
    """The commands below this one."""
    command.epilog = EPILOG
    commands = command.add_subparsers(dest="action", required=True, metavar="COMMAND")
    for add, text in (
        (_add_build, "write the lessons into a new folder; without solutions, or with them and the known mistakes"),
        (_add_grade, "run what students handed in, apart from everything else, and say how each did each exercise"),
        (_add_report, "one page about a class: what it solved, and which mistakes it makes"),
    ):
        one = commands.add_parser(
            add.__name__.removeprefix("_add_"), help=text, description=text[0].upper() + text[1:] + ".", epilog=EPILOG
        )
        one.formatter_class = command.formatter_class
        add(one)


def _add_build(build: argparse.ArgumentParser) -> None:
    build.set_defaults(do=_build)
    build.add_argument("out", type=file_path, metavar="OUT", help="the folder; it must not exist, or be empty")
    words = " or ".join(classroom.AUDIENCES)
    build.add_argument("--for", dest="audience", required=True, metavar="WHOM", help=words)
    text = "numbers of the course's, and paths of your own notebooks (default: all of the course's)"
    build.add_argument("--lessons", nargs="+", metavar="LESSON", help=text)
    build.add_argument("--title", default="", metavar="TEXT", help="stands above each lesson's own")
    build.add_argument("--no-hints", dest="hints", action="store_false", help="students get no hints")
    build.add_argument("--exercises", type=file_path, metavar="FOLDER", help=OWN)


def _add_grade(grade: argparse.ArgumentParser) -> None:
    grade.set_defaults(do=_grade)
    text = (
        "a folder that holds a notebook, a .py file or a folder of such for each student, called by the student's name"
    )
    grade.add_argument("submissions", type=file_path, metavar="SUBMISSIONS", help=text)
    grade.add_argument("--csv", type=file_path, required=True, metavar="FILE", help="where the table is written")
    text = "numbers of those whose exercises are expected, and own (default: the exercises that anybody handed in)"
    grade.add_argument("--lessons", nargs="+", metavar="LESSON", help=text)
    grade.add_argument("--exercises", type=file_path, metavar="FOLDER", help=OWN)
    grade.add_argument("--seed", type=whole, metavar="N", help="of the new inputs (default: another each time)")
    text = "of processor time for each function; six times that for a whole file (default: 10)"
    grade.add_argument("--seconds", type=whole, default=10, metavar="N", help=text)
    text = "go on where this system can't isolate submissions: they can then do whatever you can"
    grade.add_argument("--unsafe", action="store_true", help=text)


def _add_report(report: argparse.ArgumentParser) -> None:
    report.set_defaults(do=_report)
    text = "tables that `class grade` wrote for one class, in the order of time"
    report.add_argument("grades", type=file_path, nargs="+", metavar="CSV", help=text)
    report.add_argument("--out", type=file_path, required=True, metavar="FILE", help="the page, HTML")
    report.add_argument("--names", action="store_true", help="say who (default: numbers only)")
    report.add_argument("--exercises", type=file_path, metavar="FOLDER", help=OWN)


def run(args: argparse.Namespace) -> int:
    """Does what was asked for, and says in a line or a few what came of it."""
    args.do(args)
    return 0


def _build(args: argparse.Namespace) -> None:
    check_output_folder("out", args.out)
    found = classroom.build(args.out, args.audience, args.lessons, args.title, args.hints, args.exercises)
    for name, group in found.items():
        print(
            f"{name}: {_minutes(group)} for {', '.join(one.id for one in group)}" if group else f"{name}: no exercises"
        )
    everything = [exercise for group in found.values() for exercise in group]
    print(f"{args.out}: lessons for {args.audience}, with {_minutes(everything)} of exercises")


def _minutes(group: list[Exercise]) -> str:
    return f"{sum(exercise.minutes for exercise in group)} minutes"


def _grade(args: argparse.Namespace) -> None:
    from ddpm_teach.course.grading import grade

    check_output("--csv", args.csv)
    seed = grade.new_seed() if args.seed is None else args.seed
    rows = grade.grade(args.submissions, args.lessons, args.exercises, seed, args.seconds, args.unsafe, print)
    write_bytes(args.csv, grade.to_csv(rows))
    students, solved = len({row.student for row in rows}), sum(row.result == "solved" for row in rows)
    print(f"{args.csv}: {students} students, {solved} of {len(rows)} solved; --seed {seed} gives the same inputs again")


def _report(args: argparse.Namespace) -> None:
    from ddpm_teach.course.grading import report

    check_output("--out", args.out)
    page = report.page([report.read_csv(path) for path in args.grades], args.exercises, args.names)
    write_bytes(args.out, page.encode())
    print(f"{args.out}: a page about {len(args.grades)} table{'s' * (len(args.grades) > 1)} of grades")
