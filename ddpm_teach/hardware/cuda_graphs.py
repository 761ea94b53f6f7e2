"""CUDA graphs: a network's kernels recorded once, then started all at once.

A GPU computes the kernels of a small network faster than Python can start them one by one, so it waits for Python most
of the time. A graph is what was started during one call, with the addresses that it read and wrote; replaying it costs
one start. Hence its conditions: the same shapes in each call, and nothing but computing on the device (what Python does
in between, such as counting or calling a hook, happens while recording only). So the networks of this course are
recorded, and others run as they are.

What stays a limit:

* One thread at a time, and one stream: all calls of a recorded function share the memory of its arguments.
* While one thread records (once for each shape, for some milliseconds), another that draws from the same device's
  default generator may fail with an error about its offset: a recording takes that generator for itself.
* Numbers that Python reads, such as a Dropout's p, are those of the recording.
* Each recording has memory of its own: for SIGNATURES shapes of arguments at most, until the function itself is
  dropped. It goes back to torch's cache then, and to the device by torch.cuda.empty_cache().
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

SIGNATURES = 8  # recordings that a function keeps; the one unused for longest makes room for the next

_recording = threading.Lock()  # a process can record one graph at a time


def can_be_recorded(net: object, device: torch.device) -> bool:
    """Whether a graph of `net` would do all that it does: layers of this course and of torch, on a CUDA device.

    Neither hooks, nor a forward or compiled call in a layer's place, nor a wrapper such as torch.compile's or DDP.
    """
    return (
        device.type == "cuda"
        and isinstance(net, nn.Module)
        and not nn.modules.module._has_any_global_hook()
        and _only_compute(_layers(net))
    )


def _layers(net: nn.Module) -> list[nn.Module]:
    """The network and all that is in it, as net.modules(), in a third of its time: this is asked at every step."""
    layers = [net]
    for layer in layers:
        layers += [inner for inner in layer._modules.values() if inner is not None]
    return layers


@functools.cache
def _is_known(kind: type) -> bool:
    return kind.__module__.startswith(("ddpm_teach.nets.", "torch.nn.modules."))


def _only_compute(layers: list[nn.Module]) -> bool:
    if not all(map(_is_known, map(type, layers))) or any([layer._compiled_call_impl for layer in layers]):
        return False
    for own in map(vars, layers):
        if own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]:
            return False
        if "forward" in own:
            return False
    weights = [weight for layer in layers for weight in layer._parameters.values() if weight is not None]
    return not any([weight._backward_hooks or weight._post_accumulate_grad_hooks for weight in weights])


def recorded(run: Callable[..., Tensor], warm: int = 1) -> Callable[..., Tensor]:
    """Runs `run` `warm` times for each signature of its arguments, then records it once and replays it.

    Nothing that `run` reads may change its place, which is so for a private copy of a network; see `recorded_step` for
    one that is in others' hands. Each result is a new tensor. What can't be recorded (a graph needs memory of its own)
    goes on running as it is, after a warning.
    """
    replays = _Replays(run, warm)
    return lambda *args: replays(*args).clone()


def recorded_step(
    step: Callable[..., Tensor], net: nn.Module, device: torch.device, watched: Callable[[], object]
) -> Callable[..., Tensor]:
    """`step`, which leaves gradients in the weights of `net`, recorded at its fourth call and replayed from then on.

    A replay writes to where the gradients and weights were. So the gradients are put back in their place after each,
    and a step is recorded anew, the old recording dropped, when a weight or buffer has moved since, is frozen or is
    trained now, when a layer has changed its mode, or when what `watched` returns is another object. Networks that
    can't be recorded, or can't any more (a hook was registered), run as they are.

    Args:
        step: called with tensors; returns one.
        net: the network that `step` calls.
        device: where both compute.
        watched: returns what else `step` reads that others may put something else in the place of, such as the noise
            schedule: an object, or a tuple of them.
    """

    def noting_gradients(*args: Tensor | None) -> tuple[Tensor, list[Tensor | None]]:
        return step(*args), [weight.grad for weight in net.parameters()]

    replays = place = None

    def run(*args: Tensor | None) -> Tensor:
        nonlocal replays, place
        if not can_be_recorded(net, device):
            replays = place = None
            return step(*args)
        now = _Place(net, watched())
        if now != place:
            replays = None  # before the new one needs memory
            replays, place = _Replays(noting_gradients, warm=3), now
        result, gradients = replays(*args)
        for weight, gradient in zip(net.parameters(), gradients, strict=True):
            weight.grad = gradient
        return result.clone()

    return run


class _Place:
    """Where a network's tensors are, its modes, and the watched objects. It holds these, so that none that a recording
    reads is freed, and no new one can be taken for an old one."""

    def __init__(self, net: nn.Module, watched: object) -> None:
        self.watched = watched if isinstance(watched, tuple) else (watched,)
        layers = _layers(net)
        self.modes = [layer.training for layer in layers]
        tensors = [t for layer in layers for part in (layer._parameters, layer._buffers) for t in part.values()]
        self.tensors = [t is not None and (t.data_ptr(), t.requires_grad) for t in tensors]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Place)
            and (self.tensors, self.modes) == (other.tensors, other.modes)
            and list(map(id, self.watched)) == list(map(id, other.watched))
        )

    __hash__ = None


class _Recording(NamedTuple):
    """A graph, the tensors that it reads (the arguments' copies), and what the recorded call returned."""

    graph: torch.cuda.CUDAGraph
    static: list[Tensor]
    result: Any


class _Replays:
    """replays(*args): what `run` returns, the first calls of a signature as it is, then from one recording.

    Results, and whatever `run` leaves on the device, are in the recording's memory, and its next replay writes over
    them.
    """

    def __init__(self, run: Callable[..., Any], warm: int) -> None:
        self.run, self.warm = run, warm
        # Of each signature the number of calls, then the recording, or None where that failed; the last used is last.
        self.states: dict[tuple, int | _Recording | None] = {}

    def __call__(self, *args: Tensor | None) -> Any:
        shapes = (None if arg is None else (arg.shape, arg.dtype, arg.device) for arg in args)
        signature = (torch.is_inference_mode_enabled(), *shapes)
        state = self.states.pop(signature, 0)  # a call that fails leaves none, so that warming up begins anew
        if state == self.warm:
            state = self._record(args)
        if isinstance(state, _Recording):
            for place, arg in zip(state.static, (arg for arg in args if arg is not None), strict=True):
                place.copy_(arg)
            state.graph.replay()
            result = state.result
        else:
            result = self.run(*args)
            state = None if state is None else state + 1
        self.states[signature] = state
        if len(self.states) > SIGNATURES:
            del self.states[next(iter(self.states))]
        return result

    def _record(self, args: tuple) -> _Recording | None:
        try:
            return _record(self.run, args)
        except RuntimeError as error:
            warnings.warn(f"not recorded as a CUDA graph, so slower: {error}", stacklevel=4)
            return None


def _record(run: Callable[..., Any], args: tuple) -> _Recording:
    """The recording of one call, which only takes place when it is replayed."""
    device = next((arg.device for arg in args if arg is not None), None)
    with _recording, torch.cuda.device(device):
        static = [None if arg is None else arg.clone() for arg in args]
        graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # "thread_local": other threads may go on with the device meanwhile, but for drawing from its generator.
            with torch.cuda.graph(
                graph, stream=_stream(torch.cuda.current_device()), capture_error_mode="thread_local"
            ):
                result = run(*static)
        finally:
            torch.cuda.set_stream(before)  # torch before 2.15 doesn't, where recording failed
    return _Recording(graph, [arg for arg in static if arg is not None], result)


@functools.cache
def _stream(device: int) -> torch.cuda.Stream:
    """The stream on which a device's graphs are recorded: one, since each has a work space of its own."""
    return torch.cuda.Stream(device)
