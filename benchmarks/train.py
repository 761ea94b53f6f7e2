"""How much faster is the course's training than the loop that tutorials write? Same network, same batch, one process.

    uv run python benchmarks/train.py            # about 4 minutes on two cores
    uv run python benchmarks/train.py --quick    # 5 pairs of a third of the steps
    uv run python benchmarks/train.py --losses   # the loss of both after 300 steps: about an hour

The plain loop is float32, a DataLoader that makes a tensor of one picture at a time, Adam, `.item()` at every step.
Ours is `ddpm_teach.training.train` as it comes. They run in turns, a few steps each, so that a machine that others use
slows both; each pair gives a ratio, and the table shows the ratios' median, least and greatest. Rows go to
benchmarks/results/train.csv and train_losses.csv.
"""

from __future__ import annotations

import argparse
import copy
import csv
import datetime
import itertools
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ddpm_teach import ContextUNet, ImageSet, data, linear, pick_device
from ddpm_teach.devices import has_native_bfloat16
from ddpm_teach.nets import AttentionUNet, LayerNormUNet
from ddpm_teach.presets import find
from ddpm_teach.training import TrainState, train, validation_loss

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Case:
    """A network with its pictures; `steps` are those of each loop in a pair, `target` the ratio that was aimed at."""

    build: Callable[[], nn.Module]
    dataset: str
    size: int | None
    batch_size: int
    steps: int
    target: float


def small_attention() -> nn.Module:
    return find("mnist32", "cpu-hour").build()


CASES = {
    "ContextUNet": Case(ContextUNet, "sprites", None, batch_size=64, steps=12, target=2.5),
    "LayerNormUNet": Case(LayerNormUNet, "mnist", None, batch_size=128, steps=8, target=1.5),
    "AttentionUNet": Case(lambda: AttentionUNet(context_dim=10), "mnist", 32, batch_size=16, steps=2, target=2.2),
}


class OneByOne(Dataset):
    """The data set as tutorials hold it: each picture is converted when it is asked for."""

    def __init__(self, images: ImageSet) -> None:
        self.pictures, self.labels, self.classes = (
            images.images.permute(0, 2, 3, 1).numpy(),
            images.labels,
            images.classes,
        )
        mean = (0.5,) * images.image_shape[0]
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, mean)])

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        context = torch.nn.functional.one_hot(self.labels[i], len(self.classes)).float()
        return self.transform(self.pictures[i]), context


