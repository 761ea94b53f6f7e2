"""What a training run is, in one record: presets, the command line, run.json, checkpoints and `train` read the same."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_teach import nets
from ddpm_teach.checks import PRECISIONS, check_int, check_number, check_positive, check_word
from ddpm_teach.diffusion.schedule import SCHEDULES, Schedule
from ddpm_teach.diffusion.targets import TARGETS, Target
from ddpm_teach.diffusion.vocabularies import FLOW_TIME


def uniform_times(n: int, T: int, rng: torch.Generator) -> Tensor:
    """(n,) times in 1…T, each drawn by itself: line 3 of DDPM's algorithm 1. Lesson 03."""
    return torch.randint(1, T + 1, (n,), generator=rng, device="cpu")


def stratified_times(n: int, T: int, rng: torch.Generator) -> Tensor:
    """(n,) times, one from each of n equal parts of 1…T, in order: every time is as likely as with `uniform_times`.

    A batch then never lacks a part of the times, so its loss jumps less from step to step (a stratified sample; Kingma
    et al. 2021, "Variational diffusion models", call their kind a low-discrepancy sampler). Lesson 08.
    """
    places = torch.arange(n, dtype=torch.float64, device="cpu")
    places += torch.rand(n, generator=rng, dtype=torch.float64, device="cpu")
    return 1 + (places / n * T).long().clamp(max=T - 1)


def logit_normal_times(n: int, schedule: Schedule, rng: torch.Generator) -> Tensor:
    """(n,) times whose flow time is logit-normal, s = 1 / (1 + e^-z), z ~ N(0, 1) (Esser et al. 2024, eq. 19).

    Most are from the middle, where neither picture nor noise is plain. Each s becomes the first of the schedule's times
    1…T that has at least as much noise, or T; since z = ln σ, it's EDM's log-normal σ as well. Lesson 11.
    """
    s = torch.randn(n, generator=rng, dtype=torch.float64, device="cpu").sigmoid()
    return 1 + torch.searchsorted(FLOW_TIME.level(schedule.alpha_bar)[1:-1].contiguous(), s)


TIMES: dict[str, Callable[[int, Schedule, torch.Generator], Tensor]] = {
    "uniform": lambda n, schedule, rng: uniform_times(n, schedule.T, rng),
    "stratified": lambda n, schedule, rng: stratified_times(n, schedule.T, rng),
    "logit-normal": logit_normal_times,
}

DENOISERS = (
    "schedule",
    "target",
    "times",
    "min_snr",
    "condition",
    "context_dropout",
    "autoencoder",
)  # of no use to an autoencoder
AUTOENCODERS = ("kl_weight",)  # of no use to a denoiser
CONDITIONS = ("class", "attributes", "caption")
OWN = "own"  # what a record calls a schedule that has no name in SCHEDULES

BUDGETS = {  # what a run costs, for --help
    "cpu-minutes": "about ten minutes of two CPU cores",
    "cpu-hour": "one to three hours of two CPU cores",
    "gpu": "minutes of a GPU",
}


