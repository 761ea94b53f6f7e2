"""attention_maps(net): which word each place of a picture looks at, read out while a network is called. Lesson 13."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ddpm_teach.checks import check_net
from ddpm_teach.nets.text import CrossAttention


@contextlib.contextmanager
def attention_maps(net: Any) -> Iterator[list[Tensor]]:
    """A list that gets the cross-attention's maps of each call of the network inside the block, in order.

        with attention_maps(model.net) as maps:
            x = sample(model, 4, tokenizer.encode("a red knight"), steps=20)
        torch.stack(maps)  # (calls, b, length + 1, h, w)

    A map (b, length + 1, h, w) says how much of the start (at 0) and of each word every place reads: the sum over the
    words is one, and padding has 0. It is the mean over all heads and layers, enlarged to the picture's size. Guidance
    calls the network with the unconditional half of the batch first. Outside of the block nothing is computed. A model
    that was tuned before the block calls a copy, which isn't read: call, or sample with, the network that was tuned.

    Raises:
        TypeError: for what is no network.
        ValueError: for a network without cross-attention.
    """
    from ddpm_teach.nets import unwrapped  # which imports this file

    check_net(net)
    net = unwrapped(net)
    layers = [part for part in getattr(net, "modules", tuple)() if isinstance(part, CrossAttention)]
    if not layers:
        raise ValueError(f"net: expected one with attention to words, a TextUNet, got a {type(net).__name__}")
    maps: list[Tensor] = []
    found: list[Tensor] = []

    @torch.no_grad()
    def look(layer: CrossAttention, args: tuple[Tensor, ...], _: Tensor) -> None:
        found.append(layer.weights(*args))

    @torch.no_grad()
    def gather(net: Any, args: tuple[Tensor, ...], _: Tensor) -> None:
        layers = [interpolate(one, args[0].shape[2:]) for one in found]
        found.clear()
        one = torch.stack(layers).mean(0)  # (b, words, h, w), as many as the longest caption has
        maps.append(pad(one, (0, 0, 0, 0, 0, net.context_dim[0] + 1 - one.shape[1])))

    hooks = [layer.register_forward_hook(look) for layer in layers] + [net.register_forward_hook(gather)]
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()
