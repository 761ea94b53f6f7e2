"""Exercises of lesson 08, why it works."""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.forward import velocity
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


@turned.mistake("you return the sum over t; one number for each t is asked for")
def _(steps, jumps):
    return (steps[1:] + jumps[:-1] - jumps[1:]).sum()


SHARES = [(0.5, 0.8), (0.3, 0.31), (4e-5, 4.1e-5), (0.9, 0.99), (0.0058, 0.2), (0.7, 0.9999)]  # ᾱ_t, ᾱ_s


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
    A move may go from $t$ to any earlier $s$. Its mean, when the picture is known, is $\tilde\mu = \frac{\sqrt{\bar\alpha_s}\,\beta}{1-\bar\alpha_t}\,x_0 + (\dots)\,x_t$ and its
    variance $\tilde\sigma^2 = \beta\,\frac{1-\bar\alpha_s}{1-\bar\alpha_t}$, with $\beta = 1-\bar\alpha_t/\bar\alpha_s$. The generator takes $\hat x_0$ for $x_0$, and the same variance. Return the factor of $(x_0-\hat x_0)^2$ in
    the KL divergence of this move, from the Python numbers `ab_t` and `ab_s`. On paper, make it as short as it gets: it is half of a difference that you know.
    """,
    hints=(
        r"The $x_t$ terms cancel in the difference of the means; the KL divergence is that difference squared, over $2\tilde\sigma^2$.",
        r"Put $\beta$ in: $\beta\bar\alpha_s = \bar\alpha_s - \bar\alpha_t$. What is left is $\frac{\bar\alpha_s-\bar\alpha_t}{2(1-\bar\alpha_s)(1-\bar\alpha_t)}$.",
        r"Lesson 01's signal-to-noise ratio is $\text{SNR}_t = \bar\alpha_t/(1-\bar\alpha_t)$. Write down $\text{SNR}_s - \text{SNR}_t$ over a common denominator.",
    ),
    covers="six pairs of times, short and long moves, at little and at much noise",
    cases=lambda rng: SHARES,
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
    "your β is that of a single step from nothing, 1 minus one of the shares; the move from t to s has their quotient"
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


def _velocity_of(x: Tensor, score: Tensor, alpha_bar_t: float) -> Tensor:
    schedule = Schedule(torch.tensor([1.0, alpha_bar_t], dtype=torch.float64))
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    return velocity(schedule, (x - noise * eps) / signal, eps, 1)


conversion = Exercise(
    "08.4",
    "From score to velocity",
    difficulty=2,
    minutes=10,
    task=r"""
    A network of another course predicts the score. Return the $v$ that it stands for, from `x` = $x_t$ and `score` (b, c, h, w) and the Python number `alpha_bar_t`.
    """,
    hints=(
        r"Three lines: $\varepsilon$ from the score, $x_0$ from $\varepsilon$ and `x`, then $v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1-\bar\alpha_t}\,x_0$.",
        r"The score is $-\varepsilon/\sqrt{1-\bar\alpha_t}$.",
    ),
    covers="batches of 1 to 5, one and three channels, float32 and float64, ᾱ from 0.01 to 0.99",
    cases=lambda rng: [(x, s, ab) for x, s in pictures(rng) for ab in (0.5, 0.99, 0.01)],
    reference=_velocity_of,
    tolerance=1e-3,
)


@conversion.solution
def my_velocity(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    x0 = (x - noise * eps) / signal
    return signal * eps - noise * x0


@conversion.mistake("your noise has the wrong sign: the score points against it")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = noise * score
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("from score to noise one multiplies by the noise's standard deviation")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -score / noise
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("you take the score for the noise")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    return signal * score - noise * (x - noise * score) / signal


@conversion.mistake("the roles are exchanged: in v the noise has the picture's factor, and the picture the noise's")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    return noise * eps - signal * (x - noise * eps) / signal


@conversion.mistake("your v has a plus; with one it would be x_t turned by another angle, or x_t itself")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    return signal * eps + noise * (x - noise * eps) / signal


@conversion.mistake("the roots are missing: shares of the variance stand where factors belong")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t, 1 - alpha_bar_t
    eps = -noise * score
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("you put in x, but x is x_t, not x_0: the picture has to be worked out from x and the noise first")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    return signal * -noise * score - noise * x


@conversion.mistake("the noise's factor lacks its root: 1 minus ᾱ is a variance, and a factor is a standard deviation")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, 1 - alpha_bar_t
    eps = -noise * score
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("from score to noise the factor is the noise's standard deviation, the root of 1 minus ᾱ")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -(1 - alpha_bar_t) * score
    return signal * eps - noise * (x - noise * eps) / signal


@conversion.mistake("that is -v: in v the noise counts with a plus, and the picture with a minus")
def _(x, score, alpha_bar_t):
    signal, noise = alpha_bar_t**0.5, (1 - alpha_bar_t) ** 0.5
    eps = -noise * score
    return noise * (x - noise * eps) / signal - signal * eps


def _runs(rng: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """Results of two ways of training: clearly apart, close, and in between; few runs and many."""
    return [
        (torch.tensor([1.0, 1.2, 1.1]), torch.tensor([2.0, 2.3, 2.1])),
        (torch.tensor([5.0, 4.0, 6.0]), torch.tensor([4.6, 5.9, 3.9, 5.1])),
        (torch.tensor([3.0, 3.2]), torch.tensor([2.0, 2.2, 1.9, 2.1])),
        (torch.tensor([1.0, 3.0]), torch.tensor([2.9, 4.9])),  # 1.34 standard errors
        (torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), torch.tensor([4.5, 5.5, 6.5, 2.5, 3.5, 7.5])),  # 1.39
        (torch.tensor([0.0, 2.0] * 8), torch.tensor([1.0, 3.0] * 8)),  # 2.7, though less than a standard deviation
        (torch.tensor([10.0, 10.1, 9.9, 10.0]), torch.tensor([9.6, 9.9, 9.8, 9.7])),
        (torch.tensor([1.0, 1.1, 0.9]), torch.tensor([1.0, 1.1, 0.9])),
        (torch.tensor([100.0, 140.0, 120.0]), torch.tensor([180.0, 220.0, 200.0])),  # 4.9, with large variances
        (
            torch.tensor([0.0, 1.0, 0.0, 1.0]),
            torch.tensor([1.05, 0.65, 1.05, 1.65]),
        ),  # 2.1 errors of the first, 1.7 of both
        # between 2 errors by variances over n and over n - 1
        (torch.tensor([3.1, 3.1]), torch.tensor([3.7, 5.8])),
        # two runs against four, with other variances: what is pooled or added in another way decides otherwise
        (torch.tensor([3.6, 8.2]), torch.tensor([2.3, 1.7, 2.3, 1.1])),
        (torch.tensor([3.6, 3.5]), torch.tensor([6.3, 6.1, 3.5, 4.5])),
    ]


def _by_error(a: Tensor, b: Tensor, error: Tensor) -> str:
    """What two of these errors decide."""
    gap = (b.mean() - a.mean()).item()
    return "too close" if abs(gap) < 2 * error else ("a" if gap > 0 else "b")


def _pooled(a: Tensor, b: Tensor) -> Tensor:
    """One variance for both ways."""
    return ((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2)


def _verdict(a: Tensor, b: Tensor) -> str:
    return _by_error(a, b, (a.var() / len(a) + b.var() / len(b)) ** 0.5)


verdict = Exercise(
    "08.5",
    "Is one way better?",
    difficulty=3,
    minutes=12,
    task=r"""
    Two ways to train were each run a few times with other seeds; `a` and `b` hold what was measured at the ends, smaller is better. They may have different lengths. Return
    "a" or "b" if that way's mean is smaller by at least two standard errors of the difference of the means, else "too close".
    """,
    hints=(
        "The standard error of a mean is the runs' standard deviation divided by the root of their number; squared: `a.var() / len(a)`.",
        "The squared errors of two independent means add up. Take the root of their sum, and compare the distance of the means with twice that.",
    ),
    covers="2 to 16 runs of each, clear cases and close ones",
    cases=_runs,
    reference=_verdict,
)


@verdict.solution
def my_verdict(a, b):
    error = (a.var() / len(a) + b.var() / len(b)) ** 0.5
    if (a.mean() - b.mean()).abs() < 2 * error:
        return "too close"
    return "a" if a.mean() < b.mean() else "b"


@verdict.mistake("you always name a winner; where the means differ by less than two of their errors nobody knows")
def _(a, b):
    return "a" if a.mean() < b.mean() else "b"


@verdict.mistake("the wrong one wins: what was measured is better where it is smaller")
def _(a, b):
    return {"a": "b", "b": "a"}.get(_verdict(a, b), "too close")


@verdict.mistake(
    "without an absolute value only a can win: where b is better, your difference of the means is negative"
)
def _(a, b):
    return {"b": "too close"}.get(_verdict(a, b), _verdict(a, b))


@verdict.mistake(
    "without an absolute value only b can win: where a is better, your difference of the means is negative"
)
def _(a, b):
    return {"a": "too close"}.get(_verdict(a, b), _verdict(a, b))


@verdict.mistake(
    "you compare with the spread of single runs; a mean of many runs is surer than one, by the root of their number"
)
def _(a, b):
    return _by_error(a, b, (a.var() + b.var()) ** 0.5)


@verdict.mistake(
    "you compare with a mean of the two standard deviations, the spread of single runs; the error of a mean is smaller"
)
def _(a, b):
    return _by_error(a, b, ((a.var() + b.var()) / 2) ** 0.5)


@verdict.mistake("you compare with the pooled spread of single runs; the error of a mean is smaller")
def _(a, b):
    return _by_error(a, b, _pooled(a, b) ** 0.5)


@verdict.mistake(
    "you pool the variances, as if both ways had the same spread; each mean has an error of its own, from its own runs"
)
def _(a, b):
    return _by_error(a, b, (_pooled(a, b) * (1 / len(a) + 1 / len(b))) ** 0.5)


@verdict.mistake("one standard error is too little: randomness alone goes beyond it in a third of all cases")
def _(a, b):
    return _by_error(a, b, (a.var() / len(a) + b.var() / len(b)) ** 0.5 / 2)


@verdict.mistake("only the error of a's mean is in your comparison; both means have one")
def _(a, b):
    return _by_error(a, b, (a.var() / len(a)) ** 0.5)


@verdict.mistake("only the error of b's mean is in your comparison; both means have one")
def _(a, b):
    return _by_error(a, b, (b.var() / len(b)) ** 0.5)


@verdict.mistake("you take the larger of the two errors; that of a difference is larger than either")
def _(a, b):
    return _by_error(a, b, max(a.var() / len(a), b.var() / len(b)) ** 0.5)


@verdict.mistake("you add the errors themselves; of independent means the squares add up, which makes less")
def _(a, b):
    return _by_error(a, b, (a.var() / len(a)) ** 0.5 + (b.var() / len(b)) ** 0.5)


@verdict.mistake(
    "you divide the sum of the variances by the number of all runs; each variance has to be divided by its own number"
)
def _(a, b):
    return _by_error(a, b, ((a.var() + b.var()) / (len(a) + len(b))) ** 0.5)


@verdict.mistake(
    "your variances are divided by n; with a mean from the same few runs that is too small: .var() divides by n - 1"
)
def _(a, b):
    return _by_error(a, b, (a.var(correction=0) / len(a) + b.var(correction=0) / len(b)) ** 0.5)


@verdict.mistake("the variances are divided by a's number of runs; b may have another")
def _(a, b):
    return _by_error(a, b, ((a.var() + b.var()) / len(a)) ** 0.5)


@verdict.mistake("variances are compared with a distance; take the root first")
def _(a, b):
    return _by_error(a, b, a.var() / len(a) + b.var() / len(b))
