"""Exercises of lesson 08, why it works."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.schedule import Schedule, cosine, linear

LESSON = "08 why it works"


def _walks(rng: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """ln q(x_t | x_{t-1}) and ln q(x_t | x_0) along walks of numbers, for t = 1…T."""
    cases = []
    for schedule in (cosine(3), cosine(4), Schedule(torch.tensor([1.0, 0.9, 0.6, 0.3, 0.1])), cosine(10), linear(1000)):
        ab, beta, T = schedule.alpha_bar, schedule.beta, schedule.T
        x = [torch.randn((), generator=rng, dtype=torch.float64)]
        for t in range(1, T + 1):
            x.append((1 - beta[t]).sqrt() * x[-1] + beta[t].sqrt() * torch.randn((), generator=rng))
        x = torch.stack(x)
        steps = _log_normal(x[1:], (1 - beta[1:]).sqrt() * x[:-1], beta[1:])
        cases.append((steps, _log_normal(x[1:], ab[1:].sqrt() * x[0], 1 - ab[1:])))
    return cases


def _log_normal(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return -((x - mean) ** 2) / (2 * variance) - (2 * torch.pi * variance).log() / 2


turned = Exercise(
    "08.1",
    "Turn the forward walk round",
    difficulty=1,
    minutes=10,
    task=r"""
    Along one walk, `steps` holds $\ln q(x_t\mid x_{t-1})$ and `jumps` holds $\ln q(x_t\mid x_0)$, both for $t = 1 \dots T$, so `steps[0]` belongs to $t = 1$.
    Return $\ln q(x_{t-1}\mid x_t, x_0)$ for $t = 2 \dots T$, a tensor with $T - 1$ numbers. Then find out on paper, for $T = 3$, which fractions cancel in their product.
    """,
    hints=(
        "Take the logarithm of Bayes' rule above: the product becomes a sum, the fraction a difference.",
        r"For each $t$ from 2 on: the step to $t$, plus the jump to $t - 1$, minus the jump to $t$. `jumps[:-1]` are those to $t - 1$.",
    ),
    covers="walks of 3, 4, 10 and 1000 steps",
    cases=_walks,
    reference=lambda steps, jumps: steps[1:] - (jumps[1:] - jumps[:-1]),
)


@turned.solution
def my_steps_back(steps, jumps):
    return steps[1:] + jumps[:-1] - jumps[1:]


@turned.mistake("the fraction stands on its head: Bayes' rule, solved for the step back, divides by the jump to t")
def _(steps, jumps):
    return steps[1:] + jumps[1:] - jumps[:-1]


@turned.mistake("you multiply and divide; these are logarithms, so a product becomes a sum")
def _(steps, jumps):
    return steps[1:] * jumps[:-1] / jumps[1:]


@turned.mistake("the jump to t is missing: what you have isn't normalised over x_{t-1}")
def _(steps, jumps):
    return steps[1:] + jumps[:-1]


@turned.mistake(
    "the step is one too early: the density of x_t given x_{t-1} belongs to x_{t-1} given x_t, for the same t"
)
def _(steps, jumps):
    return steps[:-1] + jumps[:-1] - jumps[1:]


@turned.mistake("that is the list for t = 1…T; at t = 1 both ends are known, and nothing has to be turned round")
def _(steps, jumps):
    return torch.cat([steps[:1] - jumps[:1], steps[1:] + jumps[:-1] - jumps[1:]])


@turned.mistake("those are the steps forward; Bayes' rule adds the jump to t - 1 and takes away the jump to t")
def _(steps, jumps):
    return steps[1:]


@turned.mistake("the jump to t - 1 is missing: Bayes' rule has a fraction of two jumps")
def _(steps, jumps):
    return steps[1:] - jumps[1:]


@turned.mistake("these are densities; asked for are their logarithms")
def _(steps, jumps):
    return (steps[1:] + jumps[:-1] - jumps[1:]).exp()


@turned.mistake("you return the sum over t; one number for each t is asked for")
def _(steps, jumps):
    return (steps[1:] + jumps[:-1] - jumps[1:]).sum()


SHARES = [(0.5, 0.8), (0.3, 0.31), (4e-5, 4.1e-5), (0.9, 0.99), (0.0058, 0.2), (0.7, 0.9999)]  # ᾱ_t, ᾱ_s


def _pairs(rng: torch.Generator) -> Iterator[tuple[float, float]]:
    for ab_t, share in torch.rand(3, 2, generator=rng, dtype=torch.float64).tolist():
        yield 0.01 + 0.9 * ab_t, 0.01 + 0.9 * ab_t + (0.99 - 0.9 * ab_t) * (0.1 + 0.8 * share)


def _weight(ab_t: float, ab_s: float) -> float:
    """The means' distance for a unit error of x̂_0, squared, over twice the posterior's variance."""
    beta_ts = 1 - ab_t / ab_s
    mean, variance = ab_s**0.5 * beta_ts / (1 - ab_t), beta_ts * (1 - ab_s) / (1 - ab_t)
    return mean**2 / (2 * variance)


weight = Exercise(
    "08.2",
    "The weight of a picture's error",
    difficulty=3,
    minutes=15,
    task=r"""
    A move may go from $t$ to any earlier $s > 0$. Its mean, when the picture is known, is $\tilde\mu = \frac{\sqrt{\bar\alpha_s}\,\beta}{1-\bar\alpha_t}\,x_0 + (\dots)\,x_t$ and its
    variance $\tilde\sigma^2 = \beta\,\frac{1-\bar\alpha_s}{1-\bar\alpha_t}$, with $\beta = 1-\bar\alpha_t/\bar\alpha_s$. The generator takes $\hat x_0$ for $x_0$, and the same variance. Return the factor of $(x_0-\hat x_0)^2$ in
    the KL divergence of this move, from the Python numbers `ab_t` and `ab_s`. On paper, make it as short as it gets: it is half of a difference that you know.
    """,
    hints=(
        r"The $x_t$ terms cancel in the difference of the means; the KL divergence is that difference squared, over $2\tilde\sigma^2$.",
        r"Put $\beta$ in: $\beta\bar\alpha_s = \bar\alpha_s - \bar\alpha_t$. What is left is $\frac{\bar\alpha_s-\bar\alpha_t}{2(1-\bar\alpha_s)(1-\bar\alpha_t)}$.",
        r"Lesson 01's signal-to-noise ratio is $\text{SNR}_t = \bar\alpha_t/(1-\bar\alpha_t)$. Write down $\text{SNR}_s - \text{SNR}_t$ over a common denominator.",
    ),
    covers="six pairs of times, short and long moves, at little and at much noise",
    cases=lambda rng: [*SHARES[:3], *_pairs(rng)],
    reference=_weight,
)


@weight.solution
def my_weight(ab_t, ab_s):
    return (ab_s / (1 - ab_s) - ab_t / (1 - ab_t)) / 2


@weight.mistake("the 2 in the KL divergence of two normal distributions is missing")
def _(ab_t, ab_s):
    return ab_s / (1 - ab_s) - ab_t / (1 - ab_t)


@weight.mistake("a KL divergence can't be negative: the earlier time has the larger signal-to-noise ratio")
def _(ab_t, ab_s):
    return (ab_t / (1 - ab_t) - ab_s / (1 - ab_s)) / 2


@weight.mistake("the means' distance isn't squared, but a KL divergence is about squares")
def _(ab_t, ab_s):
    beta = 1 - ab_t / ab_s
    return ab_s**0.5 * beta / (1 - ab_t) / (2 * beta * (1 - ab_s) / (1 - ab_t))


@weight.mistake("you divide by the variance of the forward move; the generator's is smaller here")
def _(ab_t, ab_s):
    beta = 1 - ab_t / ab_s
    return (ab_s**0.5 * beta / (1 - ab_t)) ** 2 / (2 * beta)


@weight.mistake("that is the weight for an error of the noise; asked for is the one for an error of the picture")
def _(ab_t, ab_s):
    return _weight(ab_t, ab_s) * (1 - ab_t) / ab_t


@weight.mistake(
    "that comes out if only the root in the mean's factor is squared, and not all of it, or if β is 1 minus one share"
)
def _(ab_t, ab_s):
    beta = 1 - ab_t
    return (ab_s**0.5 * beta / (1 - ab_t)) ** 2 / (2 * beta * (1 - ab_s) / (1 - ab_t))


@weight.mistake("your β has its quotient upside down, so it is negative: the later time has the smaller ᾱ")
def _(ab_t, ab_s):
    beta = 1 - ab_s / ab_t
    return (ab_s**0.5 * beta / (1 - ab_t)) ** 2 / (2 * beta * (1 - ab_s) / (1 - ab_t))


@weight.mistake("you divide by the standard deviation; in the KL divergence stands the variance")
def _(ab_t, ab_s):
    beta = 1 - ab_t / ab_s
    return (ab_s**0.5 * beta / (1 - ab_t)) ** 2 / (2 * (beta * (1 - ab_s) / (1 - ab_t)) ** 0.5)


@weight.mistake("the factor of x_0 in the mean has the root of the earlier share, and not the share itself")
def _(ab_t, ab_s):
    beta = 1 - ab_t / ab_s
    return (ab_s * beta / (1 - ab_t)) ** 2 / (2 * beta * (1 - ab_s) / (1 - ab_t))


@weight.mistake("in Python a / 2 * b is a / 2, times b: put the whole denominator in parentheses")
def _(ab_t, ab_s):
    beta = 1 - ab_t / ab_s
    return (ab_s**0.5 * beta / (1 - ab_t)) ** 2 / 2 * beta * (1 - ab_s) / (1 - ab_t)


@weight.mistake("in Python a / 2 * b * c is a / 2, times b, times c: put the denominator in parentheses")
def _(ab_t, ab_s):
    return (ab_s - ab_t) / 2 * (1 - ab_s) * (1 - ab_t)


@weight.mistake("your ratios stand on their heads: they are noise to signal")
def _(ab_t, ab_s):
    return ((1 - ab_t) / ab_t - (1 - ab_s) / ab_s) / 2


@weight.mistake(
    "that is the factor of the error in the mean; the KL divergence has its square, over twice the variance"
)
def _(ab_t, ab_s):
    return ab_s**0.5 * (1 - ab_t / ab_s) / (1 - ab_t)


score = Exercise(
    "08.3",
    "From noise to score",
    difficulty=2,
    minutes=8,
    task=r"""
    Write the score $\nabla\ln q(x_t)$ that a network's prediction stands for: `eps_hat` is $\hat\varepsilon$ (b, c, h, w), `alpha_bar_t` the
    Python number $\bar\alpha_t$ (its root is `alpha_bar_t ** 0.5`).
    """,
    hints=(
        r"The text above has $\varepsilon^*$ in terms of the score. Solve for the score.",
        "The score points to where pictures are more likely: against the noise. So there is a minus.",
    ),
    covers="batches of 1 to 5, ᾱ from 0.00004 to 0.99",
    cases=lambda rng: [(eps, ab) for _, eps in pictures(rng) for ab in (0.5, 0.99, 4e-5)],
    reference=lambda eps_hat, alpha_bar_t: -eps_hat / (1 - alpha_bar_t) ** 0.5,
)


@score.solution
def my_score(eps_hat, alpha_bar_t):
    return -eps_hat / (1 - alpha_bar_t) ** 0.5


@score.mistake("your score points towards more noise; turn it round")
def _(eps_hat, alpha_bar_t):
    return eps_hat / (1 - alpha_bar_t) ** 0.5


@score.mistake("you divide by the noise's variance; the text has its root there")
def _(eps_hat, alpha_bar_t):
    return -eps_hat / (1 - alpha_bar_t)


@score.mistake("you multiply by the noise's standard deviation: that is the way from the score to ε̂, and you want back")
def _(eps_hat, alpha_bar_t):
    return -eps_hat * (1 - alpha_bar_t) ** 0.5


@score.mistake("that is the picture's factor; the score of the noise depends on how wide the noise is")
def _(eps_hat, alpha_bar_t):
    return -eps_hat / alpha_bar_t**0.5


@score.mistake("alpha_bar_t is a Python number, which has no .sqrt(); write ** 0.5")
def _(eps_hat, alpha_bar_t):
    return -eps_hat / (1 - alpha_bar_t).sqrt()


@score.mistake("alpha_bar_t is a Python number, and torch.sqrt takes tensors only; write ** 0.5")
def _(eps_hat, alpha_bar_t):
    return -eps_hat / torch.sqrt(1 - alpha_bar_t)


@score.mistake("** comes before the minus: you have 1 minus the root of ᾱ; the root is of all of 1 minus ᾱ")
def _(eps_hat, alpha_bar_t):
    return -eps_hat / (1 - alpha_bar_t**0.5)


@score.mistake("-a / 1 - b is -a / 1, minus b: put 1 minus ᾱ in parentheses")
def _(eps_hat, alpha_bar_t):
    return -eps_hat / 1 - alpha_bar_t**0.5
