"""Named training runs, for the command line: what is trained on what, and how long on which machine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from ddpm_teach import data, nets
from ddpm_teach.data import ImageSet
from ddpm_teach.training import TIMES

BUDGETS = ("cpu-minutes", "cpu-hour", "gpu")


def _option(text: str, **rest: object) -> object:
    """A field that `ddpm-teach train` has an option for."""
    return field(metadata={"help": text}, **rest)


@dataclass(frozen=True)
class Preset:
    """A run. The fields that have a help text are the options of `ddpm-teach train`.

    Attributes:
        dataset: a name for `data.load`, or a folder of pictures for `data.from_folder`.
        net: name and configuration of the network, as `nets.build` takes them.
        size: pad the pictures of a named set to this size, or scale those of a folder to it.

    Raises:
        ValueError: for other `times` than are known.
    """

    dataset: str | Path
    net: dict = field(repr=False)
    size: int | None = None
    steps: int = _option("the step at which the run ends; may be moved when resuming", default=10_000)
    batch_size: int = _option("pictures in a step", default=64)
    lr: float = _option("learning rate at the start; it falls linearly to 0 at the end", default=1e-3)
    seed: int = _option("of the weights and of every step's random numbers", default=0)
    save_every: int = _option("steps between two checkpoints", default=1000)
    precision: str = _option("auto, float32 or bfloat16", default="auto")
    target: str = _option("what the network predicts: eps, x0 or v", default="eps")
    times: str = _option("uniform, or stratified: from 1…T cut into as many parts as pictures", default="uniform")
    min_snr: float = _option("weigh the loss by min-SNR with this γ, usually 5; 0: no weights", default=0.0)

    def __post_init__(self) -> None:
        if self.times not in TIMES:
            raise ValueError(f"times: expected one of {', '.join(TIMES)}, got {self.times!r}")

    def build(self) -> nn.Module:
        """The network; its first weights follow from the seed."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return nets.build(self.net)

    def load(self) -> tuple[ImageSet, ImageSet]:
        """The pictures to train on, and those held out. Of a folder every twentieth is held out, at least one."""
        if not isinstance(self.dataset, Path):
            train, held_out = (data.load(self.dataset, split, size=self.size) for split in ("train", "test"))
            return train, held_out
        images = data.from_folder(self.dataset, self.size)
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        n = max(1, len(images) // 20)
        held_out, train = images.subset(order[:n]), images.subset(order[n:] if len(images) > 1 else order)
        return train, held_out


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

# None of the shipped weights comes from the budget "gpu". An H100 makes 346 steps of `sprites` in a second.
PRESETS: dict[str, dict[str, Preset]] = {
    "sprites": {
        # Lesson 03's run. Asked for x0, and not for the noise, a network learns shapes and colours first.
        "cpu-minutes": Preset("sprites", _context_unet(3, 32, 5, 16), steps=800, batch_size=24, lr=3e-3, target="x0"),
        "cpu-hour": (sprites := Preset("sprites", _context_unet(3, 64, 5, 16), steps=12_000)),
        "gpu": replace(sprites, steps=26_000),
    },
    "mnist": {
        # 6,600 steps with these times and weights draw better digits than 8,000 without: time_to_quality.py.
        "cpu-minutes": (mnist := Preset("mnist", _LAYERNORM, steps=1_000, lr=3e-3, times="stratified", min_snr=5.0)),
        "cpu-hour": replace(mnist, steps=6_000),
        "gpu": replace(mnist, steps=30_000),
    },
    "fashion_mnist": {
        "cpu-minutes": replace(mnist, dataset="fashion_mnist"),
        "cpu-hour": replace(mnist, dataset="fashion_mnist", steps=6_000),
        "gpu": replace(mnist, dataset="fashion_mnist", steps=30_000),
    },
    "mnist32": {
        "cpu-minutes": (mnist32 := Preset("mnist", _SMALL_ATTENTION, size=32, steps=500, batch_size=32, lr=2e-3)),
        "cpu-hour": replace(mnist32, steps=5_000),
        "gpu": replace(mnist32, net=_FULL_ATTENTION, steps=50_000, batch_size=128, lr=2e-4),
    },
    "cifar10": {
        "cpu-minutes": (cifar10 := Preset("cifar10", _context_unet(3, 64, 10, 32), steps=500)),
        "cpu-hour": replace(cifar10, steps=5_000),
        "gpu": replace(cifar10, net=_context_unet(3, 128, 10, 32), steps=50_000, batch_size=128),
    },
}


def find(name: str, budget: str) -> Preset:
    """The preset with that name, for that budget.

    Raises:
        ValueError: for an unknown one.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: unknown preset {name!r}; known are {', '.join(PRESETS)}")
    if budget not in BUDGETS:
        raise ValueError(f"--budget: unknown budget {budget!r}; known are {', '.join(BUDGETS)}")
    return PRESETS[name][budget]


def of_folder(folder: Path, size: int) -> Preset:
    """A run on your own pictures: ContextUNet, with a class for each folder inside.

    Raises:
        FileNotFoundError, ValueError: as `data.from_folder`.
    """
    classes = len(data.folder_classes(folder))
    return Preset(folder, _context_unet(3, 64, classes, size), size=size, steps=12_000)
