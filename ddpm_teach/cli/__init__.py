"""The command `ddpm-teach`: lab, train, sample, evaluate, page, build, home, class. A file for each; here is
what they share.

What a user can cause (bad options, wrong files, a full disk, too little memory) ends in one sentence and exit status 2;
it is told before anything is computed, wherever that is possible. A mistake of ours keeps its traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import dis
import errno
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module, metadata
from types import MappingProxyType
from typing import NoReturn

COMMANDS = {
    "lab": "open the course in JupyterLab (also without any command)",
    "train": "train a network",
    "sample": "draw pictures from trained weights",
    "evaluate": "how good are the samples? (lesson 10)",
    "page": "write a page in which the sprites' network draws",
    "build": "execute lessons in place, reproducibly",
    "home": "write the course's address into its lessons, for Google Colab",
    "class": "lessons for a class, its grades, and a page about the mistakes that it makes",
}
MODULES = {"class": "classroom"}  # where a command's name can't be a module's
EXAMPLES = """examples:
  ddpm-teach                                          open the course
  ddpm-teach train sprites --budget cpu-minutes       train a network
  ddpm-teach sample sprites --context hero --n 16     draw with one
  ddpm-teach COMMAND --help                           more about a command"""

# The package's names for what the command line calls otherwise.
ALIASES = {"kind": "sampler", "guidance_scale": "guidance", "class": "context", "contexts": "context", "path": "images"}

# What helps where the system refuses a file.
REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room there, or choose another place")
REMEDIES |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "allow it, or choose another place")


class UsageError(ValueError):
    """What argparse can't read."""


class Parser(argparse.ArgumentParser):
    """A parser that raises, so that its errors are told as all others are."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


class Version(argparse.Action):
    """--version; asked for only then, since it looks into what is installed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from ddpm_teach import __version__

        print(f"ddpm-teach {__version__} (torch {metadata.version('torch')}, Python {sys.version.split()[0]})")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status: 0, 2 after a sentence that says what was wrong, 130 after Ctrl-C."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell, >&-; and no file that is opened later gets its number
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter shows a question mark
    options: Mapping[str, str] = MappingProxyType({})
    try:
        try:
            parser, options = _parser(words := _with_command(sys.argv[1:] if argv is None else argv))
            args, args.rest = parser.parse_known_args(words)
            if args.rest and args.command != "lab":
                raise UsageError(f"unknown: {' '.join(args.rest)}; see ddpm-teach {args.command} --help")
            status = args.run(args)
        except SystemExit as end:  # --help and --version
            status = int(end.code or 0)
        sys.stdout.flush()  # a closed pipe is noticed here, and not when Python ends
        return status
    except BrokenPipeError:
        _give_up_output()
        return 141  # what a shell says of a program whose reader has gone (`| head -1`)
    except KeyboardInterrupt:
        _tell("interrupted")
        return 130
    except Exception as error:
        sentence = _output_lost(error) or _sentence(error, options)
        if sentence is None:
            raise
        _tell(sentence)
        return 2


def _with_command(argv: Sequence[str]) -> list[str]:
    """Without a command it is `lab`."""
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help", "--version")):
        return ["lab", *argv]
    return list(argv)


def _parser(words: list[str]) -> tuple[Parser, dict[str, str]]:
    """The parser, and the options of the command at hand, by the package's name for each.

    Only this command's module is imported: torch takes seconds.
    """
    parser = Parser(
        prog="ddpm-teach",
        description="A course on diffusion models.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=Version, nargs=0, help="show the versions of this package and of torch")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    options = {}
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == words[0]:
            module = import_module(f"{__name__}.{MODULES.get(name, name)}")
            command.formatter_class = argparse.RawDescriptionHelpFormatter
            command.set_defaults(run=module.run)
            module.add_options(command)
            options = {action.dest: action.option_strings[-1] for action in _actions(command) if action.option_strings}
    every = dict(options)
    options.pop("images", None)  # the package's `images` are pictures; it calls their folder `path`
    return parser, options | {alias: option for alias, dest in ALIASES.items() if (option := every.get(dest))}


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All options of a command, those of the commands below it included."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
        else:
            yield action


def _sentence(error: Exception, options: Mapping[str, str]) -> str | None:
    """The one place where an error becomes a sentence; None for a mistake of ours.

    A message of the package begins with the name of an argument, which is replaced by the option's.
    """
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        text = f"{error.filename}: {error.strerror}" if error.filename else f"{error.strerror}"
        text += f"; {REMEDIES[error.errno]}" if error.errno in REMEDIES else ""
    elif isinstance(error, RuntimeError | MemoryError):
        from ddpm_teach.training.trial import is_out_of_memory

        if not is_out_of_memory(error):
            return None
        if not text.startswith("--"):  # training says more: which batch size fits
            text = _out_of_memory(options)
    elif isinstance(error, ModuleNotFoundError):
        if (error.name or "").startswith("ddpm_teach"):
            return None
        text = text if error.name is None else f"{text}; install ddpm-teach again"
    elif not isinstance(error, OSError | FloatingPointError) and not _is_raised_by_us(error):
        return None
    name, colon, rest = text.partition(":")
    return f"{options[name]}:{rest}" if colon and name in options else text


def _out_of_memory(options: Mapping[str, str]) -> str:
    smaller = [f"a smaller {option}" for option in ("--batch-size", "--n", "--size") if option in options.values()]
    elsewhere = ["--device cpu if it was a GPU's"] if "--device" in options.values() else []
    return f"memory: there is too little for this; close what else needs it, or try {', or '.join(smaller + elsewhere)}"


def _is_raised_by_us(error: Exception) -> bool:
    """Whether a `raise` in this package made a ValueError: its words are meant to be read, those of int("") aren't."""
    if not isinstance(error, ValueError):
        return False
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    code = trace.tb_frame.f_code.co_code
    ours = trace.tb_frame.f_globals.get("__name__", "").startswith("ddpm_teach")
    return ours and dis.opname[code[trace.tb_lasti]] == "RAISE_VARARGS"


def _tell(sentence: str) -> None:
    with contextlib.suppress(OSError):  # nobody may be reading
        print(f"ddpm-teach: {' '.join(sentence.split())}", file=sys.stderr)


def _output_lost(error: Exception) -> str | None:
    """What to say if it is the standard output that can't be written, to a full disk for example."""
    if not isinstance(error, OSError) or error.errno is None or error.filename is not None:
        return None
    try:
        print(flush=True)  # an empty line, to see whether it fails again: the error names no file
    except OSError:
        _give_up_output()
        return f"standard output: can't be written ({error.strerror}); make room, or send it elsewhere"
    return None


def _give_up_output() -> None:
    """What is still to be written is dropped; without this, Python would complain about it at its end."""
    with contextlib.suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
