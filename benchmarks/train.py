"""How much faster is the course's training than the loop that tutorials write, and than other libraries' loops?

    uv run --group benchmarks python benchmarks/train.py            # five to ten minutes on two cores
    uv run --group benchmarks python benchmarks/train.py --quick    # half a minute; nothing is kept
    uv run --group benchmarks python benchmarks/train.py --losses   # the loss of both after 300 steps: about an hour

The plain loop is float32, a DataLoader that makes a tensor of one picture at a time, Adam, `.item()` at every step, on
the same network. diffusers' loop is the one of its unconditional example (UNet2DModel, DDPMScheduler, AdamW), and
denoising-diffusion-pytorch's is its own Trainer; both have networks of their own, with about as many parameters. Ours
is `ddpm_teach.train` as it comes. All take the same batch and run in turns, two seconds each, so that a
machine that others use slows all; each round gives a ratio, and the table shows the ratios' median, least and
greatest, and `target`, the ratio that was aimed at. MFLOP are the operations of one picture's way through the network,
forward; where theirs are fewer, speed alone is no merit. The memory is the peak of a process of its own. Rows go to
benchmarks/results/train.csv and train_losses.csv.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib.util
import itertools
import math
import multiprocessing
import os
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from measured import check_names, keep, positive, show, warn_without_matrix_units
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from ddpm_teach import (
    AttentionUNet,
    ContextUNet,
    ImageSet,
    LayerNormUNet,
    Model,
    RunOptions,
    TrainState,
    build_net,
    linear,
    load,
    pick_device,
    preset,
    train,
    validation_loss,
)
from ddpm_teach.show import save_png


@dataclass(frozen=True)
class Case:
    """A network with its pictures, and those of two libraries with about as many parameters.

    `target` is the ratio to the plain loop that was aimed at on a CPU with matrix units for bfloat16; `widths` and
    `blocks` are those of diffusers' UNet2DModel, `dim` and `multiples` those of denoising-diffusion-pytorch's Unet.
    """

    build: Callable[[], nn.Module]
    dataset: str
    size: int | None
    batch_size: int
    target: float
    widths: tuple[int, ...]
    blocks: int
    dim: int
    multiples: tuple[int, ...] = (1, 2, 4)


GPU_TARGET = 3.0  # the same for each network


def small_attention() -> nn.Module:
    return build_net(preset("mnist32", "cpu-hour"))


def full_attention() -> nn.Module:
    return AttentionUNet(context_dim=10)


CASES = {
    "ContextUNet": Case(ContextUNet, "sprites", None, 64, 2.5, widths=(24, 48, 96), blocks=1, dim=24),
    "LayerNormUNet": Case(LayerNormUNet, "mnist", None, 128, 1.5, widths=(16, 32, 64), blocks=1, dim=14),
    "AttentionUNet": Case(
        full_attention, "mnist", 32, 16, 2.2, widths=(128, 256, 256, 256), blocks=2, dim=64, multiples=(1, 2, 4, 8)
    ),
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


def our_run(net: nn.Module, images: ImageSet, batch_size: int, device: torch.device, seed: int = 0) -> TrainState:
    """With an end so far away that the rate stays the plain loop's."""
    options = RunOptions(steps=10**6, batch_size=batch_size, seed=seed)
    return TrainState.create(net.to(device), linear(), options, images.classes)


def diffusers_net(case: Case, images: ImageSet) -> nn.Module:
    from diffusers import UNet2DModel

    down = tuple(
        "AttnDownBlock2D" if len(case.widths) > 3 and i == 1 else "DownBlock2D" for i in range(len(case.widths))
    )
    up = tuple(name.replace("Down", "Up") for name in reversed(down))
    channels, size, _ = images.image_shape
    return UNet2DModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=case.widths,
        layers_per_block=case.blocks,
        down_block_types=down,
        up_block_types=up,
        norm_num_groups=8,
    )


def diffusers_loop(case: Case, images: ImageSet, device: torch.device) -> Iterator[float]:
    """diffusers' unconditional training example, without its accelerator."""
    from diffusers import DDPMScheduler

    net = diffusers_net(case, images).to(device)
    scheduler = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    while True:
        for x, _ in DataLoader(OneByOne(images), case.batch_size, shuffle=True, drop_last=True):
            x = x.to(device)
            noise, t = torch.randn_like(x), torch.randint(0, 1000, (len(x),), device=device)
            loss = torch.nn.functional.mse_loss(net(scheduler.add_noise(x, noise, t), t).sample, noise)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            yield loss.item()


