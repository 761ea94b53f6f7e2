"""Which network, target, times and plan draw the best sprites after twenty minutes of two cores?

    uv run python benchmarks/contest.py                  # all entrants, about seven hours, one after the other
    uv run python benchmarks/contest.py drawer-v told-v  # these
    uv run python benchmarks/contest.py --minutes 0.5 --n 50 drawer-v   # a look; nothing is kept

Every entrant differs from another in one thing. Each trains for the same time by the clock, alone on the machine, and
is judged by 1,000 samples, 20 DDIM steps at guidance scale 2: the Fréchet distance with its floor, whether class, kind
and main colour are as asked (by a judge that is right as often as its ceiling says), and what an eye sees first. Runs
are kept in runs/contest/, so that an interrupted one goes on. Rows go to benchmarks/results/contest.csv as they come.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from measured import check_names, keep, positive

from ddpm_teach import RunOptions, Sampler, evaluate, load_checkpoint, pick_device, preset
from ddpm_teach.training.runs import train_run

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
    "drawer-cosine": replace(DRAWER, schedule="cosine"),
    "drawer-ema-9995": replace(DRAWER, ema_decay=0.9995),
    "drawer-lr-1e-3": replace(DRAWER, lr=1e-3),
    "drawer-batch-64": replace(DRAWER, batch_size=64),
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


def run(name: str, minutes: float, n: int) -> dict:
    """Trains an entrant, or goes on with it, and judges it: a row of the table."""
    options, folder = replace(ENTRANTS[name], minutes=minutes, budget=None), RUNS / f"{name}-{minutes:g}"
    device = pick_device()
    if not (folder / "last.pt").exists() or load_checkpoint(folder / "last.pt").step < 1:
        train_run(options, folder, device=device)
    state = load_checkpoint(folder / "last.pt", device=device)
    result = evaluate(state.model, SAMPLER, n)
    row = {"entrant": name, "minutes": minutes, "steps": state.step, "parameters": parameters(state.net)}
    row |= {"distance": result.frechet.value, "error": result.frechet.error, "floor": result.floor.value}
    row["class"] = result.accuracy.value
    row |= {column: result.named[column].samples.value if result.named else "" for column in ("kind", "color")}
    return row | {measure: compared.samples.value for measure, compared in result.looks.items()}


def parameters(net: torch.nn.Module) -> int:
    """How many numbers are learned."""
    return sum(weight.numel() for weight in net.parameters() if weight.requires_grad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("entrants", nargs="*", help=f"{', '.join(ENTRANTS)} (default: all)")
    parser.add_argument("--minutes", type=positive(float), default=20.0, help="of training each (default: %(default)s)")
    parser.add_argument("--n", type=positive(int), default=1000, help="samples that are judged (default: %(default)s)")
    args = parser.parse_args()
    names = args.entrants or list(ENTRANTS)
    check_names(parser, names, ENTRANTS)
    for name in names:
        row = run(name, args.minutes, args.n)
        print(row, flush=True)
        if (args.minutes, args.n) == (20.0, 1000):
            keep("contest", [row], pick_device(), "0")


if __name__ == "__main__":
    main()
