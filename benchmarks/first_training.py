"""How near to real sprites lesson 03's training comes, by what the network is asked for and how it computes.

    uv run python benchmarks/first_training.py          # about 10 minutes on two CPU cores

Runs `ddpm-teach train sprites-context --budget cpu-minutes` as the lesson does: asked for the picture in bfloat16 and
in float32, and asked for the noise, with two seeds each. Writes data/results/first_training.csv, which the lesson
prints: the Fréchet distance, in the classifier's features, of 500 samples (100 of each class) to the real test sprites.
In the row "real" training sprites stand in the samples' place, in the row "none" nothing was trained. Seconds are
printed, not stored.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from measured import replacing

from ddpm_teach import (
    Measured,
    Model,
    Moments,
    TrainState,
    build_net,
    course_path,
    frechet,
    in_parts,
    linear,
    load,
    load_classifier,
    preset,
    sample,
    train,
)

LABELS = torch.arange(5).repeat(100)  # in parts of 100, each of them balanced


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, default=course_path("data") / "results" / "first_training.csv")
    args = parser.parse_args()
    plan, sprites, test = preset("sprites-context", "cpu-minutes"), load("sprites"), load("sprites", "test")
    features = load_classifier("sprites").features
    reference = Moments.of(in_parts(features, test.pictures(slice(None))))

    def distance(x: torch.Tensor) -> Measured:
        return frechet([Moments.of(in_parts(features, part)) for part in x.split(100)], reference)

    with replacing(args.out, ["target", "precision", "seed", "steps", "batch_size", "frechet", "error"]) as write:

        def report(target: str, precision: str, seed: object, steps: int, measured: Measured) -> None:
            write([target, precision, seed, steps, plan.batch_size, f"{measured.value:.2f}", f"{measured.error:.2f}"])
            print(target, precision, seed, measured, flush=True)

        real = torch.randperm(len(sprites), generator=torch.Generator().manual_seed(0))[: len(LABELS)]
        report("real", "", "", 0, distance(sprites.pictures(real)))
        fresh = Model(build_net(plan).eval(), linear(), "x0", sprites.classes)
        report("none", "float32", 0, 0, distance(draw(fresh, 0)))
        for target, precision in (("x0", "bfloat16"), ("x0", "float32"), ("eps", "bfloat16")):
            for seed in args.seeds:
                options = replace(plan, ema_decay=0.99, seed=seed, target=target, precision=precision)
                state = TrainState.create(build_net(plan), linear(), options)  # the same first weights for every seed
                start = time.perf_counter()
                for _ in train(state, sprites):
                    pass
                print(f"{time.perf_counter() - start:.0f} s")
                report(target, precision, seed, state.step, distance(draw(state.model, seed)))


def draw(model: Model, seed: int) -> torch.Tensor:
    """500 pictures, 50 steps with η = 1 and guidance scale 3, as the lesson draws them."""
    how = dict(steps=50, eta=1.0, guidance_scale=3.0, precision="float32")
    return sample(model, len(LABELS), torch.eye(5)[LABELS], seed=seed, **how)


if __name__ == "__main__":
    main()
