"""Exercises of lesson 05, context."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures

LESSON = "05 context"


def conditioned_by(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Feature maps, and the vectors that a context and a time became."""
    for b, f, h, w in ((1, 1, 1, 2), (1, 2, 2, 2), (3, 4, 4, 2), (4, 4, 4, 4), (2, 8, 4, 4)):
        yield tuple(torch.randn(*shape, generator=rng) for shape in ((b, f, h, w), (b, f), (b, f)))


conditioning = Exercise(
    "05.1",
    "Multiply by the context, add the time",
    difficulty=1,
    minutes=5,
    task=r"""
    Write ContextUNet's line: multiply the feature maps `h` (b, f, height, width) by `gain` (b, f), which was computed from the context, and add `shift` (b, f), which was computed from the time. Each gain and
    each shift is for a whole channel.
    """,
    hints=(
        "The gains and shifts lack two axes. Broadcasting adds missing axes on the left, never on the right.",
        "`gain[:, :, None, None]` has shape (b, f, 1, 1).",
    ),
    covers="batches of 1 to 4, 1 to 8 channels, also as many channels as pixels in a row",
    cases=conditioned_by,
    reference=lambda h, gain, shift: torch.einsum("bfhw,bf->bfhw", h, gain) + shift.reshape(*shift.shape, 1, 1),
)


@conditioning.solution
def my_conditioned(h, gain, shift):
    return gain[:, :, None, None] * h + shift[:, :, None, None]


@conditioning.mistake("the roles are exchanged: the context multiplies, the time is added")
def _(h, gain, shift):
    return shift[:, :, None, None] * h + gain[:, :, None, None]


@conditioning.mistake("the shift is multiplied as well; it is added after the multiplication")
def _(h, gain, shift):
    return gain[:, :, None, None] * (h + shift[:, :, None, None])


@conditioning.mistake(
    "your gain is 1 plus the context's; that is how some networks do it, but here it is the gain itself"
)
def _(h, gain, shift):
    return (1 + gain[:, :, None, None]) * h + shift[:, :, None, None]


@conditioning.mistake(
    "the shapes don't meet: without axes for height and width, gains meet columns of pixels, not channels"
)
def _(h, gain, shift):
    return gain * h + shift


@conditioning.mistake("the gain has its axes, the shift lacks them: it is added to columns of pixels, not to channels")
def _(h, gain, shift):
    return gain[:, :, None, None] * h + shift


@conditioning.mistake(
    "one axis is missing: in shape (b, f, 1) gains line up their pictures with channels, and their channels with rows"
)
def _(h, gain, shift):
    return gain[:, :, None] * h + shift[:, :, None]


@conditioning.mistake("the whole batch gets the first picture's context and time")
def _(h, gain, shift):
    return gain[:1, :, None, None] * h + shift[:1, :, None, None]


@conditioning.mistake(
    "the context is in, but the time is missing: without its shift the network can't know how noisy h is"
)
def _(h, gain, shift):
    return gain[:, :, None, None] * h


@conditioning.mistake("the time is in, but the context is missing: whatever is told, the same picture would be drawn")
def _(h, gain, shift):
    return h + shift[:, :, None, None]


formula = Exercise(
    "05.2",
    "Guidance",
    difficulty=1,
    minutes=5,
    task=r"""
    Write the guided noise from the network's two predictions, both (b, c, h, w): `eps_c` with the condition, `eps_u` without. The number `scale` is $s$.
    """,
    hints=(
        "Try two scales: 0 has to give the prediction without the condition, 1 the one with it.",
        "Start at the prediction without the condition and go $s$ times the way to the other.",
    ),
    covers="batches of 1 to 5, scales 0, 1, 2, 7.5 and -1",
    cases=lambda rng: [(a, b, scale) for a, b in pictures(rng) for scale in (2.0, 7.5, 0.0, 1.0, -1.0)],
    reference=lambda eps_c, eps_u, scale: torch.lerp(eps_u, eps_c, scale),
)


@formula.solution
def my_guidance(eps_c, eps_u, scale):
    return eps_u + scale * (eps_c - eps_u)


WEIGHTS = "the two weights don't add up to 1, so the noise gets stronger and stronger; look at the sign"
AWAY = "you push away from the condition: the difference points from without to with"
TRY = "try two scales: 0 has to give the prediction without the condition, 1 the one with it; "


@formula.mistake(WEIGHTS)
def _(eps_c, eps_u, scale):
    return scale * eps_c + (scale - 1) * eps_u


@formula.mistake(
    "that is the paper's form, (1 + w) ε_c - w ε_∅ with w for the scale: s is 1 + w, and 0 has to mean no condition"
)
def _(eps_c, eps_u, scale):
    return eps_c + scale * (eps_c - eps_u)


@formula.mistake(AWAY)
def _(eps_c, eps_u, scale):
    return eps_u + scale * (eps_u - eps_c)


@formula.mistake("the two predictions are exchanged: scale 1 gives the one without the condition")
def _(eps_c, eps_u, scale):
    return eps_c + scale * (eps_u - eps_c)


@formula.mistake("the difference alone is a direction; it has to be added to something")
def _(eps_c, eps_u, scale):
    return scale * (eps_c - eps_u)


@formula.mistake(TRY + "at 1 yours gives the sum of both")
def _(eps_c, eps_u, scale):
    return scale * eps_c + eps_u


@formula.mistake(TRY + "at 0 yours gives minus the one without")
def _(eps_c, eps_u, scale):
    return scale * eps_c - eps_u


@formula.mistake(TRY + "yours gives the one without at 1, one scale too late")
def _(eps_c, eps_u, scale):
    return eps_u + (scale - 1) * (eps_c - eps_u)
