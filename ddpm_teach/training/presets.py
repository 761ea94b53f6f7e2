"""Named training runs, for the command line: what is trained on what, and how long on which machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ddpm_teach import nets
from ddpm_teach.data.folder import folder_classes, from_folder
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.latents import encoded
from ddpm_teach.data.sets import load
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.model_files import load_autoencoder, load_trained
from ddpm_teach.training.options import BUDGETS, RunOptions, is_folder


def _context_unet(channels: int, features: int, classes: int, size: int) -> dict:
    config = dict(channels=channels, features=features, context_dim=classes, size=size, T=1000)
    return {"name": "ContextUNet", "config": config}


def _attention_unet(widths: tuple[int, ...], groups: int, heads: int, dropout: float) -> dict:
    config = dict(channels=1, widths=widths, size=32, groups=groups, heads=heads, dropout=dropout, context_dim=10)
    return {"name": "AttentionUNet", "config": config}


_LAYERNORM = {"name": "LayerNormUNet", "config": dict(image_shape=(1, 28, 28), T=1000, time_dim=100)}
# The small network can't learn 60,000 digits by heart; without dropout a CPU trains it twice as fast.
_SMALL_ATTENTION = _attention_unet((32, 48, 64, 64, 96, 80), groups=8, heads=4, dropout=0.0)
_FULL_ATTENTION = _attention_unet((64, 128, 256, 512, 512, 384), groups=32, heads=8, dropout=0.1)

VOCABULARY = 341  # ids of a caption's words, padding among them: Tokenizer().size
WORDS = 456  # that the sprites' attributes have: the width of a context that tells them all


def _drawer(widths: tuple[int, ...]) -> dict:
    config = dict(channels=3, widths=widths, attention_at=(8, 4), size=16, groups=8, heads=4, dropout=0.0)
    return {"name": "AttentionUNet", "config": config | {"context_dim": WORDS}}


# Told all attributes a network needn't guess them: it draws clean outlines after a tenth of the time.
_sprites = RunOptions(
    "sprites",
    net=_drawer((48, 64, 96, 128, 144, 112)),
    steps=14_000,
    batch_size=128,
    lr=2e-3,
    warmup=200,
    target="v",
    times="stratified",
    condition="attributes",
)
_sprites_context = RunOptions(
    "sprites", net=_context_unet(3, 64, 5, 16), steps=30_000, lr=2e-3, warmup=200, target="v", times="stratified"
)
_mnist_context = RunOptions(
    "mnist", net=_context_unet(1, 32, 10, 28), steps=8_000, lr=2e-3, warmup=200, target="v", times="stratified"
)
# 6,600 steps with these times and weights draw better digits than 8,000 without: time_to_quality.py.
_mnist = RunOptions("mnist", net=_LAYERNORM, steps=6_000, times="stratified", min_snr=5.0)
_fashion = replace(_mnist, data="fashion_mnist")
_mnist32 = RunOptions("mnist", 32, _SMALL_ATTENTION, steps=8_000, lr=2e-3, warmup=200, target="v", times="stratified")
_cifar10 = RunOptions("cifar10", net=_context_unet(3, 64, 10, 32), steps=5_000)

# Of batches of 32 it learns as much in a step as of 64, which cost twice as much.
_autoencoder = RunOptions(
    "scenes", net={"name": "Autoencoder", "config": {}}, steps=10_000, batch_size=32, lr=1.5e-3, warmup=200
)

_scenes = RunOptions(
    "scenes",
    net={"name": "TextUNet", "config": {"words": VOCABULARY}},
    autoencoder="autoencoder",
    steps=11_000,
    batch_size=128,
    lr=1.5e-3,
    warmup=200,
    target="v",
    times="stratified",
    condition="caption",
)

FOLDER = RunOptions(size=32, steps=12_000)  # on your own pictures

# None of the shipped weights comes from the budget "gpu". An H100 makes 346 steps of `sprites` in a second.
PRESETS: dict[str, dict[str, RunOptions]] = {
    "sprites": {
        "cpu-minutes": replace(_sprites, net=_drawer((32, 40, 64, 80, 96, 72)), steps=1_500, batch_size=64),
        "cpu-hour": _sprites,
        "gpu": replace(_sprites, steps=30_000),
    },
    "sprites-context": {
        # Predicting x0, and not the noise, a network learns shapes and colours first (lesson 03).
        "cpu-minutes": RunOptions(
            "sprites", net=_context_unet(3, 32, 5, 16), steps=800, batch_size=24, lr=3e-3, target="x0"
        ),
        "cpu-hour": _sprites_context,
        "gpu": replace(_sprites_context, steps=40_000),
    },
    "mnist": {
        "cpu-minutes": replace(_mnist, steps=1_000, lr=3e-3),
        "cpu-hour": _mnist,
        "gpu": replace(_mnist, steps=30_000),
    },
    "fashion_mnist": {
        "cpu-minutes": replace(_fashion, steps=1_000, lr=3e-3),
        "cpu-hour": _fashion,
        "gpu": replace(_fashion, steps=30_000),
    },
    "mnist-context": {
        "cpu-minutes": replace(_mnist_context, steps=800),
        "cpu-hour": _mnist_context,
        "gpu": replace(_mnist_context, steps=20_000, batch_size=128),
    },
    "mnist32": {
        "cpu-minutes": replace(_mnist32, steps=500),
        "cpu-hour": _mnist32,
        "gpu": replace(_mnist32, net=_FULL_ATTENTION, steps=50_000, batch_size=128, lr=2e-4),
    },
    "cifar10": {
        "cpu-minutes": replace(_cifar10, steps=500),
        "cpu-hour": _cifar10,
        "gpu": replace(_cifar10, net=_context_unet(3, 128, 10, 32), steps=50_000, batch_size=128),
    },
    "autoencoder": {
        "cpu-minutes": replace(_autoencoder, steps=1_000),
        "cpu-hour": _autoencoder,
        "gpu": replace(_autoencoder, steps=30_000, batch_size=128),
    },
    "scenes": {
        "cpu-minutes": replace(_scenes, steps=1_000),
        "cpu-hour": _scenes,
        "gpu": replace(_scenes, steps=60_000),
    },
}


def preset(name: str, budget: str) -> RunOptions:
    """The options of the preset with that name, for that budget.

    Raises:
        ValueError: for an unknown one.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: unknown preset {name!r}; known are {', '.join(PRESETS)}")
    if budget not in BUDGETS:
        raise ValueError(f"budget: unknown budget {budget!r}; known are {', '.join(BUDGETS)}")
    return replace(PRESETS[name][budget], budget=budget)


