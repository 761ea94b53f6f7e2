"""How much faster is the course's training than the loop that tutorials write? Same network, same batch, one process.

    uv run python benchmarks/train.py            # about 4 minutes on two cores
    uv run python benchmarks/train.py --quick    # one minute

The plain loop is float32, a DataLoader that makes a tensor of one picture at a time, Adam, `.item()` at every step.
Ours is `ddpm_teach.training.train` as it comes. They run in turns, a few steps each, so that a machine that others use
slows both; each pair gives a ratio, and the table shows the ratios' median, least and greatest. A row goes to
benchmarks/results/train.csv.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import itertools
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ddpm_teach import ContextUNet, ImageSet, linear, load, pick_device
from ddpm_teach.devices import has_native_bfloat16
from ddpm_teach.training import TrainState, train

RESULTS = Path(__file__).parent / "results" / "train.csv"


class OneByOne(Dataset):
    """The data set as tutorials hold it: each picture is converted when it is asked for."""

    def __init__(self, images: ImageSet) -> None:
        self.pictures, self.labels, self.classes = (
            images.images.permute(0, 2, 3, 1).numpy(),
            images.labels,
            images.classes,
        )
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        context = torch.nn.functional.one_hot(self.labels[i], len(self.classes)).float()
        return self.transform(self.pictures[i]), context


def plain_loop(images: ImageSet, batch_size: int, device: torch.device) -> Iterator[float]:
    """Algorithm 1 as articles print it; yields every step's loss."""
    T = 1000
    beta = torch.linspace(1e-4, 0.02, T, device=device)
    alpha_bar = (1 - beta).cumprod(0)
    net = ContextUNet().to(device).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    while True:
        for x, c in DataLoader(OneByOne(images), batch_size, shuffle=True, drop_last=True):
            x, c = x.to(device), c.to(device)
            c = c * torch.bernoulli(torch.full((len(c), 1), 0.9, device=device))
            t = torch.randint(1, T + 1, (len(x),), device=device)
            noise = torch.randn_like(x)
            a = alpha_bar[t - 1, None, None, None]
            loss = torch.nn.functional.mse_loss(net(a.sqrt() * x + (1 - a).sqrt() * noise, t, c), noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


def our_loop(images: ImageSet, batch_size: int, device: torch.device) -> Iterator[float]:
    """`train` as it comes."""
    state = TrainState.create(ContextUNet().to(device), linear(), steps=10**6, classes=images.classes)
    return train(state, images.to(device), batch_size=batch_size)


def images_per_second(loop: Iterator, steps: int, batch_size: int, device: torch.device) -> float:
    began = time.perf_counter()
    for _ in itertools.islice(loop, steps):
        pass
    if device.type == "cuda":
        torch.cuda.synchronize()
    return steps * batch_size / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=12, help="of each loop in a pair")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if args.quick:
        args.pairs, args.steps = 5, 4
    device = pick_device()
    images = load("sprites")
    torch.manual_seed(0)
    loops = [loop(images, args.batch_size, device) for loop in (plain_loop, our_loop)]
    for loop in loops:
        images_per_second(loop, 2, args.batch_size, device)  # warm up
    pairs = [
        [images_per_second(loop, args.steps, args.batch_size, device) for loop in loops] for _ in range(args.pairs)
    ]
    ratios = sorted(ours / plain for plain, ours in pairs)
    plain, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    row = {
        "date": datetime.date.today().isoformat(),
        "net": "ContextUNet(3, 64, 5, 16)",
        "batch": args.batch_size,
        "plain images/s": round(plain),
        "ours images/s": round(ours),
        "ratio": round(statistics.median(ratios), 2),
        "least": round(ratios[0], 2),
        "greatest": round(ratios[-1], 2),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "bfloat16": "native" if has_native_bfloat16(device) else "none",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    for name, value in row.items():
        print(f"{name:15}  {value}")
    if not has_native_bfloat16(device):
        print("This machine has no bfloat16 matrix units, so the ratio can't be compared with the course's own.")
    new = not RESULTS.exists()
    RESULTS.parent.mkdir(exist_ok=True)
    with open(RESULTS, "a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
