"""Exercises of lesson 03 training: a whole run: dropped contexts, the average, and when to stop."""

from __future__ import annotations

import torch

from ddpm_teach.course.exercises.engine import Exercise

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


@average.mistake("there is no warm-up, and old and new are exchanged: a decay near 1 keeps nearly all of the average")
def _(average, weights, n, decay):
    return (1 - decay) * average + decay * weights


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
        (scale * shared, scale * (shared - 0.02 * (_standard(torch.randn(n, generator=rng)) + errors / n**0.5)))
        for n in (5, 50, 400)
        for scale in (1, 100)
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


@verdict.mistake("your error is made of the variance; a standard error is made of its root")
def _(before, after):
    gain = before - after
    return _verdict(gain.mean(), gain.var() / len(gain) ** 0.5)


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
