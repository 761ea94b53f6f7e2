"""CUDA graphs: a network's kernels recorded once, then started all at once.

A GPU computes the kernels of a small network faster than Python can start them one by one, so it waits for Python most
of the time. A graph is what was started during one call, with the addresses that it read and wrote; replaying it costs
one start. Hence its conditions: the same shapes in each call, and nothing but computing on the device (what Python does
in between, such as counting or calling a hook, happens while recording only). So `devices` records the networks of
this course, and lets others run as they are.
"""

from __future__ import annotations

import collections
import functools
import threading
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_recording = threading.Lock()  # a process can record one graph at a time


def can_be_recorded(net: object, device: torch.device) -> bool:
    """Whether a graph of `net` would do all that it does: layers of this course and of torch, on a CUDA device."""
    return device.type == "cuda" and isinstance(net, nn.Module) and all(map(_only_computes, net.modules()))


def _only_computes(module: nn.Module) -> bool:
    known = type(module).__module__.startswith(("ddpm_teach.nets.", "torch.nn.modules."))
    return known and "forward" not in vars(module) and not any(getattr(module, hooks) for hooks in _HOOKS)


def recorded(run: Callable[..., Tensor], warm: int = 1) -> Callable[..., Tensor]:
    """Runs `run` `warm` times for each signature of its arguments, then records it once and replays it.

    Each result is a new tensor. Whatever else `run` leaves on the device, such as gradients, stays in the graph's
    memory, and the next replay writes over it. What can't be recorded (a graph needs memory of its own) goes on running
    as it is, after a warning. For one thread at a time, since the arguments' memory is shared.
    """
    calls: collections.Counter[tuple] = collections.Counter()
    graphs: dict[tuple, tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor] | None] = {}

    def replay(*args: Tensor | None) -> Tensor:
        shapes = (None if arg is None else (arg.shape, arg.dtype, arg.device) for arg in args)
        signature = (torch.is_inference_mode_enabled(), *shapes)
        if calls[signature] < warm:
            result = run(*args)
            calls[signature] += 1  # a call that failed hasn't warmed anything up
            return result
        if signature not in graphs:
            try:
                graphs[signature] = _record(run, args)
            except RuntimeError as error:
                graphs[signature] = None
                warnings.warn(f"not recorded as a CUDA graph, so slower: {error}", stacklevel=2)
        if graphs[signature] is None:
            return run(*args)
        graph, static, result = graphs[signature]
        for place, arg in zip(static, (arg for arg in args if arg is not None), strict=True):
            place.copy_(arg)
        graph.replay()
        return result.clone()

    return replay


def _record(run: Callable[..., Tensor], args: tuple) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]:
    """The graph of one call, which only takes place when it is replayed, and the tensors that it reads and writes."""
    device = next((arg.device for arg in args if arg is not None), None)
    with _recording, torch.cuda.device(device):
        static = [None if arg is None else arg.clone() for arg in args]
        graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # "thread_local": what other threads compute on the device meanwhile, such as a widget's, needn't stop.
            with torch.cuda.graph(
                graph, stream=_stream(torch.cuda.current_device()), capture_error_mode="thread_local"
            ):
                result = run(*static)
        finally:
            torch.cuda.set_stream(before)  # torch before 2.15 doesn't, where recording failed
    return graph, [arg for arg in static if arg is not None], result


@functools.cache
def _stream(device: int) -> torch.cuda.Stream:
    """The stream on which a device's graphs are recorded: one, since each has a work space of its own."""
    return torch.cuda.Stream(device)


def recorded_step(step: Callable[..., Tensor], weights: list[nn.Parameter]) -> Callable[..., Tensor]:
    """`step`, which leaves gradients in the weights, recorded at its fourth call and replayed from then on.

    A replay writes to where the gradients and weights were; so the gradients are put back in their place after each,
    and weights that have moved since, or are frozen now, are recorded anew.
    """
    gradients: list[Tensor | None] = []

    def noting_gradients(*args: Tensor | None) -> Tensor:
        result = step(*args)
        gradients[:] = [weight.grad for weight in weights]
        return result

    replay = places = None

    def run(*args: Tensor | None) -> Tensor:
        nonlocal replay, places
        now = [(weight.data_ptr(), weight.requires_grad) for weight in weights]
        if now != places:
            replay, places = recorded(noting_gradients, warm=3), now
        result = replay(*args)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        return result

    return run
