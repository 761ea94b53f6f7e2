"""How few steps are enough? ContextUNet on sprites with every sampler of lesson 06, by its calls.

    uv run python benchmarks/steps.py             # about an hour on one CPU core

Writes data/results/steps.csv, which lessons 06 and 10 plot: the Fréchet distance, in the classifier's features, of
1,000 samples (200 of each class) to the real test sprites, with its standard error, and the processor's seconds, all
threads together, which other work on the machine changes little. The column "first" is the distance of the first 200
alone, which the lesson computes again. The row "real" is a thousand training sprites in the samples' place: the floor.
"""

from __future__ import annotations

import argparse
import time

import torch
from guidance import PARTS, drawn, real_parts
from measured import replacing

from ddpm_teach import (
    Moments,
    Sampler,
    course_path,
    frechet,
    frechet_distance,
    in_parts,
    load,
    load_classifier,
)

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
# DDPM with the posterior's variance is DDIM's eta = 1.
SAMPLERS = {"DDIM": ("ddim", 0.0), "DDPM": ("ddpm", 0.0), "DDPM, posterior": ("ddim", 1.0), "Heun": ("heun", 0.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samplers", nargs="*", default=list(SAMPLERS), choices=SAMPLERS)
    parser.add_argument("--out", default=course_path("data") / "results" / "steps.csv")
    args = parser.parse_args()
    classifier, test = load_classifier("sprites"), load("sprites", "test")
    reference = Moments.of(in_parts(classifier.features, test.pictures(slice(None))))
    columns = ["scale", "sampler", "spacing", "steps", "calls", "n", "frechet", "error", "first", "seconds"]
    with replacing(args.out, columns) as write:

        def report(*what: object, parts: list[torch.Tensor], seconds: float) -> None:
            with torch.no_grad():
                moments = [Moments.of(classifier.features(part)) for part in parts]
            numbers = (*frechet(moments, reference), frechet_distance(moments[0], reference))
            row = [*what, sum(map(len, parts)), *(f"{number:.4f}" for number in numbers), f"{seconds:.0f}"]
            write(row)
            print(*row, flush=True)

        report("", "real", "", "", "", parts=real_parts(), seconds=0)
        for scale, name, spacing, counts in RUNS:
            for steps in counts if name in args.samplers else ():
                kind, eta = SAMPLERS[name]
                sampler = Sampler(kind, steps, spacing, eta, scale)
                start = time.process_time()
                parts = [drawn(sampler, seed) for seed in range(PARTS)]
                calls = 2 * steps - 1 if kind == "heun" else steps
                report(scale, name, spacing, steps, calls, parts=parts, seconds=time.process_time() - start)


if __name__ == "__main__":
    main()