def plain_loop(
    net: nn.Module,
    images: ImageSet,
    batch_size: int,
    device: torch.device,
    optimizer: torch.optim.Optimizer | None = None,
) -> Iterator[float]:
    """Algorithm 1 as articles print it; yields every step's loss. `optimizer` continues an earlier run."""
    T = 1000
    beta = torch.linspace(1e-4, 0.02, T, device=device)
    alpha_bar = (1 - beta).cumprod(0)
    net.to(device).train()
    with_context = net.config.get("context_dim") is not None
    optimizer = optimizer or torch.optim.Adam(net.parameters(), lr=1e-3)
    while True:
        for x, c in DataLoader(OneByOne(images), batch_size, shuffle=True, drop_last=True):
            x, c = x.to(device), c.to(device)
            c = c * torch.bernoulli(torch.full((len(c), 1), 0.9, device=device)) if with_context else None
            t = torch.randint(1, T + 1, (len(x),), device=device)
            noise = torch.randn_like(x)
            a = alpha_bar[t - 1, None, None, None]
            loss = torch.nn.functional.mse_loss(net(a.sqrt() * x + (1 - a).sqrt() * noise, t, c), noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


def our_run(net: nn.Module, images: ImageSet, device: torch.device, seed: int = 0) -> TrainState:
    """With an end so far away that the rate stays the plain loop's."""
    return TrainState.create(net.to(device), linear(), steps=10**6, classes=images.classes, seed=seed)


def images_per_second(loop: Iterator, steps: int, batch_size: int, device: torch.device) -> float:
    began = time.perf_counter()
    for _ in itertools.islice(loop, steps):
        pass
    if device.type == "cuda":
        torch.cuda.synchronize()
    return steps * batch_size / (time.perf_counter() - began)


def pictures_of(case: Case, split: str = "train") -> ImageSet:
    return data.load(case.dataset, split, size=case.size)


def speed(name: str, case: Case, pairs: int, device: torch.device) -> dict:
    """A row of train.csv: both loops in turns."""
    images = pictures_of(case)
    torch.manual_seed(0)
    ours = train(our_run(case.build(), images, device), images.to(device), batch_size=case.batch_size)
    loops = [plain_loop(case.build(), images, case.batch_size, device), ours]
    for loop in loops:
        images_per_second(loop, 2, case.batch_size, device)  # warm up
    found = [[images_per_second(loop, case.steps, case.batch_size, device) for loop in loops] for _ in range(pairs)]
    ratios = sorted(ours / plain for plain, ours in found)
    plain, ours = (statistics.median(column) for column in zip(*found, strict=True))
    return {
        "date": datetime.date.today().isoformat(),
        "net": name,
        "batch": case.batch_size,
        "plain images/s": round(plain, 1),
        "ours images/s": round(ours, 1),
        "ratio": round(statistics.median(ratios), 2),
        "least": round(ratios[0], 2),
        "greatest": round(ratios[-1], 2),
        "target": case.target,
        **machine(device),
    }


def losses(name: str, case: Case, steps: int, device: torch.device, seeds: int) -> dict:
    """A row of train_losses.csv: the loss on 4,096 held-out pictures after so many steps, over several seeds."""
    images, held_out, found = pictures_of(case), pictures_of(case, "test"), {"plain": [], "ours": []}
    for seed in range(seeds):
        torch.manual_seed(seed)
        plain_net, our_net = (net := case.build()).to(device), copy.deepcopy(net).to(device)
        plain = plain_loop(plain_net, images, case.batch_size, device)
        run = our_run(our_net, images, device, seed)
        ours = train(run, images.to(device), batch_size=case.batch_size)
        for name_of, loop, net in (("plain", plain, plain_net), ("ours", ours, our_net)):
            for _ in itertools.islice(loop, steps):
                pass
            # The weights themselves, not our average of them, which after so few steps would be the better ones.
            found[name_of].append(validation_loss(net, run.schedule, held_out, n=4096, precision="float32"))
    plain, ours = (statistics.mean(values) for values in found.values())
    return {
        "date": datetime.date.today().isoformat(),
        "net": name,
        "steps": steps,
        "batch": case.batch_size,
        "seeds": seeds,
        "plain loss": round(plain, 4),
        "ours loss": round(ours, 4),
        "ours / plain": round(ours / plain, 3),
        "standard error": round(statistics.stdev(b / a for a, b in zip(*found.values(), strict=True)) / seeds**0.5, 3),
        **machine(device),
    }


def machine(device: torch.device) -> dict:
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "bfloat16": "native" if has_native_bfloat16(device) else "none",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="*", default=list(CASES), help=f"{', '.join(CASES)} (default: all)")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="5 pairs of a third of the steps")
    parser.add_argument("--losses", action="store_true", help="compare losses instead of speed")
    parser.add_argument("--seeds", type=int, default=3, help="for --losses, at least 2 (default: %(default)s)")
    args = parser.parse_args()
    device = pick_device()
    for name in args.nets:
        case = CASES[name]
        if args.losses:
            if name == "AttentionUNet":  # at full widths 300 steps would take hours
                case = replace(case, build=small_attention)
            row = losses(name, case, 300, device, args.seeds)
        else:
            quick = replace(case, steps=max(1, case.steps // 3))
            row = speed(name, quick if args.quick else case, 5 if args.quick else args.pairs, device)
        for key, value in row.items():
            print(f"{key:15}  {value}")
        print()
        append(RESULTS / ("train_losses.csv" if args.losses else "train.csv"), row)
    if not has_native_bfloat16(device):
        print("This machine has no bfloat16 matrix units, so the ratios can't be compared with the course's own.")


def append(path: Path, row: dict) -> None:
    new = not path.exists()
    path.parent.mkdir(exist_ok=True)
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
