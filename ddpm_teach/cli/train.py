"""`ddpm-teach train`: a training run, planned from the options and told."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import torch

from ddpm_teach.checks import check_word
from ddpm_teach.cli.options import (
    READERS,
    add_device,
    check_output_folder,
    defaults_of,
    device_named,
    file_path,
    number,
    whole,
)
from ddpm_teach.data.folder import RUN, existing_folder
from ddpm_teach.diffusion.schedule import SCHEDULES
from ddpm_teach.nets.context_unet import SIZES, SIZES_IN_WORDS
from ddpm_teach.training.autoencoding import is_autoencoder
from ddpm_teach.training.distributed import Processes, launched_count
from ddpm_teach.training.options import CHOSEN, RunOptions, option_name
from ddpm_teach.training.pages import page_of
from ddpm_teach.training.presets import BUDGETS, FOLDER, PRESETS, of_folder, preset
from ddpm_teach.training.resume import read_json
from ddpm_teach.training.runs import train_run

EXAMPLES = """examples:
  ddpm-teach train sprites --budget cpu-minutes
  ddpm-teach train mnist32 --minutes 30 --out runs/digits
  ddpm-teach train --images photos --size 32
  ddpm-teach train --resume --out runs/digits
  torchrun --nproc_per_node 2 -m ddpm_teach train mnist"""


def add_options(command: argparse.ArgumentParser) -> None:
    """What is trained, where to, and the fields of `RunOptions`."""
    command.epilog = f"{_plans()}\n\n{EXAMPLES}"
    costs = "; ".join(f"{name}: {cost}" for name, cost in BUDGETS.items())
    command.add_argument("preset", nargs="?", metavar="PRESET", help=f"{', '.join(PRESETS)}; or give --images")
    text = f"your own pictures; folders inside are classes; {FOLDER.steps:,} steps of them take hours without a GPU:"
    command.add_argument("--images", type=file_path, metavar="FOLDER", help=f"{text} say --minutes 30 for a first look")
    text = f"height and width that the pictures of --images are scaled to: {SIZES_IN_WORDS} (default: {FOLDER.size})"
    command.add_argument("--size", type=whole, metavar="N", help=text)
    text = f"how much a preset may cost: {costs} (default: gpu where there is one, else cpu-hour)"
    command.add_argument("--budget", metavar="NAME", help=text)
    text = "folder for all that is kept (default: runs/PRESET, or runs/ and the name of the pictures' folder)"
    command.add_argument("--out", type=file_path, metavar="FOLDER", help=text)
    command.add_argument("--minutes", type=number, metavar="X", help="train for about so long, instead of --steps")
    defaults = defaults_of(RunOptions)
    for name in CHOSEN:
        read, metavar = READERS[type(defaults[name])]
        text = RunOptions.__dataclass_fields__[name].metadata["help"]
        text += " (default: see below)" if name == "steps" else f" (default: {_text(defaults[name]) or 'none'})"
        command.add_argument(option_name(name), type=read, metavar=metavar, help=text)
    add_device(command)
    text = "go on from the newest good checkpoint in --out; what isn't said anew stays as it was"
    command.add_argument("--resume", action="store_true", help=text)


def run(args: argparse.Namespace) -> int:
    """Trains a preset, or on a folder of pictures, then draws a row of pictures for each class."""
    folder = _folder(args)
    _check_effects(args)
    check_output_folder("--out", folder)
    processes = Processes.launched()
    device = processes.device or device_named(args.device)
    options, changes = plan(args, device, folder)
    state = train_run(options, folder, device=device, changes=changes, resume=args.resume, processes=processes)
    if processes.rank == 0:
        page, last = folder / "samples.png", folder / "last.pt"
        if not page.exists() or page.stat().st_mtime < last.stat().st_mtime:
            print(page_of(state, page))
        if not is_autoencoder(state.net):
            print(f"draw more: ddpm-teach sample {shlex.quote(str(last))}")
    return 0


def plan(args: argparse.Namespace, device: torch.device, folder: Path) -> tuple[RunOptions, dict]:
    """The options of a new run, and those that were given by name, which alone can change an interrupted one.

    Raises:
        ValueError: for an unknown preset or budget, or a bad option.
        FileNotFoundError: for a folder without pictures.
    """
    names = (*CHOSEN, "minutes", "size", "budget")
    changes = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.steps is not None:
        changes["minutes"] = None  # a resumed run that had a time limit has an end instead
    if args.images:
        options = of_folder(args.images, FOLDER.size if args.size is None else args.size)
        changes["data"] = options.data
    elif args.preset:
        options = preset(args.preset, args.budget or ("gpu" if device.type == "cuda" else "cpu-hour"))
        changes |= {"data": options.data, "size": options.size}
    else:
        options = RunOptions()  # the checkpoint says what it is
    if args.resume and args.schedule:  # it goes with the run's own target, and not with the preset's
        options = replace(options, target=read_json(folder / RUN).get("target", options.target))
    return replace(options, **changes), changes


def _folder(args: argparse.Namespace) -> Path:
    """The run's folder; refuses what doesn't say which run it is."""
    known = ", ".join(PRESETS)
    if args.preset is not None and args.images is not None:
        raise ValueError(f"train: expected a preset ({known}) or --images FOLDER, got both; leave one out")
    if args.preset is not None and args.preset not in PRESETS:
        raise ValueError(f"preset: unknown preset {args.preset!r}; known are {known}")
    if args.images is not None:
        existing_folder(args.images)
        return args.out or Path("runs") / (args.images.expanduser().resolve().name or "pictures")
    if args.preset is not None:
        return args.out or Path("runs") / args.preset
    if not (args.resume and args.out):
        raise ValueError(f"train: expected a preset ({known}), or --images FOLDER, or --resume with --out FOLDER")
    if not any((args.out / name).exists() for name in ("last.pt", "previous.pt")):
        raise ValueError(f"--resume: {args.out} holds no checkpoint; name a preset or --images to begin a run")
    return args.out


def _check_effects(args: argparse.Namespace) -> None:
    """Refuses an option without effect."""
    if args.minutes is not None and args.steps is not None:
        raise ValueError("--minutes: not allowed together with --steps; give one of them")
    if args.minutes is not None and args.minutes <= 0:
        raise ValueError(f"--minutes: expected a positive number, got {args.minutes:g}")
    if args.size is not None and args.preset is not None:
        raise ValueError("--size: only for --images; the presets have their own")
    if args.size is not None and args.images is not None and args.size not in SIZES:
        nearest = min(SIZES, key=lambda size: abs(size - args.size))
        raise ValueError(
            f"--size: expected {SIZES_IN_WORDS}, to which the pictures are scaled, got {args.size};"
            f" use --size {nearest}"
        )
    if args.budget is not None and args.images is not None:
        raise ValueError("--budget: only for a preset; say --steps or --minutes for --images")
    if args.budget is not None and args.budget not in BUDGETS:
        raise ValueError(f"--budget: unknown budget {args.budget!r}; known are {', '.join(BUDGETS)}")
    if args.schedule is not None:
        check_word("schedule", args.schedule, SCHEDULES)  # "own" is what a record says, and no name that makes one
    if args.device is not None and launched_count() != 1:
        raise ValueError("--device: the launcher gives each process its own; leave the option out")


def _plans() -> str:
    """What each preset plans for each budget, where it differs from the defaults."""
    lines = ["what is planned unless you say otherwise (where it differs from the defaults above):"]
    for name, budgets in PRESETS.items():
        lines += [f"  {name:13} {budget:11}  {_differences(options)}" for budget, options in budgets.items()]
    return "\n".join([*lines, f"  {'--images':13} {'':11}  {_differences(FOLDER)}"])


def _differences(options: RunOptions) -> str:
    defaults = defaults_of(RunOptions)
    values = [(name, getattr(options, name)) for name in CHOSEN]
    values = [(name, value) for name, value in values if value != defaults[name] or name == "steps"]
    return " ".join(f"{option_name(name)} {_text(value)}" for name, value in values)


def _text(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
