"""`ddpm-teach sample`: pictures from a trained model, as a PNG, and the way to them as a film."""

from __future__ import annotations

import argparse
import collections
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ddpm_teach.checks import check_int
from ddpm_teach.cli.options import (
    add_device,
    add_sampler,
    announcement,
    check_output,
    device_named,
    file_name,
    file_path,
    sampler_for,
    sampler_of,
    takes_classes,
    whole,
)
from ddpm_teach.evaluation.evaluate import chunk_seed
from ddpm_teach.model import Model
from ddpm_teach.model_files import NAMES, load_model
from ddpm_teach.sampler import Sampler
from ddpm_teach.show.pictures import FILMS, check_ending, save_film, save_png, to_uint8

PART = 200  # pictures that are computed at a time
MOST = 10_000  # pictures in one PNG
LARGE = 1_000  # with more than so many, pictures aren't enlarged
FILM = 10**9  # bytes of all frames of a film
EPILOG = f"""At most {MOST:,} pictures are drawn; more than {LARGE:,} aren't enlarged.

examples:
  ddpm-teach sample sprites --context hero --context "side hero" --n 16
  ddpm-teach sample sprites --context "a wizard with a red hat and a white beard"
  ddpm-teach sample mnist --gif digits.gif
  ddpm-teach sample runs/mnist32/best.pt --sampler heun --steps 25 --guidance 3 --png threes.png --context 3"""


def add_options(command: argparse.ArgumentParser) -> None:
    """What is drawn, how, and where it goes."""
    command.epilog = EPILOG
    command.add_argument(
        "weights",
        type=file_name,
        metavar="WEIGHTS",
        help=f"{', '.join(NAMES)}, a weights file, or a checkpoint such as runs/mnist/last.pt",
    )
    command.add_argument(
        "--context",
        action="append",
        metavar="CLASS",
        help='a class, such as hero or "side hero", or a caption (sprites); repeat for several (default: all classes)',
    )
    text = "words of the scenes that are drawn: a caption; repeat for several (default: freely)"
    command.add_argument("--prompt", action="append", metavar="TEXT", help=text)
    command.add_argument("--negative", metavar="TEXT", help="a caption that guidance pushes away from")
    command.add_argument(
        "--n", type=whole, metavar="N", default=8, help="pictures of each class (default: %(default)s)"
    )
    add_sampler(command)
    add_device(command)
    command.add_argument(
        "--png",
        type=file_path,
        metavar="FILE",
        help="where to write the pictures (default: samples.png, unless --gif is given)",
    )
    command.add_argument(
        "--gif", type=file_path, metavar="FILE", help="where to write the film of the sampling: .gif, .webp"
    )


def run(args: argparse.Namespace) -> int:
    """Draws pictures of the classes asked for, a row for each."""
    check_int("n", args.n, 1, MOST)
    sampler, png = sampler_of(args), args.png or (None if args.gif else Path("samples.png"))
    _check_files(png, args.gif)
    device = device_named(args.device)
    model = load_model(args.weights, device)
    sampler = sampler_for(model, sampler, args)
    names = _names(model, args)
    contexts, negative = None, None
    if names:
        contexts = model.context(*names, n=args.n, rng=torch.Generator("cpu").manual_seed(args.seed))
    if args.negative is not None:
        if model.times:
            raise ValueError("--negative: acts through guidance, and a student has its own; leave the option out")
        if sampler.guidance_scale == 1:
            raise ValueError("--negative: acts through guidance alone, and --guidance 1 is none; use 4")
        negative = model.context(args.negative)
    count = args.n * max(1, len(names))
    if count > MOST:
        raise ValueError(
            f"--n: expected at most {MOST // len(names)} of each of {len(names)} classes ({MOST:,} pictures in all),"
            f" got {args.n}; draw several times, with another --seed"
        )
    columns = _columns(args.n, bool(names))
    if args.gif:
        _check_film(model, count, columns, sampler.steps + 1, args.gif)
    print(announcement(model, sampler, device), flush=True)
    frames = draw(model, sampler, contexts, count, args.seed, bool(args.gif), negative)
    scale = _scale(count)
    if png:
        save_png(_floats(frames[-1]), png, columns, scale)
    if args.gif:
        save_film(map(_floats, frames), args.gif, columns, scale)
    for path in filter(None, (png, args.gif)):
        print(f"{path}: {args.n} of each: {', '.join(names)}" if any(names) else f"{path}: {args.n} pictures")
    return 0


