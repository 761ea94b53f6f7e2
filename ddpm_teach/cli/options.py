"""What the commands share: numbers, the device, the sampler, and a look at where the results shall go."""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddpm_teach.checks import check_int

if TYPE_CHECKING:
    import torch

    from ddpm_teach.model import Model
    from ddpm_teach.sampler import Sampler


def whole(text: str) -> int:
    """A whole number of 64 bits."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text[:40]!r}") from None
    if abs(value) >= 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number below 2^63, got {text[:40]}")
    return value


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text[:40]!r}") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text[:40]}")
    return value


def file_name(text: str) -> str:
    """What can be the name of a file or folder, whether it is there or not.

    An empty text would be the current folder; what the system can't look at is told now, with the option's name.
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got an empty text (is a variable of your shell unset?)")
    shown = repr(text if len(text) <= 60 else f"{text[:60]}…")
    try:
        os.stat(text)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a path, got {shown}, which no file can be called") from None
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{shown} can't be used ({error.strerror}); choose another") from None
    return text


def file_path(text: str) -> Path:
    """The path of a file or folder."""
    return Path(file_name(text))


GUIDANCE = 2.0  # scale towards a class, unless another is asked for
READERS = {int: (whole, "N"), float: (number, "X"), str: (str, "NAME")}


def defaults_of(record: type) -> dict[str, Any]:
    """The default of each field of a dataclass."""
    return {option.name: option.default for option in fields(record)}


def add_device(command: argparse.ArgumentParser) -> None:
    """--device."""
    command.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps (default: the fastest at hand)")


def device_named(name: str | None) -> torch.device:
    """The device with that name, after a number was put there and read back; the fastest for None.

    Raises:
        ValueError: for one that can't compute here.
    """
    import torch

    from ddpm_teach.hardware.precision import pick_device

    if name is None:
        return pick_device()
    try:
        torch.zeros(1, device=name).item()  # "meta" has no numbers
        return torch.device(name)
    except (RuntimeError, AssertionError, ImportError, ValueError):
        raise ValueError(f"--device: {name!r} can't compute here; leave it out to use {pick_device()}") from None


def add_sampler(command: argparse.ArgumentParser) -> None:
    """The options of a `Sampler`, and the seed."""
    from ddpm_teach.diffusion.times import SPACINGS
    from ddpm_teach.hardware.precision import PRECISIONS
    from ddpm_teach.model import DRAW_SCALE, DRAW_STEPS
    from ddpm_teach.sampler import SAMPLERS, STEPS, Sampler

    defaults = defaults_of(Sampler)
    words = [
        ("sampler", str, f"{', '.join(SAMPLERS)} (default: {defaults['kind']})"),
        ("steps", int, f"moves to the picture (default: {STEPS}, {DRAW_STEPS} for a prompt, or a student's own)"),
        ("spacing", str, f"of the times: {', '.join(SPACINGS)} (default: {defaults['spacing']})"),
        ("eta", float, f"only for ddim: 0 adds no noise, 1 as much as ddpm (default: {defaults['eta']:g})"),
        ("guidance", float, f"scale; 1 is without (default: {GUIDANCE:g} for a class, {DRAW_SCALE:g} for a prompt)"),
        ("precision", str, f"{', '.join(PRECISIONS)} (default: {defaults['precision']})"),
        ("seed", int, "same seed, same pictures (default: 0)"),
    ]
    for name, kind, text in words:
        read, metavar = READERS[kind]
        command.add_argument(f"--{name}", type=read, metavar=metavar, help=text, default=0 if name == "seed" else None)


def sampler_of(args: argparse.Namespace) -> Sampler:
    """What `add_sampler` asks for, before the model is known.

    Raises:
        ValueError: for a bad option, or one without effect.
    """
    from ddpm_teach.hardware.precision import check_precision
    from ddpm_teach.sampler import Sampler

    check_int("seed", args.seed, 0, 2**63 - 1)
    options = {
        "kind": args.sampler,
        "steps": args.steps,
        "spacing": args.spacing,
        "eta": args.eta,
        "guidance_scale": args.guidance,
        "precision": args.precision,
    }
    sampler = Sampler(**{name: value for name, value in options.items() if value is not None})
    if args.eta is not None and sampler.kind != "ddim":
        raise ValueError(f"--eta: has no effect on {sampler.kind}; leave it out, or use --sampler ddim")
    check_precision(sampler.precision)
    return sampler


def sampler_for(model: Model, sampler: Sampler, args: argparse.Namespace) -> Sampler:
    """The sampler for a model: guidance, and of words the steps, are the usual ones unless given, and guidance is for a
    network that is told something; a student has its own walk, and guidance inside.

    Raises:
        ValueError: for guidance without effect, more steps than the model's schedule has, or what a student can't.
    """
    from ddpm_teach.model import DRAW_SCALE, DRAW_STEPS

    if model.tokenizer is not None and args.steps is None and not model.times:
        sampler = replace(sampler, steps=DRAW_STEPS)
    sampler = replace(sampler, steps=len(sampler.times(model)) - 1)
    if model.times:
        return sampler
    if model.tokenizer is not None or takes_classes(model):
        usual = GUIDANCE if model.tokenizer is None else DRAW_SCALE
        return sampler if args.guidance is not None else replace(sampler, guidance_scale=usual)
    if args.guidance is not None:
        raise ValueError(f"--guidance: the network of {args.weights} takes no class; leave the option out")
    return sampler


def announcement(model: Model, sampler: Sampler, device: torch.device) -> str:
    """What is said before sampling: how it's computed and, of a student, which walk is its own."""
    from ddpm_teach.hardware.precision import describe

    walk = " → ".join(map(str, model.times))
    return describe(device, sampler.precision) + (f"\na student, which walks {walk}" if walk else "")


def takes_classes(model: Model) -> bool:
    """Whether a class can be named that the model shall draw."""
    return model.context_dim is not None and len(model.classes) > 0 and model.tokenizer is None


def check_output(option: str, path: Path) -> None:
    """Refuses a file that couldn't be written, while nothing is lost by it.

    Raises:
        ValueError: for a folder, a path below a file, or a folder that can't be written to.
    """
    if path.is_dir():
        raise ValueError(f"{option}: {path} is a folder; add a file name to it")
    check_output_folder(option, path.absolute().parent)


def check_output_folder(option: str, path: Path) -> None:
    """Refuses a folder that couldn't be written to, or made.

    Raises:
        ValueError: for a file, a path below a file, or a folder that can't be written to.
    """
    path = path.absolute()
    folder = next(place for place in (path, *path.parents) if place.exists())
    if not folder.is_dir():
        raise ValueError(f"{option}: {folder} is a file, and no folder; choose another place with {option}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"{option}: {folder} can't be written to ({error.strerror}); choose another place with {option}"
        ) from None
