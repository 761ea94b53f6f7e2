"""How far are the networks from what this machine can multiply, and which layers hold them back?

    uv run python benchmarks/roofline.py            # half a minute on two CPU cores
    uv run python benchmarks/roofline.py --quick    # as long, but one round instead of five; nothing is kept

The peak is measured: the best of several products of square matrices and of a 3×3 convolution. A network's
floating-point operations are counted by torch (forward; a training step counts forward and backward) and divided by the
median time; what is timed is what sampling and training do, in bfloat16 on a GPU as CUDA graphs, and there also with
batches of 16 times as many. (In float32 a GPU convolves with TF32 units, so that it can pass the peak of a product.)
Rows go to benchmarks/results/roofline.csv; the kinds of layers and torch's operations that take most of
the time, with their share, to roofline_shares.csv ("GFLOP/s" is empty where torch counts no operations, as in a norm).
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import torch
from measured import keep, show, warn_without_matrix_units
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ddpm_teach import AttentionUNet, ContextUNet, LayerNormUNet, pick_device
from ddpm_teach.hardware.cuda_graphs import recorded_step
from ddpm_teach.hardware.precision import InPrecision, tuned

NETS = ((ContextUNet, 64), (LayerNormUNet, 128), (AttentionUNet, 4))  # with a batch's size on a CPU
PRECISIONS = ("float32", "bfloat16")


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(run: Callable[[], object], rounds: int, device: torch.device) -> list[float]:
    for _ in range(5 if device.type == "cuda" else 1):  # warms up, and records what shall be replayed
        run()
    spent = []
    for _ in range(rounds):
        start = now(device)
        run()
        spent.append(now(device) - start)
    return spent


def peak(dtype: torch.dtype, rounds: int, device: torch.device) -> float:
    """FLOP/s, the best of matrix products of several sizes and of a 3×3 convolution of 64 channels."""
    rates, rounds = [], max(10, rounds)
    for n in (2048, 4096, 8192) if device.type == "cuda" else (512, 1024, 2048):
        a, b = torch.randn(2, n, n, device=device).to(dtype)
        rates.append(2 * n**3 / min(timed(functools.partial(torch.mm, a, b), rounds, device)))
    x, w = torch.randn(64, 64, 16, 16, device=device), torch.randn(64, 64, 3, 3, device=device)
    x, w = (tensor.to(dtype, memory_format=torch.channels_last) for tensor in (x, w))
    convolve = functools.partial(nn.functional.conv2d, x, w, padding=1)
    rates.append(2 * w.numel() * len(x) * 16 * 16 / min(timed(convolve, rounds, device)))
    return max(rates)


def made(
    build: Callable[[], nn.Module], batch: int, device: torch.device
) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """A new network and arguments for it."""
    torch.manual_seed(0)
    net = build().to(device, memory_format=torch.channels_last)
    x = torch.randn(batch, *net.image_shape, device=device).contiguous(memory_format=torch.channels_last)
    t = torch.randint(1, 1001, (batch,), device=device)
    context_dim = net.config.get("context_dim")
    return net, (x, t, torch.zeros(batch, context_dim, device=device)) if context_dim else (x, t)


def speeds(net: nn.Module, inputs: tuple, precision: str, peak: float, rounds: int, device: torch.device) -> list[dict]:
    """Rows of roofline.csv: a call as sampling makes it, and the gradients of one as training computes them."""
    predict = tuned(net.eval(), device, precision)

    @torch.no_grad()
    def forward() -> None:
        predict(*inputs)

    step = gradients(net, inputs, device, precision)
    # As `train` does: recorded where the network can be, but for float32.
    replayed = step if precision == "float32" else recorded_step(step, net, device, lambda: inputs)
    rows = []
    for what, counted, run in (
        ("forward", lambda: net.eval()(*inputs), forward),
        ("forward and backward", step, replayed),
    ):
        net.train(what != "forward")
        with FlopCounterMode(display=False) as counter:
            counted()
        flops, spent = counter.get_total_flops(), statistics.median(timed(run, rounds, device))
        rows.append(
            {
                "net": type(net).__name__,
                "batch": len(inputs[0]),
                "dtype": precision,
                "pass": what,
                "GFLOP": round(flops / 1e9, 1),
                "ms": round(1000 * spent, 1 if spent > 0.01 else 3),
                "GFLOP/s": round(flops / spent / 1e9),
                "peak GFLOP/s": round(peak / 1e9),
                "share of peak, %": round(100 * flops / spent / peak, 1),
            }
        )
    return rows


def gradients(net: nn.Module, inputs: tuple, device: torch.device, precision: str) -> Callable[[], torch.Tensor]:
    """What a training step asks of a network; without arguments, since they stay the same here."""
    predict = InPrecision(net, device, precision)

    def step() -> torch.Tensor:
        net.zero_grad(set_to_none=True)
        loss = predict(*inputs).square().mean()
        loss.backward()
        return loss.detach()

    return step


def by_layer(net: nn.Module, inputs: tuple, device: torch.device) -> list[dict]:
    """The kinds of layers that take most of a forward pass in bfloat16, and their speed."""
    predict = InPrecision(net, device, "bfloat16")
    run = torch.no_grad()(lambda: predict(*inputs))
    began, seconds, flops = {}, defaultdict(float), defaultdict(int)
    leaves = {name: module for name, module in net.named_modules() if not list(module.children())}
    counter = FlopCounterMode(display=False)
    with counter:
        run()
    counts = {name.partition(".net.")[2]: sum(c.values()) for name, c in counter.flop_counts.items()}
    hooks = []
    for name, module in leaves.items():
        kind = type(module).__name__

        def enter(_, inputs, name=name):
            began[name] = now(device)

        def leave(_, inputs, output, name=name, kind=kind):
            seconds[kind] += now(device) - began[name]

        flops[kind] += counts.get(name, 0)
        hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    start = now(device)
    run()
    whole = now(device) - start
    for hook in hooks:
        hook.remove()
    seconds["between the layers"] = whole - sum(seconds.values())
    return largest(net, "forward, by layers", seconds, flops)


def operations(net: nn.Module, inputs: tuple, device: torch.device) -> list[dict]:
    """torch's operations that take most of a training step in bfloat16."""
    step, cuda = gradients(net, inputs, device, "bfloat16"), device.type == "cuda"
    step()
    with torch.profiler.profile() as profile:
        step()
    calls = [event for event in profile.key_averages() if event.device_type == torch.autograd.DeviceType.CPU]
    seconds = {call.key: (call.self_device_time_total if cuda else call.self_cpu_time_total) / 1e6 for call in calls}
    return largest(net, "training step, by operations", seconds, {})