def _names(model: Model, args: argparse.Namespace) -> tuple[str, ...]:
    """What is drawn, a row each: classes, or prompts; nothing of a network that is told nothing.

    Raises:
        ValueError: for an option that isn't this network's.
    """
    words, classes = model.tokenizer is not None, takes_classes(model)
    options = {"--context": (args.context, classes, "class"), "--prompt": (args.prompt, words, "words")}
    options["--negative"] = args.negative, words, "words"
    for option, (given, fits, what) in options.items():
        if given is not None and not fits:
            remedy = "use --prompt" if words else "leave the option out"
            raise ValueError(f"{option}: the network of {args.weights} takes no {what}; {remedy}")
    if words:
        return tuple(args.prompt or [""])
    return tuple(args.context or model.classes) if takes_classes(model) else ()


def draw(
    model: Model,
    sampler: Sampler,
    contexts: Tensor | None,
    count: int,
    seed: int,
    film: bool = False,
    negative: Tensor | None = None,
) -> list[np.ndarray]:
    """The frames of a walk to `count` pictures, or the last one only, as bytes (count, h, w, c); computed in parts.

    Args:
        contexts: (count, d), or None.
        seed: of the first PART pictures; every other part has one of its own that follows from it.
        film: return all frames.
        negative: (1, d), what guidance pushes away from.

    Raises:
        FloatingPointError: if the network makes numbers that aren't finite.
    """
    model, parts = model.tuned(sampler.precision), []
    starts = range(0, count, PART)
    with tqdm(total=len(starts) * (sampler.steps + 1), unit="frame", desc="sampling", leave=False) as bar:
        for i, start in enumerate(starts):
            n = min(PART, count - start)
            wanted = None if contexts is None else contexts[start : start + n]
            part: collections.deque[np.ndarray] = collections.deque(maxlen=None if film else 1)
            for frame in sampler.frames(model, n, wanted, seed if i == 0 else chunk_seed(seed, 0, i), negative):
                if film or frame.t == 0:
                    part.append(to_uint8(model.decoded(frame.x)))
                bar.update()
            parts.append(part)
    return [np.concatenate(frame) for frame in zip(*parts, strict=True)]


def _floats(pictures: np.ndarray) -> Tensor:
    """(b, h, w, c) bytes → (b, c, h, w) in [-1, 1]: the inverse of `to_uint8`."""
    return torch.from_numpy(pictures).movedim(-1, -3).float() / 127.5 - 1


def _columns(n: int, with_classes: bool) -> int:
    """Pictures in a row: a row for each class, or of at most 8; of many, the sheet is about a square."""
    return min(n, 100) if with_classes else min(n, max(8, math.isqrt(n)))


def _scale(count: int) -> int:
    return 4 if count <= LARGE else 1


def _check_files(png: Path | None, gif: Path | None) -> None:
    """Refuses names that no picture can have, now and not after a minute of sampling."""
    for option, path, endings in (("--png", png, [".png"]), ("--gif", gif, FILMS)):
        if path is not None:
            check_output(option, check_ending(option, path, endings))
    if png and gif and png.resolve() == gif.resolve():
        raise ValueError(f"--gif: is the same file as --png, {png}; name another")


def _check_film(model: Model, count: int, columns: int, frames: int, path: Path) -> None:
    """Refuses a film that its format can't hold, that memory shouldn't, or in which nobody could see a picture."""
    if count > LARGE:
        raise ValueError(
            f"--gif: expected at most {LARGE:,} pictures in a film, got {count:,}; use a smaller --n, or --png alone"
        )
    channels, *sides = model.picture_shape
    tiles = math.ceil(count / columns), columns
    height, width = (_scale(count) * (n * (side + 1) + 1) for n, side in zip(tiles, sides, strict=True))
    most, size = FILMS[path.suffix.lower()].side, height * width * channels * frames
    if max(height, width) > most or size > FILM:
        raise ValueError(
            f"--gif: {frames} frames of {count} pictures would be {width}×{height} pixels and {size / 1e9:.1f} GB, more"
            f" than {most} a side or {FILM / 1e9:.0f} GB; use a smaller --n, or --png alone"
        )
