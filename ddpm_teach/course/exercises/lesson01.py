"""Exercises of lesson 01, forward noise."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.diffusion.forward import add_noise, forward_step
from ddpm_teach.diffusion.schedule import Schedule, from_betas, linear

LESSON = "01 forward noise"

SHAPES = ((1, 1, 1, 1), (1, 1, 2, 2), (3, 1, 4, 4), (2, 3, 4, 6), (5, 3, 8, 8))  # b, c, h, w: the smallest first


def pictures(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of a picture in [-1, 1] and noise, of all shapes, in both precisions."""
    for dtype in (torch.float32, torch.float64):
        for shape in SHAPES:
            yield (
                torch.rand(shape, generator=rng, dtype=dtype) * 2 - 1,
                torch.randn(shape, generator=rng, dtype=dtype),
            )


def tables(rng: torch.Generator) -> Iterator[Tensor]:
    """Rows of β, short and long."""
    for T in (1, 2, 3, 10, 1000):
        yield torch.rand(T, generator=rng, dtype=torch.float64) * (0.4 if T < 100 else 0.02) + 1e-4


one_step = Exercise(
    "01.1",
    "One step of noise",
    difficulty=1,
    minutes=5,
    task=r"""
    Write one step of the forward process: from $x_{t-1}$ to $x_t$, for a step that adds noise of *variance* $\beta$.
    `x` and `eps` are tensors of the same shape, `beta` is a number between 0 and 1.
    """,
    hints=(
        "A number that multiplies a random variable multiplies its variance by the number's *square*.",
        r"The variance of the result is (factor of `x`)² · Var(x) + (factor of `eps`)² · 1. You want $1-\beta$ and "
        r"$\beta$ there.",
    ),
    covers="batches of 1 to 5, one and three channels, float32 and float64, β from 0.0001 to 0.9",
    cases=lambda rng: [(x, beta, eps) for x, eps in pictures(rng) for beta in (0.0001, 0.02, 0.5, 0.9)][2:],
    reference=lambda x, beta, eps: forward_step(Schedule(torch.tensor([1, 1 - beta], dtype=torch.float64)), x, 1, eps),
)


@one_step.solution
def my_step(x, beta, eps):
    return (1 - beta) ** 0.5 * x + beta**0.5 * eps


@one_step.mistake("your noise's factor is a variance; a factor of the noise has to be a standard deviation")
def _(x, beta, eps):
    return (1 - beta) ** 0.5 * x + beta * eps


@one_step.mistake("beta is a Python number, which torch.sqrt refuses; beta ** 0.5 works for numbers and tensors")
def _(x, beta, eps):
    return torch.sqrt(1 - beta) * x + torch.sqrt(beta) * eps


@one_step.mistake("the noise isn't the one that was handed in; use `eps`")
def _(x, beta, eps):
    return (1 - beta) ** 0.5 * x + beta**0.5 * torch.randn_like(x)


@one_step.mistake("both factors are variances; what multiplies a picture or noise has to be their square roots")
def _(x, beta, eps):
    return (1 - beta) * x + beta * eps


@one_step.mistake("the noise is right, but the picture isn't made smaller by the root of what it keeps")
def _(x, beta, eps):
    return (1 - beta) * x + beta**0.5 * eps


@one_step.mistake("the picture keeps its full strength, so the variance would grow with every step; it has to shrink")
def _(x, beta, eps):
    return x + beta**0.5 * eps


@one_step.mistake("the two factors are exchanged: a small β has to change the picture a little, not to erase it")
def _(x, beta, eps):
    return beta**0.5 * x + (1 - beta) ** 0.5 * eps


@one_step.mistake("beta is a Python number, which has no .sqrt(); (1 - beta) ** 0.5 works for numbers and tensors")
def _(x, beta, eps):
    return (1 - beta).sqrt() * x + beta.sqrt() * eps


@one_step.mistake("√(1 - β) is asked for, and 1 - √β is something else: take the root last")
def _(x, beta, eps):
    return (1 - beta**0.5) * x + beta**0.5 * eps


@one_step.mistake("you take β for the standard deviation of the noise; it is its variance")
def _(x, beta, eps):
    return (1 - beta**2) ** 0.5 * x + beta * eps


table = Exercise(
    "01.2",
    "The table of ᾱ",
    difficulty=2,
    minutes=8,
    task=r"""
    From `betas`, a float64 tensor that holds $\beta_1 \dots \beta_T$ (so `betas[0]` is $\beta_1$), make the table of
    $\bar\alpha_0 \dots \bar\alpha_T$: a float64 tensor of length $T+1$ in which the index is the time.
    """,
    hints=(
        "`cumprod(0)` of a tensor gives its running products.",
        r"$\bar\alpha_0$ is the product of no factors at all. `torch.cat` puts it in front: no running product is lost.",
    ),
    covers="T from 1 to 1000",
    cases=lambda rng: [(betas,) for betas in tables(rng)],
    reference=lambda betas: quietly(from_betas, betas).alpha_bar,
    tolerance=1e-9,
)


def quietly(make, betas):
    with warnings.catch_warnings():  # tables this short end in a visible picture, and from_betas says so
        warnings.simplefilter("ignore")
        return make(betas)


@table.solution
def my_alpha_bar(betas):
    return torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)])


@table.mistake("your table has no place for time 0: it is one too short, and its index is the time minus one")
def _(betas):
    return (1 - betas).cumprod(0)


@table.mistake(
    "you overwrote the first running product with 1: the table is one too short, and 1 - β₁ stays in every ᾱ"
)
def _(betas):
    out = (1 - betas).cumprod(0)
    out[0] = 1
    return out


