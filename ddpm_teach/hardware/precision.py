"""Where to compute, and how precisely: on the fastest device, in bfloat16 where that is faster there."""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_teach.checks import PRECISIONS, check_word, shown
from ddpm_teach.diffusion.types import carrying
from ddpm_teach.hardware import cuda_graphs
from ddpm_teach.nets.blocks import evaluating


def pick_device() -> torch.device:
    """The fastest device at hand: cuda, else mps, else cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def check_precision(precision: str) -> str:
    """`precision` itself.

    Raises:
        ValueError: for another than "auto", "float32" or "bfloat16".
    """
    return check_word("precision", precision, PRECISIONS)


def check_device(device: torch.device | str) -> torch.device:
    """The device itself, after a tensor was put there.

    Raises:
        ValueError: for one that this machine hasn't.
    """
    try:
        return torch.empty(1, device=device).device
    except (RuntimeError, AssertionError, ImportError, ValueError, TypeError):  # torch has one for each kind of absence
        raise ValueError(
            f"device: expected one that is here, got {shown(device)}; use {str(pick_device())!r}, the fastest at hand"
        ) from None


@functools.cache
def choose(device: torch.device) -> tuple[torch.dtype, str]:
    """What "auto" computes in on a device, and why; asked once per process.

    GPUs since Ampere and processors with AMX have units that multiply bfloat16 matrices. What a processor with vector
    units alone gains isn't told by its name (measured: 1.2 to 1.8 times as fast on one, 0.5 to 0.8 on another), so
    there the two are tried for a tenth of a second. Everything else computes in float32.
    """
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return torch.bfloat16, "multiplies bfloat16 matrices in hardware"
    elif device.type == "cpu" and _claims("_is_amx_tile_supported"):
        return torch.bfloat16, "multiplies bfloat16 matrices in hardware"
    elif device.type == "cpu" and _claims("_is_avx512_bf16_supported"):
        gain = bfloat16_gain()
        dtype = torch.bfloat16 if gain > WORTHWHILE else torch.float32
        return dtype, f"tried: a convolution is {gain:.2g} times as fast in bfloat16 here"
    return torch.float32, "has no bfloat16 units"


def _claims(question: str) -> bool:
    return getattr(torch.cpu, question, lambda: False)()  # private to torch; without it float32 is always right


WORTHWHILE = 1.15  # what `bfloat16_gain` must exceed, since attention gains less (measured: 1.16 in all, and this 1.35)


@torch.inference_mode(False)
@torch.enable_grad()
def bfloat16_gain() -> float:
    """How many times as fast a CPU trains the course's usual layers in bfloat16: group norm, SiLU, convolution, twice.

    On one thread, by the time that this thread computes, not by the clock on the wall: what else runs on the machine
    then changes little (measured with six programs on two cores: by the clock 0.3 to 7, so 1.2 to 1.5). No random
    number is drawn.
    """
    last, place = torch.channels_last, dict(device="cpu", dtype=torch.float32)
    x = torch.linspace(-1, 1, 8 * 32**3, **place).reshape(8, 32, 32, 32).contiguous(memory_format=last)
    kernels = [torch.full((32, 32, 3, 3), 0.01, **place).contiguous(memory_format=last) for _ in range(2)]
    scales = [torch.ones(32, **place) for _ in range(2)]
    weights = [tensor.requires_grad_() for tensor in (x, *kernels, *scales)]

    def seconds(mixed: bool) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            began = time.thread_time()
            y = x
            for kernel, scale in zip(kernels, scales, strict=True):
                y = F.conv2d(F.silu(F.group_norm(y, 8, scale)), kernel, padding=1)
            torch.autograd.grad(y.float().sum(), weights)
            return time.thread_time() - began

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds(False), seconds(True)  # the first calls choose kernels
        # In turns, so that other work slows both; a coarse clock (Windows's) may say 0.
        gains = [(seconds(False) + 1e-9) / (seconds(True) + 1e-9) for _ in range(7)]
    finally:
        torch.set_num_threads(threads)
    return statistics.median(gains)


def compute_dtype(device: torch.device, precision: str) -> torch.dtype:
    """The dtype in which a network shall compute, for precision "auto", "float32" or "bfloat16".

    Raises:
        ValueError: for another precision.
    """
    if check_precision(precision) == "auto":
        return choose(device)[0]
    return getattr(torch, precision)


def describe(device: torch.device, precision: str = "auto") -> str:
    """One line that says in what `tuned` and `train` compute on a device, and why."""
    dtype = str(compute_dtype(device, precision)).removeprefix("torch.")
    reason = choose(device)[1] if precision == "auto" else "as asked for"
    how = ", the course's networks as CUDA graphs" if device.type == "cuda" and precision != "float32" else ""
    return f"computing in {dtype} on {device} ({reason}){how}"


class InPrecision(nn.Module):
    """A network that computes in the dtype that `compute_dtype` chooses; its result, or results, have the pictures'."""

    def __init__(self, net: Callable[..., Tensor], device: torch.device, precision: str = "auto") -> None:
        super().__init__()
        self.net, self.device_type, self.dtype = net, device.type, compute_dtype(device, precision)

    def forward(self, x: Tensor, *args: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        mixed = self.dtype != torch.float32
        # CUDA graphs can't have autocast's cache; the course's networks use no weight twice, so nothing is lost.
        with torch.autocast(self.device_type, self.dtype, enabled=mixed, cache_enabled=False):
            y = self.net(x, *args)
        return tuple(part.to(x.dtype) for part in y) if isinstance(y, tuple) else y.to(x.dtype)


class Tuned:
    """A network as the device computes it fastest, for sampling: a Net, made by `tuned`."""

    def __init__(self, net: nn.Module, device: torch.device, precision: str) -> None:
        dtype = compute_dtype(device, precision)
        predict = copy.deepcopy(InPrecision(net, device, precision)).eval().requires_grad_(False)
        if dtype != torch.float32 or device.type == "cpu":  # what a GPU gains by it in float32 isn't measured
            predict.to(memory_format=torch.channels_last)
        for layer in predict.modules():
            if dtype != torch.float32 and type(layer) in (nn.Conv2d, nn.ConvTranspose2d, nn.Linear):
                layer.to(dtype)  # autocast would round these weights anew in every call; LastConv2d keeps its precision
        self.wraps, self._predict = net, predict
        self._replay = cuda_graphs.recorded(predict) if cuda_graphs.can_be_recorded(net, device) else predict

    def __call__(self, *args: Tensor | None) -> Tensor:
        return (self._predict if torch.is_grad_enabled() else self._replay)(*args)  # a replay leaves no gradient


class Evaluated:
    """A network itself, exactly as it is, but in eval mode for the call: a Net, made by `tuned`."""

    def __init__(self, net: nn.Module) -> None:
        self.wraps = net

    def __call__(self, *args: Tensor | None) -> Tensor:
        if not any(module.training for module in self.wraps.modules()):
            return self.wraps(*args)
        with evaluating(self.wraps):
            return self.wraps(*args)


def tuned(net: nn.Module, device: torch.device, precision: str = "auto") -> Tuned | Evaluated:
    """The network as the device computes it fastest, for sampling: a wrapper Net -> Net.

    A copy of what it is now, in eval mode, computes in the dtype that `compute_dtype` chooses, its weights in that
    dtype and in the layout that fast convolution kernels read (channels-last), by which a CPU without bfloat16 gains,
    too. On a CUDA device, a network of this course is replayed as a CUDA graph (see cuda_graphs.py). The off switch is
    precision="float32": the network itself computes, in eval mode. torch.inference_mode gains nothing over the no_grad
    of `walk`; torch.compile takes longer than a CPU samples.
    """
    dtype = compute_dtype(device, precision)
    double = next(net.parameters(), torch.empty(0)).dtype == torch.float64  # who computes in float64 wants its digits
    if precision == "float32" or double or (dtype == torch.float32 and device.type not in ("cpu", "cuda")):
        return carrying(Evaluated(net), net)
    return carrying(Tuned(net, device, precision), net)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device. A GPU takes it from pinned memory, so that the program needn't wait for the GPU."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def self_check() -> str:
    """What this machine brings for the course, a line each. Lesson 00."""
    device = pick_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    lines = {
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "device": f"{device} ({name})",
        "precision": str(compute_dtype(device, "auto")).removeprefix("torch."),
        "jupyterlab": _version("jupyterlab"),
        "ipywidgets": _version("ipywidgets"),
    }
    return "\n".join(f"{key:10}  {value}" for key, value in lines.items())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
