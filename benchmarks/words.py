"""What makes a picture obey its words: cross-attention, an order of words, or latents? Lesson 13.

    uv run python benchmarks/words.py                        # all four: two hours of two CPU cores
    uv run python benchmarks/words.py pooled                 # this one
    uv run python benchmarks/words.py --share 0.01 --n 20    # a look; nothing is kept

Each is trained alike, with a quarter of the steps of `ddpm-teach train scenes`, on captions that tell kinds, colours
and how two sprites stand to each other ("a red knight left of a blue dragon"), and differs from "attention" in one
thing: a "bag" encodes every word by itself, without its place; to "pooled" the words are one vector, their mean;
"pixels" draws without the autoencoder, and reads 4×4 of them as one place. Judged by the scene reader on test captions
of two sprites, and on pairs with the colours swapped. Runs are kept in runs/words/, so that an interrupted one goes on.
Rows go to benchmarks/results/words.csv.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from contest import with_net
from measured import check_names, keep, positive, show

from ddpm_teach import ImageSet, TrainState, linear, load, load_checkpoint, pick_device, preset, train
from ddpm_teach.data.captions import caption, place_in_words
from ddpm_teach.data.latents import encoded
from ddpm_teach.data.prompts import parse
from ddpm_teach.data.scenes import records
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.evaluation.reading import load_reader
from ddpm_teach.evaluation.scenes import binding, scored
from ddpm_teach.model_files import load_autoencoder
from ddpm_teach.training.checkpoint import save_checkpoint
from ddpm_teach.training.presets import build_net

RUNS = Path(__file__).parents[1] / "runs" / "words"
PLAN = preset("scenes", "cpu-hour")
SAVE_EVERY = 250  # steps


ENTRANTS = {
    "attention": PLAN,
    "bag": with_net(PLAN, text_depth=0, positions=False),
    "pooled": with_net(PLAN, pooled=True),
    "pixels": replace(with_net(PLAN, channels=3, size=32, patch=4), autoencoder=""),
}


def told_kinds_and_colors(split: str, n: int | None = None) -> ImageSet:
    """Scenes of two sprites whose captions tell of each its kind and main colour, and nothing else."""
    scenes = load("scenes", split, n=n)
    scenes = scenes.subset(np.flatnonzero(scenes.attributes["relation"] != "none"))
    captions = []
    for i, relation in enumerate(scenes.attributes["relation"].tolist()):
        rng = Random(i)
        said = [caption(record, {"kind", "color"}, rng, front=False) for record in records(scenes.attributes, i)]
        captions.append(place_in_words(said, relation, None, rng))
    return replace(scenes, attributes={**scenes.attributes, "caption": np.array(captions)}).captioned(Tokenizer())


def trained(name: str, share: float, device: torch.device) -> TrainState:
    """Trains one, or goes on with it."""
    options = replace(ENTRANTS[name], steps=max(1, round(share * PLAN.steps / 4)), budget=None)
    path = RUNS / f"{name}-{options.steps}.pt"
    if path.exists():
        state = load_checkpoint(path, device=device)
        if state.step == options.steps:
            return state
    images = told_kinds_and_colors("train")
    if options.autoencoder:
        images = encoded(images, load_autoencoder(options.autoencoder).to(device))
    if not path.exists():
        state = TrainState.create(build_net(options), linear(), options, images.classes, images.told).to(device)
    for log in train(state, images):
        if log.step % SAVE_EVERY == 0 or log.step == options.steps:
            save_checkpoint(path, state)
            print(f"{name}: step {log.step} of {options.steps}, loss {log.loss.item():.4f}", flush=True)
    return state


def run(name: str, share: float, n: int, device: torch.device) -> dict:
    """Trains one and judges it: a row of the table."""
    state, reader, test = (
        trained(name, share, device),
        load_reader(),
        told_kinds_and_colors("test", 2 * n).subset(range(n)),
    )
    captions, model = test.attributes["caption"].tolist(), state.model
    drawn = torch.cat([model.draw(captions[i : i + 100], seed=i) for i in range(0, n, 100)])
    readings = reader.read(drawn), reader.read(test.pictures(slice(None)))
    shares = scored(*readings, [parse(text) for text in captions])
    shares = {key: shares[key] for key in ("kind", "main colour", "relation")}
    shares["binding"] = binding(lambda texts, seed: model.draw(texts, seed=seed), reader, n // 2)
    row = {"entrant": name, "steps": state.step, "n": n}
    for key, one in shares.items():
        row |= {key: one.drawn.value, f"{key}, error": one.drawn.error, f"{key}, real": one.ceiling}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("entrants", nargs="*", help=f"{', '.join(ENTRANTS)} (default: all)")
    parser.add_argument("--share", type=positive(float), default=1.0, help="of the steps (default: all of them)")
    parser.add_argument("--n", type=positive(int), default=500, help="captions that are judged (default: %(default)s)")
    args = parser.parse_args()
    names = args.entrants or list(ENTRANTS)
    check_names(parser, names, ENTRANTS)
    device = pick_device()
    for name in names:
        row = run(name, args.share, args.n, device)
        show([row])
        if args.share == 1:
            keep("words", [row], device, "0")


if __name__ == "__main__":
    main()
