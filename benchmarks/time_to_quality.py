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
from train import plain_loop

from ddpm_teach import (
    Model,
    RunOptions,
    Sampler,
    TrainState,
    build_net,
    evaluate,
    linear,
    pick_device,
    preset,
    train,
)
from ddpm_teach.training.options import TIMES
from ddpm_teach.training.presets import load_data

RUNS = Path(__file__).parents[1] / "runs" / "time_to_quality"


@dataclass(frozen=True)
class Contest:
    """A data set with the article's run and ours; both are judged after every `every` steps."""

    article: RunOptions
    ours: RunOptions
    sampler: Sampler
    every: int


SMALL = {"name": "ContextUNet", "config": dict(channels=1, features=16, context_dim=10, size=28, T=1000)}
ARTICLE = RunOptions("mnist", net=preset("mnist", "cpu-hour").net, steps=9_360, batch_size=128)  # 20 epochs
CONTESTS = {
    "mnist": Contest(
        ARTICLE,
        RunOptions("mnist", net=SMALL, steps=1_200, lr=3e-3, target="x0"),
        Sampler("ddpm", steps=100),
        every=200,
    ),
    "same-net": Contest(
        ARTICLE,
        replace(preset("mnist", "cpu-hour"), steps=6_600),
        Sampler("ddpm", steps=100),
        every=2_000,
    ),
    "sprites": Contest(
        RunOptions("sprites", net=preset("sprites", "cpu-hour").net, steps=6_000, batch_size=64),
        replace(preset("sprites", "cpu-minutes"), steps=2_400),
        Sampler("ddim", steps=20, guidance_scale=2.0),
        every=200,
    ),
}


def article_run(
    options: RunOptions, every: int, path: Path, device: torch.device
) -> Iterator[tuple[int, float, Model]]:
    """(step, seconds of training, model) after every so many steps; goes on where an earlier call was interrupted."""
    torch.manual_seed(options.seed)
    images, _ = load_data(options)
    net, step, seconds = build_net(options), 0, 0.0
    optimizer = torch.optim.Adam(net.to(device).parameters(), lr=options.lr)
    if path.exists():
        saved = torch.load(path, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        step, seconds = saved["step"], saved["seconds"]
    loop = plain_loop(net, images, options.batch_size, device, optimizer)
    while step < options.steps:
        n, start = min(every, options.steps - step), clock(device)
        for _ in itertools.islice(loop, n):
            pass
        step, seconds = step + n, seconds + clock(device) - start
        saved = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds}
        torch.save(saved, path)
        yield step, seconds, Model(net, linear(), classes=images.classes)


def our_run(options: RunOptions, every: int, device: torch.device) -> Iterator[tuple[int, float, Model]]:
    """The same of `train`."""
    images, _ = load_data(options)
    state, seconds = TrainState.create(build_net(options).to(device), linear(), options, images.classes), 0.0
    loop = train(state, images.to(device))
    while state.step < options.steps:
        start = clock(device)
        for _ in itertools.islice(loop, every):
            pass
        seconds += clock(device) - start
        yield state.step, seconds, state.model


def clock(device: torch.device) -> float:
    """Seconds: on a CPU those of the processor over the threads, which other work on the machine changes little."""
    if device.type == "cpu":
        return time.process_time() / torch.get_num_threads()
    torch.cuda.synchronize()
    return time.perf_counter()


def judged(options: RunOptions, name: str, step: int, seconds: float, model: Model, sampler: Sampler, n: int) -> dict:
    """A row of time_to_quality.csv."""
    result = evaluate(model, sampler, n)
    return {
        "data": options.data,
        "net": options.net["name"],
        "loop": name,
        "step": step,
        "of": options.steps,
        "batch": options.batch_size,
        "lr": options.lr,
        "target": options.target,
        "times": options.times,
        "min_snr": options.min_snr or "",
        "seconds": round(seconds, 1),
        "frechet": f"{result.frechet.value:.3f}",
        "error": f"{result.frechet.error:.3f}",
        "floor": f"{result.floor.value:.3f}",
        "accuracy": f"{result.accuracy.value:.3f}" if result.accuracy else "",
        "samples": result.n,
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
    changes = {name: getattr(args, name) for name in ("times", "steps") if getattr(args, name) is not None}
    for contest in map(CONTESTS.get, args.contests):
        runs, every = (
            {"ours": replace(contest.ours, **changes), "article": contest.article},
            args.every or contest.every,
        )
        if args.quick:
            runs, every = {name: replace(options, steps=2) for name, options in runs.items()}, 2
        folder = Path(tempfile.mkdtemp()) if args.quick else RUNS
        folder.mkdir(parents=True, exist_ok=True)
        for loop in args.loops:
            options = runs[loop]
            resumed = folder / f"{options.data}.pt"
            run = our_run(options, every, device) if loop == "ours" else article_run(options, every, resumed, device)
            for step, seconds, model in run:
                row = judged(options, loop, step, seconds, model, contest.sampler, n)
                print(", ".join(f"{column} {value}" for column, value in row.items() if value != ""), flush=True)
                if not args.quick:
                    keep("time_to_quality", [row], device, seeds=str(options.seed))
    warn_without_matrix_units(device)


if __name__ == "__main__":
    main()
