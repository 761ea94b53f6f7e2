"""Our networks inside diffusers: a scheduler, a network and a pipeline of its kinds. Lesson 14.

pipeline = to_pipeline(load_model("sprites"))
pipeline.save_pretrained("sprites-diffusers")                  # diffusers' folder format
pictures = CoursePipeline.from_pretrained("sprites-diffusers")(context=…, num_inference_steps=50).images
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from diffusers import ConfigMixin, DDIMScheduler, DiffusionPipeline, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from ddpm_teach import nets
from ddpm_teach.checks import check_int, check_number, check_pictures, shown
from ddpm_teach.diffusion.guidance import guided
from ddpm_teach.interop.schedulers import to_scheduler
from ddpm_teach.model import Model


class CourseUNet(ModelMixin, ConfigMixin):
    """One of our networks as a diffusers model: (sample, timestep from 0, context) → what it predicts.

    Args:
        description: its name and configuration, as `nets.describe` gives them.
        classes: the names of its classes, in the order of the context.
    """

    @register_to_config
    def __init__(self, description: dict, classes: list[str]) -> None:
        super().__init__()
        self.net = nets.from_config(description)

    def forward(self, sample: Tensor, timestep: Tensor | int, context: Tensor | None = None) -> Tensor:
        t = torch.as_tensor(timestep, device=sample.device).long().expand(len(sample)) + 1
        return self.net(sample, t, context)


class Images(NamedTuple):
    """What the pipeline returns: pictures (b, c, h, w) in [-1, 1]."""

    images: Tensor


class CoursePipeline(DiffusionPipeline):
    """diffusers' own loop around our network: its scheduler makes the steps."""

    def __init__(self, unet: CourseUNet, scheduler: DDIMScheduler) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    @torch.no_grad()
    def __call__(
        self,
        context: Tensor | None = None,
        guidance_scale: float = 1.0,
        num_inference_steps: int = 50,
        eta: float = 0.0,
        batch_size: int = 1,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Images:
        """As many pictures as `noise` has, which is x_T; without it as many as there are contexts, or `batch_size`.

        Raises:
            TypeError, ValueError: for a number out of range, contexts or noise that are no tensors, or guidance without
                a context.
            FloatingPointError: if the network makes numbers that aren't finite.
        """
        check_int("num_inference_steps", num_inference_steps, 1, self.scheduler.config.num_train_timesteps)
        check_int("batch_size", batch_size, 1)
        check_number("eta", eta, 0, 1)
        check_number("guidance_scale", guidance_scale, -math.inf)
        if noise is not None:
            check_pictures("noise", noise)
        if context is not None and not isinstance(context, Tensor):
            raise TypeError(f"context: expected a tensor (b, …), got {shown(context)}; use model.context(name)")
        if noise is None:
            count = batch_size if context is None else len(context)
            device = "cpu" if generator is None else generator.device
            noise = torch.randn(count, *self.unet.net.image_shape, generator=generator, device=device)
        x = noise.to(self.unet.device, self.unet.dtype)
        if context is None and guidance_scale != 1:
            raise ValueError(f"guidance_scale: {guidance_scale} needs a context to guide towards; pass context=…")
        net = self.unet.net if context is None else guided(self.unet.net, context.to(x), guidance_scale)
        self.scheduler.set_timesteps(num_inference_steps)
        finite = torch.ones((), dtype=torch.bool, device=x.device)  # clipping would hide infinities
        for timestep in self.progress_bar(self.scheduler.timesteps):
            t = timestep.to(x.device).long().expand(len(x)) + 1
            # "clipped": ε̂ made to agree with the clipped x̂_0, as ours does
            prediction = net(x, t)
            finite &= prediction.isfinite().all()
            step = self.scheduler.step(
                prediction, timestep, x, eta=eta, use_clipped_model_output=True, generator=generator
            )
            x = step.prev_sample
        if not finite:
            raise FloatingPointError("unet: the network makes numbers that aren't finite; was its training stable?")
        return Images(x)


def to_pipeline(model: Model) -> CoursePipeline:
    """A model of ours as a diffusers pipeline; the network is copied.

    Raises:
        ValueError: for a target that diffusers' DDIM can't read, a network of your own, or a student.
    """
    if model.times:
        raise ValueError(f"model: expected a network for any times, got a student of {model.times}; pass its teacher")
    scheduler = to_scheduler(model.schedule, model.target, model.limit)
    if not nets.is_known(model.net):
        raise ValueError(f"model: expected a network of this course, got a {type(model.net).__name__}")
    unet = CourseUNet(description=nets.describe(model.net), classes=list(model.classes))
    unet.net.load_state_dict(nets.unwrapped(model.net).state_dict())
    return CoursePipeline(unet.eval(), scheduler)
