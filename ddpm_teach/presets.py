"""Named training runs, for the command line."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from ddpm_teach import nets


@dataclass(frozen=True)
class Preset:
    """What is trained on what, and how long.

    Attributes:
        dataset: a name for `data.load`.
        net: name and configuration of the network, as `nets.build` takes them.
        steps, batch_size, lr: the run, unless the command line says otherwise.
        size: pad the pictures to this size.
    """

    dataset: str
    net: dict = field(repr=False)
    steps: int
    batch_size: int = 64
    lr: float = 1e-3
    size: int | None = None

    def build(self) -> nn.Module:
        """The network, with new weights from torch's global generator."""
        return nets.build(self.net)


def _context_unet(channels: int, features: int, classes: int, size: int) -> dict:
    config = dict(channels=channels, features=features, context_dim=classes, size=size, T=1000)
    return {"name": "ContextUNet", "config": config}


PRESETS = {
    "sprites": Preset("sprites", _context_unet(3, 64, 5, 16), steps=26_000),
    "mnist": Preset("mnist", _context_unet(1, 32, 10, 28), steps=10_000),
    "fashion_mnist": Preset("fashion_mnist", _context_unet(1, 32, 10, 28), steps=10_000),
    "cifar10": Preset("cifar10", _context_unet(3, 64, 10, 32), steps=20_000),
}
