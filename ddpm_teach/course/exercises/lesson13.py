"""Exercises of lesson 13, words: cross-attention with a mask, and guidance from the encoded empty caption."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.exercises.lesson05 import AWAY, WEIGHTS
from ddpm_teach.diffusion.guidance import guided
from ddpm_teach.nets.text import TextEncoder

LESSON = "13 words"


def looks(rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Queries of n places, keys and values of m words, and which words aren't padding: the first one never is."""
    for dtype in (torch.float32, torch.float64):
        for b, n, m, d, e in ((1, 1, 2, 1, 1), (1, 2, 3, 4, 2), (2, 4, 3, 2, 5), (2, 16, 6, 8, 4), (3, 4, 7, 4, 6)):
            q, k = (torch.randn(b, size, d, generator=rng, dtype=dtype) for size in (n, m))
            lengths = torch.randint(1, m, (b, 1), generator=rng)  # so every caption has padding
            yield q, k, torch.randn(b, m, e, generator=rng, dtype=dtype), torch.arange(m) < lengths


cross_attention = Exercise(
    "13.1",
    "Cross-attention with a mask",
    difficulty=2,
    minutes=12,
    task=r"""
    Write attention of n places to m words: queries `q` (b, n, d) of the places, keys `k` (b, m, d) and values `v` (b, m, e) of the words, and `mask` (b, m), bools, true for words and false for padding. Return (b, n, e).
    The weights of a place add up to 1 over the words of its own caption, and padding gets exactly 0. Every caption has at least one word, its start.
    """,
    hints=(
        "It is exercise 09.1, but `q @ k.transpose(1, 2)` is (b, n, m): row i is what place i asks, column j the key of word j.",
        "What score becomes a weight of exactly 0, while the others still add up to 1? Put it in before the softmax.",
        r"$e^{-\infty}=0$: `scores.masked_fill(~mask[:, None], float('-inf'))`. The new axis is that of the places.",
    ),
    covers="batches of 1 to 3 captions, each with padding; 1 to 16 places, 2 to 7 words, float32 and float64",
    cases=looks,
    reference=lambda q, k, v, mask: scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None]),
)


@cross_attention.solution
def my_cross_attention(q, k, v, mask):
    scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(~mask[:, None], float("-inf")).softmax(-1)
    return weights @ v


def _scores(q, k):
    return q @ k.transpose(1, 2) / q.shape[-1] ** 0.5


@cross_attention.mistake("the mask isn't used: the places look at padding as well, and a caption's length changes all")
def _(q, k, v, mask):
    return _scores(q, k).softmax(-1) @ v


@cross_attention.mistake("the weights of padding are taken away after the softmax, so the others add up to less than 1")
def _(q, k, v, mask):
    return (_scores(q, k).softmax(-1) * mask[:, None]) @ v


@cross_attention.mistake("padding gets the score 0, and the exponential of 0 is 1: it is still looked at")
def _(q, k, v, mask):
    return (_scores(q, k) * mask[:, None]).softmax(-1) @ v


@cross_attention.mistake("the mask is the wrong way round: the places look at padding alone")
def _(q, k, v, mask):
    return _scores(q, k).masked_fill(mask[:, None], -torch.inf).softmax(-1) @ v


@cross_attention.mistake(
    "adding zeros and ones makes words a little more likely than padding; padding has to get nothing"
)
def _(q, k, v, mask):
    return (_scores(q, k) + mask[:, None]).softmax(-1) @ v


@cross_attention.mistake(
    "the mask meets the wrong axes: without one for the places, captions of the mask meet places of the scores"
)
def _(q, k, v, mask):
    return _scores(q, k).masked_fill(~mask, -torch.inf).softmax(-1) @ v


@cross_attention.mistake("your mask covers places; it is the words that may be padding, and they are the last axis")
def _(q, k, v, mask):
    return _scores(q, k).masked_fill(~mask[:, :, None], -torch.inf).softmax(-1) @ v


@cross_attention.mistake(
    "the products aren't divided by the root of d, so with many numbers one word takes all the weight"
)
def _(q, k, v, mask):
    return (q @ k.transpose(1, 2)).masked_fill(~mask[:, None], -torch.inf).softmax(-1) @ v


@cross_attention.mistake("you divide by d; the standard deviation of the products is its root")
def _(q, k, v, mask):
    return (q @ k.transpose(1, 2) / q.shape[-1]).masked_fill(~mask[:, None], -torch.inf).softmax(-1) @ v


@cross_attention.mistake("your weights add up to 1 over the places; each place shares its own look among the words")
def _(q, k, v, mask):
    return _scores(q, k).masked_fill(~mask[:, None], -torch.inf).softmax(1) @ v


@cross_attention.mistake("those are the weights, the map of each word; the values that they weigh are missing")
def _(q, k, v, mask):
    return _scores(q, k).masked_fill(~mask[:, None], -torch.inf).softmax(-1)


