"""What does a sampler cost beside its network? Each run is timed as a whole and inside the network.

    uv run python benchmarks/sample.py            # about 2 minutes on two cores
    uv run python benchmarks/sample.py --quick    # half a minute

The network is wrapped by a clock that also counts its calls. "lean" is the least a DDPM loop can be: two tables, a few
lines, no checks, no frames. The network and the batch are the same for all, and they run in turns; the share is the
median over the rounds. Rows go to benchmarks/results/sample.csv.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import itertools
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ddpm_teach import (
    LayerNormUNet,
    clipped,
    ddim_step,
    ddpm_step,
    from_eps,
    guided,
    heun_step,
    linear,
    pick_device,
    trailing,
    walk,
)

RESULTS = Path(__file__).parent / "results" / "sample.csv"
SCHEDULE = linear()


class Clock:
    """A network that measures the seconds inside itself and counts its calls. It drops the context: the network here
    takes none, and guidance is measured for what its doubled batch costs."""

    def __init__(self, net: torch.nn.Module, device: torch.device) -> None:
        self.net, self.device, self.seconds, self.calls = net, device, 0.0, 0

    def __call__(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        began = self._now()
        result = self.net(x, t)
        self.seconds += self._now() - began
        self.calls += 1
        return result

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def lean(net: Callable, x: Tensor, steps: int) -> Tensor:
    """DDPM with every time of a short list, by hand."""
    ab = SCHEDULE.alpha_bar.tolist()
    times = trailing(SCHEDULE.T, steps)
    with torch.no_grad():
        for t, s in itertools.pairwise(times):
            eps = net(x, torch.full((len(x),), t, device=x.device))
            alpha = ab[t] / ab[s]
            x = (x - (1 - alpha) / (1 - ab[t]) ** 0.5 * eps) / alpha**0.5
            if s > 0:
                x = x + (1 - alpha) ** 0.5 * torch.randn_like(x)
    return x


def ours(make: Callable) -> Callable:
    def run(net: Callable, x: Tensor, steps: int) -> Tensor:
        *_, last = walk(make(net), x, trailing(SCHEDULE.T, steps))
        return last.x

    return run


def denoiser(net: Callable) -> Callable:
    return clipped(from_eps(net, SCHEDULE), SCHEDULE)


SAMPLERS = {
    "lean DDPM loop": lean,
    "ddpm_step": ours(lambda net: ddpm_step(from_eps(net, SCHEDULE), SCHEDULE)),
    "ddpm_step, clipped": ours(lambda net: ddpm_step(denoiser(net), SCHEDULE)),
    "ddim_step, clipped": ours(lambda net: ddim_step(denoiser(net), SCHEDULE)),
    "ddim_step, clipped, eta 1": ours(lambda net: ddim_step(denoiser(net), SCHEDULE, 1.0)),
    "ddim_step, guided": ours(lambda net: ddim_step(denoiser(guided(net, torch.eye(10)[:1], 2.0)), SCHEDULE)),
    "heun_step, clipped": ours(lambda net: heun_step(denoiser(net), SCHEDULE)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if args.quick:
        args.steps, args.rounds = 20, 3
    device = pick_device()
    torch.manual_seed(0)
    net = LayerNormUNet().to(device).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 1, 28, 28, device=device), torch.ones(1, dtype=torch.long, device=device))
    rows = []
    for batch in (16, 1):
        x = torch.randn(batch, 1, 28, 28, device=device)
        shares, calls = {name: [] for name in SAMPLERS}, {}
        for round_number in range(args.rounds + 1):
            for name, run in SAMPLERS.items():
                clock = Clock(net, device)
                began = time.perf_counter()
                run(clock, x, args.steps)
                seconds = time.perf_counter() - began
                if round_number:  # the first round warms up
                    shares[name].append(1 - clock.seconds / seconds)
                calls[name] = clock.calls
        for name, share in shares.items():
            rows.append(
                {
                    "date": datetime.date.today().isoformat(),
                    "net": f"LayerNormUNet, {counter.get_total_flops() / 1e6:.0f} MFLOP",
                    "batch": batch,
                    "steps": args.steps,
                    "sampler": name,
                    "net calls": calls[name],
                    "outside the net, %": round(100 * statistics.median(share), 2),
                    "least": round(100 * min(share), 2),
                    "greatest": round(100 * max(share), 2),
                    "device": f"{device}, {torch.get_num_threads()} threads",
                    "torch": torch.__version__,
                    "python": platform.python_version(),
                }
            )
            print(f"batch {batch:2}  {name:26} {calls[name]:4} calls {rows[-1]['outside the net, %']:6.2f} % outside")
    new = not RESULTS.exists()
    RESULTS.parent.mkdir(exist_ok=True)
    with open(RESULTS, "a", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        if new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
