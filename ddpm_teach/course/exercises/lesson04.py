"""Exercises of lesson 04, DDPM sampling."""

from __future__ import annotations

import itertools

import torch

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.forward import posterior
from ddpm_teach.diffusion.sampling import walk
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.types import Frame

LESSON = "04 DDPM sampling"

SHARES = ((0.5, 0.8), (0.9, 0.95), (4e-5, 4.1e-5), (0.0786, 0.2), (0.9999, 1.0))  # ᾱ_t, ᾱ_s


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


@guess.mistake("you add the noise a second time; turn its sign")
def _(xt, eps_hat, alpha_bar_t):
    return (xt + (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha_bar_t**0.5


@guess.mistake("your guess is clamped to [-1, 1]; leave that to the sampler, which does it afterwards")
def _(xt, eps_hat, alpha_bar_t):
    return ((xt - (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha_bar_t**0.5).clamp(-1, 1)


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


@mean.mistake("x0 is multiplied by √ᾱ_t; the move ends at s, so its picture is as strong as at s")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return (ab_t**0.5 * (1 - alpha) * x0 + alpha**0.5 * (1 - ab_s) * xt) / (1 - ab_t)


@mean.mistake("nothing is divided by 1 - ᾱ_t, so the weights don't add up; try the last step, where x0 has to come out")
def _(x0, xt, ab_t, ab_s):
    alpha = ab_t / ab_s
    return ab_s**0.5 * (1 - alpha) * x0 + alpha**0.5 * (1 - ab_s) * xt


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
    covers="batches of 1 to 5, one and three channels, float32 and float64, five pairs of times, the last step among them",
    cases=lambda rng: [(mu, z, a, b) for mu, z in pictures(rng) for a, b in SHARES],
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
        "`itertools.pairwise(times)`, or `zip(times, times[1:])`, yields them.",
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
    for t, s in itertools.pairwise(times):
        x = step(x, t, s).x
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
