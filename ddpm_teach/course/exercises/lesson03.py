"""Exercises of lesson 03, training."""

from __future__ import annotations

import torch

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson01 import pictures
from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.schedule import Schedule, linear

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
    Write the simple loss of one batch, a tensor without axes. `net(x, t)` says which noise is in `x`; `alpha_bar` is the table of lesson 01,
    `x0` clean pictures (b, c, h, w), `t` their times (b,), `eps` noise. `add_noise(Schedule(alpha_bar), x0, t, eps)` makes noisy pictures.
    """,
    hints=(
        "Two lines: make the noisy pictures; compare the network's answer with the noise that you put in.",
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


@loss.mistake("the network's answer is compared with the pictures; this network is asked for the noise")
def _(net, alpha_bar, x0, t, eps):
    return ((net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - x0) ** 2).mean()


@loss.mistake("the network's answer is compared with the noisy pictures; what was mixed in is the question")
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


@loss.mistake("your loss is the mean absolute error; the derivation above leads to squares")
def _(net, alpha_bar, x0, t, eps):
    return (net(add_noise(Schedule(alpha_bar), x0, t, eps), t) - eps).abs().mean()


@loss.mistake(
    "the noise isn't the one that was handed in: the network is compared with noise that isn't in its picture"
)
def _(net, alpha_bar, x0, t, eps):
    xt = add_noise(Schedule(alpha_bar), x0, t, torch.randn_like(x0))
    return ((net(xt, t) - eps) ** 2).mean()


score = Exercise(
    "03.2",
    "From noise to score",
    difficulty=2,
    minutes=8,
    task=r"""
    Write the score $\nabla\ln q(x_t)$ that a network's answer stands for: `eps_hat` is $\hat\varepsilon$ (b, c, h, w), `alpha_bar_t` the
    number $\bar\alpha_t$.
    """,
    hints=(
        r"The text above has $\hat\varepsilon$ in terms of the score. Solve for the score.",
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
