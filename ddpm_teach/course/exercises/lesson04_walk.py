"""Exercises of lesson 04 DDPM sampling: the walk, and its variance."""

from __future__ import annotations

import itertools

import torch

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.diffusion.steps import walk
from ddpm_teach.diffusion.types import Frame


class ComparableFrame(Frame):
    """A Frame that equals another one of the same picture, so that handing over a whole frame is recognised."""

    def __eq__(self, other):
        return isinstance(other, Frame) and self.t == other.t and torch.equal(self.x, other.x)

    __hash__ = None


def a_step(x, t, s):
    """A step that depends on both its times, so that exchanging or leaving out some is seen."""
    return ComparableFrame(s, x * 0.9 + 0.01 * t - 0.003 * s)


loop = Exercise(
    "04.4",
    "The walk",
    difficulty=2,
    minutes=8,
    task=r"""
    Write the loop of a sampler: `times` is a list such as [1000, 500, 0]; `step(x, t, s)` makes one move and returns a `Frame`, whose `.x` is the picture. Return the last picture.
    """,
    hints=(
        "A list of three times has two moves: (1000, 500) and (500, 0).",
        "`times[i]` and `times[i + 1]` for each `i` but the last; or `zip(times, times[1:])`.",
    ),
    covers="lists of 2 to 11 times, ending at 0 and elsewhere",
    cases=lambda rng: [
        (a_step, torch.randn(1, 1, 2, 2, generator=rng), times)
        for times in ([1, 0], [2, 1, 0], [1000, 500, 0], [1000, 700, 400], [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    ],
    reference=lambda step, x, times: list(walk(step, x, times))[-1].x,
)


@loop.solution
def my_walk(step, x, times):
    for i in range(len(times) - 1):
        x = step(x, times[i], times[i + 1]).x
    return x


@loop.mistake("your loop ends one move early, so noise is left in the picture")
def _(step, x, times):
    for t, s in list(itertools.pairwise(times))[:-1]:
        x = step(x, t, s).x
    return x


@loop.mistake("each move starts from the same x; it has to start where the one before it ended")
def _(step, x, times):
    for t, s in itertools.pairwise(times):
        y = step(x, t, s).x
    return y


@loop.mistake("the two times of a move are exchanged: it goes from t, the noisier, to s")
def _(step, x, times):
    for t, s in itertools.pairwise(times):
        x = step(x, s, t).x
    return x


@loop.mistake("the list is walked from its end: the walk has to begin at its first time, the noisiest")
def _(step, x, times):
    for t, s in itertools.pairwise(reversed(times)):
        x = step(x, t, s).x
    return x


@loop.mistake("`step` gives a Frame, and the next step needs a picture: take the Frame's `.x`")
def _(step, x, times):
    for t, s in itertools.pairwise(times):
        x = step(x, t, s)
    return x


@loop.mistake(
    "your first move is handed a picture, the others a Frame: take the `.x` in each move, not only at the end"
)
def _(step, x, times):
    for t, s in itertools.pairwise(times):
        x = step(x, t, s)
    return x.x


@loop.mistake("your `return` stands in the loop, so it ends after one move")
def _(step, x, times):
    t, s = times[:2]
    return step(x, t, s).x


@loop.mistake("you return the last Frame; the picture in it is asked for")
def _(step, x, times):
    for t, s in itertools.pairwise(times):
        frame = step(x, t, s)
        x = frame.x
    return frame


@loop.mistake("you return every picture; only the last one is asked for")
def _(step, x, times):
    return [x] + [x := step(x, t, s).x for t, s in itertools.pairwise(times)]


@loop.mistake("your moves go from t to t - 1; the list says where the next one ends")
def _(step, x, times):
    for t in times[:-1]:
        x = step(x, t, t - 1).x
    return x


def guesses(rng):
    """Pictures and guesses of them whose mean square error is m (1 - ᾱ_t): 0.5 is the border between the answers."""
    for ab_t, ab_s in ((0.0786, 0.2), (0.5, 0.8), (0.9, 0.95), (0.659, 0.897), (0.02, 0.9), (0.9, 1.0)):
        for m in (0.01, 0.1, 0.3, 0.47, 0.53, 0.8, 1.2):
            x0 = torch.rand(2, 1, 3, 3, generator=rng) * 2 - 1
            off = torch.randn(2, 1, 3, 3, generator=rng)
            yield x0, x0 + (m * (1 - ab_t) / off.square().mean()) ** 0.5 * off, ab_t, ab_s


def _nearer(x0, x0_hat, ab_t, ab_s):
    return "beta" if (x0 - x0_hat).square().mean() > 0.5 * (1 - ab_t) else "posterior"


choice = Exercise(
    "04.5",
    "Measure, then choose",
    difficulty=3,
    minutes=15,
    task=r"""
    Write the function that chooses a variance by a measurement. `x0` are clean pictures (b, c, h, w), `x0_hat` the guesses that a network made of them from their $x_t$. The mean square error of the guesses
    stands for $\operatorname{Var}(x_0\mid x_t)$ in the formula above: compute the variance of the true step from $t$ to $s$ with it, and return `"beta"` or `"posterior"`, whichever of the two is nearer to it.
    """,
    hints=(
        r"Four numbers: $\beta = 1-\bar\alpha_t/\bar\alpha_s$; $\tilde\beta = \beta\,(1-\bar\alpha_s)/(1-\bar\alpha_t)$; the error, a mean of squares over everything; and the true variance, $\tilde\beta$ plus the error times the square of the factor that $x_0$ has in $\tilde\mu$.",
        r"That square is $\bar\alpha_s\,\beta^2/(1-\bar\alpha_t)^2$. Then compare $|\beta - \text{true}|$ with $|\tilde\beta - \text{true}|$.",
        r"There is a shorter way: $m$, the error divided by $1-\bar\alpha_t$, says how far the truth is on the way from $\tilde\beta$ to $\beta$.",
    ),
    covers="six pairs of times, the last move among them, guesses from good to useless",
    cases=guesses,
    reference=_nearer,
)


@choice.solution
def my_choice(x0, x0_hat, ab_t, ab_s):
    beta = 1 - ab_t / ab_s
    small = beta * (1 - ab_s) / (1 - ab_t)
    error = (x0 - x0_hat).square().mean().item()
    true = small + ab_s * (beta / (1 - ab_t)) ** 2 * error
    return "beta" if abs(beta - true) < abs(small - true) else "posterior"


def _chosen(error, factor, ab_t, ab_s, small=None):
    """The answer by another error, another factor, or another variance for the known picture."""
    beta = 1 - ab_t / ab_s
    known = beta * (1 - ab_s) / (1 - ab_t)
    true = (known if small is None else small) + factor * error
    return "beta" if abs(beta - true) < abs(known - true) else "posterior"


def _factor(ab_t, ab_s):
    return ab_s * ((1 - ab_t / ab_s) / (1 - ab_t)) ** 2


@choice.mistake("you return the one that is farther away")
def _(x0, x0_hat, ab_t, ab_s):
    return "posterior" if _nearer(x0, x0_hat, ab_t, ab_s) == "beta" else "beta"


@choice.mistake(
    "the error itself is compared with a half, or the factor's 1 - ᾱ_t isn't squared; m is the error divided by 1 - ᾱ_t"
)
def _(x0, x0_hat, ab_t, ab_s):
    return "beta" if (x0 - x0_hat).square().mean() > 0.5 else "posterior"


@choice.mistake("you divide by 1 - ᾱ_s; the noise in x_t, from which the guess was made, has the variance 1 - ᾱ_t")
def _(x0, x0_hat, ab_t, ab_s):
    return "beta" if (x0 - x0_hat).square().mean() > 0.5 * (1 - ab_s) else "posterior"


@choice.mistake("β isn't squared in the factor of the error, but the rest of the factor is")
def _(x0, x0_hat, ab_t, ab_s):
    factor = ab_s * (1 - ab_t / ab_s) / (1 - ab_t) ** 2
    return _chosen((x0 - x0_hat).square().mean().item(), factor, ab_t, ab_s)


@choice.mistake(
    "a variance takes the mean away first, so guesses that are all off the same way seem good: square, then mean"
)
def _(x0, x0_hat, ab_t, ab_s):
    return _chosen((x0 - x0_hat).var().item(), _factor(ab_t, ab_s), ab_t, ab_s)


@choice.mistake("this m is one normal cloud's, from the variance of the data; you have measured Var(x0 | x_t) itself")
def _(x0, x0_hat, ab_t, ab_s):
    error = (x0 - x0_hat).square().mean().item()
    return "beta" if error > 0.5 * (ab_t * error + 1 - ab_t) else "posterior"


@choice.mistake("you take the root of the error; variances are compared, so the mean of the squares stays as it is")
def _(x0, x0_hat, ab_t, ab_s):
    return _chosen((x0 - x0_hat).square().mean().item() ** 0.5, _factor(ab_t, ab_s), ab_t, ab_s)


@choice.mistake("your error is a sum over all pixels; a mean is needed, or more pictures would seem to be worse ones")
def _(x0, x0_hat, ab_t, ab_s):
    return _chosen((x0 - x0_hat).square().sum().item(), _factor(ab_t, ab_s), ab_t, ab_s)


@choice.mistake(
    "the factor of x0 isn't squared: a variance is multiplied by the square of what the values are multiplied by"
)
def _(x0, x0_hat, ab_t, ab_s):
    return _chosen((x0 - x0_hat).square().mean().item(), _factor(ab_t, ab_s) ** 0.5, ab_t, ab_s)


@choice.mistake(
    "you take the error itself for the true variance: it is that of x0, and a step moves only part of the way there"
)
def _(x0, x0_hat, ab_t, ab_s):
    return _chosen((x0 - x0_hat).square().mean().item(), 1.0, ab_t, ab_s, small=0.0)


@choice.mistake("β̃ is missing in the true variance: the error comes on top of it")
def _(x0, x0_hat, ab_t, ab_s):
    return _chosen((x0 - x0_hat).square().mean().item(), _factor(ab_t, ab_s), ab_t, ab_s, small=0.0)


@choice.mistake("your answer is always the smaller one: measure first")
def _(x0, x0_hat, ab_t, ab_s):
    return "posterior"


@choice.mistake("your answer is always the larger one: measure first")
def _(x0, x0_hat, ab_t, ab_s):
    return "beta"