def _option(default: Any, text: str) -> Any:
    """A field that `ddpm-teach train` has an option for."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class RunOptions:
    """All that is chosen for a training run. Frozen, and checked here and nowhere else.

    Attributes:
        data: a name for `data.load`, or a folder of pictures.
        size: height and width to which named pictures are padded, and those of a folder scaled.
        net: name and configuration of the network, as `nets.from_config` takes them; None for one of your own.
        autoencoder: the name of weights, or a path, of the one that encodes the pictures; "" for pictures themselves.
        budget: which of a preset's plans this is: "cpu-minutes", "cpu-hour" or "gpu".
        minutes: end after about so many minutes, whatever the step.
        schedule: the name of a noise schedule; of a run by another one "own", which its checkpoints hold. With `net` it
            has as many times as the network is built for.
        others: as their help says.

    Raises:
        TypeError, ValueError: for a bad value, in one sentence that names the option.
    """

    data: str = ""
    size: int | None = None
    net: dict | None = field(default=None, repr=False)
    autoencoder: str = ""
    budget: str | None = None
    minutes: float | None = None
    steps: int = _option(10_000, "the step at which the run ends; may be moved when resuming")
    batch_size: int = _option(64, "pictures in a step")
    lr: float = _option(1e-3, "learning rate at the start; it falls linearly to 0 at the end")
    ema_decay: float = _option(0.999, "decay of the weights' moving average, which draws")
    seed: int = _option(0, "of the weights and of every step's random numbers")
    save_every: int = _option(1000, "steps between two checkpoints")
    precision: str = _option("auto", "auto, float32 or bfloat16")
    target: str | Target = _option("eps", "what the network predicts: eps, x0, v or flow")  # noqa: RUF009
    schedule: str = _option("linear", f"noise schedule: {', '.join(SCHEDULES)}")
    times: str = _option(
        "uniform",
        "uniform; stratified: from 1…T cut into as many parts as pictures; logit-normal: most from flow time's middle",
    )
    min_snr: float = _option(0.0, "weigh the loss by min-SNR with this γ, usually 5; 0: no weights")
    condition: str = _option(
        "class", "what the network is told of each picture: class, attributes (sprites) or caption (scenes)"
    )
    warmup: int = _option(0, "steps over which the learning rate rises from 0")
    context_dropout: float = _option(0.1, "share of pictures whose context is zeroed, for guidance")
    start: str = _option("", "weights to begin with, a name or a file, of the same network, instead of random ones")
    kl_weight: float = _option(0.02, "of an autoencoder: weight of the latents' KL term, a mean in nats")

    def __post_init__(self) -> None:
        if isinstance(self.target, Target):
            object.__setattr__(self, "target", self.target.name)
        if not isinstance(self.data, str):
            raise TypeError(f"data: expected a name such as 'mnist', or the path of a folder, got {self.data!r}")
        for name in ("autoencoder", "start"):
            if not isinstance(value := getattr(self, name), str):
                raise TypeError(f"{name}: expected a name or a path, or '', got {value!r}")
        for name in ("steps", "batch_size", "save_every"):
            check_int(name, getattr(self, name), 1)
        check_int("seed", self.seed, 0, 2**63 - 1)
        check_int("warmup", self.warmup, 0)
        if self.size is not None:
            check_int("size", self.size, 1)
        self._check_numbers()
        self._check_names()
        if self.net is not None:
            object.__setattr__(self, "net", nets.checked(self.net))
            self._check_effects()

    def _check_numbers(self) -> None:
        for name, high in (("ema_decay", 1), ("min_snr", math.inf), ("context_dropout", 1), ("kl_weight", math.inf)):
            check_number(name, getattr(self, name), 0, high)
        if self.minutes is not None:
            check_positive("minutes", self.minutes)
        check_positive("lr", self.lr, "; nothing would be learned")
        if self.ema_decay == 1:
            raise ValueError(
                "ema_decay: expected less than 1, got 1; the average would keep the first weights for ever"
            )

    @property
    def idle(self) -> tuple[str, ...]:
        """The options that this kind of network has no use for."""
        return DENOISERS if self.net is not None and self.net["name"] == "Autoencoder" else AUTOENCODERS

    def _check_effects(self) -> None:
        """Refuses an option without effect."""
        whose = "a denoiser's, and this run trains an autoencoder" if self.idle is DENOISERS else "an autoencoder's"
        for option in fields(self):
            if option.name in self.idle and getattr(self, option.name) != option.default:
                raise ValueError(f"{option.name}: is {whose}; leave it out")

    def _check_names(self) -> None:
        words = {"schedule": (*SCHEDULES, OWN), "precision": PRECISIONS, "target": TARGETS, "times": TIMES}
        words["condition"] = CONDITIONS
        if self.budget is not None:
            words["budget"] = BUDGETS
        for name, known in words.items():
            check_word(name, getattr(self, name), known)
        if self.schedule == OWN or not TARGETS[self.target].needs_signal:
            return
        if (usual := SCHEDULES[self.schedule]()).last_with_signal < usual.T:
            raise ValueError(
                f"target: {self.target} can't be read where ᾱ_T = 0, as {self.schedule} has it; use x0, v or flow"
            )

    def noise_schedule(self) -> Schedule:
        """The noise schedule with that name, T = 1000 or the network's own.

        Raises:
            ValueError: for a run whose schedule has no name.
        """
        if self.schedule == OWN:
            raise ValueError("schedule: these options' is one of your own, which no name makes; use state.schedule")
        return SCHEDULES[self.schedule](**({"T": T} if (T := (self.net or {}).get("config", {}).get("T")) else {}))

    def lr_at(self, step: int) -> float:
        """The learning rate of the step after `step` steps: it rises over the warm-up and falls linearly to 0."""
        return self.lr * min(1.0, (step + 1) / (self.warmup + 1)) * max(0.0, 1 - step / self.steps)

    def record(self) -> dict[str, Any]:
        """As JSON keeps it, all but what the checkpoint has elsewhere (the network)."""
        return {option.name: getattr(self, option.name) for option in fields(self) if option.name != "net"}

    @classmethod
    def recorded(cls, record: Mapping[str, Any], net: dict | None) -> RunOptions:
        """The inverse of `record`; what a record doesn't name has its default."""
        known = {option.name for option in fields(cls)} - {"net"}
        return cls(net=net, **{name: value for name, value in record.items() if name in known})


def schedule_name(schedule: Schedule) -> str:
    """The name in SCHEDULES that makes this very schedule, for its T; "own" where there is none."""
    for name, make in SCHEDULES.items():
        # Not every schedule has so few steps, or so many.
        with warnings.catch_warnings(action="ignore"), contextlib.suppress(ValueError):
            if torch.equal(make(schedule.T).alpha_bar, schedule.alpha_bar):
                return name
    return OWN


CHOSEN = tuple(option.name for option in fields(RunOptions) if "help" in option.metadata)
FIXED = (
    "data",
    "size",
    "net",
    "autoencoder",
    "budget",
    "schedule",
    "seed",
    "target",
    "condition",
)  # what resuming can't change


def option_name(name: str) -> str:
    """The command line's name of an option: min_snr → --min-snr."""
    return f"--{name.replace('_', '-')}"


def is_folder(data: str) -> bool:
    """Whether `RunOptions.data` is a folder of pictures."""
    return Path(data).is_absolute()