def trainer_net(case: Case, images: ImageSet) -> nn.Module:
    from denoising_diffusion_pytorch import Unet

    return Unet(case.dim, dim_mults=case.multiples, channels=images.image_shape[0])


def trainer_loop(case: Case, images: ImageSet, device: torch.device) -> Iterator[None]:
    """denoising-diffusion-pytorch's Trainer, on 256 of the pictures as files, a step at a time."""
    from denoising_diffusion_pytorch import GaussianDiffusion, Trainer

    net = GaussianDiffusion(trainer_net(case, images), image_size=images.image_shape[-1])
    with tempfile.TemporaryDirectory() as folder:
        for i in range(256):
            save_png(images.pictures(slice(i, i + 1)), Path(folder) / f"{i}.png", scale=1)
        options = dict(train_batch_size=case.batch_size, calculate_fid=False, save_and_sample_every=10**9)
        with quietly():
            trainer = Trainer(net, folder, results_folder=folder, **options)
        while True:
            trainer.train_num_steps = trainer.step + 1
            with quietly():
                trainer.train()
            yield


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """The Trainer prints a bar and a line at every call, and torch warns of its pinned memory."""
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        yield


def networks(case: Case, images: ImageSet) -> dict[str, Callable[[], nn.Module]]:
    """name of a loop → what builds the network that it trains."""
    there = {"plain": case.build, "diffusers": lambda: diffusers_net(case, images), "ours": case.build}
    return there | {"denoising-diffusion-pytorch": lambda: trainer_net(case, images)}


def megaflop(net: nn.Module, images: ImageSet) -> float:
    """Floating-point operations of one picture's way through a network, in millions."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(torch.zeros(1, *images.image_shape), torch.ones(1, dtype=torch.long))
    return round(counter.get_total_flops() / 1e6, 1)


def loops(case: Case, images: ImageSet, device: torch.device) -> dict[str, Callable[[], Iterator]]:
    """name → what makes the loop. Ours is the last."""
    there = {"plain": lambda: plain_loop(case.build(), images, case.batch_size, device)}
    there["diffusers"] = lambda: diffusers_loop(case, images, device)
    if importlib.util.find_spec("denoising_diffusion_pytorch"):
        there["denoising-diffusion-pytorch"] = lambda: trainer_loop(case, images, device)
    run = lambda: our_run(case.build(), images, case.batch_size, device)  # noqa: E731
    return there | {"ours": lambda: train(run(), images.to(device))}


def images_per_second(loop: Iterator, seconds: float, batch_size: int, device: torch.device) -> float:
    """The speed of a loop over so many seconds: of whole steps, at least one."""
    began, steps, spent = time.perf_counter(), 0, 0.0
    while spent < seconds or not steps:
        next(loop)
        steps, spent = steps + 1, time.perf_counter() - began
    if device.type == "cuda":
        torch.cuda.synchronize()  # once: a loop that never waits for the device is faster for it
    return steps * batch_size / (time.perf_counter() - began)


def pictures_of(case: Case, split: str = "train") -> ImageSet:
    return load(case.dataset, split, size=case.size)


def peak_memory(name: str, loop: str) -> float:
    """MB that a few steps of a loop need in a process of its own: of the GPU, or of the whole process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak_memory, name, loop).result()


def _peak_memory(name: str, loop: str) -> float:
    device, case = pick_device(), CASES[name]
    cuda = device.type == "cuda"
    list(itertools.islice(loops(case, pictures_of(case), device)[loop](), 5 if cuda else 3))  # the 4th is recorded
    if cuda:
        return round(torch.cuda.max_memory_reserved() / 1e6)
    # Linux alone tells the peak of a process without that of the one that started it.
    status = Path("/proc/self/status")
    line = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return round(int(line[1]) / 1e3) if line else math.nan


