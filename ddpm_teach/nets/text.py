"""TextEncoder: a caption's words as vectors that know of each other; CrossAttention looks at them. Lesson 13.

A caption is a row of word ids, filled up with zeros to the network's length: `Tokenizer` makes one.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from ddpm_teach.checks import can_look
from ddpm_teach.nets.blocks import attend, attention_weights
from ddpm_teach.nets.inputs import check_divides, check_ids, check_input, check_sizes

# The deviation of words' and places' numbers at first. Were words wider than places, as torch makes them (1), and than
# what the blocks add, their order and neighbours would hardly be seen, and be learned late.
SPREAD = 0.1


class WordBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): every word looks at all others; padding isn't looked at."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.to_qkv, self.project = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.heads = heads

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        qkv = self.to_qkv(self.norm(x))
        q, k, v = rearrange(qkv, "b n (three heads d) -> three b heads n d", three=3, heads=self.heads)
        x = x + self.project(rearrange(attend(q, k, v, mask), "b heads n d -> b n (heads d)"))
        return x + self.mlp(x)


class TextEncoder(nn.Module):
    """Encodes captions: word ids (b, length) → vectors (b, length + 1, width), and which of them are words.

    A learned start stands first and is always looked at: so the empty caption, a row of zeros, has an encoding, too.

    Args:
        words: how many ids there are, padding (0) among them: `tokenizer.size`.
        length: of a caption, in words.
        width: of the vectors, a multiple of `heads`.
        depth: number of transformer blocks.
        positions: whether the order of the words counts. Without, a caption is a bag of words, and with depth 0 no word
            knows of any other.

    Raises:
        ValueError: for sizes that don't fit together.
    """

    def __init__(
        self, words: int, length: int = 56, width: int = 128, depth: int = 2, heads: int = 4, positions: bool = True
    ) -> None:
        super().__init__()
        check_sizes(2, words=words)
        check_sizes(0, depth=depth)
        check_sizes(length=length, width=width, heads=heads)
        check_divides("width", (width,), heads=heads)
        self.embed = nn.Embedding(words, width, padding_idx=0)
        with torch.no_grad():
            self.embed.weight.mul_(SPREAD)
        self.start = nn.Parameter(SPREAD * torch.randn(width))
        self.positions = nn.Parameter(SPREAD * torch.randn(length, width)) if positions else None
        self.blocks = nn.ModuleList(WordBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids: Int[Tensor, "b m"]) -> tuple[Float[Tensor, "b m+1 d"], Bool[Tensor, "b m+1"]]:
        """The vectors, those at padding without meaning, and the mask: true for the start and for words."""
        x = self.embed(ids)  # (b, length) → (b, length, width)
        if self.positions is not None:
            x = x + self.positions[: ids.shape[1]]
        x = torch.cat([self.start.expand(len(x), 1, -1), x], dim=1)
        mask = pad(ids > 0, (1, 0), value=True)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x), mask


class ToldWords(nn.Module):
    """What the networks that are told words share: how they say what they take, and how they read it.

    Whoever is one has `config`, with channels, size, words and length, `T`, and its TextEncoder as `text`.
    """

    config: dict
    T: int
    text: TextEncoder

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return self.config["channels"], self.config["size"], self.config["size"]

    @property
    def context_dim(self) -> tuple[int]:
        """(length,): the shape of a caption's word ids."""
        return (self.config["length"],)

    @property
    def vocabulary(self) -> int:
        """How many word ids there are, padding among them."""
        return self.config["words"]

    def encoded(self, x: Tensor, t: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """The words' vectors (b, m, d) and their mask, of word ids c (b, length) or None, which is the empty caption.

        Raises:
            ValueError, TypeError: for pictures, times or ids that the network wasn't built for.
        """
        check_input(x, t, None, self.image_shape, self.T, None)
        c = t.new_zeros(len(x), *self.context_dim) if c is None else c
        check_ids(c, len(x), self.vocabulary, *self.context_dim)
        return self.text(without_padding(c))


def without_padding(ids: Int[Tensor, "b m"]) -> Int[Tensor, "b n"]:
    """The ids up to the end of the longest caption; all of them where looking at them would make a device wait."""
    if not can_look(ids):
        return ids
    places = torch.arange(1, ids.shape[1] + 1, device=ids.device)
    return ids[:, : int((places * (ids > 0)).max())]


def mean_of(text: Tensor, mask: Tensor) -> Tensor:
    """The mean (b, d) of the vectors (b, m, d) of start and words."""
    share = mask.to(text.dtype) / mask.sum(1, keepdim=True)  # (b, m)
    return (share[:, None] @ text)[:, 0]


class CrossAttention(nn.Module):
    """x + project(attention(norm(x), text)): every place of a picture looks at the words, in `heads` ways at once.

    Queries come from the places, keys and values from the words. `project` is zero at first, and so is what is added.
    """

    def __init__(self, width: int, text_width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.to_q = nn.LayerNorm(width), nn.Linear(width, width)
        self.to_kv, self.project = nn.Linear(text_width, 2 * width), nn.Linear(width, width)
        self.heads = heads
        for weights in self.project.parameters():
            nn.init.zeros_(weights)

    def forward(
        self, x: Float[Tensor, "b w y x"], text: Float[Tensor, "b m d"], mask: Bool[Tensor, "b m"]
    ) -> Float[Tensor, "b w y x"]:
        out = rearrange(attend(*self._asked(x, text), mask), "b heads n d -> b n (heads d)")
        return x + rearrange(self.project(out), "b (y x) w -> b w y x", y=x.shape[2])

    def weights(self, x: Tensor, text: Tensor, mask: Tensor) -> Float[Tensor, "b m y x"]:
        """How much of each word every place reads, the mean over heads: the sum over words is one."""
        q, k, _ = self._asked(x, text)
        read = attention_weights(q, k, mask[:, None, None]).mean(1)
        return rearrange(read, "b (y x) m -> b m y x", y=x.shape[2])

    def _asked(self, x: Tensor, text: Tensor) -> list[Tensor]:
        """q, k and v, each (b, heads, places or words, d)."""
        q, kv = self.to_q(self.norm(rearrange(x, "b w y x -> b (y x) w"))), self.to_kv(text)
        return [rearrange(a, "b n (heads d) -> b heads n d", heads=self.heads) for a in (q, *kv.chunk(2, dim=-1))]
