"""CUDA graphs: a network's kernels recorded once, then started all at once.

A GPU computes the kernels of a small network faster than Python can start them one by one, so it waits for Python most
of the time. A graph is what was started during one call, with the addresses that it read and wrote; replaying it costs
one start. Hence its conditions: the same shapes in each call, and a network that does nothing but compute on the device
(what Python does in between, such as counting or calling a hook, happens while recording only). So `devices` records
the networks of this course, and lets others run as they are.
"""

from __future__ import annotations

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


def recorded(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`run` for calls without gradients: arguments of a shape that has come before are computed by replaying a graph.

    The first call of a shape runs as ever, which also warms up; the second is recorded. Each result is a new tensor.
    """
    seen: set[tuple] = set()
    graphs: dict[tuple, tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]] = {}

    def replay(*args: Tensor | None) -> Tensor:
        kind = tuple(None if arg is None else (arg.shape, arg.dtype) for arg in args)
        if torch.is_grad_enabled() or kind not in seen:  # a replay leaves nothing to differentiate
            seen.add(kind)
            return run(*args)
        if kind not in graphs:
            graphs[kind] = _record(run, args)
        graph, inputs, result = graphs[kind]
        for mine, given in zip(inputs, (arg for arg in args if arg is not None), strict=True):
            mine.copy_(given, non_blocking=True)
        graph.replay()
        return result.clone()  # the next replay writes over it

    return replay


def _record(run: Callable[..., Tensor], args: tuple) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]:
    mine = [None if arg is None else arg.clone() for arg in args]
    graph = torch.cuda.CUDAGraph()
    # "thread_local": what other threads do on the device meanwhile, such as a widget's, needn't stop.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = run(*mine)
    return graph, [arg for arg in mine if arg is not None], result


def recorded_with_gradients(net: nn.Module) -> Callable[..., Tensor]:
    """A network in training for calls of one shape: its way forward and the one back are replayed, from the first call.

    The result, and the gradients of the weights, live in the graph's memory until the next call.
    """
    graphed = None

    def replay(*args: Tensor | None) -> Tensor:
        nonlocal graphed
        args = tuple(arg for arg in args if arg is not None)
        if graphed is None:
            before = [buffer.clone() for buffer in net.buffers()]
            graphed = torch.cuda.make_graphed_callables(
                net, tuple(arg.clone() for arg in args), allow_unused_input=True
            )
            for buffer, value in zip(net.buffers(), before, strict=True):
                buffer.copy_(value)  # warming up has moved BatchNorm's statistics
        return graphed(*args)

    return replay
