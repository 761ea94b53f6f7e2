"""What a run shows of itself at every checkpoint: the loss on held-out pictures, and a page of what it makes."""

from __future__ import annotations

from pathlib import Path

import torch

from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.sets import load
from ddpm_teach.model import Model
from ddpm_teach.nets.autoencoder import Autoencoder
from ddpm_teach.nets.blocks import evaluating
from ddpm_teach.sampler import sample
from ddpm_teach.show.pictures import save_png
from ddpm_teach.training.autoencoding import is_autoencoder, reconstruction_error
from ddpm_teach.training.loop import validation_loss
from ddpm_teach.training.state import TrainState


def held_out_loss(state: TrainState, held_out: ImageSet) -> float:
    """The loss of a run's averages on pictures that it wasn't trained on."""
    if is_autoencoder(state.net):
        with evaluating(state.ema.module) as net:
            return reconstruction_error(net, held_out)
    return validation_loss(state.model, held_out, precision=state.options.precision)


def page_of(state: TrainState, png: Path, n: int = 8) -> str:
    """A page that shows what a run has learned, samples or reconstructions; one line that says which."""
    if is_autoencoder(state.net):
        images = load(state.options.data, "test", n=n * n, size=state.options.size)
        return page_of_reconstructions(state.ema.module, images, png, n)
    return page_of_samples(state.model, png, n, state.options.seed)


@torch.no_grad()
def page_of_reconstructions(net: Autoencoder, images: ImageSet, png: Path, n: int = 8) -> str:
    """Rows of 2n pictures, each above a row of their reconstructions; one line that says which."""
    device = next(net.parameters()).device
    with evaluating(net):
        rows = images.pictures(slice(None)).to(device).split(2 * n)
        rows = [row for x in rows for row in (x, net(x).clamp(-1, 1))]
    save_png(torch.cat(rows), png, columns=2 * n)
    return f"{png}: rows of held-out pictures, and below each the reconstructions"


def page_of_samples(model: Model, png: Path, n: int = 8, seed: int = 0) -> str:
    """Draws a row of n for each class, or n rows of n, in 20 steps; one line that says which.

    Raises:
        FloatingPointError: if the network makes numbers that aren't finite.
    """
    if model.tokenizer is not None:
        return _page_of_scenes(model, png, n, seed)
    contexts = model.all_contexts(n, torch.Generator("cpu").manual_seed(seed))
    count, scale = (n * n, 1.0) if contexts is None else (len(contexts), 2.0)
    steps = min(20, model.schedule.T)
    save_png(sample(model, count, contexts, seed=seed, steps=steps, guidance_scale=scale), png, columns=n)
    rows = f"{n} rows of {n}" if contexts is None else f"a row of {n} for each of {', '.join(model.classes)}"
    return f"{png}: {rows}"


def _page_of_scenes(model: Model, png: Path, n: int, seed: int) -> str:
    """Rows of 2n held-out scenes, each above a row of what the model draws to their captions."""
    scenes = load(model.data, "test", n=n * n)
    drawn = model.draw(scenes.attributes["caption"].tolist(), seed=seed).cpu()
    rows = zip(scenes.pictures(slice(None)).split(2 * n), drawn.split(2 * n), strict=True)
    save_png(torch.cat([row for pair in rows for row in pair]), png, columns=2 * n)
    return f"{png}: rows of held-out scenes, and below each what was drawn to its caption"