def of_folder(folder: Path, size: int) -> RunOptions:
    """A run on your own pictures: ContextUNet, with a class for each folder inside.

    Raises:
        FileNotFoundError, ValueError: as `from_folder`.
    """
    folder = folder.expanduser().resolve()
    nets.completed(_context_unet(3, 64, 1, size))  # refuses a size that the network can't halve, before any look inside
    return replace(FOLDER, data=str(folder), size=size, net=_context_unet(3, 64, len(folder_classes(folder)), size))


def build_net(options: RunOptions) -> nn.Module:
    """The network of a run, on the CPU; its first weights follow from the seed, or are those of `options.start`.

    Raises:
        ValueError: for options that name no network, or weights of another one.
        FileNotFoundError: for weights that aren't there.
    """
    if options.net is None:
        raise ValueError("net: these options name no network; take a preset's, or pass your own to TrainState.create")
    rng = torch.default_generator
    before = rng.get_state()
    try:
        rng.manual_seed(options.seed)
        with torch.device("cpu"):
            net = nets.from_config(options.net)
    finally:
        rng.set_state(before)
    if options.start:
        _begin_with(net, options)
    return net


def _begin_with(net: nn.Module, options: RunOptions) -> None:
    """Takes the weights that a run begins with."""
    start = load_trained(options.start)
    if nets.describe(start) != nets.describe(net):
        what = nets.describe(start)["name"]
        raise ValueError(f"start: {options.start} holds another network ({what}) than this run trains; leave it out")
    if (target := getattr(start, "target", options.target)) != options.target:
        raise ValueError(f"start: {options.start} predicts {target}; use --target {target}, or leave it out")
    net.load_state_dict(start.state_dict())


def load_data(options: RunOptions, tell: Callable[[str], None] | None = print) -> tuple[ImageSet, ImageSet]:
    """The pictures to train on, and those held out. Of a folder every twentieth is held out, at least one.

    `tell` hears in one line what a folder holds; None: nobody.
    """
    if not is_folder(options.data):
        train, held_out = (load(options.data, split, size=options.size) for split in ("train", "test"))
        if options.condition == "attributes":
            train = train.conditioned()
            held_out = held_out.conditioned(train.told)
        elif options.condition == "caption":
            train, held_out = (part.captioned(Tokenizer()) for part in (train, held_out))
        if options.autoencoder:
            net = load_autoencoder(options.autoencoder)
            train, held_out = (encoded(part, net) for part in (train, held_out))
        return train, held_out
    images = from_folder(options.data, options.size, tell)
    rng = torch.Generator("cpu").manual_seed(0)
    order, n = torch.randperm(len(images), generator=rng, device="cpu"), max(1, len(images) // 20)
    return images.subset(order[n:] if len(images) > 1 else order), images.subset(order[:n])
