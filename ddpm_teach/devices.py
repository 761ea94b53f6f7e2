"""Where to compute, and how precisely: chosen by what the hardware has, never by a stopwatch."""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import platform
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ddpm_teach import graphs

PRECISIONS = ("auto", "float32", "bfloat16")


def pick_device() -> torch.device:
    """The fastest device at hand: cuda, else mps, else cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware. Emulated bfloat16 would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":  # the questions are private to torch; where one is missing, float32 is always right
        asks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(getattr(torch.cpu, ask, lambda: False)() for ask in asks)
    return False


def compute_dtype(device: torch.device, precision: str) -> torch.dtype:
    """The dtype in which a network shall compute, for precision "auto", "float32" or "bfloat16".

    Raises:
        ValueError: for another precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "auto":
        return torch.bfloat16 if has_native_bfloat16(device) else torch.float32
    return getattr(torch, precision)


def tuned(net: Callable[..., Tensor], device: torch.device, precision: str = "auto") -> Callable[..., Tensor]:
    """The network as the device computes it fastest, for sampling, with a float32 result: a wrapper Net -> Net.

    It computes in the dtype that `compute_dtype` chooses; a module as a copy of what it is now, in eval mode, with its
    weights in that dtype and in the layout that fast convolution kernels read (channels-last), by which a CPU without
    bfloat16 gains, too. On a CUDA device, a network of this course is replayed as a CUDA graph (see graphs.py).
    The off switch is precision="float32": the network itself comes back, exactly as it is, in the mode that it is in.
    torch.inference_mode gains nothing over the no_grad of `walk`; torch.compile takes longer than a CPU samples.
    """
    dtype = compute_dtype(device, precision)
    if precision == "float32" or (dtype == torch.float32 and device.type not in ("cpu", "cuda")):
        return net
    predict = InPrecision(net, device, precision)
    if isinstance(net, nn.Module):
        predict = copy.deepcopy(predict).eval().requires_grad_(False)
        if dtype != torch.float32 or device.type == "cpu":  # what a GPU gains by it in float32 isn't measured
            predict.to(memory_format=torch.channels_last)
        for layer in predict.modules():
            if type(layer) in (nn.Conv2d, nn.ConvTranspose2d, nn.Linear):  # LastConv2d keeps its precision
                layer.to(dtype)  # autocast would round these weights anew in every call
    replay = graphs.recorded(predict) if graphs.can_be_recorded(net, device) else predict

    def fast(*args: Tensor | None) -> Tensor:
        return (predict if torch.is_grad_enabled() else replay)(*args)  # a replay leaves nothing to differentiate

    if hasattr(net, "T"):
        fast.T = net.T  # so that a schedule of another length is still refused
    return fast


def tuned_step(
    step: Callable[..., Tensor], net: nn.Module, device: torch.device, precision: str = "auto"
) -> Callable[..., Tensor]:
    """What a step of training asks the device to compute, replayed as a CUDA graph where `net` can be (see graphs.py).

    precision="float32" switches that off, too.
    """
    if precision == "float32" or not graphs.can_be_recorded(net, device):
        return step
    return graphs.recorded_step(step, list(net.parameters()))


class InPrecision(nn.Module):
    """A network that computes in the dtype that `compute_dtype` chooses, with float32 results and gradients."""

    def __init__(self, net: Callable[..., Tensor], device: torch.device, precision: str = "auto") -> None:
        super().__init__()
        self.net, self.device_type, self.dtype = net, device.type, compute_dtype(device, precision)

    def forward(self, *args: Tensor | None) -> Tensor:
        mixed = self.dtype != torch.float32
        # CUDA graphs can't have autocast's cache; the course's networks use no weight twice, so nothing is lost.
        with torch.autocast(self.device_type, self.dtype, enabled=mixed, cache_enabled=False):
            return self.net(*args).float()


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device. A GPU takes it from pinned memory, so that the program needn't wait for the GPU."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def choice(device: torch.device, precision: str = "auto") -> str:
    """One line that says what `tuned` and `train` choose for a device, and why."""
    dtype = str(compute_dtype(device, precision)).removeprefix("torch.")
    has = "multiplies bfloat16 in hardware" if has_native_bfloat16(device) else "has no bfloat16 units"
    reason = has if precision == "auto" else "as asked for"
    how = ", the course's networks as CUDA graphs" if device.type == "cuda" and precision != "float32" else ""
    return f"computing in {dtype} on {device} ({reason}){how}"


@contextlib.contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; every module's own mode is put back after it, also after an error."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


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
