"""Exercises of lesson 12, latents."""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.nets.autoencoder import Latent

LESSON = "12 latents"


def distributions(rng: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """Means and log-variances, of wide and of narrow distributions, in both precisions."""
    shapes = ((1, 2, 1, 1), (2, 4, 2, 2), (3, 16, 4, 4))
    drawn = [
        (torch.randn(shape, generator=rng, dtype=dtype), spread * torch.randn(shape, generator=rng, dtype=dtype))
        for shape in shapes
        for dtype in (torch.float32, torch.float64)
        for spread in (0.5, 2.0)
    ]
    return [*drawn, (torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1))]


kl = Exercise(
    "12.1",
    "The KL term",
    difficulty=2,
    minutes=10,
    task=r"""
    Write $\mathrm{KL}(q\,\|\,p)$ in nats of $q=\mathcal N(\mu,\sigma^2)$ from $p=\mathcal N(0,1)$, number by number: no sum and no average, the result has the shape of `mean`.
    `mean` is $\mu$; `log_variance` is $\ln\sigma^2$, as the encoder gives it, so that any number that comes out of it is allowed.
    """,
    hints=(
        "The equation above has three terms and a constant, and each stands here as it is there: the third term *is* `log_variance`.",
        "`log_variance.exp()` is the variance. At mean 0 and log-variance 0 the result has to be 0.",
    ),
    covers="12 pairs of three shapes in both precisions, wide and narrow, and N(0, 1) itself",
    cases=distributions,
    reference=lambda mean, log_variance: Latent(mean, log_variance).kl(),
)


@kl.solution
def my_kl(mean, log_variance):
    return (mean**2 + log_variance.exp() - 1 - log_variance) / 2


@kl.mistake("twice too large: every term of the equation is halved")
def _(mean, log_variance):
    return mean**2 + log_variance.exp() - 1 - log_variance


@kl.mistake("`log_variance` is used as if it were the variance; what the encoder gives is a logarithm")
def _(mean, log_variance):
    return (mean**2 + log_variance - 1 - log_variance.log()) / 2


@kl.mistake("σ stands where σ² belongs: half of `log_variance` gives the deviation")
def _(mean, log_variance):
    return (mean**2 + (log_variance / 2).exp() - 1 - log_variance) / 2


@kl.mistake("ln σ stands where ln σ² belongs: one half stands before the whole equation already")
def _(mean, log_variance):
    return (mean**2 + log_variance.exp() - 1 - log_variance / 2) / 2


@kl.mistake("the logarithm's sign is wrong: a very narrow q has to cost more and more")
def _(mean, log_variance):
    return (mean**2 + log_variance.exp() - 1 + log_variance) / 2


@kl.mistake("the constant is missing: for q = p the result has to be 0")
def _(mean, log_variance):
    return (mean**2 + log_variance.exp() - log_variance) / 2


@kl.mistake("the mean isn't squared: one that is negative costs as much as one that is positive")
def _(mean, log_variance):
    return (mean + log_variance.exp() - 1 - log_variance) / 2


@kl.mistake("the whole has the wrong sign: a divergence is never negative")
def _(mean, log_variance):
    return -(mean**2 + log_variance.exp() - 1 - log_variance) / 2


@kl.mistake("that is KL(p ‖ q); here the average is taken over q, the encoder's distribution")
def _(mean, log_variance):
    return ((1 + mean**2) * (-log_variance).exp() - 1 + log_variance) / 2


@kl.mistake("that is an average over all numbers; the result has the shape of `mean`")
def _(mean, log_variance):
    return Latent(mean, log_variance).kl().mean()


@kl.mistake("that is a sum over all numbers; the result has the shape of `mean`")
def _(mean, log_variance):
    return Latent(mean, log_variance).kl().sum()


@kl.mistake("that is a sum over each picture's numbers; the result has the shape of `mean`")
def _(mean, log_variance):
    return Latent(mean, log_variance).kl().sum((1, 2, 3))


def batches(rng: torch.Generator) -> list[tuple[list[Tensor]]]:
    """Lists of latents whose batches, channels and widths differ, and whose mean isn't 0."""
    cases = []
    for sizes in ((3, 2), (4, 4), (5, 1, 2), (8,), (2, 6, 3, 1), (16, 5)):
        widths = 0.2 + 3 * torch.rand(4, generator=rng).view(4, 1, 1)
        parts = [torch.randn(n, 4, 2, 2, generator=rng) * widths * (1 + i) + 0.7 for i, n in enumerate(sizes)]
        cases.append((parts,))
    return cases


def _scale(latents: list[Tensor]) -> float:
    return 1 / torch.cat(latents).std().item()


scale = Exercise(
    "12.2",
    "The scale",
    difficulty=1,
    minutes=10,
    task=r"""
    `latents` is a list of batches (b, c, h, w), of different lengths, as they come when many pictures are encoded part by part. Return *one* number: what all of them are to be multiplied by so that their standard deviation is 1.
    The deviation is that of all numbers together, about their common mean.
    """,
    hints=(
        "`torch.cat` makes one tensor of the list.",
        "Numbers of deviation d have, multiplied by k, the deviation k · d. `.item()` makes a Python number of a tensor.",
    ),
    covers="lists of 1 to 4 batches, of 1 to 16 latents each, whose channels differ in width",
    cases=batches,
    reference=_scale,
)


@scale.solution
def my_scale(latents):
    return 1 / torch.cat(latents).std().item()


@scale.mistake("that is the deviation; what they are multiplied by undoes it")
def _(latents):
    return torch.cat(latents).std().item()


@scale.mistake("that is the first batch's scale alone; take all of them")
def _(latents):
    return 1 / latents[0].std().item()


@scale.mistake("one divided by the variance: multiplied by it, the deviation isn't 1")
def _(latents):
    return 1 / torch.cat(latents).var().item()


@scale.mistake("the average of the batches' deviations isn't the deviation of all; put the batches together first")
def _(latents):
    return 1 / (sum(part.std().item() for part in latents) / len(latents))


@scale.mistake("the average of the batches' scales isn't the scale of all; put the batches together first")
def _(latents):
    return sum(1 / part.std().item() for part in latents) / len(latents)


@scale.mistake("that is the root mean square about 0; a deviation is about the mean")
def _(latents):
    return 1 / torch.cat(latents).square().mean().sqrt().item()


@scale.mistake("a scale for each channel: then no channel would be wider than another; one number for all was wanted")
def _(latents):
    return 1 / torch.cat(latents).std((0, 2, 3))


@scale.mistake("the average of the channels' deviations isn't the deviation of all numbers")
def _(latents):
    return 1 / torch.cat(latents).std((0, 2, 3)).mean().item()


@scale.mistake("that brings the largest number to 1; the deviation was meant")
def _(latents):
    return 1 / torch.cat(latents).abs().max().item()