def speed(name: str, case: Case, rounds: int, seconds: float, device: torch.device, quick: bool) -> list[dict]:
    """Rows of train.csv, one for each loop but ours: all in turns. `quick`: the plain loop alone, and no memory."""
    torch.manual_seed(0)
    images = pictures_of(case)
    running = {
        loop: make() for loop, make in loops(case, images, device).items() if loop in ("plain", "ours") or not quick
    }
    print(f"{name}: {', '.join(running)}; {rounds} rounds of {seconds:g} s each, after one to warm up", flush=True)
    for loop in running.values():
        images_per_second(loop, seconds, case.batch_size, device)  # warm up
    speeds = {loop: [] for loop in running}
    for _ in range(rounds):
        for loop, values in speeds.items():
            values.append(images_per_second(running[loop], seconds, case.batch_size, device))
    ours, builders, rows = speeds.pop("ours"), networks(case, images), []
    operations = {loop: megaflop(builders[loop](), images) for loop in running}
    memory = {loop: "" if quick else peak_memory(name, loop) for loop in running}
    for loop, theirs in speeds.items():
        ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
        rows.append(
            {
                "net": name,
                "batch": case.batch_size,
                "against": loop,
                "theirs images/s": round(statistics.median(theirs), 1),
                "ours images/s": round(statistics.median(ours), 1),
                "ratio": round(statistics.median(ratios), 2),
                "least": round(ratios[0], 2),
                "greatest": round(ratios[-1], 2),
                "target": "" if loop != "plain" else GPU_TARGET if device.type == "cuda" else case.target,
                "theirs MFLOP": operations[loop],
                "ours MFLOP": operations["ours"],
                "theirs MB": memory[loop],
                "ours MB": memory["ours"],
            }
        )
    return rows


def losses(name: str, case: Case, steps: int, device: torch.device, seeds: int) -> dict:
    """A row of train_losses.csv: the loss on 4,096 held-out pictures after so many steps, over several seeds."""
    images, held_out, results = pictures_of(case), pictures_of(case, "test"), {"plain": [], "ours": []}
    for seed in range(seeds):
        torch.manual_seed(seed)
        plain_net, our_net = (net := case.build()).to(device), copy.deepcopy(net).to(device)
        plain = plain_loop(plain_net, images, case.batch_size, device)
        run = our_run(our_net, images, case.batch_size, device, seed)
        ours = train(run, images.to(device))
        for name_of, loop, net in (("plain", plain, plain_net), ("ours", ours, our_net)):
            for _ in itertools.islice(loop, steps):
                pass
            # The weights themselves, not our average of them, which after so few steps would be the better ones.
            loss = validation_loss(Model(net, run.schedule), held_out, 4096, precision="float32")
            results[name_of].append(loss)
    plain, ours = (statistics.mean(values) for values in results.values())
    return {
        "net": name,
        "steps": steps,
        "batch": case.batch_size,
        "plain loss": round(plain, 4),
        "ours loss": round(ours, 4),
        "ours / plain": round(ours / plain, 3),
        "standard error": round(
            statistics.stdev(b / a for a, b in zip(*results.values(), strict=True)) / seeds**0.5, 3
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="*", default=list(CASES), help=f"{', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=positive(int), default=5, help="(default: %(default)s)")
    parser.add_argument(
        "--seconds", type=positive(float), default=2.0, help="of each loop in a round (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="one round, the plain loop alone; nothing is kept")
    parser.add_argument("--losses", action="store_true", help="compare losses instead of speed")
    parser.add_argument(
        "--seeds", type=positive(int), default=2, help="for --losses, at least 2 (default: %(default)s)"
    )
    args = parser.parse_args()
    check_names(parser, args.nets, CASES)
    if args.losses and args.quick:
        parser.error("--losses: not allowed together with --quick; it takes about an hour")
    if args.losses and args.seeds < 2:
        parser.error(f"--seeds: expected at least 2, for a standard error, got {args.seeds}")
    device, rounds = pick_device(), 1 if args.quick else args.rounds
    if not (args.quick or args.losses or importlib.util.find_spec("denoising_diffusion_pytorch")):
        print("denoising-diffusion-pytorch isn't installed: add --group benchmarks to uv run")
    for name in args.nets:
        case = CASES[name]
        if args.losses:
            # At full widths the attention net's 300 steps would take hours.
            if name == "AttentionUNet":
                name, case = f"{name} (small)", replace(case, build=small_attention)
            rows = [losses(name, case, 300, device, args.seeds)]
        else:
            rows = speed(name, case, rounds, args.seconds, device, args.quick)
        show(rows)
        if args.losses:
            keep("train_losses", rows, device, seeds=" ".join(map(str, range(args.seeds))))
        elif not args.quick:
            keep("train", rows, device, seeds="0")
    warn_without_matrix_units(device)


if __name__ == "__main__":
    main()
