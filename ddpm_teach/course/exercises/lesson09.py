"""Exercises of lesson 09, attention and MNIST."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from ddpm_teach.course.exercises.engine import Exercise

LESSON = "09 attention and MNIST"


def questions(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Queries, keys and values (b, n, d), as many places as numbers in one case."""
    for dtype in (torch.float32, torch.float64):
        for b, n, d in ((1, 2, 1), (1, 2, 4), (2, 3, 3), (2, 16, 8), (3, 9, 4)):
            yield tuple(torch.randn(3, b, n, d, generator=rng, dtype=dtype))


attention = Exercise(
    "09.1",
    "Attention",
    difficulty=2,
    minutes=10,
    task=r"""
    Write attention: for queries, keys and values `q`, `k`, `v`, each (b, n, d), the values (b, n, d) that every place gets. The weights of a place add up to 1 over the places that it looks at.
    """,
    hints=(
        "`q @ k.transpose(1, 2)` has shape (b, n, n): row i is what place i asks, column j the key of place j.",
        r"Divide by $\sqrt d$, then `.softmax(-1)`: every row is a place that looks, and its weights add up to 1. Then `@ v`.",
    ),
    covers="batches of 1 to 3, 2 to 16 places, 1 to 8 numbers, float32 and float64",
    cases=questions,
    reference=lambda q, k, v: scaled_dot_product_attention(q, k, v),  # a builtin has no signature to look at
)


@attention.solution
def my_attention(q, k, v):
    weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
    return weights @ v


@attention.mistake("the products aren't divided by the root of d, so with many numbers one place takes all the weight")
def _(q, k, v):
    return (q @ k.transpose(1, 2)).softmax(-1) @ v


@attention.mistake("you divide by d; the standard deviation of the products is its root")
def _(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[-1]).softmax(-1) @ v


@attention.mistake(
    "you divide by the root of the number of places; what the products grow with is d, the numbers in a query"
)
def _(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[1] ** 0.5).softmax(-1) @ v


