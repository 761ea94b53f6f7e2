"""What the networks share: the table of sinusoids, the last layer, and checking their input before any computation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ddpm_teach.checks import check_floats, check_time


def sinusoids(T: int, dim: int) -> Tensor:
    """(T, dim): row t - 1 holds sin(t ω_i) and cos(t ω_i) in turns, ω_i = 10000^(-2i/dim) for the i-th pair.

    The exponent counts pairs. Written as 2j/dim over all columns j it runs twice as far, and a third of the columns
    hardly move over all times.
    """
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-torch.arange(0, dim, 2) / dim)  # (T, dim / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class LastConv2d(nn.Conv2d):
    """The convolution that ends a network, in the precision of its weights also under autocast.

    ε̂ rounded to bfloat16 would move the pictures of 20 DDIM steps by 2 of 255 levels, rounded before this layer by 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def check_images(x: Tensor, image_shape: tuple[int, int, int]) -> None:
    """Checks that x is (b, *image_shape).

    Raises:
        ValueError, TypeError: that name what came and the remedy.
    """
    channels, height, width = image_shape
    if x.ndim != 4:
        raise ValueError(
            f"x: expected a batch (b, {channels}, {height}, {width}), got {tuple(x.shape)}; x[None] makes one"
        )
    check_floats(x)
    if x.shape[1] != channels:
        raise ValueError(
            f"x: expected {channels} channels, got {x.shape[1]}; convert the pictures or build the net for them"
        )
    if x.shape[2:] != (height, width):
        raise ValueError(
            f"x: expected pictures of {height}×{width}, got {x.shape[2]}×{x.shape[3]};"
            " pad them (data.load(size=…)) or build the net for that size"
        )


def check_input(
    x: Tensor, t: Tensor, c: Tensor | None, image_shape: tuple[int, int, int], T: int, context_dim: int | None
) -> None:
    """Checks net(x, t, c): x (b, *image_shape), t long (b,) in 1…T, c (b, context_dim) or None.

    Raises:
        ValueError: that names the argument, what came, and the remedy.
        TypeError: if x isn't of floats, t isn't of whole numbers, or c is no tensor.
    """
    check_images(x, image_shape)
    if not isinstance(t, Tensor) or t.shape != (len(x),):
        got = tuple(t.shape) if isinstance(t, Tensor) else repr(t)
        raise ValueError(
            f"t: expected a long tensor ({len(x)},), one time per picture, got {got}; use torch.full(({len(x)},), t)"
        )
    check_time(t, 1, T)
    if c is None:
        return
    if context_dim is None:
        raise ValueError("c: this network takes no context; leave it out, or use a network with a context_dim")
    if not isinstance(c, Tensor):
        raise TypeError(f"c: expected a tensor ({len(x)}, {context_dim}), got {type(c).__name__}; use torch.tensor(c)")
    if c.shape != (len(x), context_dim):
        raise ValueError(
            f"c: expected contexts of shape ({len(x)}, {context_dim}), one per picture, got {tuple(c.shape)};"
            f" torch.nn.functional.one_hot(labels, {context_dim}).float() makes them from labels"
        )


@contextlib.contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; every module's own mode is put back after it, also after an error."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
