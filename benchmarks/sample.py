"""How fast is sampling: ours beside a diffusers pipeline, and what a sampler costs beside its network?

    uv run --group benchmarks python benchmarks/sample.py            # two to seven minutes on two cores
    uv run --group benchmarks python benchmarks/sample.py --quick    # half a minute: less of everything, nothing kept

Part 1: the shipped network inside our `walk`, as `Sampler` tunes it, and inside a diffusers pipeline, in float32 and in
torch's usual layout, from the same noise; DDPM with 1000 steps, DDIM with 50 and 20. Both call the network once a step.
"apart" is the mean difference of the pictures, in levels of 255 (for DDPM the two draw other noise, so there it is
left out). Part 2: each sampler is timed as a whole and inside the network, which is wrapped by a clock that also counts
its calls; "lean" is the least a DDPM loop can be: two tables, a few lines, no checks, no frames. All run in turns, and
the tables show medians over the rounds. Rows go to benchmarks/results/sample.csv and overhead.csv.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import torch
from measured import keep, show, warn_without_matrix_units
from torch import Tensor

from ddpm_teach import (
    LayerNormUNet,
    Sampler,
    clipped,
    ddim_step,
    ddpm_step,
    from_eps,
    guided,
    heun_step,
    linear,
    load_model,
    pick_device,
    trailing,
    walk,
)
from ddpm_teach.hardware.precision import describe
from ddpm_teach.interop import to_pipeline

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


def beside_diffusers(name: str, batch: int, steps: int, eta: float, rounds: int, device: torch.device) -> dict:
    """A row of sample.csv: both in turns, from the same noise."""
    model = load_model(name, device)
    pipeline = to_pipeline(model).to(device)
    pipeline.unet.to(memory_format=torch.contiguous_format)
    pipeline.set_progress_bar_config(disable=True)
    contexts = model.all_contexts(batch, torch.Generator().manual_seed(0))  # None for a network that takes none
    contexts = contexts if contexts is None else contexts[:: len(model.classes)]
    noise = torch.randn(batch, *model.image_shape, generator=torch.Generator().manual_seed(0))
    sampler = Sampler("ddim", steps=steps, eta=eta)

    def ours() -> Tensor:
        *_, last = sampler.frames(model, batch, contexts, seed=0)
        return last.x

    def theirs() -> Tensor:
        options = {"num_inference_steps": steps, "eta": eta, "generator": torch.Generator().manual_seed(1)}
        return pipeline(context=contexts, noise=noise, **options).images

    seconds, pictures = {"theirs": [], "ours": []}, {}
    for _ in range(rounds):
        for who, run in (("theirs", theirs), ("ours", ours)):
            start = time.perf_counter()
            pictures[who] = run().cpu()
            seconds[who].append(time.perf_counter() - start)
    ratios = sorted(a / b for a, b in zip(*seconds.values(), strict=True))
    apart = (pictures["ours"] - pictures["theirs"]).abs().mean().item() * 127.5
    return {
        "net": name,
        "batch": batch,
        "sampler": "DDPM" if eta else "DDIM",
        "steps": steps,
        "diffusers images/s": round(batch / statistics.median(seconds["theirs"]), 2),
        "ours images/s": round(batch / statistics.median(seconds["ours"]), 2),
        "ratio": round(statistics.median(ratios), 2),
        "least": round(ratios[0], 2),
        "greatest": round(ratios[-1], 2),
        "apart, of 255": "" if eta else round(apart, 2),
    }


def overhead(batch: int, steps: int, rounds: int, device: torch.device) -> list[dict]:
    """Rows of overhead.csv: the share of a sampler's time that isn't the network's."""
    torch.manual_seed(0)
    net, x = LayerNormUNet().to(device).eval(), torch.randn(batch, 1, 28, 28, device=device)
    shares, calls = {name: [] for name in SAMPLERS}, {}
    for round_number in range(rounds + 1):
        for name, run in SAMPLERS.items():
            clock = Clock(net, device)
            began = time.perf_counter()
            run(clock, x, steps)
            seconds = time.perf_counter() - began
            if round_number:  # the first round warms up
                shares[name].append(1 - clock.seconds / seconds)
            calls[name] = clock.calls
    return [
        {
            "net": "LayerNormUNet",
            "batch": batch,
            "steps": steps,
            "sampler": name,
            "net calls": calls[name],
            "outside the net, %": round(100 * statistics.median(share), 2),
            "least": round(100 * min(share), 2),
            "greatest": round(100 * max(share), 2),
        }
        for name, share in shares.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps and rounds; nothing is kept")
    args = parser.parse_args()
    device = pick_device()
    print(describe(device))
    many = 64 if device.type == "cuda" else 16  # 1,000 steps of 64 sprites would take minutes on a CPU
    runs = [("sprites", 64, 20, 0.0, 5), ("sprites", 64, 50, 0.0, 3), ("sprites", many, 1000, 1.0, 2)]
    runs += [("mnist", 64, 50, 0.0, 3), ("mnist32", many, 50, 0.0, 3)]
    if args.quick:
        runs = list(dict.fromkeys((name, 4, 10, eta, 2) for name, _, _, eta, _ in runs))
        print("--quick draws 4 pictures at a time, too few to fill the machine: its ratios are no measurement")
    rows = [beside_diffusers(*run, device) for run in runs]
    show(rows)
    shares = [row for batch in (16, 1) for row in overhead(batch, *((10, 2) if args.quick else (50, 5)), device)]
    show(shares)
    warn_without_matrix_units(device)
    if not args.quick:
        keep("sample", rows, device, seeds="0 1")
        keep("overhead", shares, device, seeds="0")


if __name__ == "__main__":
    main()