def largest(net: nn.Module, of: str, seconds: dict[str, float], flops: dict[str, int]) -> list[dict]:
    """Rows of roofline_shares.csv: the six parts that take most of the time."""
    whole = sum(seconds.values())
    return [
        {
            "net": type(net).__name__,
            "of": of,
            "part": part,
            "share, %": round(100 * spent / whole),
            "GFLOP/s": round(flops.get(part, 0) / spent / 1e9) or "",
        }
        for part, spent in sorted(seconds.items(), key=lambda item: -item[1])[:6]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round instead of five; nothing is kept")
    args = parser.parse_args()
    device, rounds, rows, shares = pick_device(), 1 if args.quick else 5, [], []
    peaks = {precision: peak(getattr(torch, precision), rounds, device) for precision in PRECISIONS}
    for build, few in NETS:
        for batch in (few, 16 * few) if device.type == "cuda" else (few,):
            net, inputs = made(build, batch, device)
            for precision in PRECISIONS:
                rows += speeds(net, inputs, precision, peaks[precision], rounds, device)
        shares += by_layer(net.eval(), inputs, device) + operations(net.train(), inputs, device)
    print("In bfloat16, where the time goes:")
    show(shares)
    print()
    show(rows)
    warn_without_matrix_units(device)
    if not args.quick:
        keep("roofline", rows, device, seeds="0")
        keep("roofline_shares", shares, device, seeds="0")


if __name__ == "__main__":
    main()
