"""A training run as an object: the network, its moving average, the optimizer, and how far they are. Lesson 03."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import compress
from types import MappingProxyType

import torch
from torch import Tensor, nn

from ddpm_teach import nets
from ddpm_teach.checks import check_classes, check_int, check_schedule, shown
from ddpm_teach.data.attributes import Attributes
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import TARGETS, Target
from ddpm_teach.hardware.precision import check_device
from ddpm_teach.model import Model
from ddpm_teach.model_files import load_autoencoder, told_fields
from ddpm_teach.training.autoencoding import is_autoencoder
from ddpm_teach.training.options import RunOptions, schedule_name


class MovingAverage(nn.Module):
    """The average of a network's weights and buffers (EMA), with decay min(decay, (1 + n)/(10 + n)) after n updates.

    With a constant 0.999 the random initial weights would still weigh 1 / e after a thousand steps. Lesson 03.

    Attributes:
        module: a network of its own, with the averages as its weights.
        n_averaged: the number of updates.
    """

    n_averaged: Tensor

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(net)
        self.register_buffer("n_averaged", torch.tensor(0, device="cpu"))  # read at every step: never on a GPU

    def _apply(self, fn: object, recurse: bool = True) -> MovingAverage:
        self.module._apply(fn)  # the counter stays where it is
        return self

    @torch.no_grad()
    def update(self, net: nn.Module, decay: float) -> None:
        """Moves the averages towards the network's weights; the first update copies them."""
        n = int(self.n_averaged)
        weight = 1 - min(decay, (1 + n) / (10 + n)) if n else 1.0
        averages, values = ([*one.parameters(), *one.buffers()] for one in (self.module, net))
        floats = [average.is_floating_point() for average in averages]
        torch._foreach_lerp_([*compress(averages, floats)], [*compress(values, floats)], weight)
        counts = [not is_float for is_float in floats]  # of BatchNorm's batches: copied, not averaged
        if any(counts):
            torch._foreach_copy_([*compress(averages, counts)], [*compress(values, counts)])
        self.n_averaged += 1


