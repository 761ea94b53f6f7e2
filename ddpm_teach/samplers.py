"""A sampler by name, with all that can be asked of one: for the command line, the playground and the evaluation.

    *_, last = Recipe("ddim", steps=20).frames(load_pretrained("mnist"), n=64, seed=0)

What it puts together is lesson 06's: a network, read, guided and clipped; a step; a list of times; a walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_teach.checks import check_int
from ddpm_teach.denoise import clipped, guided
from ddpm_teach.devices import tuned
from ddpm_teach.kinds import Denoiser, Frame, Step
from ddpm_teach.noise import Rng
from ddpm_teach.sampling import ddim_step, ddpm_step, heun_step, walk
from ddpm_teach.schedule import Schedule
from ddpm_teach.times import leading, quadratic, trailing
from ddpm_teach.weights import READERS, Pretrained

SPACINGS = {"trailing": trailing, "leading": leading, "quadratic": quadratic}
SAMPLERS: dict[str, Callable[[Denoiser, Schedule, float, Rng], Step]] = {
    "ddim": lambda denoise, schedule, eta, rng: ddim_step(denoise, schedule, eta, rng=rng),
    "ddpm": lambda denoise, schedule, eta, rng: ddpm_step(denoise, schedule, rng=rng),
    "heun": lambda denoise, schedule, eta, rng: heun_step(denoise, schedule),
}


@dataclass(frozen=True)
class Recipe:
    """How to sample.

    Attributes:
        sampler: "ddim", "ddpm" or "heun".
        spacing: "trailing", "leading" or "quadratic".
        steps: moves from T to 0; heun calls the network 2 steps - 1 times.
        eta: ddim's, between 0 and 1.
        guidance_scale: of `guided`; only for a network that is told what to draw.
        precision: "auto", "float32" or "bfloat16".

    Raises:
        ValueError: for another sampler or spacing.
    """

    sampler: str = "ddim"
    spacing: str = "trailing"
    steps: int = 50
    eta: float = 0.0
    guidance_scale: float = 1.0
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, known in (("sampler", SAMPLERS), ("spacing", SPACINGS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")

    def frames(self, model: Pretrained, n: int, contexts: Tensor | None = None, seed: int = 0) -> Iterator[Frame]:
        """The walk to n pictures, on the network's device, computed as it is read.

        Args:
            contexts: (n, …) or (1, …) what to draw; None for a network that takes no context, or no wish.
            seed: of the first noise and of all that is added.
        """
        check_int("n", n, 1)
        device = next(model.net.parameters()).device
        predict = tuned(model.net.eval(), device, self.precision)
        if contexts is not None:
            predict = guided(predict, contexts.to(device), self.guidance_scale)
        denoise = clipped(READERS[model.target](predict, model.schedule), model.schedule)
        rng = torch.Generator().manual_seed(seed)
        x = torch.randn(n, *model.net.image_shape, generator=rng).to(device)
        step = SAMPLERS[self.sampler](denoise, model.schedule, self.eta, rng)
        return walk(step, x, SPACINGS[self.spacing](model.schedule.T, self.steps))
