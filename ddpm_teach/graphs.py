"""CUDA graphs: a network's kernels recorded once, then started all at once.

A GPU computes the kernels of a small network faster than Python can start them one by one, so it waits for Python most
of the time. A graph is what was started during one call, with the addresses that it read and wrote; replaying it costs
one start. Hence its conditions: the same shapes in each call, and a network that does nothing but compute on the device
(what Python does in between, such as counting or calling a hook, happens while recording only). So `devices` records
the networks of this course, and lets others run as they are.
"""

from __future__ import annotations

import collections
from collections.abc import Callable

import torch
from torch import Tensor, nn


def can_be_recorded(net: object, device: torch.device) -> bool:
    """Whether a graph of `net` would do all that it does: a network of this course without hooks, on a CUDA device."""
    return (
        device.type == "cuda"
        and isinstance(net, nn.Module)
        and type(net).__module__.startswith("ddpm_teach.nets.")
        and not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    )


def recorded(run: Callable[..., Tensor], warm: int = 1) -> Callable[..., Tensor]:
    """`run`, for arguments of a shape with which it ran `warm` times already: recorded once, and replayed from then on.

    Each result is a new tensor. Whatever else `run` leaves on the device, such as gradients, stays in the graph's
    memory, and the next replay writes over it.
    """
    calls: collections.Counter[tuple] = collections.Counter()
    graphs: dict[tuple, tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]] = {}

    def replay(*args: Tensor | None) -> Tensor:
        kind = tuple(None if arg is None else (arg.shape, arg.dtype) for arg in args)
        calls[kind] += 1
        if calls[kind] <= warm:
            return run(*args)
        if kind not in graphs:
            graphs[kind] = _record(run, args)
        graph, inputs, result = graphs[kind]
        for mine, given in zip(inputs, (arg for arg in args if arg is not None), strict=True):
            mine.copy_(given)
        graph.replay()
        return result.clone()

    return replay


def _record(run: Callable[..., Tensor], args: tuple) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]:
    """The graph of one call, which only takes place when it is replayed, and the tensors that it reads and writes."""
    mine = [None if arg is None else arg.clone() for arg in args]
    graph = torch.cuda.CUDAGraph()
    # "thread_local": what other threads do on the device meanwhile, such as a widget's, needn't stop.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = run(*mine)
    return graph, [arg for arg in mine if arg is not None], result
