"""The command `ddpm-teach`: lab, train, sample, evaluate, build."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
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

    train = commands.add_parser("train", help="train a network")
    _add_train_options(train)
    train.set_defaults(run=run_train)

    sample = commands.add_parser("sample", help="draw pictures from trained weights")
    sample.add_argument("weights", help="sprites, mnist, mnist32, or a checkpoint such as runs/mnist/last.pt")
    sample.add_argument(
        "--context",
        action="append",
        metavar="CLASS",
        help='a class, such as hero, monster, food, potion, "side hero"; repeat for several (default: all)',
    )
    sample.add_argument("--n", type=int, default=8, help="pictures of each class (default: %(default)s)")
    _add_sampler_options(sample)
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument("--device", help="cpu, cuda, mps (default: the fastest at hand)")
    sample.add_argument(
        "--png", type=Path, help="where to write the pictures (default: samples.png, unless --gif is given)"
    )
    sample.add_argument("--gif", type=Path, help="where to write the film of the sampling (.gif or .webp)")
    sample.set_defaults(run=run_sample)

    evaluate = commands.add_parser("evaluate", help="how good are the samples? (lesson 08)")
    evaluate.add_argument("weights", help="sprites, mnist, mnist32, or a checkpoint of such a network")
    _add_sampler_options(evaluate)
    evaluate.add_argument("--n", type=int, default=2000, help="samples (default: %(default)s)")
    evaluate.add_argument("--seed", type=int, default=0)
    evaluate.add_argument("--device", help="cpu, cuda, mps (default: the fastest at hand)")
    evaluate.set_defaults(run=run_evaluate)

    build = commands.add_parser("build", help="execute lessons in place, reproducibly")
    build.add_argument("lessons", nargs="*", type=Path, help="notebooks (default: all of the course)")
    build.set_defaults(run=run_build)
    return parser


def _add_train_options(train: argparse.ArgumentParser) -> None:
    """What is trained, where to, and the fields of a `Preset`."""
    from ddpm_teach.presets import BUDGETS, PRESETS, Preset

    train.add_argument("preset", nargs="?", help=f"{', '.join(PRESETS)}; or give --images")
    train.add_argument("--images", type=Path, metavar="FOLDER", help="your own pictures; folders inside are classes")
    train.add_argument("--size", type=int, help="height and width for --images (default: 32)")
    train.add_argument("--budget", help=f"{', '.join(BUDGETS)} (default: gpu where there is one, else cpu-hour)")
    train.add_argument("--out", type=Path, help="folder for all that is kept (default: runs/PRESET)")
    train.add_argument("--minutes", type=float, help="train for about so long, instead of --steps")
    for option in fields(Preset):
        if "help" in option.metadata:
            kind = {"int": int, "float": float, "str": str}[option.type]
            train.add_argument(f"--{option.name.replace('_', '-')}", type=kind, help=option.metadata["help"])
    train.add_argument("--device", help="cpu, cuda, mps (default: the fastest at hand)")
    train.add_argument("--resume", action="store_true", help="go on from the newest good checkpoint in --out")


def _add_sampler_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--sampler", default="ddim", help="ddim, ddpm or heun (default: %(default)s)")
    command.add_argument("--steps", type=int, default=50, help="moves from noise to picture (default: %(default)s)")
    command.add_argument("--eta", type=float, default=0.0, help="of ddim: 1 is ddpm (default: %(default)s)")
    command.add_argument("--guidance", type=float, default=2.0, help="guidance scale (default: %(default)s)")
    command.add_argument("--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")


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
    """Trains a preset, or on a folder of pictures, then draws a row of pictures for each class."""
    from ddpm_teach import presets, runs
    from ddpm_teach.devices import choice
    from ddpm_teach.processes import Processes

    if (args.preset is None) == (args.images is None):
        raise ValueError(f"train: expected a preset ({', '.join(presets.PRESETS)}) or --images FOLDER")
    if args.minutes is not None and args.steps is not None:
        raise ValueError("--minutes: not allowed together with --steps; give one of them")
    if args.size is not None and args.images is None:
        raise ValueError("--size: only for --images; the presets have their own")
    given = {name: getattr(args, name) for name in runs.KEPT if getattr(args, name) is not None}
    for name, value in [*given.items(), ("minutes", args.minutes), ("size", args.size)]:
        if isinstance(value, int | float) and not value > 0 and name not in ("seed", "min_snr"):
            raise ValueError(f"--{name.replace('_', '-')}: expected a positive number, got {value}")
    processes = Processes.launched()
    device = processes.device or _device(args.device)
    budget = args.budget or ("gpu" if device.type == "cuda" else "cpu-hour")
    preset = presets.of_folder(args.images, args.size or 32) if args.images else presets.find(args.preset, budget)
    folder = args.out or Path("runs") / (args.preset or args.images.resolve().name)
    if processes.rank == 0:
        print(choice(device, given.get("precision", preset.precision)))
    state = runs.train_preset(
        preset, folder, device=device, given=given, minutes=args.minutes, resume=args.resume, processes=processes
    )
    if processes.rank == 0:
        print(runs.page_of_samples(state, folder / "samples.png"))
        print(f"draw more: ddpm-teach sample {folder / 'last.pt'}")
    return 0


def run_sample(args: argparse.Namespace) -> int:
    """Draws pictures of the classes asked for: a row for each."""
    from ddpm_teach import runs
    from ddpm_teach.devices import choice

    if args.n < 1:
        raise ValueError(f"--n: expected a positive number, got {args.n}")
    for name, endings in (("png", (".png",)), ("gif", (".gif", ".webp"))):
        path = getattr(args, name)
        if path is not None and path.suffix.lower() not in endings:  # now, not after a minute of sampling
            raise ValueError(f"--{name}: expected a file name that ends in {' or '.join(endings)}, got {str(path)!r}")
    device = _device(args.device)
    model = runs.load_model(args.weights, device)
    takes_context = model.net.config.get("context_dim") is not None
    if args.context and not takes_context:
        raise ValueError(f"--context: the network of {args.weights} takes no class; leave the option out")
    names = (args.context or model.classes) if takes_context else ()
    png = args.png or (None if args.gif else Path("samples.png"))
    print(choice(device, args.precision))
    runs.draw(
        model,
        _recipe(args),
        model.context(*names) if takes_context else None,
        n=args.n,
        columns=args.n if takes_context else min(args.n, 8),
        seed=args.seed,
        png=png,
        gif=args.gif,
    )
    for path in filter(None, (png, args.gif)):
        print(f"{path}: {args.n} of each: {', '.join(names)}" if names else f"{path}: {args.n} pictures")
    return 0


def run_evaluate(args: argparse.Namespace) -> int:
    """Samples, and prints how far from real pictures they are, how many are as asked for, and the seconds."""
    from ddpm_teach import runs
    from ddpm_teach.devices import choice
    from ddpm_teach.evaluation import evaluate

    device, recipe = _device(args.device), _recipe(args)
    print(choice(device, args.precision))
    found = evaluate(runs.load_model(args.weights, device), recipe, args.n, args.seed)
    print(f"{args.weights}, {args.sampler}, {args.steps} steps, {found.n} samples")
    print(f"Fréchet distance  {found.frechet}   (training pictures in their place: {found.floor})")
    if found.accuracy is not None:
        print(f"class accuracy    {found.accuracy.value:.1%} ± {found.accuracy.error:.1%}")
    print(f"seconds           {found.seconds:.3f} a sample")
    return 0


def run_build(args: argparse.Namespace) -> int:
    """Executes lessons in place and writes them reproducibly."""
    from ddpm_teach.build import build
    from ddpm_teach.paths import course_path

    for path in args.lessons or sorted(course_path("notebooks").glob("*.ipynb")):
        build(path)
        print(f"{path}: executed")
    return 0


def _recipe(args: argparse.Namespace):
    """What `_add_sampler_options` asks for."""
    from ddpm_teach.samplers import Recipe

    return Recipe(args.sampler, steps=args.steps, eta=args.eta, guidance_scale=args.guidance, precision=args.precision)


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
