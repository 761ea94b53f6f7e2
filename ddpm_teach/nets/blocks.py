"""What the networks share: sinusoids, their first look at the time, attention, the last layer, eval mode."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from ddpm_teach.checks import check_int

FEW = 128  # keys


def sinusoids(T: int, dim: int) -> Tensor:
    """(T, dim): row t - 1 holds sin(t ω_i) and cos(t ω_i) in turns, ω_i = 10000^(-2i/dim) for the i-th pair.

    The exponent counts pairs. Written as 2j/dim over all columns j it runs twice as far, and a third of the columns
    hardly move over all times.
    """
    check_int("T", T, 1)
    if check_int("dim", dim, 2) % 2:
        raise ValueError(f"dim: expected an even number (sines and cosines), got {dim}; add 1")
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-torch.arange(0, dim, 2) / dim)  # (T, dim / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class TimeLinear(nn.Linear):
    """The layer that reads t/T, in float32 also under autocast and in a network of half precision.

    In bfloat16, 801/1000 and 802/1000 are the same number.
    """

    def forward(self, time: Tensor) -> Tensor:
        weight, bias = (p.to(torch.promote_types(p.dtype, torch.float32)) for p in (self.weight, self.bias))
        with torch.autocast(time.device.type, enabled=False):
            return nn.functional.linear(time.to(weight.dtype), weight, bias).to(self.weight.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """softmax(q kᵀ / √d) v: what each query (b, heads, n, d) reads from the keys and values (b, heads, m, d).

    Args:
        mask: (b, m) bools, true for the keys that are looked at, at least one of each row; None for all.
        dropout: the share of the weights that is dropped, always: the caller knows of train and eval.

    Written out while learning from few keys on a CPU: forward and backward of 64 queries and keys take 0.7 to 0.9 times
    as long as in the kernel there. The kernel wins with many keys, which it never holds all at once, and on GPUs.
    """
    seen = None if mask is None else mask[:, None, None]  # (b, m) → (b, heads, queries, m)
    if not (q.requires_grad and q.device.type == "cpu" and k.shape[-2] <= FEW):
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropout)
    weights = attention_weights(q, k, seen)
    return functional.dropout(weights, dropout) @ v


def attention_weights(q: Tensor, k: Tensor, seen: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √d), (b, heads, n, m): how much of each key every query reads; 0 where `seen` is false."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return (scores if seen is None else scores.masked_fill(~seen, -torch.inf)).softmax(-1)


class LastConv2d(nn.Conv2d):
    """The convolution that ends a network, in the precision of its weights also under autocast.

    ε̂ rounded to bfloat16 would move the pictures of 20 DDIM steps by 2 of 255 levels, rounded before this layer by 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def named_parts(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """What a network calls: its attributes, and what is in its lists, which aren't called themselves: "levels.0"."""
    parts = []
    for name, child in net.named_children():
        inside = named_parts(child) if isinstance(child, nn.ModuleList) else []
        parts += [(f"{name}.{i}", part) for i, part in inside] or [(name, child)]
    return parts


@contextlib.contextmanager
def evaluating(net: nn.Module) -> Iterator[nn.Module]:
    """The network, in eval mode inside the block; every module's own mode is put back after it, also after an error."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield net
    finally:
        for module, mode in modes.items():
            module.training = mode
