"""Schedules and targets in diffusers' words, both ways: what its schedulers hold besides their steps. Lesson 14."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler, SchedulerMixin
from torch import Tensor

from ddpm_teach.checks import shown
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import Target, target_named

PREDICTIONS = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}  # our targets in diffusers' words


def to_scheduler(schedule: Schedule, target: Target, limit: float | None = 1.0) -> DDIMScheduler:
    """The same β in diffusers' DDIM, with trailing times, clipping to `limit`: equal to ours where `steps` divides T.

    diffusers keeps β in float32: after 50 steps pictures are 1e-6 apart in the mean, a few pixels up to 2e-4.

    Raises:
        ValueError: for a target that diffusers' DDIM can't read.
    """
    if target.name not in PREDICTIONS:
        known = ", ".join(PREDICTIONS)
        raise ValueError(
            f"model: expected a network for {known}, got one for {target.name}; diffusers' DDIM has no other"
        )
    return DDIMScheduler(
        num_train_timesteps=schedule.T,
        trained_betas=schedule.beta[1:].tolist(),
        clip_sample=limit is not None,
        clip_sample_range=1.0 if limit is None else limit,
        set_alpha_to_one=True,  # the last move ends at ᾱ_0 = 1
        timestep_spacing="trailing",
        prediction_type=PREDICTIONS[target.name],
    )


def schedule_of(scheduler: SchedulerMixin) -> Schedule:
    """The schedule that a network was trained with, of any scheduler with DDPM's discrete times.

    It is computed anew in float64 from β: the scheduler's own ᾱ is a product in float32.

    Raises:
        TypeError: for what is no scheduler.
        ValueError: for a scheduler of other times, of flow matching's or EDM's σ for example, or another ᾱ than β's.
    """
    if not isinstance(scheduler, SchedulerMixin):
        raise TypeError(f"scheduler: expected one of diffusers, got {shown(scheduler)}; use pipeline.scheduler")
    betas, table = (getattr(scheduler, name, None) for name in ("betas", "alphas_cumprod"))
    discrete = isinstance(betas, Tensor) and isinstance(table, Tensor) and betas.shape == table.shape
    if not discrete or scheduler.config.get("use_flow_sigmas"):
        raise ValueError(
            f"scheduler: expected one with DDPM's discrete times, that has betas, got a {type(scheduler).__name__};"
            " use the one that the network was trained with, a DDPMScheduler or DDIMScheduler"
        )
    alpha_bar = (1 - betas.double().cpu()).cumprod(0)
    if not torch.allclose(alpha_bar, table.double().cpu(), rtol=1e-3, atol=1e-6):
        raise ValueError(
            f"scheduler: its alphas_cumprod isn't the product of 1 - betas, as a {type(scheduler).__name__} has it;"
            " use a DDIMScheduler with the trained_betas of its training"
        )
    return Schedule(torch.cat([alpha_bar.new_ones(1), alpha_bar]))


def target_of(scheduler: SchedulerMixin) -> Target:
    """What a scheduler's network predicts: EPS, X0 or V.

    Raises:
        ValueError: for a prediction that isn't one of these.
    """
    prediction = scheduler.config.get("prediction_type")
    for name, theirs in PREDICTIONS.items():
        if prediction == theirs:
            return target_named(name)
    known = ", ".join(PREDICTIONS.values())
    raise ValueError(f"scheduler: expected a prediction_type of {known}, got {prediction!r}; those are what is read")
