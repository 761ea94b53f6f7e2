"""What the weights of the loss and the choice of the times are worth, where the best answer is known: three clouds.

    uv run python benchmarks/weighting.py         # about 4 minutes on one CPU core

Writes data/results/weighting.csv, which lesson 08 prints: for each way of training and each seed (weights, data, times
and noise are the seed's) by how much the tiny network's answers miss the best ones: the mean of (ε̂ - ε*)² over all
times, the same with the bound's weights (in nats: by how much the bound is worse than the best), and the energy
distance of 4,000 of its samples (DDIM, 50 steps) to 4,000 real points. "By importance" draws the times as often as the
bound weighs them, and weighs no more. The rows "exact" have the best answers themselves.
"""

from __future__ import annotations

import argparse

import torch
from measured import positive, replacing
from torch import Tensor, nn

from ddpm_teach import (
    Mixture,
    add_noise,
    clipped,
    course_path,
    ddim_step,
    from_eps,
    linear,
    snr_weight,
    stratified_times,
    trailing,
    uniform_times,
    variational_weights,
    walk,
)

CLOUDS = Mixture([[-0.7, -0.4], [0.6, -0.5], [0.1, 0.7]], [0.5, 0.3, 0.2], 0.01)
SCHEDULE = linear()
BEST = CLOUDS.net(SCHEDULE)
W = variational_weights(SCHEDULE, variance="beta").float()
WAYS = {  # times of a batch, weights of its pictures
    "simple": (uniform_times, torch.ones_like),
    "simple, stratified": (stratified_times, torch.ones_like),
    "min-SNR": (uniform_times, lambda t: snr_weight(SCHEDULE, t, "eps", 5.0)),
    "min-SNR, stratified": (stratified_times, lambda t: snr_weight(SCHEDULE, t, "eps", 5.0)),
    "bound": (uniform_times, lambda t: W[t] / W[1:].mean()),
    "bound, stratified": (stratified_times, lambda t: W[t] / W[1:].mean()),
    "bound, by importance": (lambda n, T, rng: 1 + torch.multinomial(W[1:], n, True, generator=rng), torch.ones_like),
}


class Tiny(nn.Module):
    """Two coordinates and the time in, two numbers out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        times = torch.stack([t / 500 - 1, SCHEDULE.log_snr[t] / 5], dim=1)
        return self.layers(torch.cat([x, times.to(x)], dim=1))


def trained(way: str, seed: int, steps: int) -> Tiny:
    """A tiny network after a run; lesson 08 makes the run "simple", seed 0, again."""
    times, weigh = WAYS[way]
    torch.manual_seed(seed)
    net, rng = Tiny(), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for step in range(steps):
        x0, _ = CLOUDS.sample(64, rng)
        t, eps = times(64, SCHEDULE.T, rng).long(), torch.randn(64, 2, generator=rng)
        errors = (net(add_noise(SCHEDULE, x0, t, eps), t) - eps).square().mean(1)
        optimizer.zero_grad()
        (weigh(t).float() * errors).mean().backward()
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        optimizer.step()
    return net


@torch.no_grad()
def misses(net: nn.Module, each: int = 50) -> tuple[float, float]:
    """The means of (ε̂ - ε*)² over the times, alike, and summed with the bound's weights over t = 2…T."""
    rng = torch.Generator().manual_seed(1000)
    t = torch.arange(1, SCHEDULE.T + 1).repeat_interleave(each)
    x0, _ = CLOUDS.sample(len(t), rng)
    x = add_noise(SCHEDULE, x0, t, torch.randn(x0.shape, generator=rng))
    by_time = (net(x, t) - BEST(x, t)).square().reshape(SCHEDULE.T, -1, 2).mean(1)  # (T, 2)
    return by_time.mean().item(), (W[2:, None] * by_time[1:]).sum().item()


@torch.no_grad()
def sample_distance(net: nn.Module, seed: int) -> float:
    """The energy distance of 4,000 samples to 4,000 real points: 2 E|x - y| - E|x - x'| - E|y - y'|."""
    rng = torch.Generator().manual_seed(2000 + seed)
    step = ddim_step(clipped(from_eps(net, SCHEDULE), SCHEDULE, 1.5), SCHEDULE)
    *_, last = walk(step, torch.randn(4000, 2, generator=rng), trailing(SCHEDULE.T, 50))
    x, (y, _) = last.x, CLOUDS.sample(4000, rng)
    within = [torch.cdist(z, z).sum().item() / (len(z) * (len(z) - 1)) for z in (x, y)]
    return 2 * torch.cdist(x, y).mean().item() - sum(within)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=positive(int), default=4000)
    parser.add_argument("--seeds", type=positive(int), default=6)
    args = parser.parse_args()
    path = course_path("data") / "results" / "weighting.csv"
    with replacing(path, ["way", "seed", "steps", "simple", "bound", "distance"]) as write:
        for way in ("exact", *WAYS):
            for seed in range(args.seeds):
                net = BEST if way == "exact" else trained(way, seed, args.steps)
                numbers = (*misses(net), sample_distance(net, seed))
                write([way, seed, 0 if way == "exact" else args.steps, *(f"{number:.6f}" for number in numbers)])
                print(way, seed, *(f"{number:.5f}" for number in numbers), flush=True)


if __name__ == "__main__":
    main()
