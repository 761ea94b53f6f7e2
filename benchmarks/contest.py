"""Which network, target, times and plan draw the best sprites after twenty minutes of two cores?

    uv run python benchmarks/contest.py                  # all entrants: five hours of two cores, ten minutes of a GPU
    uv run python benchmarks/contest.py drawer-v told-v  # these
    uv run python benchmarks/contest.py --share 0.02 --n 50 drawer-v   # a look; nothing is kept
    uv run python benchmarks/contest.py --pace           # measures SECONDS on this machine

Every entrant differs from another in one thing. Each makes as many steps as two cores make in twenty minutes, by
SECONDS, so that it doesn't matter which machine carries them out, or what else that one does. It is judged by 1,000
samples, 20 DDIM steps at guidance scale 2: the Fréchet distance with its floor, whether class, kind and main colour are
as asked (by a judge that is right as often as its ceiling says), and what an eye sees first. Runs are kept in
runs/contest/, so that an interrupted one goes on. Rows go to benchmarks/results/contest.csv as they come.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from measured import check_names, keep, positive

from ddpm_teach import RunOptions, Sampler, evaluate, load_checkpoint, pick_device, preset
from ddpm_teach.training.distributed import ALONE
from ddpm_teach.training.presets import load_data
from ddpm_teach.training.runs import train_run
from ddpm_teach.training.trial import seconds_per_step

RUNS = Path(__file__).parents[1] / "runs" / "contest"
DRAWER = preset("sprites", "cpu-hour")
TOLD = preset("sprites-context", "cpu-hour")


def with_net(options: RunOptions, **config: object) -> RunOptions:
    """The same plan with another network of that kind."""
    return replace(options, net={"name": options.net["name"], "config": {**options.net["config"], **config}})


ENTRANTS = {
    # AttentionUNet, told all attributes: target, times, weights, average, rate
    "drawer-v": DRAWER,
    "drawer-eps": replace(DRAWER, target="eps"),
    "drawer-x0": replace(DRAWER, target="x0"),
    "drawer-flow": replace(DRAWER, target="flow"),
    "drawer-uniform-times": replace(DRAWER, times="uniform"),
    "drawer-min-snr": replace(DRAWER, min_snr=5.0),
    "drawer-lr-1e-3": replace(DRAWER, lr=1e-3),
    # its widths, and where it attends
    "drawer-narrow": with_net(DRAWER, widths=(32, 48, 80, 112, 120, 88)),
    "drawer-attention-8": with_net(DRAWER, attention_at=(8,)),
    "drawer-no-attention": with_net(DRAWER, attention_at=()),
    # told the class alone
    "drawer-class": with_net(replace(DRAWER, condition="class"), context_dim=5),
    # ContextUNet, told the class, then the attributes
    "told-v": TOLD,
    "told-eps": replace(TOLD, target="eps"),
    "told-x0": replace(TOLD, target="x0"),
    "told-attributes": with_net(replace(TOLD, condition="attributes"), context_dim=DRAWER.net["config"]["context_dim"]),
}
SAMPLER = Sampler("ddim", steps=20, guidance_scale=2.0)


# Of a step, on two cores of an AMD EPYC with bfloat16 units, by --pace on 2026-11-27: rounded means of one to three
# measurements, which other work on the machine moved by up to a quarter.
# Those that aren't named compute the same as the first of their kind.
SECONDS = {
    "drawer": 0.60,
    "drawer-attention-8": 0.57,
    "drawer-narrow": 0.45,
    "drawer-no-attention": 0.46,
    "told": 0.25,
}


def steps_of(name: str, share: float) -> int:
    """How many steps an entrant makes in that share of twenty minutes."""
    seconds = SECONDS.get(name, SECONDS[name.split("-")[0]])
    return max(1, round(share * 20 * 60 / seconds))


def run(name: str, share: float, n: int, device: torch.device) -> dict:
    """Trains an entrant, or goes on with it, and judges it: a row of the table."""
    options = replace(ENTRANTS[name], steps=steps_of(name, share), budget=None)
    folder = RUNS / f"{name}-{options.steps}"
    begun = (folder / "last.pt").exists()
    if not begun or load_checkpoint(folder / "last.pt").step < options.steps:
        train_run(options, folder, device=device, resume=begun)
    state = load_checkpoint(folder / "last.pt", device=device)
    result = evaluate(state.model, SAMPLER, n)
    row = {"entrant": name, "steps": state.step, "parameters": parameters(state.net)}
    row |= {"distance": result.frechet.value, "error": result.frechet.error, "floor": result.floor.value}
    row["class"] = result.accuracy.value
    row |= {column: result.named[column].samples.value if result.named else "" for column in ("kind", "color")}
    return row | {measure: compared.samples.value for measure, compared in result.looks.items()}


def pace(name: str) -> float:
    """Seconds of a step on two cores of this machine."""
    torch.set_num_threads(2)
    images, _ = load_data(ENTRANTS[name])
    return min(seconds_per_step(ENTRANTS[name], images, torch.device("cpu"), ALONE) for _ in range(2))


def parameters(net: torch.nn.Module) -> int:
    """How many numbers are learned."""
    return sum(weight.numel() for weight in net.parameters() if weight.requires_grad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("entrants", nargs="*", help=f"{', '.join(ENTRANTS)} (default: all)")
    parser.add_argument("--share", type=positive(float), default=1.0, help="of the steps (default: all of them)")
    parser.add_argument("--n", type=positive(int), default=1000, help="samples that are judged (default: %(default)s)")
    parser.add_argument("--pace", action="store_true", help="only measure what a step takes")
    args = parser.parse_args()
    names = args.entrants or list(ENTRANTS)
    check_names(parser, names, ENTRANTS)
    device = pick_device()
    for name in names:
        if args.pace:
            print(f'    "{name}": {pace(name):.3f},', flush=True)
            continue
        row = run(name, args.share, args.n, device)
        print(row, flush=True)
        if (args.share, args.n) == (1.0, 1000):
            keep("contest", [row], device, "0")


if __name__ == "__main__":
    main()
