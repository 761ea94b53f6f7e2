"""Does a completed sprite hang together? ContextUNet completes the lower half of 200 test sprites. Lesson 07.

    uv run python benchmarks/inpainting.py        # about four minutes on one CPU core

Writes data/results/inpainting.csv. The network isn't told the class, so it has to see it in the upper half. For one
pass of 25 and of 100 moves, and for 25 moves of four rounds each, which go back and forth as RePaint does: the share of
sprites that the judge takes for the class of the original, and by how much more the completed picture jumps at the seam
than the original does (mean absolute difference of the two rows), with standard errors.
"""

from __future__ import annotations

import argparse
import math
from itertools import pairwise

import torch
from measured import replacing
from torch import Tensor

from ddpm_teach import (
    Measured,
    clipped,
    course_path,
    ddim_step,
    forward_step,
    guided,
    inpainting,
    load,
    load_classifier,
    load_model,
    trailing,
)

EACH, RUNS = 40, ((25, 1), (100, 1), (25, 4))  # sprites of a class; moves, and rounds of each
HALF = 8  # rows that are known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=course_path("data") / "results" / "inpainting.csv")
    args = parser.parse_args()
    model, test, judge = load_model("sprites-context"), load("sprites", "test"), load_classifier("sprites")
    chosen = torch.cat([(test.labels == k).nonzero().flatten()[:EACH] for k in range(len(test.classes))])
    real, labels = test.pictures(chosen), test.labels[chosen]
    denoise = clipped(model.read(guided(model.net, torch.zeros(1, len(model.classes)), 1.0)), model.schedule)
    mask = torch.zeros(1, 1, *real.shape[2:], dtype=torch.bool)
    mask[..., :HALF, :] = True

    def back_up(x: Tensor, s: int, t: int, rng: torch.Generator) -> Tensor:
        for time in range(s + 1, t + 1):
            x = forward_step(model.schedule, x, time, torch.randn(x.shape, generator=rng))
        return x

    @torch.no_grad()
    def completed(moves: int, rounds: int) -> Tensor:
        rng = torch.Generator().manual_seed(0)
        step = inpainting(ddim_step(denoise, model.schedule, eta=1.0, rng=rng), model.schedule, real, mask, rng=rng)
        x = torch.randn(real.shape, generator=rng)
        for t, s in pairwise(trailing(model.schedule.T, moves)):
            for left in reversed(range(rounds if s > 0 else 1)):
                x = step(x, t, s).x
                x = back_up(x, s, t, rng) if left else x
        return x

    def seam(x: Tensor) -> Tensor:
        return (x[:, :, HALF] - x[:, :, HALF - 1]).abs().mean((1, 2))

    columns = ["moves", "rounds", "calls", "n", "right", "right_error", "seam", "seam_error"]
    with replacing(args.out, columns) as write:
        for moves, rounds in RUNS:
            x = completed(moves, rounds)
            right = Measured.share(int((judge(x).argmax(1) == labels).sum()), len(x))
            more = seam(x) - seam(real)
            numbers = (*right, more.mean(), more.std() / math.sqrt(len(x)))
            row = [moves, rounds, (moves - 1) * rounds + 1, len(x), *(f"{number:.4f}" for number in numbers)]
            write(row)
            print(*row, flush=True)


if __name__ == "__main__":
    main()
