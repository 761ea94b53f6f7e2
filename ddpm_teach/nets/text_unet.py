"""TextUNet: a small UNet that is told words, by cross-attention, as Stable Diffusion's is. Lesson 13.

On latents of 16×8×8, channels×height×width; a level is residual block, attention of the places to each other, attention
of the places to the words, and at the bottom another residual block:

x ─ stem ─ levels.0 80×8×8 ────────── cat 160 ─ levels.2 80×8×8 ─ head ─ v̂
              │ downs.0                             │ ups.0
           levels.1 224×4×4 ────────────────────────┘

Most parameters are at the bottom, where a convolution costs a quarter of what it does one level up.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ddpm_teach.checks import check_number
from ddpm_teach.nets.attention_unet import Attention, ResBlock
from ddpm_teach.nets.blocks import LastConv2d, sinusoids
from ddpm_teach.nets.inputs import check_divides, check_grid, check_sizes, check_tuple
from ddpm_teach.nets.text import CrossAttention, TextEncoder, ToldWords, mean_of

ATTENTION_AT = 16  # height of the largest level that has attention


class Places(nn.Module):
    """x + a learned vector for each place: convolutions know where they are by the border alone."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(width, side, side))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table


class TextLevel(nn.Module):
    """(b, c_in, h, w) → (b, width, h, w): residual block, attention to places and to words, a second residual block.

    Args:
        attentive: whether it has attention.
        last: whether it has the second residual block.
    """

    def __init__(
        self,
        c_in: int,
        width: int,
        time_dim: int,
        text_width: int,
        heads: int,
        dropout: float,
        groups: int,
        attentive: bool,
        last: bool,
    ) -> None:
        super().__init__()
        self.merge = nn.Identity() if c_in == width else nn.Conv2d(c_in, width, 1)
        self.first = ResBlock(width, time_dim, dropout, groups)
        self.places = Attention(width, heads, dropout, groups) if attentive else None
        self.words = CrossAttention(width, text_width, heads) if attentive else None
        self.second = ResBlock(width, time_dim, dropout, groups) if last else None

    def forward(self, x: Tensor, time: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        x = self.first(self.merge(x), time)
        if self.places is not None and self.words is not None:
            x = self.words(self.places(x), text, mask)
        return x if self.second is None else self.second(x, time)


class TextUNet(ToldWords):
    """Predicts the noise in x_t, or what it is trained for, given the time and a caption; has its own text encoder.

    The words enter twice: the places of the picture look at each of them, in every level of at most 16×16 places, and
    their mean is added to the time's embedding.

    Args:
        words: how many word ids there are, padding among them: `tokenizer.size`.
        length: of a caption, in words: `tokenizer.length`.
        channels: of the pictures, or latents.
        size: height and width of the pictures.
        patch: pictures are read, and made, in patches of so many pixels a side: 4 makes 48×8×8 of 3×32×32.
        widths: of the two or three levels, from the top.
        text_width, text_depth: of the text encoder; with depth 0 each word is looked at alone.
        positions: whether the order of the words counts; without, and with depth 0, a caption is a bag of words.
        pooled: whether the places see the mean of the words alone, not each of them.
        heads, groups: of all attention and of every GroupNorm; they must divide the widths.
        dropout: in the residual blocks and the attention, in training only.
        T: number of noising steps.

    Raises:
        ValueError: for sizes and widths that don't fit together.
    """

    def __init__(
        self,
        words: int,
        length: int = 56,
        channels: int = 16,
        size: int = 8,
        patch: int = 1,
        widths: tuple[int, ...] = (80, 224),
        text_width: int = 128,
        text_depth: int = 2,
        positions: bool = True,
        pooled: bool = False,
        heads: int = 4,
        groups: int = 8,
        dropout: float = 0.0,
        T: int = 1000,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, size=size, patch=patch, heads=heads, groups=groups, T=T)
        check_number("dropout", dropout, 0, 1)
        widths = check_tuple("widths", widths, "(80, 224, …)")
        if len(widths) not in (2, 3):
            raise ValueError(f"widths: expected two or three, of the levels from the top, got {widths}")
        check_divides("widths", widths, groups=groups, heads=heads)
        if widths[0] % 2:
            raise ValueError(f"widths: expected an even first one (sines and cosines of the time), got {widths}")
        n = len(widths) - 1
        top = check_grid(size, patch, n)
        if top // 2**n > ATTENTION_AT:
            raise ValueError(
                f"size: the lowest level has {top // 2**n}×{top // 2**n} places, and attention is for at most"
                f" {ATTENTION_AT}×{ATTENTION_AT}; use a larger patch, or another width"
            )
        self.config = dict(
            words=words,
            length=length,
            channels=channels,
            size=size,
            patch=patch,
            widths=widths,
            text_width=text_width,
            text_depth=text_depth,
            positions=positions,
            pooled=pooled,
            heads=heads,
            groups=groups,
            dropout=dropout,
            T=T,
        )
        self.T = T
        w, time_dim = widths[0], 4 * widths[0]
        self.text = TextEncoder(words, length, text_width, text_depth, heads, positions)
        self.register_buffer("time_table", sinusoids(T, w), persistent=False)  # row t - 1 is time t
        self.embed_time = nn.Sequential(nn.Linear(w, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim))
        self.embed_words = nn.Linear(text_width, time_dim)

        def level(i: int, c_in: int) -> TextLevel:
            attentive = top // 2**i <= ATTENTION_AT
            return TextLevel(c_in, widths[i], time_dim, text_width, heads, dropout, groups, attentive, i == n)

        self.stem = nn.Sequential(
            nn.PixelUnshuffle(patch), nn.Conv2d(channels * patch**2, w, 3, padding=1), Places(w, top)
        )
        down, up = range(n), range(n)[::-1]
        self.levels = nn.ModuleList(
            [*(level(i, widths[i]) for i in range(n + 1)), *(level(i, 2 * widths[i]) for i in up)]
        )
        self.downs = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 3, 2, 1) for i in down)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2) for i in up)
        self.head = nn.Sequential(
            nn.GroupNorm(groups, w),
            nn.SiLU(),
            LastConv2d(w, channels * patch**2, 3, padding=1),
            nn.PixelShuffle(patch),
        )

    def forward(
        self, x: Float[Tensor, "b c h w"], t: Int[Tensor, " b"], c: Tensor | None = None
    ) -> Float[Tensor, "b c h w"]:
        """ε̂ (b, c, h, w) for x_t, times t in 1…T and word ids c (b, length); None is the empty caption, all zeros."""
        text, mask = self.encoded(x, t, c)
        pooled = mean_of(text, mask)  # (b, text_width)
        if self.config["pooled"]:
            text, mask = pooled[:, None], mask[:, :1]  # one word, the mean, and it is looked at
        time = self.embed_time(self.time_table[t - 1].to(x.dtype)) + self.embed_words(pooled)
        told = nn.functional.silu(time), text, mask  # (b, 4 w), (b, m, text_width), (b, m)

        x, skips, n = self.stem(x), [], len(self.downs)
        for level, down in zip(self.levels[:n], self.downs, strict=True):
            skips.append(level(x, *told))  # (b, w_i, h, w)
            x = down(skips[-1])  # (b, w_i+1, h/2, w/2)
        x = self.levels[n](x, *told)
        for level, up in zip(self.levels[n + 1 :], self.ups, strict=True):
            x = level(torch.cat([up(x), skips.pop()], dim=1), *told)  # (b, 2 w_i, h, w) → (b, w_i, h, w)
        return self.head(x)
