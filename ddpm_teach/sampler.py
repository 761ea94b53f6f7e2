"""A whole sampler by name: the last line does what the first two do. Lesson 06.

denoise = clipped(from_eps(guided(net, context, 2.0), schedule), schedule)
frames = walk(ddim_step(denoise, schedule), x_T, trailing(schedule.T, 50))
x = sample(model, 8, model.context("hero"), steps=50, guidance_scale=2.0)
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_teach.checks import PRECISIONS, check_int, check_model, check_number, check_word
from ddpm_teach.diffusion.guidance import guided
from ddpm_teach.diffusion.noise import NoiseSource
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.steps import ddim_step, ddpm_step, dpm_step, heun_step, walk
from ddpm_teach.diffusion.targets import clipped
from ddpm_teach.diffusion.times import SPACINGS
from ddpm_teach.diffusion.types import Denoiser, Frame, Net, Step, carrying
from ddpm_teach.model import Model

SAMPLERS: dict[str, Callable[[Denoiser, Schedule, float, NoiseSource], Step]] = {
    "ddim": lambda denoise, schedule, eta, rng: ddim_step(denoise, schedule, eta, rng=rng),
    "ddpm": lambda denoise, schedule, eta, rng: ddpm_step(denoise, schedule, rng=rng),
    "heun": lambda denoise, schedule, eta, rng: heun_step(denoise, schedule),
    "dpm": lambda denoise, schedule, eta, rng: dpm_step(denoise, schedule),
}

STEPS = 50  # unless chosen, or known to a student


@dataclass(frozen=True)
class Sampler:
    """How to draw from a model: a step by name, the times, guidance. x̂_0 is clipped to the model's limit.

    Attributes:
        kind: "ddim", "ddpm", "heun" or "dpm".
        steps: moves from T to 0; heun calls the network 2 steps - 1 times. None: 50, or those that a student knows.
        spacing: "trailing", "leading" or "quadratic".
        eta: ddim's η, between 0 (deterministic) and 1; 0 for the others.
        guidance_scale: of `guided`, for a network that takes a context; 1 is the conditional network itself.
        precision: "auto" computes as the hardware is fastest (see `hardware.precision`), "float32" exactly, "bfloat16".
    """

    kind: str = "ddim"
    steps: int | None = None
    spacing: str = "trailing"
    eta: float = 0.0
    guidance_scale: float = 1.0
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, known in (("kind", SAMPLERS), ("spacing", SPACINGS), ("precision", PRECISIONS)):
            check_word(name, getattr(self, name), known)
        if self.steps is not None:
            check_int("steps", self.steps, 1)
        check_number("eta", self.eta, 0, 1)
        check_number("guidance_scale", self.guidance_scale, -torch.inf)
        if self.eta and self.kind != "ddim":
            raise ValueError(f"eta: {self.kind} has no η, got {self.eta}; leave it out, or use ddim")

    def times(self, model: Model) -> list[int]:
        """The times of the walk, from T to 0; a student's are its own, and it walks them in one way alone.

        A ValueError for more steps than T, or what a student wasn't made for.
        """
        if not model.times:
            return SPACINGS[self.spacing](model.schedule.T, STEPS if self.steps is None else self.steps)
        only = {"kind": "ddim", "steps": len(model.times) - 1, "spacing": "trailing", "eta": 0, "guidance_scale": 1}
        for name, value in only.items():
            if (asked := getattr(self, name)) not in (value, None):
                own = ", ".join(map(str, model.times))
                raise ValueError(
                    f"{name}: a student walks its own times, {own}, by ddim and with its teacher's guidance inside,"
                    f" got {asked}; leave it out"
                )
        return list(model.times)

    def frames(
        self, model: Model, n: int, contexts: Tensor | None = None, seed: int | None = 0, negative: Tensor | None = None
    ) -> Iterator[Frame]:
        """The walk to n pictures, on the model's device, computed as it is read; the network's mode is left as it is.

        Args:
            model: what `load_model` gives, or a Model of your own network.
            contexts: (n, …) or (1, …), what to draw; None draws freely.
            seed: same seed, same pictures, on every device up to rounding; None takes a new one.
            negative: (n, …) or (1, …), what guidance pushes away from instead of from no context.

        Frames of latents are latents: `model.decoded` makes pictures of them. A FloatingPointError with the last frame,
        if the network made numbers that aren't finite.
        """
        check_model(model)
        schedule = model.schedule
        x = model.noise(check_int("n", n, 1), rng := generator(seed))
        times = self.times(model)
        if contexts is None and self.guidance_scale != 1:
            raise ValueError(f"guidance_scale: {self.guidance_scale} needs contexts to guide towards; pass contexts=…")
        if negative is not None and self.guidance_scale == 1:
            remedy = "a student takes none" if model.times else "pass contexts=… and a guidance_scale above 1"
            raise ValueError(f"negative: acts through guidance alone; {remedy}")
        for given in [c for c in (contexts, negative) if c is not None]:
            model.check_contexts(given, n)
        sums: list[tuple[Tensor, str]] = []
        untrained = "model: the network makes numbers that aren't finite; was its training stable?"
        net = _summed(model.tuned(self.precision).net, sums, untrained)
        if contexts is not None:
            strong = f"guidance_scale: {self.guidance_scale} makes numbers that aren't finite; use one nearer to 1"
            wanted, unwanted = contexts.to(x.device), negative if negative is None else negative.to(x.device)
            net = _summed(guided(net, wanted, self.guidance_scale, unwanted), sums, strong)
        denoise = model.read(net) if model.limit is None else clipped(model.read(net), schedule, model.limit)
        return _finite(walk(SAMPLERS[self.kind](denoise, schedule, self.eta, rng), x, times), sums)


def _summed(net: Net, sums: list[tuple[Tensor, str]], why: str) -> Net:
    """The network; each prediction's sum, which tells infinities that clipping hides, goes to `sums` beside `why`."""

    def summed_net(x: Tensor, t: Tensor, *c: Tensor) -> Tensor:
        prediction = net(x, t, *c)
        sums.append((prediction.detach().sum(dtype=torch.float32), why))  # not read yet: that waits for the device
        return prediction

    return carrying(summed_net, net)


