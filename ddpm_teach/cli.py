"""The command `ddpm-teach`: lab, train, sample, build."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FIRST_LESSON = "00_start_here.ipynb"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Bad input ends it with one sentence and exit status 2."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv.insert(0, "lab")
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    if rest and args.command != "lab":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return args.run(args, rest) if args.command == "lab" else args.run(args)
    except (ValueError, OSError, ModuleNotFoundError, FloatingPointError) as error:
        print(f"ddpm-teach: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ddpm-teach: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ddpm-teach", description="A course on diffusion models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    lab = commands.add_parser("lab", help="open the course in JupyterLab (also without any command)")
    lab.add_argument(
        "--folder", type=Path, default=Path("my-lessons"), help="your copy of the lessons (default: %(default)s)"
    )
    lab.epilog = "All other options go to JupyterLab: --no-browser, --port 8890, …"
    lab.set_defaults(run=run_lab)

    from ddpm_teach.presets import PRESETS

    train = commands.add_parser("train", help="train a network from a preset")
    train.add_argument("preset", help=", ".join(PRESETS))
    train.add_argument("--out", type=Path, help="folder for checkpoint, samples and losses (default: runs/PRESET)")
    length = train.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="the step at which the run ends; may be moved when resuming")
    length.add_argument("--minutes", type=float, help="train for about so long")
    train.add_argument("--batch-size", type=int)
    train.add_argument("--lr", type=float, help="learning rate at the start (default: the preset's)")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--save-every", type=int, default=1000, metavar="STEPS", help="(default: %(default)s)")
    train.add_argument("--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    train.add_argument("--device", help="cpu, cuda, mps (default: the fastest at hand)")
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    train.set_defaults(run=run_train)

    sample = commands.add_parser("sample", help="draw pictures from trained weights")
    sample.add_argument("weights", help="sprites, or a checkpoint such as runs/mnist/last.pt")
    sample.add_argument(
        "--context", action="append", metavar="CLASS", help="a class; repeat for several (default: all)"
    )
    sample.add_argument("--n", type=int, default=8, help="pictures of each class (default: %(default)s)")
    sample.add_argument("--steps", type=int, default=50, help="DDIM steps (default: %(default)s)")
    sample.add_argument("--eta", type=float, default=0.0, help="0 is DDIM, 1 is DDPM (default: %(default)s)")
    sample.add_argument("--guidance", type=float, default=2.0, help="guidance scale (default: %(default)s)")
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument("--device", help="cpu, cuda, mps (default: the fastest at hand)")
    sample.add_argument(
        "--png", type=Path, help="where to write the pictures (default: samples.png, unless --gif is given)"
    )
    sample.add_argument("--gif", type=Path, help="where to write the film of the sampling")
    sample.set_defaults(run=run_sample)

    build = commands.add_parser("build", help="execute lessons in place, reproducibly")
    build.add_argument("lessons", nargs="*", type=Path, help="notebooks (default: all of the course)")
    build.set_defaults(run=run_build)
    return parser


def run_lab(args: argparse.Namespace, rest: list[str]) -> int:
    """Copies the lessons that aren't in the folder yet, then starts JupyterLab on the first."""
    import importlib.util

    if importlib.util.find_spec("jupyterlab") is None:
        raise ModuleNotFoundError('JupyterLab is not installed; run: pip install "ddpm-teach[lab]"')
    mine = set(args.folder.glob("*.ipynb"))
    copied, kept = copy_lessons(args.folder)
    for lesson in set(args.folder.glob("*.ipynb")) - mine:
        _trust(lesson)
    print(f"{args.folder}: lessons copied: {copied}, lessons of yours kept: {kept}")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={args.folder.resolve()}"]
    command.append(f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often nobody else to be
    try:
        return subprocess.run([*command, *rest]).returncode
    except KeyboardInterrupt:  # JupyterLab heard it too and has said goodbye
        return 0


def _trust(lesson: Path) -> None:
    """Signs a fresh copy of ours, so that JupyterLab shows its stored sliders alive before anything is run."""
    import nbformat
    from nbformat.sign import NotebookNotary

    NotebookNotary().sign(nbformat.read(lesson, as_version=4))


def copy_lessons(folder: Path) -> tuple[int, int]:
    """Copies every lesson that `folder` doesn't have; (copied, kept). What is there is never overwritten."""
    from ddpm_teach.files import write_bytes
    from ddpm_teach.paths import course_path

    lessons = sorted(course_path("notebooks").glob("*.ipynb"))
    new = [lesson for lesson in lessons if not (folder / lesson.name).exists()]
    for lesson in new:
        write_bytes(folder / lesson.name, lesson.read_bytes())
    return len(new), len(lessons) - len(new)


def run_train(args: argparse.Namespace) -> int:
    """Trains a preset, then draws a row of pictures for each class."""
    import torch

    from ddpm_teach import runs

    for name in ("steps", "minutes", "batch_size", "lr", "save_every"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name.replace('_', '-')}: expected a positive number, got {value}")
    folder = args.out or Path("runs") / args.preset
    state = runs.train_preset(
        args.preset,
        folder,
        steps=args.steps,
        minutes=args.minutes,
        batch_size=args.batch_size,
        lr=args.lr,
        seed=args.seed,
        save_every=args.save_every,
        precision=args.precision,
        device=_device(args.device),
        resume=args.resume,
    )
    contexts = torch.eye(len(state.classes))
    runs.draw(
        state.ema.module,
        state.schedule,
        contexts,
        n=8,
        seed=args.seed,
        target=state.target,
        png=folder / "samples.png",
    )
    print(f"{folder / 'samples.png'}: a row of 8 for each of {', '.join(state.classes)}")
    return 0


def run_sample(args: argparse.Namespace) -> int:
    """Draws pictures of the classes asked for: a row for each."""
    from ddpm_teach import runs

    if args.n < 1:
        raise ValueError(f"--n: expected a positive number, got {args.n}")
    model = runs.load_model(args.weights, _device(args.device))
    names = args.context or model.classes
    png = args.png or (None if args.gif else Path("samples.png"))
    runs.draw(
        model.net,
        model.schedule,
        model.context(*names),
        n=args.n,
        seed=args.seed,
        target=model.target,
        steps=args.steps,
        eta=args.eta,
        guidance_scale=args.guidance,
        png=png,
        gif=args.gif,
    )
    for path in filter(None, (png, args.gif)):
        print(f"{path}: {args.n} of each: {', '.join(names)}")
    return 0


def run_build(args: argparse.Namespace) -> int:
    """Executes lessons in place and writes them reproducibly."""
    from ddpm_teach.build import build
    from ddpm_teach.paths import course_path

    for path in args.lessons or sorted(course_path("notebooks").glob("*.ipynb")):
        build(path)
        print(f"{path}: executed")
    return 0


def _device(name: str | None):
    import torch

    from ddpm_teach.devices import pick_device

    if name is None:
        return pick_device()
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError):
        raise ValueError(
            f"--device: {name!r} isn't available here; leave the option out to use {pick_device()}"
        ) from None
