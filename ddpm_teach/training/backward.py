"""The gradients of a loss, as this machine finds them fastest: what `train` leaves to the hardware and to processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ddpm_teach.data.images import ImageSet
from ddpm_teach.hardware import cuda_graphs
from ddpm_teach.hardware.precision import InPrecision, send
from ddpm_teach.training.distributed import Processes
from ddpm_teach.training.state import TrainState


class Backward:
    """backward(loss, rng, *batch): leaves clipped gradients in the weights, averaged over the processes.

    On a CUDA device a course network's step is recorded as a graph and replayed, unless precision is "float32".
    """

    def __init__(self, state: TrainState, images: ImageSet, processes: Processes) -> None:
        self.state, self.processes, self.device = state, processes, state.device
        self.wrapped = processes.wrapped(state.net)  # which isn't recorded, where there are several processes
        self.net = InPrecision(self.wrapped, self.device, processes.precision(state.options.precision, self.device))
        # A data set of another kind may do more at each call than a recording would repeat.
        self.recordable = type(images) is ImageSet and state.options.precision != "float32"
        self.replays: dict[Callable, Callable] = {}

    def __call__(self, loss: Callable, rng: torch.Generator, *batch: Tensor) -> Tensor:
        """The loss without weights; `loss` is called as loss(net, *batch)."""
        seeds = torch.randint(2**62, (self.processes.count,), generator=rng, device="cpu").tolist()
        batch = [send(self.processes.share(draw), self.device) for draw in batch]
        if loss not in self.replays:
            self.replays[loss] = self._find_gradients(loss)
        with seeded(seeds[self.processes.rank], self.device):
            return self.replays[loss](*batch)

    def _find_gradients(self, loss: Callable) -> Callable:
        state = self.state

        def find_gradients(*batch: Tensor) -> Tensor:
            value, error = loss(self.net, *batch)
            state.optimizer.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
            return error

        if self.recordable:
            watched = lambda: (state.schedule, state.target)  # noqa: E731
            return cuda_graphs.recorded_step(find_gradients, self.wrapped, self.device, watched)
        return find_gradients


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout takes its numbers from torch's global generators: inside the block those of the CPU and of `device` come
    from `seed`; after it they, and no others, are as before."""
    generators = [torch.default_generator]
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    elif device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    before = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)