def _finite(frames: Iterator[Frame], sums: list[tuple[Tensor, str]]) -> Iterator[Frame]:
    """The frames; with the last one, all sums must be finite: pictures of NaN are grey, and look like a style."""
    for frame in frames:
        if frame.t == 0 and not (finite := torch.stack([total for total, _ in sums]).isfinite()).all():
            raise FloatingPointError(sums[finite.tolist().index(False)][1])
        yield frame


def generator(seed: int | None) -> torch.Generator:
    """A generator on the CPU with this seed, 0 ≤ seed < 2^63; None: a new one."""
    rng = torch.Generator("cpu")
    return rng.manual_seed(rng.seed() if seed is None else check_int("seed", seed, 0, 2**63 - 1))


def sample(
    model: Model, n: int, contexts: Tensor | None = None, *, seed: int | None = None, progress: bool = False, **options
) -> Tensor:
    """n pictures (n, c, h, w) in [-1, 1], on the model's device: the last frame of a `Sampler`, decoded. Lesson 00.

    `options` are the Sampler's, the others as for its `frames`; `progress` shows a bar.
    """
    from tqdm.auto import tqdm  # here, since `import ddpm_teach` shall cost no more than torch does

    if unknown := [name for name in options if name not in (known := Sampler.__dataclass_fields__)]:
        raise TypeError(f"{unknown[0]}: isn't an option of sample; expected one of {', '.join(known)}")
    sampler = Sampler(**options)
    frames = sampler.frames(model, n, contexts, seed)
    frames = tqdm(frames, total=len(sampler.times(model)), desc="sampling", leave=False, disable=not progress)
    return model.decoded(collections.deque(frames, maxlen=1).pop().x)