@attention.mistake("your weights add up to 1 over the places that look, not over those that are looked at")
def _(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(1) @ v


@attention.mistake("without softmax the weights can be negative, and don't add up to 1")
def _(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5) @ v


@attention.mistake("keys and queries are exchanged: the rows have to be those who ask")
def _(q, k, v):
    return (k @ q.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v


@attention.mistake("those are the weights; the values that they weigh are missing")
def _(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)


PATTERN = "b (three heads d) h w -> three b heads (h w) d"

heads_apart = Exercise(
    "09.2",
    "Heads apart",
    difficulty=2,
    minutes=8,
    task=r"""
    One convolution has made queries, keys and values for all heads at once: `qkv` is (b, 3 · heads · d, height, width). Its channels are first all queries, then all keys, then all values; in each, head after head. Take them apart: return
    a tensor (3, b, heads, height · width, d). `rearrange` of einops does it in one line.
    """,
    hints=(
        "An einops pattern names every axis: `rearrange(x, 'b c h w -> b (h w) c')` makes places of pixels.",
        "Axes in brackets are counted from left to right, the rightmost fastest; `(three heads d)` needs `three=3, heads=heads`.",
    ),
    covers="1 to 4 heads of 1 to 3 numbers, pictures higher than wide",
    cases=lambda rng: [
        (torch.randn(b, 3 * heads * d, h, w, generator=rng), heads)
        for b, heads, d, h, w in ((1, 1, 1, 1, 2), (1, 2, 1, 2, 1), (1, 2, 3, 2, 2), (2, 4, 2, 3, 2), (3, 2, 2, 4, 4))
    ],
    reference=lambda qkv, heads: rearrange(qkv, PATTERN, three=3, heads=heads),
)


@heads_apart.solution
def my_heads(qkv, heads):
    from einops import rearrange

    return rearrange(qkv, "b (three heads d) h w -> three b heads (h w) d", three=3, heads=heads)


@heads_apart.mistake(
    "the pattern needs one number more: how many parts `(three heads d)` has isn't known from its length"
)
def _(qkv, heads):
    return rearrange(qkv, PATTERN, heads=heads)


@heads_apart.mistake("the batch stands first; queries, keys and values should, so that q, k, v = … takes them apart")
def _(qkv, heads):
    return rearrange(qkv, "b (three heads d) h w -> b three heads (h w) d", three=3, heads=heads)


@heads_apart.mistake("heads and numbers are exchanged within the channels: a head's numbers stand side by side")
def _(qkv, heads):
    return rearrange(qkv, "b (three d heads) h w -> three b heads (h w) d", three=3, heads=heads)


@heads_apart.mistake("your channels are head by head, each with its query, key and value; here all queries come first")
def _(qkv, heads):
    return rearrange(qkv, "b (heads three d) h w -> three b heads (h w) d", three=3, heads=heads)


@heads_apart.mistake("the pixels are counted column by column; everywhere else in the course it is row by row")
def _(qkv, heads):
    return rearrange(qkv, PATTERN.replace("(h w)", "(w h)"), three=3, heads=heads)


@heads_apart.mistake("the shape is right, but a reshape alone moves no axis: the numbers of different pixels are mixed")
def _(qkv, heads):
    b, c, h, w = qkv.shape
    return qkv.reshape(3, b, heads, h * w, c // 3 // heads)


@heads_apart.mistake("places and numbers are exchanged: (…, height · width, d) is asked for")
def _(qkv, heads):
    return rearrange(qkv, "b (three heads d) h w -> three b heads d (h w)", three=3, heads=heads)


dropout = Exercise(
    "09.3",
    "Dropout, and when not",
    difficulty=1,
    minutes=5,
    task=r"""
    Write dropout. `h` is any tensor, `keep` a mask of zeros and ones of its shape, drawn so that a share `p` of it is zero (use it; draw none of your own); `training` says whether the network is being trained. The mean of the result should be that of `h`, and
    nothing may be dropped when the network is used.
    """,
    hints=(
        "In training only a share of 1 - p is left, so what is left has to be larger.",
        "An `if` on `training`; without training the result is `h` itself.",
    ),
    covers="shares of 0.1 and 0.5, in training and out of it",
    cases=lambda rng: [
        (torch.randn(n, 3, generator=rng), (torch.rand(n, 3, generator=rng) >= p).float(), p, training)
        for n in (2, 5, 50)
        for p in (0.1, 0.5)
        for training in (True, False)
    ],
    reference=lambda h, keep, p, training: torch.where(torch.tensor(training), h * keep / (1 - p), h),
)


@dropout.solution
def my_dropout(h, keep, p, training):
    return h * keep / (1 - p) if training else h


@dropout.mistake("what is left isn't made larger, so everything is weaker in training than in use")
def _(h, keep, p, training):
    return h * keep if training else h


@dropout.mistake("it drops even when the network isn't being trained: its answers would be chance")
def _(h, keep, p, training):
    return h * keep / (1 - p)


@dropout.mistake("you draw a mask of your own; the one to use is `keep`")
def _(h, keep, p, training):
    return torch.nn.functional.dropout(h, p, training)


@dropout.mistake("kept and dropped are exchanged: where `keep` is 1, the number stays")
def _(h, keep, p, training):
    return h * (1 - keep) / (1 - p) if training else h


@dropout.mistake("training and use are exchanged: it drops only when the network isn't being trained")
def _(h, keep, p, training):
    return h if training else h * keep / (1 - p)


@dropout.mistake("you divide by the share that is dropped; the share that is left is 1 minus that")
def _(h, keep, p, training):
    return h * keep / p if training else h


@dropout.mistake("you scale when the network is used, though nothing was dropped")
def _(h, keep, p, training):
    return h * keep if training else h * (1 - p)
