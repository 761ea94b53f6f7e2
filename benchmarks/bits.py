"""How many bits a trained network needs for a sprite: its variational bound, on sprites that it has seen and not seen.

    uv run python benchmarks/bits.py              # about 5 minutes on two CPU cores

Writes data/results/bits.csv, which lesson 08 prints: bits per number of `sprites-context`, told the class, on 240
training and 240 test sprites. Moves 1 to 10 are all taken, one noise each; of the others some, one drawn from each
part of 11…1000, which counts for its whole part. The error is the standard error over the batches, each with times and
noise of its own, so it holds what the choice of the times adds. Both splits have the same times and noise, so the rows
"test - train" are of pairs of batches. The column "first" is the first batch alone: the lesson computes its move t = 1
again. The last row has the difference at that move for 1,000 sprites of each split, in ten batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from measured import replacing
from torch import Tensor

from ddpm_teach import Denoiser, Estimate, Model, bound_moves, course_path, guided, load, load_model

BATCHES, EACH = 12, 20
MANY = 1000
ENDS = [10, 13, 17, 23, 31, 44, 64, 100, 160, 250, 400, 650, 1000]  # parts 11…13, 14…17, …
GROUPS = {"1": (1, 1), "2 to 10": (2, 10), "11 to 100": (11, 100), "101 to 1000": (101, 1000), "all": (1, 1000)}


def main() -> None:
    model = load_model("sprites-context")
    path = course_path("data") / "results" / "bits.csv"
    bits: dict[tuple[str, str], list[Tensor]] = {}
    for split in ("train", "test"):
        images = load("sprites", split)
        chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[: BATCHES * EACH]
        for batch, index in enumerate(chosen.split(EACH)):
            x0, net = images.pictures(index), guided(model.net, images.contexts(index), scale=1)
            estimates: list[Estimate] = []
            for variance, denoise in (
                ("beta", remembering(model.read(net), estimates)),
                ("posterior", recalling(estimates)),
            ):
                (times, counts), rng = drawn_times(batch), torch.Generator().manual_seed(batch)
                moves = [move.mean() for move in bound_moves(denoise, model.schedule, x0, times, variance, rng)]
                bits.setdefault((split, variance), []).append(by_group(times, torch.stack(moves) * counts))
                print(split, variance, batch, f"{bits[split, variance][-1][-1]:.3f}", flush=True)
    tables = {key: torch.stack(batches) for key, batches in bits.items()}
    for variance in ("beta", "posterior"):
        tables["test - train", variance] = tables["test", variance] - tables["train", variance]
    with replacing(path, ["split", "variance", "moves", "n", "bits", "error", "first"]) as write:
        for (split, variance), table in tables.items():
            for name, sums in zip(GROUPS, table.T, strict=True):
                numbers = (sums.mean(), sums.std() / len(sums) ** 0.5, sums[0])
                write([split, variance, name, BATCHES * EACH, *(f"{number:.4f}" for number in numbers)])
        gaps = last_move(model, "test") - last_move(model, "train")
        numbers = (gaps.mean(), gaps.std() / len(gaps) ** 0.5, gaps[0])
        write(["test - train", "beta", "1", MANY, *(f"{number:.4f}" for number in numbers)])


def last_move(model: Model, split: str) -> Tensor:
    """The bits of move 1 in ten batches of sprites, each with noise of its own; both splits have the same."""
    images, bits = load("sprites", split), []
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:MANY]
    for batch, index in enumerate(chosen.split(MANY // 10)):
        denoise = model.read(guided(model.net, images.contexts(index), scale=1))
        rng = torch.Generator().manual_seed(batch)
        (move,) = bound_moves(denoise, model.schedule, images.pictures(index), [1], rng=rng)
        bits.append(move.mean())
    return torch.stack(bits)


def by_group(times: list[int], bits: Tensor) -> Tensor:
    """The sums over the groups of moves."""
    t = torch.tensor(times)
    return torch.stack([bits[(t >= first) & (t <= last)].sum() for first, last in GROUPS.values()])


def drawn_times(seed: int) -> tuple[list[int], Tensor]:
    """The moves of a batch, and for how many moves each of them counts."""
    rng = torch.Generator().manual_seed(seed)
    parts = list(pairwise(ENDS))
    drawn = [int(torch.randint(low + 1, high + 1, (), generator=rng)) for low, high in parts]
    return [*range(1, 11), *drawn], torch.tensor([1.0] * 10 + [high - low for low, high in parts])


def remembering(denoiser: Denoiser, estimates: list[Estimate]) -> Denoiser:
    """The denoiser, whose estimates are kept."""

    def denoise(x: Tensor, t: int) -> Estimate:
        estimates.append(denoiser(x, t))
        return estimates[-1]

    return denoise


def recalling(estimates: list[Estimate]) -> Denoiser:
    """What was kept, in the same order, without a call of the network."""
    kept: list[Iterator[Estimate]] = []

    def denoise(x: Tensor, t: int) -> Estimate:
        if not kept:
            kept.append(iter(estimates))
        return next(kept[0])

    return denoise


if __name__ == "__main__":
    main()