@table.mistake("your table shows what the *noise* factors multiply to; ᾱ is the share that is kept at each step")
def _(betas):
    return torch.cat([betas.new_ones(1), betas.cumprod(0)])


@table.mistake("you subtract the sum of the β's; every step keeps a share of what is left, so shares multiply")
def _(betas):
    return torch.cat([betas.new_ones(1), 1 - betas.cumsum(0)])


@table.mistake("your table holds √ᾱ; leave the root to the place where it is used, and store the share itself")
def _(betas):
    return torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)]).sqrt()


@table.mistake("the last running product is lost: a table from time 0 to time T has T + 1 places")
def _(betas):
    return torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)[:-1]])


@table.mistake("that is what each step keeps by itself; ᾱ_t is what all steps up to t have kept: their running product")
def _(betas):
    return torch.cat([betas.new_ones(1), 1 - betas])


@table.mistake("at time 0 nothing has been lost yet: ᾱ_0 is 1, the product of no factors at all")
def _(betas):
    return torch.cat([betas.new_zeros(1), (1 - betas).cumprod(0)])


@table.mistake("the 1 stands at the end; it belongs to time 0, in front")
def _(betas):
    return torch.cat([(1 - betas).cumprod(0), betas.new_ones(1)])


@table.mistake("exp(-Σβ) is near, since ln(1 - β) ≈ -β, but not the same; multiply the shares themselves")
def _(betas):
    return torch.cat([betas.new_zeros(1), -betas.cumsum(0)]).exp()


jump = Exercise(
    "01.3",
    "Noise in one jump",
    difficulty=2,
    minutes=10,
    task=r"""
    Write `add_noise`: from clean pictures `x0` (b, c, h, w) to $x_t$ in one jump. `alpha_bar` is the table (its index is the
    time), `t` a long tensor (b,) with a time *for each picture*, `eps` noise of the pictures' shape. The result has the
    pictures' dtype.
    """,
    hints=(
        "`alpha_bar[t]` has shape (b,). To multiply pictures it needs shape (b, 1, 1, 1).",
        "`alpha_bar[t][:, None, None, None]`, and `.to(x0.dtype)`, since the table is float64.",
        "The picture's factor squared and the noise's factor squared sum to 1.",
    ),
    covers="batches of 1 to 5, one and three channels, float32 and float64, times 0 to T, one for each picture",
    cases=lambda rng: _jumps(rng),
    reference=lambda alpha_bar, x0, t, eps: add_noise(Schedule(alpha_bar), x0, t, eps),
)


def _jumps(rng):
    alpha_bar = linear(1000).alpha_bar
    for x0, eps in pictures(rng):
        yield alpha_bar, x0, torch.randint(1, 1001, (len(x0),), generator=rng), eps
    for t in (0, 1, 1000):
        yield alpha_bar, x0, torch.full((len(x0),), t), eps


@jump.solution
def my_add_noise(alpha_bar, x0, t, eps):
    share = alpha_bar[t][:, None, None, None].to(x0.dtype)  # (b,) → (b, 1, 1, 1)
    return share.sqrt() * x0 + (1 - share).sqrt() * eps


@jump.mistake("your noise's factor is a variance; a standard deviation is needed there")
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t][:, None, None, None].to(x0.dtype)
    return share.sqrt() * x0 + (1 - share) * eps


@jump.mistake("the picture's factor is a share of the variance; its root is needed there, as it is for the noise")
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t][:, None, None, None].to(x0.dtype)
    return share * x0 + (1 - share).sqrt() * eps


@jump.mistake("the two factors are exchanged: at time 0 the picture has to be there, and no noise")
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t][:, None, None, None].to(x0.dtype)
    return (1 - share).sqrt() * x0 + share.sqrt() * eps


@jump.mistake("ᾱ is a share of the variance: neither the picture nor the noise is multiplied by a variance")
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t][:, None, None, None].to(x0.dtype)
    return share * x0 + (1 - share) * eps


@jump.mistake("the noise's factor is 1 - √ᾱ; its square and ᾱ don't sum to 1, so the variance isn't kept")
def _(alpha_bar, x0, t, eps):
    root = alpha_bar[t][:, None, None, None].to(x0.dtype).sqrt()
    return root * x0 + (1 - root) * eps


@jump.mistake(
    "ᾱ_t has one number for each picture and is lined up with the pictures' last axis; give it three more axes"
)
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t].to(x0.dtype)
    return share.sqrt() * x0 + (1 - share).sqrt() * eps


@jump.mistake("ᾱ_t has one number for each picture; give it three more axes, so that it lines up with the first one")
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t]
    return share.sqrt() * x0 + (1 - share).sqrt() * eps


@jump.mistake("you read the table at t - 1; its index is the time already")
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t - 1][:, None, None, None].to(x0.dtype)
    return share.sqrt() * x0 + (1 - share).sqrt() * eps


@jump.mistake(
    "the noise isn't the one that was handed in; use `eps`, or nobody could compare the network's answer with it"
)
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t][:, None, None, None].to(x0.dtype)
    return share.sqrt() * x0 + (1 - share).sqrt() * torch.randn_like(x0)


@jump.mistake("the result is right, but its dtype isn't the pictures': the table's float64 has spread to it")
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t][:, None, None, None]
    return share.sqrt() * x0 + (1 - share).sqrt() * eps


@jump.mistake("all pictures get the time of the first one; each has its own")
def _(alpha_bar, x0, t, eps):
    share = alpha_bar[t[0]].to(x0.dtype)
    return share.sqrt() * x0 + (1 - share).sqrt() * eps
