"""What a network refuses: sizes that can't be built, and pictures, times and contexts that it wasn't built for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ddpm_teach.checks import can_look, check_floats, check_int, check_time, shown


def check_sizes(low: int = 1, **sizes: int) -> None:
    """Refuses widths, numbers of channels and the like that aren't whole numbers ≥ `low`."""
    for name, size in sizes.items():
        check_int(name, size, low)


def check_tuple(name: str, sizes: Sequence[int], like: str) -> tuple[int, ...]:
    """`sizes` as a tuple of whole numbers ≥ 1, of as many as `like` shows, "(channels, height, width)"."""
    if not isinstance(sizes, Sequence) or (not like.endswith("…)") and len(sizes) != like.count(",") + 1):
        raise TypeError(f"{name}: expected a tuple {like} of whole numbers, got {shown(sizes)}; use {name}={like}")
    return tuple(check_int(name, size, 1) for size in sizes)


def check_divides(name: str, widths: Sequence[int], **parts: int) -> None:
    """Refuses widths that heads, or groups of channels, can't share evenly."""
    if any(width % part for width in widths for part in parts.values()):
        wanted = " and ".join(f"{what} = {part}" for what, part in parts.items())
        got = tuple(widths) if len(widths) > 1 else widths[0]
        raise ValueError(f"{name}: expected {'multiples' if len(widths) > 1 else 'a multiple'} of {wanted}, got {got}")


def check_grid(size: int, patch: int, halvings: int = 0) -> int:
    """The height of a picture in patches; refuses one that can't be halved so often."""
    if size % (patch * 2**halvings):
        times = f" · 2^{halvings}, for {halvings + 1} widths" if halvings else ""
        raise ValueError(
            f"size: expected a multiple of patch = {patch}{times}, got {size}; pad the pictures (data.load(size=…))"
        )
    return size // patch


def check_size(x: Tensor, image_shape: tuple[int, int, int]) -> None:
    """Checks that x is (b, *image_shape), of floats.

    Raises:
        ValueError, TypeError: that name what came and the remedy.
    """
    _check_shape(x, image_shape)
    check_floats(x)


def _check_shape(x: Tensor, image_shape: tuple[int, int, int]) -> None:
    channels, height, width = image_shape
    if x.ndim != 4:
        raise ValueError(
            f"x: expected a batch (b, {channels}, {height}, {width}), got {tuple(x.shape)}; x[None] makes one"
        )
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
    _check_shape(x, image_shape)
    if not isinstance(t, Tensor) or t.shape != x.shape[:1]:  # not len(x), which an export would take for a constant
        got = tuple(t.shape) if isinstance(t, Tensor) else shown(t)
        raise ValueError(
            f"t: expected a long tensor ({len(x)},), one time per picture, got {got}; use torch.full(({len(x)},), t)"
        )
    check_time(t, 1, T, x)  # and that x is of floats
    if c is None:
        return
    if context_dim is None:
        raise ValueError("c: this network takes no context; leave it out, or use a network with a context_dim")
    if not isinstance(c, Tensor):
        raise TypeError(f"c: expected a tensor ({len(x)}, {context_dim}), got {type(c).__name__}; use torch.tensor(c)")
    if c.shape != (x.shape[0], context_dim):
        raise ValueError(
            f"c: expected contexts of shape ({len(x)}, {context_dim}), one per picture, got {tuple(c.shape)};"
            f" torch.nn.functional.one_hot(labels, {context_dim}).float() makes them from labels"
        )


def check_ids(c: Tensor, n: int, words: int, length: int) -> None:
    """Checks that c holds n captions as word ids, (n, length), in 0…words - 1.

    Raises:
        ValueError, TypeError: that name what came and the remedy.
    """
    if not isinstance(c, Tensor):
        raise TypeError(f"c: expected word ids ({n}, {length}), got {shown(c)}; tokenizer.encode(captions) makes them")
    if c.is_floating_point() or c.is_complex() or c.dtype == torch.bool:
        raise TypeError(f"c: expected word ids (a long tensor), got {c.dtype}; tokenizer.encode(captions) makes them")
    if c.shape != (n, length):
        raise ValueError(
            f"c: expected word ids of shape ({n}, {length}), a caption per picture, got {tuple(c.shape)};"
            f" Tokenizer(length={length}).encode(captions) makes them"
        )
    if can_look(c) and c.numel():
        first, last = c.aminmax()
        if first < 0 or last >= words:
            raise ValueError(
                f"c: expected word ids in 0…{words - 1}, got values from {int(first)} to {int(last)};"
                " encode the captions with the tokenizer that the network was trained with"
            )
