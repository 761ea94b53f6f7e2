"""What lesson 03's training reaches: sprites named as asked for, in bfloat16 and in float32.

    uv run python benchmarks/first_training.py          # about 10 minutes on two CPU cores

Runs `ddpm-teach train sprites --budget cpu-minutes` as the lesson does, with two seeds in each precision. Writes
data/results/first_training.csv, which the lesson prints: the mean loss of the last 100 steps, the share of 500 samples
(100 of each class) that the course's classifier takes for what they should be. Seconds are printed, not stored.
"""

from __future__ import annotations

import csv
import time

import torch

from ddpm_teach import linear, load, sample
from ddpm_teach.metrics import class_accuracy, load_classifier
from ddpm_teach.paths import course_path
from ddpm_teach.presets import find
from ddpm_teach.training import TrainState, train


def main() -> None:
    preset, sprites, classifier = find("sprites", "cpu-minutes"), load("sprites"), load_classifier("sprites")
    labels = torch.arange(5).repeat_interleave(100)
    path = course_path("data") / "results" / "first_training.csv"
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["precision", "seed", "steps", "batch_size", "loss", "accuracy"])
        for precision in ("bfloat16", "float32"):
            for seed in (0, 1):
                torch.manual_seed(seed)
                state = TrainState.create(
                    preset.build(), linear(), steps=preset.steps, lr=preset.lr, ema_decay=0.99, seed=seed
                )
                start = time.perf_counter()
                losses = [log.loss for log in train(state, sprites, batch_size=preset.batch_size, precision=precision)]
                seconds = time.perf_counter() - start
                x = sample(
                    state.ema.module,
                    state.schedule,
                    (500, 3, 16, 16),
                    context=torch.eye(5)[labels],
                    guidance_scale=4,
                    eta=1,
                    seed=seed,
                )
                loss, accuracy = torch.stack(losses)[-100:].mean(), class_accuracy(classifier, x, labels)
                out.writerow([precision, seed, preset.steps, preset.batch_size, f"{loss:.4f}", f"{accuracy:.3f}"])
                file.flush()
                print(f"{precision} seed {seed}: {seconds:.0f} s, loss {loss:.4f}, accuracy {accuracy:.1%}", flush=True)


if __name__ == "__main__":
    main()
