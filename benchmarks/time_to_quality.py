"""How long until a network draws as well as tutorials' recipe does after its whole training?

    uv run python benchmarks/time_to_quality.py mnist      # one to two hours on one core; once per release
    uv run python benchmarks/time_to_quality.py same-net   # the same with the article's network for both
    uv run python benchmarks/time_to_quality.py sprites    # hours; `--loops ours`: a quarter of an hour
    uv run python benchmarks/time_to_quality.py --quick    # half a minute: two steps of everything; nothing is kept

"article" is the recipe of the articles that train a DDPM from scratch: the loop that train.py calls plain (float32, one
picture at a time, Adam at 1e-3, no average of the weights); for MNIST 20 epochs of LayerNormUNet in batches of 128.
"ours" is `train`: for MNIST of a small ContextUNet that is told the digit and asked for x0, or, in "same-net", of the
article's network by its preset. Each trains in turn or, with --loops, in a
process of its own. The clock stops while they are judged, by the Fréchet distance of 1,000 samples (drawn with DDPM in
100 steps for digits, DDIM in 20 at guidance scale 2 for sprites) from held-out pictures in the classifier's features;
`floor` is the distance of as many real pictures, `error` a standard error, and `accuracy` the share of samples that the
classifier names as asked for. `seconds` on a CPU are the processor's, over its threads. Rows go to
benchmarks/results/time_to_quality.csv as they come; the article's run can be interrupted and goes on from
runs/time_to_quality/ when the script is called again.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from measured import check_names, keep, positive, warn_without_matrix_units
from torch import nn
from train import plain_loop

from ddpm_teach import Pretrained, linear, pick_device
from ddpm_teach.devices import evaluating
from ddpm_teach.evaluation import evaluate
from ddpm_teach.presets import Preset, find
from ddpm_teach.samplers import Recipe
from ddpm_teach.training import TIMES, TrainState, train

KEPT = Path(__file__).parents[1] / "runs" / "time_to_quality"


@dataclass(frozen=True)
class Contest:
    """A data set with the article's run and ours; both are judged after every `every` steps."""

    article: Preset
    ours: Preset
    recipe: Recipe
    every: int


SMALL = {"name": "ContextUNet", "config": dict(channels=1, features=16, context_dim=10, size=28, T=1000)}
ARTICLE = Preset("mnist", find("mnist", "cpu-hour").net, steps=9_360, batch_size=128)  # 20 epochs
CONTESTS = {
    "mnist": Contest(
        ARTICLE,
        Preset("mnist", SMALL, steps=1_200, lr=3e-3, target="x0"),
        Recipe("ddpm", steps=100),
        every=200,
    ),
    "same-net": Contest(
        ARTICLE,
        replace(find("mnist", "cpu-hour"), steps=6_600),
        Recipe("ddpm", steps=100),
        every=2_000,
    ),
    "sprites": Contest(
        Preset("sprites", find("sprites", "cpu-hour").net, steps=6_000, batch_size=64),
        Preset("sprites", find("sprites", "cpu-minutes").net, steps=2_400, batch_size=24, lr=3e-3, target="x0"),
        Recipe("ddim", steps=20, guidance_scale=2.0),
        every=200,
    ),
}


def article_run(preset: Preset, every: int, path: Path, device: torch.device) -> Iterator[tuple[int, float, nn.Module]]:
    """(step, seconds of training, network) after every so many steps; goes on where an earlier call was interrupted."""
    torch.manual_seed(preset.seed)
    images, _ = preset.load()
    net, step, seconds = preset.build(), 0, 0.0
    optimizer = torch.optim.Adam(net.to(device).parameters(), lr=preset.lr)
    if path.exists():
        kept = torch.load(path, weights_only=True)
        net.load_state_dict(kept["net"])
        optimizer.load_state_dict(kept["optimizer"])
        step, seconds = kept["step"], kept["seconds"]
    loop = plain_loop(net, images, preset.batch_size, device, optimizer)
    while step < preset.steps:
        n, start = min(every, preset.steps - step), clock(device)
        for _ in itertools.islice(loop, n):
            pass
        step, seconds = step + n, seconds + clock(device) - start
        kept = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds}
        torch.save(kept, path)
        yield step, seconds, net


