"""Training: the loss in one line, the loop in twenty, and a state that can be saved and resumed. Lesson 03."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from ddpm_teach import devices, nets
from ddpm_teach.checks import check_int, check_net, check_number
from ddpm_teach.data import ImageSet
from ddpm_teach.files import read_tensors, write_tensors
from ddpm_teach.forward import add_noise, velocity
from ddpm_teach.processes import ALONE, Processes
from ddpm_teach.schedule import Schedule

TARGETS: dict[str, Callable[..., Tensor]] = {  # what the network is asked for: (schedule, x0, eps, t) -> (b, …)
    "eps": lambda schedule, x0, eps, t: eps,
    "x0": lambda schedule, x0, eps, t: x0,
    "v": velocity,
}


def snr_weight(schedule: Schedule, t: Tensor, target: str, gamma: float) -> Tensor:
    """(b,) the min-SNR-γ weight of a picture's loss: min(SNR_t, γ) times the squared error of x̂_0 (Hang et al. 2023).

    Written for the target at hand: a squared error of ε̂ is 1/SNR as much in x̂_0, one of v̂ 1/(SNR + 1). Lesson 03.
    """
    like = torch.empty(len(t), device=t.device)
    snr = (schedule.signal_rate(t, like) / schedule.noise_rate(t, like)) ** 2
    capped = snr.clamp(max=gamma)
    return {"x0": capped, "eps": (gamma / snr).clamp(max=1), "v": capped / (snr + 1)}[target]


def uniform_times(n: int, T: int, rng: torch.Generator) -> Tensor:
    """(n,) times in 1…T, each drawn by itself: line 3 of DDPM's algorithm 1. Lesson 03."""
    return torch.randint(1, T + 1, (n,), generator=rng)


def stratified_times(n: int, T: int, rng: torch.Generator) -> Tensor:
    """(n,) times, one from each of n equal parts of 1…T, in order: every time is as likely as with `uniform_times`.

    A batch then never lacks a part of the times, so its loss jumps less from step to step (a stratified sample; Kingma
    et al. 2021, "Variational diffusion models", call their kind a low-discrepancy sampler). Lesson 03.
    """
    places = torch.arange(n, dtype=torch.float64) + torch.rand(n, generator=rng, dtype=torch.float64)
    return 1 + (places / n * T).long().clamp(max=T - 1)


TIMES: dict[str, Callable[[int, int, torch.Generator], Tensor]] = {
    "uniform": uniform_times,
    "stratified": stratified_times,
}
NUMBERS = ("steps", "ema_decay", "seed", "target", "data", "step")  # of a TrainState, kept in its files


class TrainLog(NamedTuple):
    """What a step reports: its number 1, 2, …; its loss without weights (a tensor: reading it waits for the device), so
    that it can be compared with `validation_loss`; its rate."""

    step: int
    loss: Tensor
    lr: float


