"""What lesson 03's training reaches: sprites named as asked for, by what the network is asked for and how it computes.

    uv run python benchmarks/first_training.py          # about 10 minutes on two CPU cores

Runs `ddpm-teach train sprites-context --budget cpu-minutes` as the lesson does: asked for the picture in bfloat16 and
in float32, and asked for the noise, with two seeds each. Writes data/results/first_training.csv, which the lesson
prints: the share of 500 samples (100 of each class) that the course's classifier takes for what they should be. Seconds
are printed, not stored.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from measured import replacing

from ddpm_teach import (
    Model,
    TrainState,
    build_net,
    class_accuracy,
    course_path,
    linear,
    load,
    load_classifier,
    preset,
    sample,
    train,
)

LABELS = torch.arange(5).repeat_interleave(100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, default=course_path("data") / "results" / "first_training.csv")
    args = parser.parse_args()
    plan, sprites, classifier = preset("sprites-context", "cpu-minutes"), load("sprites"), load_classifier("sprites")
    columns = ["target", "precision", "seed", "steps", "batch_size", "accuracy"]
    with replacing(args.out, columns) as write:
        for target, precision in (("x0", "bfloat16"), ("x0", "float32"), ("eps", "bfloat16")):
            for seed in args.seeds:
                options = replace(plan, ema_decay=0.99, seed=seed, target=target, precision=precision)
                state = TrainState.create(build_net(plan), linear(), options)  # the same first weights for every seed
                start = time.perf_counter()
                for _ in train(state, sprites):
                    pass
                seconds = time.perf_counter() - start
                accuracy = class_accuracy(classifier, draw(state.model, seed), LABELS)
                write([target, precision, seed, plan.steps, plan.batch_size, f"{accuracy:.3f}"])
                print(f"{target} {precision} seed {seed}: {seconds:.0f} s, accuracy {accuracy:.1%}", flush=True)


def draw(model: Model, seed: int) -> torch.Tensor:
    """500 pictures, 50 steps with η = 1 and guidance scale 3, as the lesson draws them."""
    how = dict(steps=50, eta=1.0, guidance_scale=3.0, precision="float32")
    return sample(model, len(LABELS), torch.eye(5)[LABELS], seed=seed, **how)


if __name__ == "__main__":
    main()
