"""DiffusionTransformer: patches instead of a UNet (DiT, Peebles & Xie 2023), with words as in PixArt-α. Lesson 13.

x ─ stem ─ blocks.0 ─ blocks.1 ─ … ─ norm ─ head ─ v̂         all of them width × (size / patch)², the head x's own shape

The time enters by adaLN-Zero: it says how each block's inputs are scaled and shifted, and how much of the result is
added, which is nothing at first.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from ddpm_teach.nets.blocks import LastConv2d, attend, sinusoids
from ddpm_teach.nets.inputs import check_divides, check_grid, check_sizes
from ddpm_teach.nets.text import CrossAttention, TextEncoder, ToldWords, mean_of


class Modulated(nn.Module):
    """norm(x) · (1 + scale) + shift, over the channels of each patch; scale and shift (b, width, 1, 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)

    def forward(self, x: Float[Tensor, "b w y x"], scale: Tensor, shift: Tensor) -> Float[Tensor, "b w y x"]:
        return self.norm(x.movedim(1, -1)).movedim(-1, 1) * (1 + scale) + shift


class DiTBlock(nn.Module):
    """x + gate · attention(modulated(x)), + attention to the words, + gate · mlp(modulated(x)); the gates begin at 0.

    A 1×1 convolution is a linear layer for each patch.
    """

    def __init__(self, width: int, time_dim: int, text_width: int, heads: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(time_dim, 6 * width)
        self.first, self.second = Modulated(width), Modulated(width)
        self.to_qkv, self.project = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)
        self.words = CrossAttention(width, text_width, heads)
        self.mlp = nn.Sequential(
            nn.Conv2d(width, 4 * width, 1), nn.GELU(approximate="tanh"), nn.Conv2d(4 * width, width, 1)
        )
        self.heads = heads
        for weights in self.modulation.parameters():
            nn.init.zeros_(weights)

    def forward(self, x: Tensor, time: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        # (b, 6 width) → six of (b, width, 1, 1)
        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulation(time)[..., None, None].chunk(6, dim=1)
        x = x + gate1 * self._attention(self.first(x, scale1, shift1))
        x = self.words(x, text, mask)
        return x + gate2 * self.mlp(self.second(x, scale2, shift2))

    def _attention(self, x: Tensor) -> Tensor:
        qkv = self.to_qkv(x)
        q, k, v = rearrange(qkv, "b (three heads d) h w -> three b heads (h w) d", three=3, heads=self.heads)
        return self.project(rearrange(attend(q, k, v), "b heads (h w) d -> b (heads d) h w", h=x.shape[2]))


class DiffusionTransformer(ToldWords):
    """Predicts the noise in x_t, or what it is trained for, given the time and a caption, as `TextUNet` does.

    Args:
        words: how many word ids there are, padding among them: `tokenizer.size`.
        length: of a caption, in words: `tokenizer.length`.
        channels: of the pictures, or latents.
        size: height and width of the pictures, a multiple of `patch`.
        patch: pixels a side of what is one place for the transformer.
        width: of its vectors, a multiple of 4 and of `heads`.
        depth: number of blocks.
        heads: of all attention.
        text_width, text_depth: of the text encoder.
        T: number of noising steps.

    Raises:
        ValueError: for sizes that don't fit together.
    """

    def __init__(
        self,
        words: int,
        length: int = 56,
        channels: int = 16,
        size: int = 8,
        patch: int = 2,
        width: int = 192,
        depth: int = 6,
        heads: int = 4,
        text_width: int = 128,
        text_depth: int = 2,
        T: int = 1000,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, size=size, patch=patch, width=width, depth=depth, heads=heads, T=T)
        check_divides("width", (width,), heads=heads)
        if width % 4:
            raise ValueError(f"width: expected a multiple of 4 (sines and cosines of row and column), got {width}")
        side = check_grid(size, patch)
        self.config = dict(
            words=words,
            length=length,
            channels=channels,
            size=size,
            patch=patch,
            width=width,
            depth=depth,
            heads=heads,
            text_width=text_width,
            text_depth=text_depth,
            T=T,
        )
        self.T = T
        self.text = TextEncoder(words, length, text_width, text_depth, heads)
        self.register_buffer("time_table", sinusoids(T, width), persistent=False)  # row t - 1 is time t
        self.embed_time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_words = nn.Linear(text_width, width)
        line = sinusoids(side, width // 2).T  # (width/2, side): half of the channels say the row, half the column
        rows, columns = line[:, :, None].expand(-1, side, side), line[:, None].expand(-1, side, side)
        self.register_buffer("places", torch.cat([rows, columns]), persistent=False)  # (width, side, side)

        self.stem = nn.Conv2d(channels, width, patch, patch)
        self.blocks = nn.ModuleList(DiTBlock(width, width, text_width, heads) for _ in range(depth))
        self.modulation, self.norm = nn.Linear(width, 2 * width), Modulated(width)
        self.head = nn.Sequential(LastConv2d(width, channels * patch**2, 1), nn.PixelShuffle(patch))
        for weights in (*self.modulation.parameters(), *self.head.parameters()):
            nn.init.zeros_(weights)

    def forward(
        self, x: Float[Tensor, "b c h w"], t: Int[Tensor, " b"], c: Tensor | None = None
    ) -> Float[Tensor, "b c h w"]:
        """ε̂ (b, c, h, w) for x_t, times t in 1…T and word ids c (b, length); None is the empty caption, all zeros."""
        text, mask = self.encoded(x, t, c)
        time = self.embed_time(self.time_table[t - 1].to(x.dtype)) + self.embed_words(mean_of(text, mask))
        time = nn.functional.silu(time)  # (b, width)

        x = self.stem(x) + self.places.to(x.dtype)  # (b, width, side, side)
        for block in self.blocks:
            x = block(x, time, text, mask)
        scale, shift = self.modulation(time)[..., None, None].chunk(2, dim=1)
        return self.head(self.norm(x, scale, shift))
