"""How few steps are enough? The sprites' network with every sampler of lesson 06, by its calls of the network.

    uv run python benchmarks/steps.py             # about an hour on one CPU core

Writes data/results/steps.csv, which lesson 06 plots: the Fréchet distance, in the classifier's features, of 1,000
samples (200 of each class) to the real test sprites, with its standard error, and the seconds on the
machine that it ran on. The column "first" is the distance of the first 200 alone, which the lesson
computes again. The row "real" is a thousand training sprites in the samples' place: the floor.
"""

from __future__ import annotations

import argparse
import csv
import time

import torch
from guidance import LABELS, PARTS, real_parts

from ddpm_teach import (
    clipped,
    ddim_step,
    ddpm_step,
    from_eps,
    guided,
    heun_step,
    leading,
    linear,
    load,
    load_pretrained,
    quadratic,
    trailing,
    walk,
)
from ddpm_teach.devices import in_precision
from ddpm_teach.metrics import Moments, frechet, frechet_distance, in_parts, load_classifier
from ddpm_teach.paths import course_path

SPACINGS = {"trailing": trailing, "leading": leading, "quadratic": quadratic}
RUNS = [  # guidance scale, sampler, spacing, numbers of steps
    (1, "DDIM", "trailing", (5, 10, 20, 50, 100)),
    (1, "DDIM", "leading", (5, 10, 20, 50)),
    (1, "DDIM", "quadratic", (5, 10, 20, 50)),
    (1, "DDPM", "trailing", (5, 10, 20, 50, 100)),
    (1, "DDPM, posterior", "trailing", (5, 10, 20, 50, 100)),
    (1, "Heun", "trailing", (3, 5, 10, 25, 50)),
    (3, "DDIM", "trailing", (5, 10, 20)),
    (3, "DDPM", "trailing", (5, 10, 20)),
]
SAMPLERS = sorted({sampler for _, sampler, _, _ in RUNS})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samplers", nargs="*", default=SAMPLERS, choices=SAMPLERS)
    parser.add_argument("--out", default=course_path("data") / "results" / "steps.csv")
    args = parser.parse_args()
    classifier, test = load_classifier("sprites"), load("sprites", "test")
    reference = Moments.of(in_parts(classifier.features, test.pictures(slice(None))))
    with open(args.out, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["scale", "sampler", "spacing", "steps", "calls", "n", "frechet", "error", "first", "seconds"])

        def report(*what: object, parts: list[torch.Tensor], seconds: float) -> None:
            with torch.no_grad():
                moments = [Moments.of(classifier.features(part)) for part in parts]
            numbers = (*frechet(moments, reference), frechet_distance(moments[0], reference))
            row = [*what, sum(map(len, parts)), *(f"{number:.4f}" for number in numbers), f"{seconds:.0f}"]
            out.writerow(row)
            file.flush()
            print(*row, flush=True)

        report("", "real", "", "", "", parts=real_parts(), seconds=0)
        for scale, sampler, spacing, counts in RUNS:
            for steps in counts if sampler in args.samplers else ():
                start = time.perf_counter()
                drawn = [draw(scale, sampler, SPACINGS[spacing], steps, seed) for seed in range(PARTS)]
                seconds = time.perf_counter() - start
                parts, calls = [x for x, _ in drawn], drawn[0][1]
                report(scale, sampler, spacing, steps, calls, parts=parts, seconds=seconds)


def draw(scale: float, sampler: str, spacing: object, steps: int, seed: int) -> tuple[torch.Tensor, int]:
    """One part, from the same noise for every sampler, and how often the network was called for it."""
    model, schedule, rng = load_pretrained("sprites"), linear(), torch.Generator().manual_seed(seed)
    noise, calls = torch.randn(len(LABELS), 3, 16, 16, generator=rng), 0
    predict = in_precision(model.net, torch.device("cpu"), "auto")

    def counted(*args: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return predict(*args)

    denoise = clipped(from_eps(guided(counted, torch.eye(5)[LABELS], scale), schedule), schedule)
    step = {
        "DDIM": lambda: ddim_step(denoise, schedule),
        "DDPM": lambda: ddpm_step(denoise, schedule, rng=rng),
        "DDPM, posterior": lambda: ddpm_step(denoise, schedule, variance="posterior", rng=rng),
        "Heun": lambda: heun_step(denoise, schedule),
    }[sampler]()
    *_, last = walk(step, noise, spacing(schedule.T, steps))
    return last.x.float(), calls


if __name__ == "__main__":
    main()
