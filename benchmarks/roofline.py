"""How far are the networks from what this machine can multiply, and which layers hold them back?

    uv run python benchmarks/roofline.py            # about a minute on two CPU cores
    uv run python benchmarks/roofline.py --quick    # as long, but one round instead of five; nothing is kept

The peak is measured: the best of several products of square matrices and of a 3×3 convolution. A network's
floating-point operations are counted by torch (forward; a training step counts forward and backward) and divided by the
median time. Rows go to benchmarks/results/roofline.csv; the kinds of layers and torch's operations that take most of
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
from measured import keep, show, warn_without_bfloat16
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ddpm_teach import ContextUNet, pick_device
from ddpm_teach.nets import AttentionUNet, LayerNormUNet

NETS = {"ContextUNet": (ContextUNet, 64), "LayerNormUNet": (LayerNormUNet, 128), "AttentionUNet": (AttentionUNet, 4)}
PRECISIONS = (torch.float32, torch.bfloat16)


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(run: Callable[[], object], rounds: int, device: torch.device) -> list[float]:
    run()  # warms up
    spent = []
    for _ in range(rounds):
        start = now(device)
        run()
        spent.append(now(device) - start)
    return spent


def peak(dtype: torch.dtype, rounds: int, device: torch.device) -> float:
    """FLOP/s, the best of matrix products of three sizes and of a 3×3 convolution of 64 channels."""
    rates, rounds = [], max(10, rounds)
    for n in (512, 1024, 2048):
        a, b = torch.randn(2, n, n, device=device).to(dtype)
        rates.append(2 * n**3 / min(timed(functools.partial(torch.mm, a, b), rounds, device)))
    x, w = torch.randn(64, 64, 16, 16, device=device), torch.randn(64, 64, 3, 3, device=device)
    x, w = (tensor.to(dtype, memory_format=torch.channels_last) for tensor in (x, w))
    convolve = functools.partial(nn.functional.conv2d, x, w, padding=1)
    rates.append(2 * w.numel() * len(x) * 16 * 16 / min(timed(convolve, rounds, device)))
    return max(rates)


def by_layer(net: nn.Module, run: Callable[[], object], device: torch.device) -> list[dict]:
    """The kinds of layers that take most of a forward pass, and their speed."""
    began, seconds, flops = {}, defaultdict(float), defaultdict(int)
    leaves = {name: module for name, module in net.named_modules() if not list(module.children())}
    counter = FlopCounterMode(display=False)
    with counter:
        run()
    counts = {name.removeprefix(f"{type(net).__name__}."): sum(c.values()) for name, c in counter.flop_counts.items()}
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


def operations(net: nn.Module, step: Callable[[], object]) -> list[dict]:
    """torch's operations that take most of a training step."""
    with torch.profiler.profile() as profile:
        step()
    seconds = {event.key: event.self_cpu_time_total / 1e6 for event in profile.key_averages()}
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
    peaks = {dtype: peak(dtype, rounds, device) for dtype in PRECISIONS}
    for name, (build, batch) in NETS.items():
        torch.manual_seed(0)
        net = build().to(device, memory_format=torch.channels_last)
        x = torch.randn(batch, *net.image_shape, device=device).contiguous(memory_format=torch.channels_last)
        t = torch.randint(1, 1001, (batch,), device=device)
        context_dim = net.config.get("context_dim")
        inputs = (x, t, torch.zeros(batch, context_dim, device=device)) if context_dim else (x, t)
        for dtype in PRECISIONS:

            def forward(net=net, inputs=inputs, dtype=dtype):
                with torch.no_grad(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                    net(*inputs)

            def step(net=net, inputs=inputs, dtype=dtype):
                net.zero_grad(set_to_none=True)
                with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                    prediction = net(*inputs)
                prediction.float().square().mean().backward()

            for what, run in (("forward", forward), ("forward and backward", step)):
                net.train(run is step)
                with FlopCounterMode(display=False) as counter:
                    run()
                flops, spent = counter.get_total_flops(), statistics.median(timed(run, rounds, device))
                rows.append(
                    {
                        "net": name,
                        "batch": batch,
                        "dtype": str(dtype).removeprefix("torch."),
                        "pass": what,
                        "GFLOP": round(flops / 1e9, 1),
                        "ms": round(1000 * spent, 1),
                        "GFLOP/s": round(flops / spent / 1e9),
                        "peak GFLOP/s": round(peaks[dtype] / 1e9),
                        "share of peak, %": round(100 * flops / spent / peaks[dtype], 1),
                    }
                )
        shares += by_layer(net.eval(), forward, device) + operations(net.train(), step)
    print("In bfloat16, where the time goes:")
    show(shares)
    print()
    show(rows)
    warn_without_bfloat16(device)
    if not args.quick:
        keep("roofline", rows, device)
        keep("roofline_shares", shares, device)


if __name__ == "__main__":
    main()
