"""diffusers' networks under our walk: a UNet, and the scheduler that it was trained with, as a Model. Lesson 14.

    model = from_diffusers(pipeline.unet, pipeline.scheduler)
    pictures = sample(model, 4, steps=50)
    denoise = clipped(model.denoiser, schedule := model.schedule)
    frames = walk(ddim_step(denoise, schedule), x_T, leading(schedule.T, 50))

What a scheduler holds besides is how one samples, and that is said by a list of times and by wrappers here:

    timestep_spacing="trailing"                                        trailing(T, steps), where steps divides T
    timestep_spacing="leading"                                         leading(T, steps)
    "leading" with steps_offset=1 and set_alpha_to_one=False           ldm_uniform(T, steps), where steps divides T
    thresholding=True                                                  thresholded(denoiser, schedule)
    variance_type="fixed_small", "fixed_large"                         ddpm_step(…, variance="posterior"), "beta"
"""

from __future__ import annotations

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel, UNet2DModel
from jaxtyping import Float
from torch import Tensor, nn

from ddpm_teach.checks import check_finite, shown
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import Target
from ddpm_teach.interop.schedulers import schedule_of, target_of
from ddpm_teach.model import Model
from ddpm_teach.nets import unwrapped

TOKENS = 77  # of a context, unless `null` says another number: CLIP's
# What a UNet's configuration may not ask for: it would be told more than x, t and encoder_hidden_states.
MORE = ("class_embed_type", "num_class_embeds", "addition_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim")


class DiffusersUNet(nn.Module):
    """One of diffusers' UNets as a network of ours: (x, t from 1, context) → what it predicts. It isn't copied.

    Attributes:
        null: (1, tokens, width) the context that stands for "no condition", of a network that takes one.
    """

    def __init__(
        self, unet: UNet2DModel | UNet2DConditionModel, schedule: Schedule, target: Target, null: Tensor | None = None
    ) -> None:
        super().__init__()
        config = unwrapped(unet).config
        size = config.sample_size
        self.image_shape = (config.in_channels, *((size, size) if isinstance(size, int) else size))
        self.context_dim = None if null is None else tuple(null.shape[1:])
        self.T, self.target = schedule.T, target.name  # the wrong reader, or schedule, is refused
        self.unet = unet
        if null is not None:
            self.register_buffer("null", null, persistent=False)

    def forward(
        self, x: Float[Tensor, "b c h w"], t: Tensor, c: Float[Tensor, "b n d"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The prediction (b, c, h, w) for x_t, times t in 1…T and contexts c (b, tokens, width); None is `null`."""
        if self.context_dim is None:
            if c is not None:
                raise ValueError("c: this network takes no context; leave it out, or use a UNet2DConditionModel")
            return self.unet(x, t - 1).sample
        c = self.null.expand(len(x), *self.context_dim) if c is None else c
        return self.unet(x, t - 1, encoder_hidden_states=c).sample


def from_diffusers(
    unet: UNet2DModel | UNet2DConditionModel, scheduler: SchedulerMixin, null: Float[Tensor, "1 n d"] | None = None
) -> Model:
    """A UNet of diffusers as a Model: our samplers, guidance and steps then draw from it. The network isn't copied.

    A scheduler's `clip_sample` and range become the model's `limit`; all else of how it samples is the caller's.

    Args:
        unet: a UNet2DModel, or a UNet2DConditionModel, whose contexts are its encoder_hidden_states.
        scheduler: the one that it was trained with, of which β and the prediction type are read.
        null: what stands for "no condition" in guidance, (1, tokens, width); Stable Diffusion's is the encoded empty
            prompt. Unless given, zeros, of 77 tokens.

    Raises:
        TypeError: for another kind of network, what is no scheduler, or a null that is no tensor of floats.
        ValueError: for a network that is told more than x, t and encoder_hidden_states, predicts another number of
            channels than it takes, or doesn't say for what size it is; a scheduler of other than DDPM's discrete times,
            or another prediction than epsilon, sample and v_prediction; epsilon where ᾱ_T = 0; a null of another shape.
    """
    config = _checked(unwrapped(unet)).config
    schedule, target = schedule_of(scheduler), target_of(scheduler)
    if target.needs_signal and schedule.last_with_signal < schedule.T:
        raise ValueError(
            "scheduler: expected v_prediction or sample where betas are rescaled to zero terminal SNR, got epsilon,"
            " which says nothing about the picture at T; say the prediction_type of its training"
        )
    if isinstance(unwrapped(unet), UNet2DConditionModel):
        null = _checked_null(null, config.cross_attention_dim).to(next(unet.parameters()))
    elif null is not None:
        raise ValueError("null: a UNet2DModel takes no contexts, so none stands for no condition; leave it out")
    limit = scheduler.config.get("clip_sample_range", 1.0) if scheduler.config.get("clip_sample") else None
    return Model(DiffusersUNet(unet, schedule, target, null), schedule, target, limit=limit)


def _checked(unet: object) -> nn.Module:
    """`unet` itself, if a network of x, t and encoder_hidden_states can be made of it."""
    if not isinstance(unet, UNet2DModel | UNet2DConditionModel):
        raise TypeError(
            f"unet: expected a UNet2DModel or UNet2DConditionModel, got a {type(unet).__name__}; wrap it yourself, as a"
            " module net(x, t, c) with image_shape, and use Model(net, schedule, target)"
        )
    config = unet.config
    for name in MORE:
        if (value := config.get(name)) is not None:
            raise ValueError(
                f"unet: expected one that is told no more than encoder_hidden_states, got {name}={value!r};"
                " wrap it yourself, as a module net(x, t, c) with image_shape"
            )
    if config.in_channels != config.out_channels:
        raise ValueError(
            f"unet: expected as many channels out as in, got {config.in_channels} in and {config.out_channels} out"
            " (learned variances, or a mask among the inputs); wrap it yourself, as a module net(x, t, c)"
        )
    if config.sample_size is None:
        raise ValueError("unet: its sample_size is None, so it doesn't say for what size it is; set it when building")
    if config.get("time_embedding_type") == "fourier":
        raise ValueError("unet: expected one that is told times, got time_embedding_type='fourier', told noise levels")
    return unet


def _checked_null(null: object, width: object) -> Tensor:
    """`null` itself, or zeros, as a context of vectors of the UNet's one width."""
    if not isinstance(width, int):
        raise ValueError(
            f"unet: expected one cross_attention_dim for all levels, got {shown(width)};"
            " wrap it yourself, as a module net(x, t, c) with image_shape"
        )
    null = torch.zeros(1, TOKENS, width) if null is None else null
    if not isinstance(null, Tensor) or not null.is_floating_point():
        raise TypeError(f"null: expected a context of floats, (1, tokens, width), got {shown(null)}; encode a prompt")
    if null.ndim != 3 or len(null) != 1 or null.shape[2] != width:
        raise ValueError(f"null: expected a context of shape (1, tokens, {width}), got {tuple(null.shape)}")
    check_finite("null", null)
    return null
