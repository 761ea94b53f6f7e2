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
    Write the loss of one batch, a tensor without axes. `net(x, t)` predicts the noise in `x`; `alpha_bar` is the table of lesson 01,
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


@loss.mistake("no gradient flows back through your loss, so nothing would be trained; leave no_grad and detach out")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps) ** 2).mean().detach()


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


floor = Exercise(
    "03.2",
    "The floor",
    difficulty=3,
    minutes=15,
    task=r"""
    Write the loss of the best *linear* denoiser, a number. `variances` (d,) are those of the data along its principal axes, `alpha_bar` (T + 1,)
    is the table of lesson 01, with `alpha_bar[0]` = 1. On each axis $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$ is one number.
    Find what is left of $\mathbb E[(\varepsilon - a x_t)^2]$ when the factor $a$ is the best one (the text has the rule), and take the mean over
    the axes and over the times that training draws.
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


contexts = Exercise(
    "03.3",
    "Dropping contexts",
    difficulty=1,
    minutes=8,
    task=r"""
    Write context dropout: `c` holds a context in each row (b, k), `u` a number in [0, 1) for each picture (b,), drawn by somebody else.
    Return contexts in which a row is zero where its `u` is below `share`.
    """,
    hints=(
        "`u >= share` is True for the rows to keep, with shape (b,). The contexts have shape (b, k).",
        "`(u >= share)[:, None]` lines it up with the rows; a product with True or False keeps or zeroes.",
    ),
    covers="1 to 16 contexts of width 1 to 10, shares from 0 to 1",
    cases=lambda rng: (
        [
            (torch.rand(b, k, generator=rng) + 0.1, torch.rand(b, generator=rng), share)
            for b, k in ((1, 1), (2, 3), (5, 5), (16, 10))
            for share in (0.5, 0.0, 0.1, 1.0)
        ]
        + [(torch.ones(2, 3), torch.tensor([0.5, 0.25]), 0.5)]
    ),  # a draw that is no less than the share
    reference=lambda c, u, share: c * (u >= share).to(c)[:, None],
)


@contexts.solution
def my_dropped(c, u, share):
    return c * (u >= share)[:, None]


@contexts.mistake("it is the other way round: you keep the share that should go")
def _(c, u, share):
    return c * (u < share)[:, None]


@contexts.mistake("a draw that equals the share isn't below it, so its row stays")
def _(c, u, share):
    return c * (u > share)[:, None]


@contexts.mistake("one draw decides for the whole batch; each picture has its own")
def _(c, u, share):
    return c * (u[0] >= share)


@contexts.mistake(
    "your mask has one number for each picture but is lined up with the contexts' columns; give it an axis more"
)
def _(c, u, share):
    return c * (u >= share)


@contexts.mistake("you removed the rows, so contexts and pictures don't line up any more; set the rows to zero")
def _(c, u, share):
    return c[u >= share]


@contexts.mistake("what is kept is divided by 1 - share, as dropout in a network does; a context has to stay as it is")
def _(c, u, share):
    return c * (u >= share)[:, None] / (1 - share)


average = Exercise(
    "03.4",
    "The average with warm-up",
    difficulty=2,
    minutes=10,
    task=r"""
    Write one update of the moving average: from the average so far and the new weights (tensors of one shape) to the new average. `n` = 0, 1, 2, …
    counts the updates before this one. The decay is `decay`, but in the beginning less: `min(decay, (1 + n) / (10 + n))`.
    """,
    hints=(
        "A decay `d` keeps the share `d` of the old average and takes `1 - d` of the new weights.",
        "At n = 0 the decay is 1/10: nine tenths of the random beginning are gone at the first update.",
    ),
    covers="n from 0 to 100,000, decays 0.9 to 0.9999, one to three axes",
    cases=lambda rng: [
        (torch.randn(shape, generator=rng), torch.randn(shape, generator=rng), n, decay)
        for shape in ((1,), (4,), (2, 3), (2, 3, 3))
        for n in (0, 1, 50, 100_000)
        for decay in (0.9, 0.999, 0.9999)
    ],
    reference=lambda average, weights, n, decay: torch.lerp(average, weights, 1 - min(decay, (1 + n) / (10 + n))),
)


@average.solution
def my_ema(average, weights, n, decay):
    d = min(decay, (1 + n) / (10 + n))
    return d * average + (1 - d) * weights


@average.mistake("old and new are exchanged: your average forgets nearly everything at each update")
def _(average, weights, n, decay):
    d = min(decay, (1 + n) / (10 + n))
    return (1 - d) * average + d * weights


@average.mistake("there is no warm-up: the random weights of the beginning stay in your average for thousands of steps")
def _(average, weights, n, decay):
    return decay * average + (1 - decay) * weights


@average.mistake("you take the larger of the two decays; at the beginning the average has to forget faster, not slower")
def _(average, weights, n, decay):
    d = max(decay, (1 + n) / (10 + n))
    return d * average + (1 - d) * weights


@average.mistake("your two shares don't sum to 1, so the average would grow from update to update")
def _(average, weights, n, decay):
    return min(decay, (1 + n) / (10 + n)) * average + weights


@average.mistake(
    "your decay only ever warms up; it has to stop at `decay`, or the average soon looks back over everything"
)
def _(average, weights, n, decay):
    d = (1 + n) / (10 + n)
    return d * average + (1 - d) * weights


@average.mistake("your count is one ahead: at the first update, n = 0, nine tenths of the beginning have to go")
def _(average, weights, n, decay):
    d = min(decay, (2 + n) / (11 + n))
    return d * average + (1 - d) * weights


verdict = Exercise(
    "03.5",
    "Is it still learning?",
    difficulty=3,
    minutes=20,
    task=r"""
    Measure and decide. `before` and `after` (n,) are the errors of two checkpoints on the *same* n held-out pictures, with the same times and the same
    noise, the later checkpoint in `after`. Return `"better"` if the mean error fell by more than two standard errors of the mean difference, `"worse"`
    if it rose by more than that, else `"can't tell"`. Think about which numbers vary: those of one picture belong together.
    """,
    hints=(
        "Most of the spread of `before` comes from times and pictures: some are hard for any network, some easy. `after` has the same.",
        "So take the differences picture by picture first. Their standard error is their standard deviation divided by √n.",
        "`gain = before - after`, then compare `gain.mean()` with `2 * gain.std() / len(gain) ** 0.5`.",
    ),
    covers="5 to 400 pictures, gains and losses, small and large against their spread",
    cases=lambda rng: [
        (shared, shared - 0.02 * (_standard(torch.randn(n, generator=rng)) + errors / n**0.5))
        for n in (5, 50, 400)
        for errors in (3.0, -3.0, 0.5, -0.5, 1.5, -1.5, 3 * n**0.5)  # the mean gain, in standard errors
        for shared in (torch.rand(n, generator=rng) * 3,)
    ],
    reference=lambda before, after: _verdict((before - after).mean(), (before - after).std() / len(before) ** 0.5),
)


def _standard(x):
    return (x - x.mean()) / x.std()


def _verdict(gain, error):
    return "better" if gain > 2 * error else "worse" if gain < -2 * error else "can't tell"


@verdict.solution
def my_verdict(before, after):
    gain = before - after
    error = gain.std() / len(gain) ** 0.5
    if gain.mean().abs() <= 2 * error:
        return "can't tell"
    return "better" if gain.mean() > 0 else "worse"


@verdict.mistake("you treat the two as strangers: on the same pictures, take the differences first, then their spread")
def _(before, after):
    return _verdict((before - after).mean(), ((before.var() + after.var()) / len(before)) ** 0.5)


@verdict.mistake("you compare with the spread of single differences; the mean of n of them varies less, by √n")
def _(before, after):
    return _verdict((before - after).mean(), (before - after).std())


@verdict.mistake("the signs are exchanged: an error that fell is better")
def _(before, after):
    return _verdict((after - before).mean(), (before - after).std() / len(before) ** 0.5)


@verdict.mistake("you only look at which mean is lower; two checkpoints always differ a little, so ask by how much")
def _(before, after):
    return "better" if after.mean() < before.mean() else "worse"


@verdict.mistake("you divide by n, not by its root, so your error is far too small, and you are sure too soon")
def _(before, after):
    return _verdict((before - after).mean(), (before - after).std() / len(before))


@verdict.mistake('your verdict is never "worse"; an error can rise, too')
def _(before, after):
    gain = before - after
    return "better" if gain.mean() > 2 * gain.std() / len(gain) ** 0.5 else "can't tell"


@verdict.mistake("that is one standard error; the task says two")
def _(before, after):
    gain = before - after
    return _verdict(gain.mean(), gain.std() / len(gain) ** 0.5 / 2)