@dataclass
class TrainState:
    """A run: what it is (`options`) and what moves. Every random choice of step k is drawn from (seed, k), so there is
    no generator to save.

    Attributes:
        net: the network in training; its weights change at every step.
        ema: its moving average, `ema.module`; this one draws.
        classes: the names of the data set's classes.
        told: the attributes, or the tokenizer of the captions, that the network is told, if it is (see `ImageSet`).
        data: the fingerprint of the data set, from the first step on (see `ImageSet.fingerprint`).
        step: how many steps are done.
    """

    net: nn.Module
    schedule: Schedule
    options: RunOptions
    optimizer: torch.optim.Optimizer
    ema: MovingAverage
    classes: tuple[str, ...] = ()
    told: Attributes | Tokenizer = field(default_factory=dict)
    data: str = ""
    step: int = 0

    @classmethod
    def create(
        cls,
        net: nn.Module,
        schedule: Schedule,
        options: RunOptions | None = None,
        classes: Iterable[str] = (),
        told: Attributes | Tokenizer = MappingProxyType({}),
    ) -> TrainState:
        """A new run: Adam, a learning rate that falls linearly to 0 at the last step, EMA with warm-up.

        Args:
            net: of this course, or your own with `image_shape`; it learns what it predicts as `net.target`.
            classes: the names of the data set's classes.
            told: the `told` of the data set, where the network is told attributes or words.

        Raises:
            TypeError: for a network without `image_shape`, what is no schedule, options that aren't RunOptions, or
                classes that aren't names.
            ValueError: for a network of another T, one that was trained for another target, one whose weights are all
                frozen, a schedule by which the target can't be read at T, or other classes than the network is for.
        """
        options = RunOptions() if options is None else options
        if not isinstance(options, RunOptions):
            raise TypeError(f"options: expected RunOptions(steps=…, lr=…), got {shown(options)}")
        nets.image_shape(net)
        check_schedule(schedule)
        classes, inside = check_classes(classes, None if told else nets.context_dim(net)), nets.unwrapped(net)
        _check_trainable(inside, schedule, options)
        # The record says what network and schedule are, whoever built them.
        described = nets.describe(inside) if nets.is_known(inside) else None
        options = replace(options, net=described, schedule=schedule_name(schedule))
        inside.target = options.target
        net.to(memory_format=torch.channels_last)  # the layout that fast convolution kernels read
        told = told if isinstance(told, Tokenizer) else dict(told)
        return cls(net, schedule, options, _adam(net, options.lr), MovingAverage(inside), classes, told)

    @property
    def target(self) -> Target:
        """What the network predicts."""
        return TARGETS[self.options.target]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.net.parameters()).device

    @property
    def model(self) -> Model:
        """The averaged network as a Model: what draws. It changes as training goes on.

        Raises:
            ValueError: for the run of an autoencoder, which draws nothing.
        """
        if is_autoencoder(self.net):
            raise ValueError(
                "state: is the run of an autoencoder, which draws nothing; its averages are state.ema.module"
            )
        autoencoder = load_autoencoder(self.options.autoencoder).to(self.device) if self.options.autoencoder else None
        return Model(
            self.ema.module,
            self.schedule,
            self.target,
            self.classes,
            data=self.options.data,
            autoencoder=autoencoder,
            **told_fields(self.told),
        )

    def update(self) -> float:
        """A step of the optimizer with the gradients at hand, then of the average; the learning rate that was used."""
        lr = self.options.lr_at(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.ema.update(nets.unwrapped(self.net), self.options.ema_decay)
        self.step += 1
        return lr

    def end_at(self, steps: int, lr: float | None = None) -> None:
        """Moves the end of the run (and changes lr). The learning rate is lr · (1 - step / steps) from here on.

        Raises:
            ValueError: if the run is past that step.
        """
        if check_int("steps", steps, 1) < self.step:
            raise ValueError(f"steps: the run has done {self.step} already, so it can't end at {steps}; give more")
        self.options = replace(self.options, steps=steps, lr=self.options.lr if lr is None else lr)

    def to(self, device: torch.device | str) -> TrainState:
        """Moves all of the run to a device, in place; itself. A ValueError for a device that isn't here."""
        device = check_device(device)
        self.net.to(device)
        self.ema.module.to(device)
        weights = self.optimizer.param_groups[0]["params"]
        if any(old is not new for old, new in zip(weights, self.net.parameters(), strict=True)):
            saved = self.optimizer.state_dict()  # on some devices torch makes new weights instead of moving these
            self.optimizer = _adam(self.net, self.options.lr)
            self.optimizer.load_state_dict(saved)
        for parameter, moments in self.optimizer.state.items():  # the fused kernel wants them in the parameter's layout
            for name, value in moments.items():
                if value.shape == parameter.shape:
                    moments[name] = torch.empty_like(parameter).copy_(value)
                elif self.device.type in ("cpu", "cuda"):  # it wants the count of steps there, too
                    moments[name] = value.to(parameter.device)
        for group in self.optimizer.param_groups:
            group["fused"] = self.device.type in ("cpu", "cuda")
        return self

    def state_dict(self) -> dict:
        """What moves: weights, moments and averages."""
        net = nets.unwrapped(self.net)
        return {"net": net.state_dict(), "ema": self.ema.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`."""
        nets.unwrapped(self.net).load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.to(self.device)


def check_state(state: object) -> None:
    """Refuses what isn't a run, above all its network or its model."""
    if not isinstance(state, TrainState):
        raise TypeError(
            f"state: expected a TrainState, got {shown(state)}; use TrainState.create(net, schedule, options, classes)"
        )


def _adam(net: nn.Module, lr: float) -> torch.optim.Optimizer:
    fused = next(net.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.Adam(net.parameters(), lr=lr, fused=fused)


def _check_trainable(net: nn.Module, schedule: Schedule, options: RunOptions) -> None:
    """Refuses what would be trained in vain."""
    schedule.check_net(net)
    if (trained := getattr(net, "target", options.target)) != options.target:
        raise ValueError(
            f"net: was trained to predict {trained!r}, but the options say {options.target!r}; use"
            f" RunOptions(target={trained!r}), or set net.target = {options.target!r} to teach it anew"
        )
    if not any(weight.requires_grad for weight in net.parameters()):
        raise ValueError(
            "net: has no trainable weight (weights that are loaded are frozen); net.requires_grad_(True) thaws them"
        )
    if TARGETS[options.target].needs_signal and schedule.last_with_signal < schedule.T:
        raise ValueError(
            f"target: {options.target} can't be read where ᾱ_T = 0, as this schedule has it; use x0, v or flow"
        )


def step_generator(seed: int, step: int) -> torch.Generator:
    """The source of all random choices of one step of one run, the same on every machine."""
    check_int("seed", seed, 0, 2**63 - 1)
    return torch.Generator("cpu").manual_seed((seed * 1_000_003 + step) % 2**63)