def our_run(preset: Preset, every: int, device: torch.device) -> Iterator[tuple[int, float, nn.Module]]:
    """The same of `train`."""
    images, _ = preset.load()
    options = dict(steps=preset.steps, lr=preset.lr, classes=images.classes, seed=preset.seed, target=preset.target)
    state, seconds = TrainState.create(preset.build().to(device), linear(), **options), 0.0
    how = dict(batch_size=preset.batch_size, times=TIMES[preset.times], min_snr=preset.min_snr or None)
    loop = train(state, images.to(device), **how)
    while state.step < preset.steps:
        start = clock(device)
        for _ in itertools.islice(loop, every):
            pass
        seconds += clock(device) - start
        yield state.step, seconds, state.ema.module


def clock(device: torch.device) -> float:
    """Seconds: on a CPU those of the processor over the threads, which other work on the machine changes little."""
    if device.type == "cpu":
        return time.process_time() / torch.get_num_threads()
    torch.cuda.synchronize()
    return time.perf_counter()


def judged(preset: Preset, name: str, step: int, seconds: float, model: Pretrained, recipe: Recipe, n: int) -> dict:
    """A row of time_to_quality.csv."""
    with evaluating(model.net):
        found = evaluate(model, recipe, n)
    return {
        "data": preset.dataset,
        "net": preset.net["name"],
        "loop": name,
        "step": step,
        "of": preset.steps,
        "batch": preset.batch_size,
        "lr": preset.lr,
        "target": preset.target,
        "times": preset.times,
        "min_snr": preset.min_snr or "",
        "seconds": round(seconds, 1),
        "frechet": f"{found.frechet.value:.3f}",
        "error": f"{found.frechet.error:.3f}",
        "floor": f"{found.floor.value:.3f}",
        "accuracy": f"{found.accuracy.value:.3f}" if found.accuracy else "",
        "samples": found.n,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contests", nargs="*", default=list(CONTESTS), help=f"{', '.join(CONTESTS)} (default: all)")
    parser.add_argument("--loops", nargs="+", choices=("ours", "article"), default=("ours", "article"))
    parser.add_argument("--times", choices=TIMES, help="of our run (default: the preset's)")
    parser.add_argument("--steps", type=positive(int), help="of our run (default: the contest's)")
    parser.add_argument("--every", type=positive(int), help="steps between two looks (default: the contest's)")
    parser.add_argument("--quick", action="store_true", help="a few steps of everything, nothing is kept")
    args = parser.parse_args()
    check_names(parser, args.contests, CONTESTS)
    device, n = pick_device(), 50 if args.quick else 1_000
    given = {name: getattr(args, name) for name in ("times", "steps") if getattr(args, name) is not None}
    for contest in map(CONTESTS.get, args.contests):
        presets, every = (
            {"ours": replace(contest.ours, **given), "article": contest.article},
            args.every or contest.every,
        )
        if args.quick:
            presets, every = {name: replace(preset, steps=2) for name, preset in presets.items()}, 2
        folder = Path(tempfile.mkdtemp()) if args.quick else KEPT
        folder.mkdir(parents=True, exist_ok=True)
        for loop in args.loops:
            preset = presets[loop]
            resumed = folder / f"{preset.dataset}.pt"
            run = our_run(preset, every, device) if loop == "ours" else article_run(preset, every, resumed, device)
            for step, seconds, net in run:
                model = Pretrained(net, linear(), preset.load()[0].classes, "", preset.target)
                row = judged(preset, loop, step, seconds, model, contest.recipe, n)
                print(", ".join(f"{column} {value}" for column, value in row.items() if value != ""), flush=True)
                if not args.quick:
                    keep("time_to_quality", [row], device, seeds=str(preset.seed))
    warn_without_matrix_units(device)


if __name__ == "__main__":
    main()
