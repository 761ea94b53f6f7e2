"""AttentionUNet: residual blocks, attention and an embedded time, as in the DDPM paper's own network. Lesson 09.

At 32×32 and full widths, channels×height×width; a level is residual block, attention (at 16×16 only), residual block:

x ─ stem ─ level1 64×32×32 ──────────────────────────────────────────────────── cat 256 ─ head ─ ε̂
              │ down1                                                              │ up6
            level2 128×16×16 ─────────────────────────────────── cat ─ level6 384×16×16
              │ down2                                             │ up5
            level3 256×8×8 ─────────── cat ─ level5 512×8×8
              │ down3                   │ up4
            level4 512×4×4
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from ddpm_teach.checks import check_number
from ddpm_teach.nets.blocks import LastConv2d, attend, sinusoids
from ddpm_teach.nets.inputs import check_divides, check_input, check_sizes, check_tuple


class ResBlock(nn.Module):
    """x + conv(dropout(act(norm(conv(act(norm(x))) + time)))): the time enters between the two convolutions."""

    def __init__(self, width: int, time_dim: int, dropout: float, groups: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(groups, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
        self.time = nn.Linear(time_dim, width)  # in every block: a level can't lose the time, however narrow it is
        self.second = nn.Sequential(
            nn.GroupNorm(groups, width), nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return x + self.second(self.first(x) + self.time(time)[:, :, None, None])  # (b, width) → (b, width, 1, 1)


class Attention(nn.Module):
    """x + project(attention(norm(x))): every pixel looks at all others, in `heads` ways at once."""

    def __init__(self, width: int, heads: int, dropout: float, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width)
        self.to_qkv, self.project = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)
        self.heads, self.dropout = heads, dropout

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = rearrange(
            self.to_qkv(self.norm(x)), "b (three heads d) h w -> three b heads (h w) d", three=3, heads=self.heads
        )
        out = attend(q, k, v, dropout=self.dropout if self.training else 0.0)
        return x + self.project(rearrange(out, "b heads (h w) d -> b (heads d) h w", h=x.shape[2]))


class Level(nn.Module):
    """Two residual blocks with attention between them, or none: (b, width, h, w) → the same shape."""

    def __init__(
        self, width: int, time_dim: int, dropout: float, groups: int, heads: int | None, attention_dropout: float
    ) -> None:
        super().__init__()
        self.first = ResBlock(width, time_dim, dropout, groups)
        self.attention = nn.Identity() if heads is None else Attention(width, heads, attention_dropout, groups)
        self.second = ResBlock(width, time_dim, dropout, groups)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.second(self.attention(self.first(x, time)), time)


class AttentionUNet(nn.Module):
    """Predicts the noise in x_t, given the time and, if built for one, a context that is added to the time's embedding.

    Args:
        channels: of the pictures.
        widths: of the six levels: three going down, one at the bottom, two going up. A level going up has its skip's
            channels among its own, so it must be wider than that one.
        attention_at: the heights of the levels that have attention.
        size: height and width of the pictures, a multiple of 8.
        dropout: in the residual blocks and the attention, in training only.
        heads, groups: of the attention and of every GroupNorm; they must divide the widths.
        context_dim: width of the context vector, or None for a network without one.
        T: number of noising steps.

    Raises:
        ValueError: for sizes and widths that don't fit together.
    """

    def __init__(
        self,
        channels: int = 1,
        widths: tuple[int, ...] = (64, 128, 256, 512, 512, 384),
        attention_at: tuple[int, ...] = (16,),
        size: int = 32,
        dropout: float = 0.1,
        heads: int = 8,
        groups: int = 32,
        context_dim: int | None = None,
        T: int = 1000,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, size=size, heads=heads, groups=groups, T=T)
        if context_dim is not None:
            check_sizes(context_dim=context_dim)
        check_number("dropout", dropout, 0, 1)
        widths = check_tuple("widths", widths, "(64, 128, 256, 512, 512, 384, …)")
        attention_at = check_tuple("attention_at", attention_at, "(16, …)")
        if size % 8:
            raise ValueError(f"size: expected a multiple of 8, got {size}; pad the pictures (data.load(size=…))")
        if len(widths) != 6 or widths[4] <= widths[2] or widths[5] <= widths[1]:
            raise ValueError(
                f"widths: expected six, the fifth above the third and the sixth above the second, got {widths}"
            )
        check_divides("widths", widths, groups=groups, heads=heads)
        if widths[0] % 2:
            raise ValueError(f"widths: expected an even first one (sines and cosines of the time), got {widths}")
        sizes = (size, size // 2, size // 4, size // 8, size // 4, size // 2)
        if not set(attention_at) <= set(sizes):
            raise ValueError(f"attention_at: expected some of the levels' heights {sizes[:4]}, got {attention_at}")
        self.config = dict(
            channels=channels,
            widths=widths,
            attention_at=attention_at,
            size=size,
            dropout=dropout,
            heads=heads,
            groups=groups,
            context_dim=context_dim,
            T=T,
        )
        self.T = T
        w1, w2, w3, w4, w5, w6 = widths
        time_dim = 4 * w1
        self.register_buffer("time_table", sinusoids(T, w1), persistent=False)  # row t - 1 is time t
        self.embed_time = nn.Sequential(nn.Linear(w1, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim), nn.SiLU())
        # No bias: the zero context, which guidance takes for "none", then adds nothing.
        self.embed_context = None if context_dim is None else nn.Linear(context_dim, time_dim, bias=False)
        levels = [
            Level(width, time_dim, dropout, groups, heads if side in attention_at else None, dropout)
            for width, side in zip(widths, sizes, strict=True)
        ]

        self.stem = nn.Conv2d(channels, w1, 3, padding=1)
        self.level1, self.down1 = levels[0], nn.Conv2d(w1, w2, 3, 2, 1)
        self.level2, self.down2 = levels[1], nn.Conv2d(w2, w3, 3, 2, 1)
        self.level3, self.down3 = levels[2], nn.Conv2d(w3, w4, 3, 2, 1)
        self.level4, self.up4 = levels[3], nn.ConvTranspose2d(w4, w5 - w3, 4, 2, 1)
        self.level5, self.up5 = levels[4], nn.ConvTranspose2d(w5, w6 - w2, 4, 2, 1)
        self.level6, self.up6 = levels[5], nn.ConvTranspose2d(w6, w6 // 2, 4, 2, 1)
        top = w6 // 2 + w1
        self.head = nn.Sequential(nn.Conv2d(top, top // 2, 3, padding=1), nn.SiLU(), LastConv2d(top // 2, channels, 1))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return self.config["channels"], self.config["size"], self.config["size"]

    def forward(
        self, x: Float[Tensor, "b c h w"], t: Int[Tensor, " b"], c: Tensor | None = None
    ) -> Float[Tensor, "b c h w"]:
        """ε̂ (b, c, h, w) for x_t, times t in 1…T and contexts c (b, context_dim); None is the zero context."""
        check_input(x, t, c, self.image_shape, self.T, self.config["context_dim"])
        time = self.embed_time(self.time_table[t - 1].to(x.dtype))  # (b, 4 w1)
        if c is not None:
            time = time + self.embed_context(c.to(x.dtype))

        level1 = self.level1(self.stem(x), time)  # (b, 64, 32, 32)
        level2 = self.level2(self.down1(level1), time)  # (b, 128, 16, 16)
        level3 = self.level3(self.down2(level2), time)  # (b, 256, 8, 8)
        up = self.level4(self.down3(level3), time)  # (b, 512, 4, 4)
        up = self.level5(torch.cat([self.up4(up), level3], dim=1), time)  # (b, 512, 8, 8)
        up = self.level6(torch.cat([self.up5(up), level2], dim=1), time)  # (b, 384, 16, 16)
        return self.head(torch.cat([self.up6(up), level1], dim=1))  # (b, 192 + 64, 32, 32) → (b, channels, 32, 32)
