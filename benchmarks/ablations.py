"""What the parts of a UNet are worth: the small ContextUNet, whole, without the time, and without its skips.

    uv run python benchmarks/ablations.py          # about 10 minutes on two CPU cores

Writes data/results/unet_ablations.csv, which lesson 02 plots: the held-out ε-loss on the sprites' test split (512
pictures, fixed noise) by training step, for each variant and seed.
"""

from __future__ import annotations

import argparse

import torch
from measured import positive, replacing

from ddpm_teach import ContextUNet, Model, RunOptions, TrainState, course_path, linear, load, train, validation_loss


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=positive(int), default=800)
    parser.add_argument("--seeds", type=positive(int), default=2)
    args = parser.parse_args()
    images, held_out = load("sprites"), load("sprites", "test")
    path = course_path("data") / "results" / "unet_ablations.csv"
    with replacing(path, ["variant", "seed", "step", "loss"]) as write:
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
