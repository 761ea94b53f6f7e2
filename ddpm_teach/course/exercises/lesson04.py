"""Exercises of lesson 04, DDPM sampling."""

from __future__ import annotations

import torch

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.forward import posterior
from ddpm_teach.diffusion.schedule import Schedule

LESSON = "04 DDPM sampling"

SHARES = ((0.5, 0.8), (0.9, 0.95), (4e-5, 4.1e-5), (0.0786, 0.2), (0.9999, 1.0))  # ᾱ_t, ᾱ_s

NEARLY_CLEAN = (0.99, 0.9999)  # one of the last moves, but not the last


def two_times(alpha_bar_t: float, alpha_bar_s: float) -> tuple[Schedule, int, int]:
    """A schedule of one or two moves with these two shares, and their times t and s."""
    table = [1.0, alpha_bar_t] if alpha_bar_s == 1 else [1.0, alpha_bar_s, alpha_bar_t]
    return Schedule(torch.tensor(table, dtype=torch.float64)), len(table) - 1, len(table) - 2


guess = Exercise(
    "04.1",
    "The guess of the clean picture",
    difficulty=1,
    minutes=5,
    task=r"""
    Write $\hat x_0$: the clean picture that is left of `xt` if the noise in it is `eps_hat` (both (b, c, h, w)); `alpha_bar_t` is the number $\bar\alpha_t$. Don't clamp it.
    """,
    hints=(
        r"Lesson 01's jump has three things in it: $x_0$, $x_t$, $\varepsilon$. Two of them are given.",
        "Take the noise's part away from $x_t$, then divide by what the picture was multiplied by.",
    ),
    covers="batches of 1 to 5, one and three channels, float32 and float64, ᾱ from 0.0786 to 0.9999",
    cases=lambda rng: [(xt, eps, ab) for xt, eps in pictures(rng) for ab in (0.5, 0.9, 0.0786, 0.9999)],
    reference=lambda xt, eps_hat, alpha_bar_t: (xt - (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha_bar_t**0.5,
)


@guess.solution
def my_x0(xt, eps_hat, alpha_bar_t):
    return (xt - (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha_bar_t**0.5


@guess.mistake("you take away the noise times its variance; it was added times its standard deviation")
def _(xt, eps_hat, alpha_bar_t):
    return (xt - (1 - alpha_bar_t) * eps_hat) / alpha_bar_t**0.5


@guess.mistake("you divide by ᾱ, but the picture was multiplied by its root")
def _(xt, eps_hat, alpha_bar_t):
    return (xt - (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha_bar_t


@guess.mistake("the noise is taken away, but the picture is still as faint as it is in x_t")
def _(xt, eps_hat, alpha_bar_t):
    return xt - (1 - alpha_bar_t) ** 0.5 * eps_hat


@guess.mistake("you take away eps_hat itself; in x_t it stands with a factor")
def _(xt, eps_hat, alpha_bar_t):
    return (xt - eps_hat) / alpha_bar_t**0.5


@guess.mistake("only xt is divided; the noise has to be taken away first, and all that is left divided")
def _(xt, eps_hat, alpha_bar_t):
    return xt / alpha_bar_t**0.5 - (1 - alpha_bar_t) ** 0.5 * eps_hat


@guess.mistake("you add the noise a second time; turn its sign")
def _(xt, eps_hat, alpha_bar_t):
    return (xt + (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha_bar_t**0.5


@guess.mistake("your guess is clamped to [-1, 1]; leave that to the sampler, which does it afterwards")
def _(xt, eps_hat, alpha_bar_t):
    return ((xt - (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha_bar_t**0.5).clamp(-1, 1)


@guess.mistake("that is the formula for a network that predicts v; from the noise, solve lesson 01's jump for x0")
def _(xt, eps_hat, alpha_bar_t):
    return alpha_bar_t**0.5 * xt - (1 - alpha_bar_t) ** 0.5 * eps_hat


mean = Exercise(
    "04.2",
    "The mean of the step back",
    difficulty=2,
    minutes=10,
    task=r"""
    Write the posterior's mean $\tilde\mu$: the mean of $q(x_s\mid x_t, x_0)$ for a move from $t$ to $s < t$, given pictures `x0` and `xt` and the numbers
    $\bar\alpha_t$ and $\bar\alpha_s$. In one step $s$ is $t-1$, but write it for any $s$: with $\alpha = \bar\alpha_t/\bar\alpha_s$ and $\beta = 1-\alpha$.
    """,
    hints=(
        r"It is the formula at the end of the derivation, with $\alpha_t$ and $\beta_t$ replaced by $\alpha$ and $\beta$, and $t-1$ by $s$.",
        r"Try it: at $s = 0$ ($\bar\alpha_s = 1$) the mean has to be `x0`, whatever `xt` is.",
    ),
    covers="batches of 1 to 5, one and three channels, float32 and float64, five pairs of times, the last step among them",
    cases=lambda rng: [(x0, xt, a, b) for x0, xt in pictures(rng) for a, b in SHARES],
    reference=lambda x0, xt, ab_t, ab_s: _posterior(x0, xt, ab_t, ab_s).mean,
)


def _posterior(x0, xt, ab_t, ab_s):
    schedule, t, s = two_times(ab_t, ab_s)
    return posterior(schedule, x0, xt, t, s)


@mean.solution
def my_mean(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return (ab_s**0.5 * (1 - alpha) * x0 + alpha**0.5 * (1 - ab_s) * xt) / (1 - ab_t)


@mean.mistake("the two weights are exchanged: near the end of the walk x0 has to count most, not x_t")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return (ab_s**0.5 * (1 - alpha) * xt + alpha**0.5 * (1 - ab_s) * x0) / (1 - ab_t)


@mean.mistake("the roots are missing: ᾱ_s and α go in as square roots")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return (ab_s * (1 - alpha) * x0 + alpha * (1 - ab_s) * xt) / (1 - ab_t)


@mean.mistake("a root is missing: α goes in as a square root")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return (ab_s**0.5 * (1 - alpha) * x0 + alpha * (1 - ab_s) * xt) / (1 - ab_t)


@mean.mistake("a root is missing: ᾱ_s goes in as a square root where it is x0's factor")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return (ab_s * (1 - alpha) * x0 + alpha**0.5 * (1 - ab_s) * xt) / (1 - ab_t)


@mean.mistake("your α is ᾱ_t, all that is left at t; a move keeps only the share α = ᾱ_t/ᾱ_s")
def _(x0, xt, ab_t, ab_s):
    return (ab_s**0.5 * (1 - ab_t) * x0 + ab_t**0.5 * (1 - ab_s) * xt) / (1 - ab_t)


@mean.mistake("x0 is multiplied by √ᾱ_t; the move ends at s, so its picture is as strong as at s")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return (ab_t**0.5 * (1 - alpha) * x0 + alpha**0.5 * (1 - ab_s) * xt) / (1 - ab_t)


@mean.mistake("nothing is divided by 1 - ᾱ_t, so the weights don't add up; try the last step, where x0 has to come out")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return ab_s**0.5 * (1 - alpha) * x0 + alpha**0.5 * (1 - ab_s) * xt


@mean.mistake("only the term with x_t is divided by 1 - ᾱ_t; both are")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return ab_s**0.5 * (1 - alpha) * x0 + alpha**0.5 * (1 - ab_s) * xt / (1 - ab_t)


@mean.mistake("only the term with x0 is divided by 1 - ᾱ_t; both are")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return ab_s**0.5 * (1 - alpha) * x0 / (1 - ab_t) + alpha**0.5 * (1 - ab_s) * xt


@mean.mistake("x_t is multiplied by √ᾱ_t; what the steps between s and t keep is √α = √(ᾱ_t/ᾱ_s)")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return (ab_s**0.5 * (1 - alpha) * x0 + ab_t**0.5 * (1 - ab_s) * xt) / (1 - ab_t)


@mean.mistake("you divide by 1 - ᾱ_s; the denominator of both weights is the noise variance in x_t, the noisier one")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return (ab_s**0.5 * (1 - alpha) * x0 + alpha**0.5 * (1 - ab_s) * xt) / (1 - ab_s)


@mean.mistake("β is that of all the noise in x_t, 1 - ᾱ_t; between s and t only 1 - ᾱ_t/ᾱ_s is added")
def _(x0, xt, ab_t, ab_s):
    return ab_s**0.5 * x0 + (ab_t / ab_s) ** 0.5 * (1 - ab_s) / (1 - ab_t) * xt


step = Exercise(
    "04.3",
    "One step of Algorithm 2",
    difficulty=2,
    minutes=10,
    task=r"""
    Write the draw of $x_s$: around the mean `mu` (b, c, h, w), with the variance $\beta = 1 - \bar\alpha_t/\bar\alpha_s$ and the normal noise `z` that is handed in. One move of a walk is an
    exception, and adds no noise: what would become of it there? Find out which one, and how you know it from $\bar\alpha_t$ and $\bar\alpha_s$.
    """,
    hints=(
        "Mean plus standard deviation times noise. Noise that is added in one move is taken away by the moves after it.",
        r"No move comes after the last one, which ends at $s = 0$, where $\bar\alpha_s = 1$: return `mu` itself there.",
    ),
    covers="batches of 1 to 5, one and three channels, float32 and float64, six pairs of times, the last move among them",
    cases=lambda rng: [(mu, z, a, b) for mu, z in pictures(rng) for a, b in (*SHARES, NEARLY_CLEAN)],
    reference=lambda mu, z, ab_t, ab_s: mu + (1 - ab_t / ab_s) ** 0.5 * z if ab_s < 1 else mu,
    tolerance=1e-5,
)


@step.solution
def my_step_back(mu, z, ab_t, ab_s):
    if ab_s == 1:
        return mu
    return mu + (1 - ab_t / ab_s) ** 0.5 * z


@step.mistake("noise is added at the last move, too, after which nothing takes it away: it stays in the picture")
def _(mu, z, ab_t, ab_s):
    return mu + (1 - ab_t / ab_s) ** 0.5 * z


@step.mistake("the exception comes too early: only where ᾱ_s is exactly 1 does no move come after")
def _(mu, z, ab_t, ab_s):
    return mu if ab_s > 0.99 else mu + (1 - ab_t / ab_s) ** 0.5 * z


@step.mistake("the noise is your own; use the `z` that is handed in")
def _(mu, z, ab_t, ab_s):
    return mu if ab_s == 1 else mu + (1 - ab_t / ab_s) ** 0.5 * torch.randn_like(mu)


@step.mistake("the noise is multiplied by its variance; a standard deviation is needed")
def _(mu, z, ab_t, ab_s):
    return mu if ab_s == 1 else mu + (1 - ab_t / ab_s) * z


@step.mistake("no noise is added at all; the section on that shows what becomes of the pictures")
def _(mu, z, ab_t, ab_s):
    return mu


@step.mistake("this is the posterior's variance, the other choice of the paper; β is asked for")
def _(mu, z, ab_t, ab_s):
    return mu + ((1 - ab_t / ab_s) * (1 - ab_s) / (1 - ab_t)) ** 0.5 * z


@step.mistake("the variance is that of all the noise in x_t, 1 - ᾱ_t; one step adds only its own part")
def _(mu, z, ab_t, ab_s):
    return mu if ab_s == 1 else mu + (1 - ab_t) ** 0.5 * z
