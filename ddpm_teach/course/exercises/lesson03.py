"""Exercises of lesson 03, training."""

from __future__ import annotations

import torch

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.schedule import Schedule, cosine, linear

LESSON = "03 training"


class ANet(torch.nn.Module):
    """A network that is no good at all, but looks at everything that it is given, and could be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(0.3))

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x + self.gain * x.flip(-1)) * (t / 1000).to(x)[:, None, None, None]


loss = Exercise(
    "03.1",
    "The loss",
    difficulty=2,
    minutes=10,
    task=r"""
    Write the loss of one batch, a tensor without axes. `net(x, t)`, already told its condition, predicts the noise in `x`; `alpha_bar` is the table of lesson 01,
    `x0` clean pictures (b, c, h, w), `t` their times (b,), `eps` noise. `add_noise(Schedule(alpha_bar), x0, t, eps)` makes noisy pictures.
    """,
    hints=(
        "Two lines: make the noisy pictures; compare the network's prediction with the noise that you put in.",
        "The comparison is the mean of the squared differences, over all pixels of all pictures.",
    ),
    covers="batches of 1 to 5, one and three channels, float32 and float64, times 1 to T",
    cases=lambda rng: [
        (ANet(), linear(1000).alpha_bar, x0, torch.randint(1, 1001, (len(x0),), generator=rng), eps)
        for x0, eps in pictures(rng)
    ],
    reference=lambda net, alpha_bar, x0, t, eps: (
        (net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps).square().mean()
    ),
)


@loss.solution
def my_loss(net, alpha_bar, x0, t, eps):
    xt = add_noise(Schedule(alpha_bar), x0, t, eps)
    return ((net(xt, t) - eps) ** 2).mean()


@loss.mistake("your network sees the clean pictures; nobody could find noise in those")
def _(net, alpha_bar, x0, t, eps):
    return ((net(x0, t) - eps) ** 2).mean()


@loss.mistake("the network's prediction is compared with the pictures; this network predicts the noise")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - x0) ** 2).mean()


@loss.mistake("the network's prediction is compared with the noisy pictures; compare it with what was mixed in")
def _(net, alpha_bar, x0, t, eps):
    xt = add_noise(Schedule(alpha_bar), x0, t, eps)
    return ((net(xt, t) - xt) ** 2).mean()


@loss.mistake("your loss is a sum over all pixels, so it grows with the batch; the learning rate would have to follow")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps) ** 2).sum()


@loss.mistake("your loss is a sum over the pixels of each picture; the loss above is a mean over them, too")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps) ** 2).sum((1, 2, 3)).mean()


@loss.mistake("no gradient flows back through your loss, so nothing would be trained; leave no_grad and detach out")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps) ** 2).mean().detach()


@loss.mistake("the value is right, but its dtype isn't the pictures': the table's float64 has spread to it")
def _(net, alpha_bar, x0, t, eps):
    share = alpha_bar[t][:, None, None, None]
    return ((net(share.sqrt() * x0 + (1 - share).sqrt() * eps, t) - eps) ** 2).mean()


@loss.mistake("your loss is a Python number, which can't be differentiated; return the tensor")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps) ** 2).mean().item()


@loss.mistake("you return a loss for each picture; a step needs one for the whole batch")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps) ** 2).mean((1, 2, 3))


@loss.mistake("the differences aren't squared, so errors up and down cancel")
def _(net, alpha_bar, x0, t, eps):
    return (net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps).mean()


@loss.mistake("your loss is the mean absolute error; the equation above has squares")
def _(net, alpha_bar, x0, t, eps):
    return (net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps).abs().mean()


@loss.mistake(
    "you took the root of the mean; the equation above has none, and it would weigh whole batches differently"
)
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps) ** 2).mean().sqrt()


@loss.mistake("the network gets t divided by T; it takes whole times 1…T, and scales them itself")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t / 1000) - eps) ** 2).mean()


@loss.mistake(
    "the noise isn't the one that was handed in: the network is compared with noise that isn't in its picture"
)
def _(net, alpha_bar, x0, t, eps):
    xt = add_noise(Schedule(alpha_bar), x0, t, torch.randn_like(x0))
    return ((net(xt, t) - eps) ** 2).mean()


@loss.mistake("the network's prediction is compared with new noise; compare it with the noise that was mixed in")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - torch.randn_like(x0)) ** 2).mean()


floor = Exercise(
    "03.2",
    "The floor",
    difficulty=3,
    minutes=15,
    task=r"""
    Write the loss of the best *linear* denoiser, a tensor without axes. `variances` (d,) are those of the data along its principal axes, `alpha_bar` (T + 1,)
    is the table of lesson 01, with `alpha_bar[0]` = 1. On each axis $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$ is one number.
    Find what is left of $\mathbb E[(\varepsilon - a x_t)^2]$ when the factor $a$ is the best one for this axis and this time (the text has the rule), and
    take the mean over the axes and over the times that training draws.
    """,
    hints=(
        r"With variance $v$ on an axis: the covariance of $\varepsilon$ and $x_t$ is $\sqrt{1-\bar\alpha_t}$, and the variance of $x_t$ is"
        r" $\bar\alpha_t v + 1 - \bar\alpha_t$.",
        r"What is left is 1 - covariance² / variance. Over one denominator, that is $\bar\alpha_t v / (\bar\alpha_t v + 1 - \bar\alpha_t)$.",
        "`alpha_bar[1:, None]` and `variances` together have shape (T, d).",
    ),
    covers="1 to 12 axes, variances from 0 to 9, linear and cosine schedules of 10 to 1000 steps",
    cases=lambda rng: [
        (make(T).alpha_bar, scale * torch.rand(d, generator=rng, dtype=torch.float64))
        for T, make in ((10, linear), (100, cosine), (1000, linear))
        for d, scale in ((1, 1.0), (3, 9.0), (12, 0.3))
    ],
    reference=lambda alpha_bar, variances: _left(alpha_bar[1:, None] * variances, 1 - alpha_bar[1:, None]).mean(),
)


def _left(signal, noise):
    return signal / (signal + noise)


@floor.solution
def my_floor(alpha_bar, variances):
    ab = alpha_bar[1:, None]
    left = ab * variances / (ab * variances + 1 - ab)
    return left.mean()


@floor.mistake("time 0 is among your times; training draws 1…T, and at 0 there is no noise to predict")
def _(alpha_bar, variances):
    return _left(alpha_bar[:, None] * variances, 1 - alpha_bar[:, None]).mean()


@floor.mistake("your times are 0…T - 1; training draws 1…T, and at 0 there is no noise to predict")
def _(alpha_bar, variances):
    return _left(alpha_bar[:-1, None] * variances, 1 - alpha_bar[:-1, None]).mean()


@floor.mistake("the covariance of ε and x_t is the factor of ε in x_t, a root: √(1 - ᾱ)")
def _(alpha_bar, variances):
    ab = alpha_bar[1:, None]
    return (1 - (1 - ab) ** 2 / (ab * variances + 1 - ab)).mean()


@floor.mistake(
    "that is the noise's share of the variance of x_t, which the best factor explains; what is left is the rest"
)
def _(alpha_bar, variances):
    return _left(1 - alpha_bar[1:, None], alpha_bar[1:, None] * variances).mean()


@floor.mistake(
    "you averaged the variances first; an axis with little variance is nearly all noise, so each has its own floor"
)
def _(alpha_bar, variances):
    return _left(alpha_bar[1:, None] * variances.mean(), 1 - alpha_bar[1:, None]).mean()


@floor.mistake("you averaged over the times before you divided; every time has its own floor")
def _(alpha_bar, variances):
    ab = alpha_bar[1:].mean()
    return _left(ab * variances, 1 - ab).mean()


@floor.mistake("your factor is one for all times; each time has its own, and what it leaves")
def _(alpha_bar, variances):
    ab = alpha_bar[1:, None]
    covariance, variance = (1 - ab).sqrt(), ab * variances + 1 - ab
    a = covariance.mean(0) / variance.mean(0)
    return (1 - 2 * a * covariance + a**2 * variance).mean()


@floor.mistake("that is the mean of the best factors; the task asks what is left when they are used")
def _(alpha_bar, variances):
    ab = alpha_bar[1:, None]
    return ((1 - ab).sqrt() / (ab * variances + 1 - ab)).mean()


@floor.mistake("that is what is left of the picture, x_0; the loss here is the error of the noise")
def _(alpha_bar, variances):
    ab = alpha_bar[1:, None]
    return (variances * (1 - ab) / (ab * variances + 1 - ab)).mean()


@floor.mistake("you added the axes up; a loss is a mean over the pixels")
def _(alpha_bar, variances):
    return _left(alpha_bar[1:, None] * variances, 1 - alpha_bar[1:, None]).sum(1).mean()


@floor.mistake("your covariance isn't squared: what is left is 1 - covariance² / variance")
def _(alpha_bar, variances):
    ab = alpha_bar[1:, None]
    return (1 - (1 - ab).sqrt() / (ab * variances + 1 - ab)).mean()


@floor.mistake(
    "you used ᾱ where its root belongs, or a standard deviation for a variance: x_t has variance ᾱ v + 1 - ᾱ"
)
def _(alpha_bar, variances):
    ab = alpha_bar[1:, None]
    return _left(ab.sqrt() * variances, 1 - ab).mean()
