"""What the networks share: checking their input, before any computation."""

from __future__ import annotations

from torch import Tensor

from ddpm_teach.schedule import check_time


def check_input(x: Tensor, t: Tensor, c: Tensor | None, *, image_shape: tuple[int, int, int], T: int, context_dim: int | None) -> None:
    """Checks net(x, t, c): x (b, *image_shape), t long (b,) in 1…T, c (b, context_dim) or None.

    Raises:
        ValueError: that names the argument, what came, and the remedy.
        TypeError: if t isn't a tensor of whole numbers.
    """
    channels, height, width = image_shape
    if x.ndim != 4 or x.shape[1] != channels:
        raise ValueError(f"x: expected {channels} channels, as (b, {channels}, {height}, {width}), got {tuple(x.shape)}; build the net with channels={x.shape[1] if x.ndim == 4 else '…'} or convert the pictures")
    if x.shape[2:] != (height, width):
        raise ValueError(f"x: expected pictures of {height}×{width}, got {x.shape[2]}×{x.shape[3]}; resize or pad them (data.load(size=…)), or build the net for that size")
    if not isinstance(t, Tensor) or t.shape != (len(x),):
        raise ValueError(f"t: expected one time per picture, a long tensor ({len(x)},), got {tuple(t.shape) if isinstance(t, Tensor) else t!r}; use torch.full((len(x),), t)")
    check_time(t, 1, T)
    if c is not None and context_dim is None:
        raise ValueError("c: this network takes no context; leave it out, or use a network with a context_dim")
    if c is not None and c.shape != (len(x), context_dim):
        raise ValueError(f"c: expected one context of width {context_dim} per picture, ({len(x)}, {context_dim}), got {tuple(c.shape)}; one-hot labels are made by torch.nn.functional.one_hot(labels, {context_dim}).float()")