class Attending:
    """A network of one layer, in which the places of x look at the encoded words: x + what they read, stronger early."""

    in_words = "a network (x, t, text, mask) → prediction"

    def __call__(self, x: Tensor, t: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        if text.ndim != 3:
            raise ValueError(f"the network takes encoded words (b, words, width); it got {tuple(text.shape)}")
        if not len(x) == len(t) == len(text) == len(mask):
            got = f"{len(x)} pictures, {len(t)} times, {len(text)} captions and {len(mask)} masks"
            raise ValueError(f"the network takes as many of each; it got {got}")
        places = rearrange(x, "b c h w -> b (h w) c")
        read = scaled_dot_product_attention(places, text, text, attn_mask=mask[:, None])
        gain = 1 + t / 1000
        return x + gain[:, None, None, None] * rearrange(read, "b (h w) c -> b c h w", h=x.shape[2])


def told(rng: torch.Generator) -> Iterator[tuple]:
    """Latents of 4 channels, a text encoder as wide, and captions of 1 to 5 of its 8 words."""
    encode = TextEncoder(9, 5, width=4, depth=1, heads=2).requires_grad_(False)
    for b, size in ((1, 1), (1, 2), (2, 2), (3, 4)):
        for scale in (2.0, 0.5, 7.5):
            x, t = torch.randn(b, 4, size, size, generator=rng), torch.randint(1, 1001, (b,), generator=rng)
            ids, lengths = (torch.randint(1, top, (b, n), generator=rng) for top, n in ((9, 5), (5, 1)))
            yield Attending(), encode, x, t, ids * (torch.arange(5) < lengths), scale


def _guided_by_ids(net: Callable, encode: Callable, x: Tensor, t: Tensor, ids: Tensor, scale: float) -> Tensor:
    return guided(lambda x, t, c: net(x, t, *encode(c)), ids, scale)(x, t)


guidance = Exercise(
    "13.2",
    "Guidance from the encoded empty caption",
    difficulty=2,
    minutes=12,
    task=r"""
    Write classifier-free guidance (exercise 05.2) for a network that is told words. `ids` (b, length) are captions, filled up with 0; `encode(ids)` gives two things, the vectors and the mask, and `net(x, t, vectors, mask)` a prediction.
    In training a dropped caption was an *empty* one, a row of zeros, and it was encoded like every other: that is what the prediction without a condition has to be told.
    """,
    hints=(
        "Nothing is known of a vector of zeros: the network never saw one. What did it see where a caption was dropped?",
        "`torch.zeros_like(ids)` are b empty captions. What is encoded has a mask of its own: only the start is looked at.",
        "Two calls, `net(x, t, *encode(…))`, or one of a batch twice as large; then the formula.",
    ),
    covers="batches of 1 to 3 captions of 1 to 4 words, other times for each, scales 0.5, 2 and 7.5",
    cases=told,
    reference=_guided_by_ids,
)


@guidance.solution
def my_word_guidance(net, encode, x, t, ids, scale):
    with_words = net(x, t, *encode(ids))
    without = net(x, t, *encode(torch.zeros_like(ids)))
    return without + scale * (with_words - without)


def _two(net, encode, x, t, ids):
    return net(x, t, *encode(ids)), net(x, t, *encode(torch.zeros_like(ids)))


@guidance.mistake(
    "vectors of zeros aren't the empty caption: that one has a start, is encoded, and was seen in training"
)
def _(net, encode, x, t, ids, scale):
    text, mask = encode(ids)
    with_words, without = net(x, t, text, mask), net(x, t, torch.zeros_like(text), mask)
    return without + scale * (with_words - without)


@guidance.mistake("the empty caption is looked at with the mask of the words: what stands at padding was never trained")
def _(net, encode, x, t, ids, scale):
    (text, mask), (empty, _) = encode(ids), encode(torch.zeros_like(ids))
    with_words, without = net(x, t, text, mask), net(x, t, empty, mask)
    return without + scale * (with_words - without)


@guidance.mistake(
    "without its words a caption has no padding for you: the mask of the empty one is true at its start alone"
)
def _(net, encode, x, t, ids, scale):
    (text, mask), (empty, _) = encode(ids), encode(torch.zeros_like(ids))
    with_words, without = net(x, t, text, mask), net(x, t, empty, torch.ones_like(mask))
    return without + scale * (with_words - without)


@guidance.mistake(
    "the words are only hidden from the places: the start was encoded beside them, and knows what they say"
)
def _(net, encode, x, t, ids, scale):
    (text, mask), (_, start) = encode(ids), encode(torch.zeros_like(ids))
    with_words, without = net(x, t, text, mask), net(x, t, text, start)
    return without + scale * (with_words - without)


@guidance.mistake("that is the prediction with the words, whatever the scale; a second one is needed, without")
def _(net, encode, x, t, ids, scale):
    return net(x, t, *encode(ids))


@guidance.mistake("both predictions are right, but " + AWAY)
def _(net, encode, x, t, ids, scale):
    with_words, without = _two(net, encode, x, t, ids)
    return without + scale * (without - with_words)


@guidance.mistake("both predictions are right, but " + WEIGHTS)
def _(net, encode, x, t, ids, scale):
    with_words, without = _two(net, encode, x, t, ids)
    return scale * with_words + (scale - 1) * without


@guidance.mistake("both predictions are right, but mixed by the paper's w, in which 0 means scale 1")
def _(net, encode, x, t, ids, scale):
    with_words, without = _two(net, encode, x, t, ids)
    return with_words + scale * (with_words - without)
