"""What the parts of a UNet are worth: the small ContextUNet, whole, without the time, and without its skips.

    uv run python benchmarks/ablations.py          # about 10 minutes on two CPU cores

Writes data/results/unet_ablations.csv, which lesson 02 plots: the held-out ε-loss on the sprites' test split (512
pictures, fixed noise) by training step, for each variant and seed; and, at step 0, three baselines: the loss of the
best answer "a matrix times x_t, plus a constant" that is told the class and the time, the time alone, or the class.
"""

from __future__ import annotations

import argparse

import torch
from measured import positive, replacing
from torch import Tensor

from ddpm_teach import (
    ContextUNet,
    ImageSet,
    Model,
    RunOptions,
    Schedule,
    TrainState,
    course_path,
    linear,
    load,
    train,
    validation_loss,
)


def without_time(net: ContextUNet) -> None:
    """The network is told time T, whatever the time is."""
    net.register_forward_pre_hook(lambda _, args: (args[0], torch.full_like(args[1], net.T), *args[2:]))


def without_skips(net: ContextUNet) -> None:
    """Zeros take the place of everything that comes past the bottom."""
    for up in (net.up1, net.up2):
        up.register_forward_pre_hook(lambda _, args: (args[0], torch.zeros_like(args[1])))
    f = net.config["features"]
    net.head.register_forward_pre_hook(lambda _, args: (torch.cat([args[0][:, :f], 0 * args[0][:, f:]], dim=1),))


VARIANTS = {"whole": lambda net: None, "without time": without_time, "without skips": without_skips}


def linear_baseline(x0: Tensor, schedule: Schedule, told_time: bool) -> float:
    """The ε-loss of the best affine answer to x_t, over times 1…T; one matrix for each time if it is told the time."""
    x = x0.flatten(1).double()
    values, vectors = torch.linalg.eigh(torch.cov(x.T))
    values, mean = values.clamp(min=0), vectors.T @ x.mean(0)
    alpha_bar = schedule.alpha_bar[1:, None]
    if told_time:  # each direction by itself: x_t has the variance ᾱ v + 1 - ᾱ, of which 1 - ᾱ is noise
        return (alpha_bar * values / (alpha_bar * values + 1 - alpha_bar)).mean().item()
    of_xt = torch.diag(alpha_bar.mean() * values + 1 - alpha_bar.mean())
    of_xt += alpha_bar.sqrt().var(correction=0) * torch.outer(mean, mean)  # the mean of x_t moves with the time
    shared = (1 - alpha_bar).sqrt().mean()  # the covariance of x_t and ε, in every direction
    return 1 - (shared**2 * torch.linalg.inv(of_xt).trace() / len(mean)).item()


def baselines(images: ImageSet, schedule: Schedule) -> dict[str, float]:
    """The three baselines by name; told the class, there is a matrix for each class."""
    everything, labels = images.pictures(slice(None)), images.labels
    classes = [everything[labels == k] for k in range(len(images.classes))]
    shares = [len(x) / len(everything) for x in classes]

    def told(time: bool) -> float:
        return sum(share * linear_baseline(x, schedule, time) for share, x in zip(shares, classes, strict=True))

    return {
        "linear, told time and class": told(True),
        "linear, told the time": linear_baseline(everything, schedule, True),
        "linear, told the class": told(False),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=positive(int), default=800)
    parser.add_argument("--seeds", type=positive(int), default=2)
    args = parser.parse_args()
    images, held_out = load("sprites"), load("sprites", "test")
    path = course_path("data") / "results" / "unet_ablations.csv"
    with replacing(path, ["variant", "seed", "step", "loss"]) as write:
        for name, loss in baselines(images, linear()).items():
            write([name, 0, 0, f"{loss:.5f}"])
        for seed in range(args.seeds):
            for name, cut in VARIANTS.items():
                torch.manual_seed(seed)
                net = ContextUNet(3, 32, 5, 16)
                cut(net)
                options = RunOptions(steps=args.steps, batch_size=32, lr=3e-3, ema_decay=0.99, seed=seed)
                state = TrainState.create(net, linear(), options)
                for log in train(state, images):
                    if log.step % 100 == 0 or log.step in (10, 30):
                        loss = validation_loss(Model(net, state.schedule), held_out, 512, precision="float32")
                        write([name, seed, log.step, f"{loss:.5f}"])
                        print(name, seed, log.step, f"{loss:.4f}", flush=True)


if __name__ == "__main__":
    main()
