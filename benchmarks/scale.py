"""How do costs grow: with processes, guidance, frames that are kept, the size of pictures, and the batch?

    uv run python benchmarks/scale.py            # one to three minutes on two CPU cores
    uv run python benchmarks/scale.py --quick    # a quarter of a minute; nothing is kept

Each line is one thing changed and all else the same, measured in turns; the table shows medians. Training by several
processes goes through torchrun, as `torchrun --nproc_per_node 2 -m ddpm_teach train mnist` does; one process computes
with as many threads as torch has here, two with half as many each. Rows go to benchmarks/results/scale.csv.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from measured import keep, show, warn_without_matrix_units

from ddpm_teach import (
    AttentionUNet,
    ImageSet,
    LayerNormUNet,
    RunOptions,
    Sampler,
    TrainState,
    linear,
    load_model,
    pick_device,
    preset,
    train,
)
from ddpm_teach.hardware.precision import tuned
from ddpm_teach.training.distributed import Processes


def in_turns(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """name → median seconds, after two rounds of warming up."""
    spent = {name: [] for name in runs}
    for round_number in range(-1, rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if round_number > 0:
                spent[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in spent.items()}


def digits(n: int) -> ImageSet:
    """Noise in the shape of MNIST: what training costs doesn't depend on what the pictures show."""
    images = torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(images, torch.arange(n) % 10, tuple("0123456789"))


def worker(steps: int) -> None:
    """One of the processes that torchrun starts; the first prints the seconds of the steps after the third."""
    processes = Processes.launched()
    state = TrainState.create(LayerNormUNet(), linear(), RunOptions(steps=steps + 3, batch_size=128))
    loop = train(state, digits(1_000), processes)
    list(itertools.islice(loop, 3))
    start = time.perf_counter()
    list(loop)
    if processes.rank == 0:
        print(f"seconds {time.perf_counter() - start}")
    processes.leave()


def training(count: int, steps: int) -> float:
    """Seconds of so many steps by so many processes."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={count}", __file__]
    # An address of its own each time, and the cores shared out fairly.
    threads = str(max(1, torch.get_num_threads() // count))
    env = os.environ | {"OMP_NUM_THREADS": threads}
    options = ["--worker", str(steps)]
    done = subprocess.run([*command, *options], env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(done.stdout.split("seconds ")[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, fewer sizes; nothing is kept")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker)
    torch.manual_seed(0)
    device, rounds = pick_device(), 1 if args.quick else 3
    rows, model = [], load_model("sprites", device)
    hero = model.context("hero", n=8, rng=torch.Generator().manual_seed(0))

    def add(what: str, unit: str, values: dict[str, float]) -> None:
        first = next(iter(values.values()))
        rows.extend(
            {"what": what, "at": at, "value": round(value, 3), "unit": unit, "times the first": round(value / first, 2)}
            for at, value in values.items()
        )

    if torch.get_num_threads() == 1:
        print("torch has one thread here: two processes will have one each, so together twice as many as one has")
    steps, spent = 5 if args.quick else 30, {"1": [], "2": []}
    for _ in range(rounds):
        for count, values in spent.items():
            values.append(128 * steps / training(int(count), steps))
    rates = {count: statistics.median(values) for count, values in spent.items()}
    add("processes that train LayerNormUNet", "images/s", rates)

    def draw(scale: float, keeping: bool = False) -> list:
        frames = Sampler(steps=10, guidance_scale=scale).frames(model, 8, hero)
        return list(frames) if keeping else [frame for frame in frames if frame.t == 0]

    spent = in_turns({"1 (none)": lambda: draw(1.0), "2": lambda: draw(2.0)}, rounds)
    add("guidance scale, 10 steps of 8 sprites", "s", spent)
    spent = in_turns({"the last": lambda: draw(1.0), "all": lambda: draw(1.0, keeping=True)}, rounds)
    add("frames kept, 10 steps of 8 sprites", "s", spent)
    frame = draw(1.0)[0]
    each = sum(x.nbytes for x in (frame.x, frame.x0, frame.eps)) / 1e6
    add("memory for frames of 8 sprites", "MB", {"1": each, "51": 51 * each, "1001": 1001 * each})

    def forward(net: torch.nn.Module, batch: int) -> Callable[[], object]:
        x, t = torch.randn(batch, *net.image_shape, device=device), torch.full((batch,), 500, device=device)
        fast = tuned(net, device)
        return torch.no_grad()(lambda: fast(x, t))

    sizes = (16, 32) if args.quick else (16, 32, 64)
    small = preset("mnist32", "cpu-hour").net["config"]  # attention at 16×16 in all
    nets = {f"{size}×{size}": AttentionUNet(**small | {"size": size}).to(device).eval() for size in sizes}
    spent = in_turns({at: forward(net, 4) for at, net in nets.items()}, rounds)
    add("picture size, one call of the small AttentionUNet with 4", "s", spent)
    batches = (1, 16) if args.quick else (1, 4, 16, 64, 256)
    context_unet = load_model("sprites-context", device).net
    spent = in_turns({str(n): forward(context_unet, n) for n in batches}, rounds)
    add("batch, one call of ContextUNet", "images/s", {n: int(n) / value for n, value in spent.items()})
    show(rows)
    warn_without_matrix_units(device)
    if not args.quick:
        keep("scale", rows, device, seeds="0")


if __name__ == "__main__":
    main()
