"""Training: the loss, and the loop as DDPM's algorithm 1 has it. Lesson 03."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_teach import nets
from ddpm_teach.checks import check_int, check_model
from ddpm_teach.data.images import ImageSet, check_images
from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import Target, snr_weight
from ddpm_teach.diffusion.types import Net
from ddpm_teach.model import Model
from ddpm_teach.training.autoencoding import Draw, Loss, autoencoding, is_autoencoder
from ddpm_teach.training.backward import Backward
from ddpm_teach.training.distributed import ALONE, Processes
from ddpm_teach.training.options import TIMES
from ddpm_teach.training.state import TrainState, check_state, step_generator


class TrainLog(NamedTuple):
    """What a step reports: its number 1, 2, …; its loss without weights (a tensor: reading it waits for the device), to
    be compared with `validation_loss` where all times are as likely; its learning rate."""

    step: int
    loss: Tensor
    lr: float


def diffusion_loss(
    net: Net, schedule: Schedule, target: Target, x0: Tensor, t: Tensor, eps: Tensor, c: Tensor | None, min_snr: float
) -> tuple[Tensor, Tensor]:
    """(loss, loss without weights) of a batch: ‖target - net(x_t, t, c)‖², the mean over all (DDPM, eq. 14). Lesson 03.

    Args:
        x0, t, eps, c: pictures (b, …), times (b,), noise like x0, contexts (b, …) or None.
        min_snr: γ of `snr_weight`; 0 for no weights, and then both are the same.
    """
    xt = add_noise(schedule, x0, t, eps)
    if xt.ndim == 4:  # the layout that fast convolution kernels read
        xt = xt.contiguous(memory_format=torch.channels_last)
    prediction = net(xt, t) if c is None else net(xt, t, c)
    errors = (prediction - target.ask(schedule, x0, eps, t)) ** 2
    mean = errors.mean()
    if not min_snr:
        return mean, mean.detach()
    weights = snr_weight(schedule, t, target, min_snr).reshape(-1, *[1] * (x0.ndim - 1))
    return (errors * weights).mean(), mean.detach()


def train(state: TrainState, images: ImageSet, processes: Processes = ALONE) -> Iterator[TrainLog]:
    """Trains as `state.options` say (DDPM, algorithm 1, with EMA) and yields after every finished step. Lesson 03.

    What comes between two yields is the caller's: printing, previewing, saving; none of it changes the run. All is
    checked at the call, before the first step and before anything changes.

    Args:
        state: is changed in place.
        images: on the network's device, or anywhere (then it is moved there).
        processes: those that train together, each on its share of every batch (see distributed.py).

    Raises:
        TypeError: for what is no run, or no ImageSet.
        ValueError: for pictures or classes that the run isn't made for, or a run that is at its end; between two steps,
            if the run has gone on with other pictures in the meantime.
    """
    data = check_training(state, images, processes)
    return _steps(state, images.to(state.device), data, processes)


def _steps(state: TrainState, images: ImageSet, data: str, processes: Processes) -> Iterator[TrainLog]:
    options, backward = state.options, Backward(state, images, processes)
    draw, loss = (autoencoding if is_autoencoder(state.net) else denoising)(state, images)
    while state.step < state.options.steps:
        _check_same_data(state, data)
        state.net.train()  # here, so that a preview between two steps may leave it in eval mode
        state.data = data
        rng = step_generator(options.seed, state.step)
        index = torch.randint(len(images), (options.batch_size,), generator=rng, device="cpu")  # x_0 ~ q(x_0)
        error = backward(loss, rng, index, *draw(rng))  # ∇ ‖ε - ε_θ(x_t, t)‖²
        lr = state.update()
        yield TrainLog(state.step, processes.mean(error), lr)


def denoising(state: TrainState, images: ImageSet) -> tuple[Draw, Loss]:
    """What a step of a denoiser draws beside its pictures, times, noise and who is told nothing, and its loss."""
    options, n = state.options, state.options.batch_size
    with_context = nets.context_dim(state.net) is not None

    def draw(rng: torch.Generator) -> tuple[Tensor, ...]:
        t = TIMES[options.times](n, state.schedule, rng)  # t ~ Uniform(1…T)
        eps = torch.randn(n, *images.image_shape, generator=rng, device="cpu")  # ε ~ N(0, 1)
        keep = torch.rand(n, 1, generator=rng, device="cpu") >= options.context_dropout
        return t, eps, keep

    def loss(net: Net, index: Tensor, t: Tensor, eps: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        c = images.contexts(index) * keep if with_context else None
        return diffusion_loss(net, state.schedule, state.target, images.pictures(index), t, eps, c, options.min_snr)

    return draw, loss


def check_training(state: TrainState, images: ImageSet, processes: Processes = ALONE) -> str:
    """Refuses what `train` couldn't do, changing nothing; the data set's fingerprint.

    Raises:
        TypeError, ValueError: in one sentence.
    """
    check_state(state)
    _check_pictures(state.net, state.classes, images)
    options = state.options
    if options.batch_size % processes.count:
        raise ValueError(
            f"batch_size: expected a multiple of the {processes.count} processes, got {options.batch_size}"
        )
    _check_same_data(state, data := images.fingerprint())
    if state.step >= options.steps:
        raise ValueError(
            f"state: the run has done all of its {options.steps} steps; state.end_at({2 * options.steps}) goes on"
        )
    return data


def _check_pictures(net: Net, classes: tuple[str, ...], images: ImageSet) -> None:
    """Refuses pictures that a network wasn't built for, none at all, and classes that aren't its own, in its order."""
    check_images(images)
    shape = nets.image_shape(net)
    if images.image_shape != shape:
        raise ValueError(
            f"images: the network takes pictures of shape {shape}, got {images.image_shape};"
            " load them with load(…, size=…), or build the network for them"
        )
    if len(images) == 0:
        raise ValueError("images: expected at least one picture, got none")
    if classes and images.classes != classes:
        raise ValueError(f"images: expected the classes {classes}, got {images.classes}; load that data set")
    if (width := nets.context_dim(net)) not in (None, images.context_dim):
        what = f"{images.context_dim} words of attributes" if images.told else f"{len(images.classes)} classes"
        raise ValueError(
            f"images: the network takes contexts of width {width}, got {what};"
            f" build it with context_dim={images.context_dim}"
            + (", or tell it attributes: images.conditioned()" if images.attributes and not images.told else "")
        )


def _check_same_data(state: TrainState, data: str) -> None:
    if state.data not in ("", data):
        raise ValueError(
            "images: the run began on other pictures or labels than these; load the same data set, or begin a new run"
        )


@torch.no_grad()
def validation_loss(
    model: Model, images: ImageSet, n: int = 1024, *, batch_size: int = 256, seed: int = 0, precision: str = "auto"
) -> float:
    """The mean squared error of a model's predictions on n pictures, with times and noise fixed by `seed`. Lesson 03.

    Unlike the training loss it can be compared from step to step, and between runs: nothing in it is left to chance.
    It isn't finite if the network's numbers aren't.

    Raises:
        TypeError: for what is no Model, or no ImageSet.
        ValueError: for no pictures, pictures or classes that the model isn't made for, or a number out of range.
    """
    check_model(model)
    check_int("n", n, 1)
    check_int("batch_size", batch_size, 1)
    check_int("seed", seed, 0, 2**63 - 1)
    _check_pictures(model.net, model.classes, images)
    total, device = 0.0, model.device
    net = model.tuned(precision).net
    index = torch.randperm(len(images), generator=step_generator(seed, 0), device="cpu")[:n]
    for k, chosen in enumerate(index.split(batch_size)):
        rng = step_generator(seed, k + 1)
        t = torch.randint(1, model.schedule.T + 1, (len(chosen),), generator=rng, device="cpu").to(device)
        x0 = images.pictures(chosen.to(images.images.device)).to(device)
        eps = torch.randn(x0.shape, generator=rng, device="cpu").to(device)
        c = [images.contexts(chosen.to(images.images.device)).to(device)] if model.context_dim is not None else []
        wanted = model.target.ask(model.schedule, x0, eps, t)
        error = net(add_noise(model.schedule, x0, t, eps), t, *c) - wanted
        total += error.square().flatten(1).mean(1).sum().item()
    return total / len(index)
