"""How near to real sprites lesson 03's run comes, by what it learns, what it predicts, and what is done to it.

    uv run python benchmarks/first_training.py          # about 15 minutes on two CPU cores

Trains ContextUNet(3, 32, …) as the lesson does, 600 steps of 32 pictures: on five kinds of potions, predicting the
picture, the noise, or the picture without context dropout or with a learning rate that falls to 0; and on all
sprites, told the class. Writes data/results/first_training.csv, which the lesson prints: at steps 200 and 600, of the
last weights and of their average, the Fréchet distance in the classifier's features of 200 samples to the real
pictures, and the training loss, the mean of the last 50 steps. In the row "real" pictures held out stand in the
samples' place, in the row "random" nothing was trained. Seeds are those of the first weights, the batches and the
samples. Seconds are printed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from measured import replacing

from ddpm_teach import (
    ContextUNet,
    ImageSet,
    Measured,
    Model,
    Moments,
    RunOptions,
    TrainState,
    course_path,
    frechet,
    in_parts,
    linear,
    load,
    load_classifier,
    sample,
    train,
)

KINDS = ("conical flask", "heart flask", "round flask", "square vial", "tall bottle")
COLORS = (
    *("blue", "green", "indigo", "lime", "magenta", "orange"),
    *("pink", "purple", "red", "sky", "teal", "yellow"),
)
MARKS = (200, 600)
RUNS = (  # data, what is predicted, context dropout, learning rate
    ("potions", "x0", 0.1, "constant"),
    ("potions", "eps", 0.1, "constant"),
    ("potions", "x0", 0.0, "constant"),
    ("potions", "x0", 0.1, "falls"),
    ("sprites", "x0", 0.1, "constant"),
)
COLUMNS = ["data", "target", "dropout", "rate", "seed", "step", "weights", "loss", "frechet", "error"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, default=course_path("data") / "results" / "first_training.csv")
    args = parser.parse_args()
    features = load_classifier("sprites").features
    data = {"potions": (potions("train"), potions("test")), "sprites": (load("sprites"), load("sprites", "test"))}
    real = {name: Moments.of(in_parts(features, split.pictures(slice(None)))) for name, (split, _) in data.items()}

    def distance(name: str, x: torch.Tensor) -> Measured:
        return frechet([Moments.of(features(part)) for part in x.split(50)], real[name])

    with replacing(args.out, COLUMNS) as write:

        def report(name: str, *cells: object, measured: Measured) -> None:
            write([name, *cells, f"{measured.value:.2f}", f"{measured.error:.2f}"])
            print(name, *cells, measured, flush=True)

        for name, (split, test) in data.items():
            report(name, "", "", "", "", 0, "real", "", measured=distance(name, test.pictures(slice(0, 200))))
            fresh = Model(network(split, 0).eval(), linear(), "x0", split.classes, attributes=split.told)
            report(name, "x0", "", "", 0, 0, "random", "", measured=distance(name, draw(fresh, test, 0)))
        for seed in args.seeds:
            for name, target, dropout, rate in RUNS:
                split, test = data[name]
                fixed = dict(batch_size=32, lr=3e-3, ema_decay=0.99, precision="float32", seed=seed)
                steps = MARKS[-1] if rate == "falls" else 10**6  # over which it falls to 0
                options = RunOptions(steps=steps, target=target, context_dropout=dropout, **fixed)
                state = TrainState.create(network(split, seed), linear(), options, split.classes, split.told)
                start, losses = time.perf_counter(), []
                for log in train(state, split):
                    losses.append(log.loss.item())
                    if log.step in MARKS:
                        print(f"{time.perf_counter() - start:.0f} s")
                        loss = f"{np.mean(losses[-50:]):.4f}"
                        for weights, net in (("average", state.ema.module), ("last", state.net)):
                            model = Model(net, state.schedule, target, split.classes, attributes=split.told)
                            measured = distance(name, draw(model, test, seed))
                            report(name, target, dropout, rate, seed, log.step, weights, loss, measured=measured)
                    if log.step == MARKS[-1]:
                        break


def potions(split: str) -> ImageSet:
    """Five kinds of potions, told kind and main colour, as in the lesson."""
    sprites = load("sprites", split)
    of_kind = torch.from_numpy(np.isin(sprites.attributes["kind"], KINDS))
    return sprites.subset(of_kind).conditioned({"kind": KINDS, "color": COLORS})


def network(images: ImageSet, seed: int) -> ContextUNet:
    """The lesson's network with the first weights of that seed."""
    torch.manual_seed(seed)
    return ContextUNet(channels=3, features=32, context_dim=images.context_dim)


def draw(model: Model, test: ImageSet, seed: int) -> torch.Tensor:
    """200 pictures with the conditions of pictures held out, as the lesson draws them: 25 steps, guidance scale 2."""
    how = dict(steps=25, guidance_scale=2.0, precision="float32")
    model.net.eval()
    parts = [test.contexts(slice(k, k + 50)) for k in range(0, 200, 50)]
    return torch.cat([sample(model, 50, c, seed=4 * seed + i, **how) for i, c in enumerate(parts)])


if __name__ == "__main__":
    main()