@dataclass
class TrainState:
    """All that a run is. Every random choice of step k is drawn from (seed, k), so there is no generator to save.

    Attributes:
        net: the network in training; its weights change at every step.
        ema: its moving average, `ema.module`; this one samples.
        steps: the step at which the run ends; the learning rate falls linearly to zero over them.
        ema_decay: of the average, once its warm-up is over.
        target: what the network predicts: "eps", "x0" or "v".
        classes: the names of the data set's classes.
        data: the fingerprint of the data set, from the first step on (see `ImageSet.fingerprint`).
        step: how many steps are done.
    """

    net: torch.nn.Module
    schedule: Schedule
    optimizer: torch.optim.Optimizer
    lr_schedule: torch.optim.lr_scheduler.LRScheduler
    ema: MovingAverage
    steps: int
    classes: tuple[str, ...] = ()
    ema_decay: float = 0.999
    seed: int = 0
    target: str = "eps"
    data: str = ""
    step: int = 0

    @classmethod
    def create(
        cls,
        net: torch.nn.Module,
        schedule: Schedule,
        *,
        steps: int,
        lr: float = 1e-3,
        ema_decay: float = 0.999,
        classes: tuple[str, ...] = (),
        seed: int = 0,
        target: str = "eps",
    ) -> TrainState:
        """A new run: Adam, a learning rate that falls linearly from `lr` to 0 at `steps`, EMA with warm-up."""
        check_net(net, schedule)
        if target not in TARGETS:
            raise ValueError(f"target: expected one of {', '.join(TARGETS)}, got {target!r}")
        device = next(net.parameters()).device
        net.to(memory_format=torch.channels_last)  # the layout that fast convolution kernels read
        optimizer = torch.optim.Adam(net.parameters(), lr=lr, fused=device.type in ("cpu", "cuda"))
        lr_schedule = _linear_decay(optimizer, steps)
        ema = MovingAverage(net, ema_decay)
        return cls(net, schedule, optimizer, lr_schedule, ema, steps, classes, ema_decay, seed, target)

    def end_at(self, steps: int, lr: float | None = None) -> None:
        """Moves the end of the run (and changes lr). The learning rate is lr · (1 - step / steps) from here on.

        Raises:
            ValueError: if the run is past that step.
        """
        check_int("steps", steps, 1)
        if steps < self.step:
            raise ValueError(f"steps: the run has done {self.step} already, so it can't end at {steps}; give more")
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group["initial_lr"] if lr is None else lr
        self.steps = steps
        self.lr_schedule = _linear_decay(self.optimizer, steps, done=self.step)

    def state_dict(self) -> dict:
        """Everything but the network's architecture: weights, moments, averages and counters."""
        return {
            "net": self.net.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "numbers": {name: getattr(self, name) for name in NUMBERS},
        }

    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`."""
        for part in ("net", "ema", "optimizer"):
            getattr(self, part).load_state_dict(state[part])
        for parameter, moments in self.optimizer.state.items():  # the fused kernel wants them in the parameter's layout
            for name, value in moments.items():
                if value.shape == parameter.shape:
                    moments[name] = torch.empty_like(parameter).copy_(value)
        for name, value in state["numbers"].items():
            setattr(self, name, value)
        self.end_at(self.steps)
        self.ema.decay = self.ema_decay


def _linear_decay(optimizer: torch.optim.Optimizer, steps: int, done: int = 0) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps), last_epoch=done - 1)


class MovingAverage(AveragedModel):
    """The average of a network's weights and buffers, with decay min(decay, (1 + n)/(10 + n)) at its n-th update.

    With a constant 0.999 the random initial weights would still weigh 1 / e after a thousand steps. Lesson 03.
    torch gives its averaging rules n on the device, and reading it there would wait for the device at every step.
    """

    def __init__(self, net: torch.nn.Module, decay: float) -> None:
        super().__init__(net, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: torch.nn.Module) -> None:
        n = int(self.n_averaged)
        weight = 1 - min(self.decay, (1 + n) / (10 + n)) if n else 1.0  # the first update copies
        averages, values = ([*net.parameters(), *net.buffers()] for net in (self.module, model))
        floats = [average.is_floating_point() for average in averages]
        torch._foreach_lerp_([*compress(averages, floats)], [*compress(values, floats)], weight)
        counts = [not is_float for is_float in floats]  # of BatchNorm's batches: copied, not averaged
        if any(counts):
            torch._foreach_copy_([*compress(averages, counts)], [*compress(values, counts)])
        self.n_averaged += 1


def train(
    state: TrainState,
    images: ImageSet,
    *,
    steps: int | None = None,
    batch_size: int = 128,
    target: str | None = None,
    context_dropout: float = 0.1,
    times: Callable[[int, int, torch.Generator], Tensor] = uniform_times,
    min_snr: float | None = None,
    precision: str = "auto",
    processes: Processes = ALONE,
) -> Iterator[TrainLog]:
    """Trains to predict the noise (DDPM, algorithm 1) and yields after every finished step. Lesson 03.

    What comes between two yields is the caller's: printing, previewing, saving; none of it changes the run.

    Args:
        state: is changed in place.
        images: on the network's device, or anywhere (then it is moved there).
        steps: the step at which to end, resumed or not; the end of the run, state.steps, unless given.
        target: "eps", "x0" or "v"; the run's own unless given, and it can't change once the run has begun.
        times: (n, T, rng) → the times (n,) of a batch, whole numbers in 1…T: `uniform_times` or `stratified_times`.
        min_snr: γ of `snr_weight`, 5 in its paper; no weights unless given. The loss that is reported has none.
        context_dropout: the share of pictures whose context is zeroed, so that guidance has an unconditional network.
        precision: "auto" computes in bfloat16 where the hardware has it natively; "float32"; "bfloat16".
        processes: those that train together, each on its share of every batch (see `processes`).

    Raises:
        ValueError: at the call, for pictures or classes that the network isn't made for, or a bad number.
    """
    steps = state.steps if steps is None else steps
    if images.image_shape != state.net.image_shape:
        raise ValueError(
            f"images: the network takes pictures of shape {state.net.image_shape}, got {images.image_shape};"
            " load them with data.load(size=…), or build the network for them"
        )
    check_int("batch_size", batch_size, 1)
    if batch_size % processes.count:
        raise ValueError(f"batch_size: expected a multiple of the {processes.count} processes, got {batch_size}")
    if not 0 <= context_dropout <= 1:
        raise ValueError(f"context_dropout: expected a share in 0…1, got {context_dropout}")
    if len(images) == 0:
        raise ValueError("images: expected at least one picture, got none")
    if state.classes and tuple(images.classes) != tuple(state.classes):
        raise ValueError(
            f"images: the run is for the classes {state.classes}, got {images.classes}; load that data set"
        )
    context_dim = state.net.config.get("context_dim")
    if context_dim not in (None, len(images.classes)):
        raise ValueError(
            f"images: the network takes contexts of width {context_dim}, got {len(images.classes)} classes"
        )
    if target not in (None, state.target):
        if state.step or target not in TARGETS:
            raise ValueError(f"target: the run predicts {state.target!r}, got {target!r}; begin a new run for that")
        state.target = target
    if min_snr is not None and check_number("min_snr", min_snr, 0) == 0:
        raise ValueError("min_snr: expected a positive number, got 0; leave it out for no weights")
    data = images.fingerprint()
    if state.data not in ("", data):
        raise ValueError(
            "images: the run began on other pictures or labels than these; load the same data set, or begin a new run"
        )
    state.data = data
    device = next(state.net.parameters()).device
    devices.compute_dtype(device, precision)  # refuses a bad one now
    return _train(state, images.to(device), steps, batch_size, context_dropout, times, min_snr, precision, processes)


def _train(
    state: TrainState,
    images: ImageSet,
    steps: int,
    batch_size: int,
    context_dropout: float,
    times: Callable[[int, int, torch.Generator], Tensor],
    min_snr: float | None,
    precision: str,
    processes: Processes,
) -> Iterator[TrainLog]:
    device = images.images.device
    with_context = state.net.config.get("context_dim") is not None
    net = processes.wrapped(state.net)
    predict = devices.InPrecision(net, device, precision)

    def find_gradients(index: Tensor, t: Tensor, eps: Tensor, keep: Tensor) -> Tensor:
        """The gradients of a batch's loss, left in the weights; gives the loss without weights."""
        x0 = images.pictures(index)
        c = images.contexts(index) * keep if with_context else None
        xt = add_noise(state.schedule, x0, t, eps)
        prediction = predict(xt.contiguous(memory_format=torch.channels_last), t, c)
        errors = (prediction - TARGETS[state.target](state.schedule, x0, eps, t)) ** 2
        loss = error = errors.mean()
        if min_snr is not None:
            loss = (errors * snr_weight(state.schedule, t, state.target, min_snr)[:, None, None, None]).mean()
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
        return error.detach()

    if type(images) is ImageSet:  # one of another kind may do more at each call than a recording would repeat
        find_gradients = devices.tuned_step(find_gradients, net, device, precision)
    while state.step < steps:
        net.train()  # here, so that a preview between two steps may leave it in eval mode
        rng = step_generator(state.seed, state.step)
        index = torch.randint(len(images), (batch_size,), generator=rng)
        t = times(batch_size, state.schedule.T, rng)
        eps = torch.randn(batch_size, *images.image_shape, generator=rng)
        keep = torch.rand(batch_size, 1, generator=rng) >= context_dropout
        seeds = torch.randint(2**62, (processes.count,), generator=rng).tolist()
        batch = [devices.send(processes.share(draw), device) for draw in (index, t, eps, keep)]

        with _seeded(seeds[processes.rank], device):
            error = find_gradients(*batch)
        lr = state.optimizer.param_groups[0]["lr"]
        state.optimizer.step()
        state.lr_schedule.step()
        state.ema.update_parameters(state.net)
        state.step += 1
        yield TrainLog(state.step, processes.mean(error), lr)


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout takes its numbers from torch's global generator: inside the block they come from `seed`."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def validation_loss(
    net: torch.nn.Module,
    schedule: Schedule,
    images: ImageSet,
    *,
    target: str = "eps",
    n: int = 1024,
    batch_size: int = 256,
    seed: int = 0,
    precision: str = "auto",
) -> float:
    """The mean squared error of a network on n pictures, with times and noise fixed by `seed`. Lesson 03.

    Unlike the training loss it can be compared from step to step, and between runs: nothing in it is left to chance.
    """
    total, device = 0.0, next(net.parameters()).device
    predict = devices.tuned(net, device, precision)
    index = torch.randperm(len(images), generator=step_generator(seed, 0))[:n]
    with devices.evaluating(net):
        for k, chosen in enumerate(index.split(batch_size)):
            rng = step_generator(seed, k + 1)
            t = torch.randint(1, schedule.T + 1, (len(chosen),), generator=rng).to(device)
            x0 = images.pictures(chosen).to(device)
            eps = torch.randn(x0.shape, generator=rng).to(device)
            c = [images.contexts(chosen).to(device)] if net.config.get("context_dim") is not None else []
            error = predict(add_noise(schedule, x0, t, eps), t, *c) - TARGETS[target](schedule, x0, eps, t)
            total += error.square().flatten(1).mean(1).sum().item()
    return total / len(index)


def step_generator(seed: int, step: int) -> torch.Generator:
    """The source of all random choices of one step of one run, the same on every machine."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)


def save_checkpoint(path: str | Path, state: TrainState) -> None:
    """Writes the whole run to one file: all of it, or nothing and an error."""
    if not all(parameter.isfinite().all() for parameter in state.net.parameters()):
        raise ValueError(f"state: the weights of step {state.step} aren't finite any more; {path} is left as it was")
    tensors = {"schedule.alpha_bar": state.schedule.alpha_bar}
    plain = _without_tensors(state.state_dict(), "state", tensors)
    write_tensors(
        path, "checkpoint", tensors, {"net": nets.describe(state.net), "classes": state.classes, "state": plain}
    )


def load_checkpoint(path: str | Path, state: TrainState | None = None) -> TrainState:
    """Reads a run back: into `state`, which is checked against the file, or into a new one built from it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it isn't a whole checkpoint of ours, or belongs to another network or schedule.
    """
    tensors, meta = read_tensors(path, "checkpoint")
    saved = _with_tensors(meta["state"], tensors)
    schedule = Schedule(tensors["schedule.alpha_bar"])
    if state is None:
        classes = tuple(meta["classes"])
        state = TrainState.create(nets.build(meta["net"]), schedule, steps=saved["numbers"]["steps"], classes=classes)
    if nets.describe(state.net) != nets.completed(meta["net"]):
        raise ValueError(
            f"{path}: holds {meta['net']}, but the run at hand trains {nets.describe(state.net)}; build that net"
        )
    if not torch.equal(schedule.alpha_bar, state.schedule.alpha_bar):
        raise ValueError(f"{path}: was trained with another schedule (T = {schedule.T}); build the run with that one")
    if tuple(meta["classes"]) != state.classes:
        raise ValueError(
            f"{path}: was trained on the classes {meta['classes']}, not {state.classes}; load that data set"
        )
    if "" not in (state.data, data := saved["numbers"].get("data", "")) and data != state.data:
        raise ValueError(f"{path}: was trained on other pictures than the run at hand; load that data set")
    state.load_state_dict(saved)
    return state


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON can say it: its tensors go to the table `tensors`, under the path that led to them.

    A dictionary becomes a list of pairs, since JSON would turn the optimizer's whole-number keys into words.
    """
    if isinstance(value, Tensor):
        tensors[name] = value.detach().clone()  # safetensors refuses tensors that share memory
        return {"tensor": name}
    if isinstance(value, dict):
        return {"pairs": [[key, _without_tensors(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_without_tensors(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `_without_tensors`; tuples come back as lists."""
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: _with_tensors(item, tensors) for key, item in value["pairs"]}
    if isinstance(value, list):
        return [_with_tensors(item, tensors) for item in value]
    return value
