"""ContextUNet: the small UNet of the sprites, read in the order of the data's way. Lessons 02 and 05.

x (3, 16, 16) ─ stem ─ 64×16×16 ──────────────────────────────────────── cat ─ head ─ ε̂ (3, 16, 16)
                        │ down1                                           │
                       64×8×8 ───────────────────────── cat ─ up2 ─ 64×16×16
                        │ down2                          │
                      128×4×4 ──────── cat ─ up1 ─ 64×8×8 · context + time
                        │ mean          │
                      128×1×1 ─ lift ─ 128×4×4 · context + time
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ddpm_teach.checks import check_word
from ddpm_teach.nets.blocks import LastConv2d, TimeLinear
from ddpm_teach.nets.inputs import check_input, check_sizes

SIZES = (16, 20, 24, 28, 32)  # height and width of the pictures
SIZES_IN_WORDS = f"{', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]}"
NORMS = {"batch": nn.BatchNorm2d, "group": lambda width: nn.GroupNorm(8, width)}


def conv_block(c_in: int, c_out: int, norm: str) -> nn.Sequential:
    """3×3 convolution, BatchNorm (or GroupNorm), GELU."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), NORMS[norm](c_out), nn.GELU())


class Block(nn.Module):
    """Two conv_blocks. With `residual`, (shortcut + second) / √2, so that the sum keeps the variance of its parts.

    The 1×1 shortcut is registered here: one that is built inside `forward` would stay random and never be trained.
    """

    def __init__(self, c_in: int, c_out: int, norm: str, residual: bool = False) -> None:
        super().__init__()
        self.first, self.second = conv_block(c_in, c_out, norm), conv_block(c_out, c_out, norm)
        self.shortcut = nn.Conv2d(c_in, c_out, 1) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.second(self.first(x))
        return out if self.shortcut is None else (self.shortcut(x) + out) / math.sqrt(2)


class Down(nn.Module):
    """Two Blocks, then 2×2 max-pooling: (b, c_in, h, w) → (b, c_out, h/2, w/2)."""

    def __init__(self, c_in: int, c_out: int, norm: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(Block(c_in, c_out, norm), Block(c_out, c_out, norm), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Up(nn.Module):
    """Concatenates the skip, doubles height and width, two Blocks: 2 × (b, c_in/2, h, w) → (b, c_out, 2h, 2w)."""

    def __init__(self, c_in: int, c_out: int, norm: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(c_in, c_out, 2, 2), Block(c_out, c_out, norm), Block(c_out, c_out, norm)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.layers(torch.cat([x, skip], dim=1))


def embedding(first: nn.Linear) -> nn.Sequential:
    """A vector (b, width) as a factor or summand per channel, (b, features, 1, 1)."""
    features = first.out_features
    return nn.Sequential(first, nn.GELU(), nn.Linear(features, features), nn.Unflatten(1, (features, 1, 1)))


class ContextUNet(nn.Module):
    """Predicts the noise in x_t, given the time and a context vector: context multiplies, time adds. Lesson 05.

    Args:
        channels: of the pictures.
        features: f, the width of the first level; the second has 2 f.
        context_dim: width of the context vector.
        size: height and width of the pictures: 16, 20, 24, 28 or 32.
        T: number of noising steps; time enters as t/T.
        norm: "batch", or "group" for a network in which no picture of a batch looks at another, in training too.

    Raises:
        ValueError: for a size that can't be halved twice, `features` that GroupNorm(8) can't divide, or another norm.
    """

    def __init__(
        self,
        channels: int = 3,
        features: int = 64,
        context_dim: int = 5,
        size: int = 16,
        T: int = 1000,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise ValueError(f"size: expected {SIZES_IN_WORDS}, got {size}; scale or pad the pictures to one of these")
        check_sizes(channels=channels, features=features, context_dim=context_dim, T=T)
        if features % 8:
            raise ValueError(f"features: expected a multiple of 8 (for GroupNorm(8)), got {features}")
        check_word("norm", norm, NORMS)
        self.config = dict(channels=channels, features=features, context_dim=context_dim, size=size, T=T, norm=norm)
        self.T = T
        f = features
        self.stem = Block(channels, f, norm, residual=True)
        self.down1 = Down(f, f, norm)
        self.down2 = Down(f, 2 * f, norm)
        self.to_vector = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.GELU())  # the mean over all of the picture, any size
        self.lift = nn.Sequential(
            nn.ConvTranspose2d(2 * f, 2 * f, size // 4, size // 4), nn.GroupNorm(8, 2 * f), nn.ReLU()
        )
        self.context1, self.time1 = embedding(nn.Linear(context_dim, 2 * f)), embedding(TimeLinear(1, 2 * f))
        self.up1 = Up(4 * f, f, norm)
        self.context2, self.time2 = embedding(nn.Linear(context_dim, f)), embedding(TimeLinear(1, f))
        self.up2 = Up(2 * f, f, norm)
        self.head = nn.Sequential(
            nn.Conv2d(2 * f, f, 3, padding=1), nn.GroupNorm(8, f), nn.ReLU(), LastConv2d(f, channels, 3, padding=1)
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return self.config["channels"], self.config["size"], self.config["size"]

    def forward(
        self, x: Float[Tensor, "b c h w"], t: Int[Tensor, " b"], c: Tensor | None = None
    ) -> Float[Tensor, "b c h w"]:
        """ε̂ (b, c, h, w) for x_t, times t in 1…T and contexts c (b, context_dim); None is the zero context."""
        context_dim = self.config["context_dim"]
        check_input(x, t, c, self.image_shape, self.T, context_dim)
        context = x.new_zeros(len(x), context_dim) if c is None else c.to(x.dtype)
        time = (t.to(torch.promote_types(x.dtype, torch.float32)) / self.T)[:, None]  # (b, 1)

        stem = self.stem(x)  # (b, f, h, w)
        down1 = self.down1(stem)  # (b, f, h/2, w/2)
        down2 = self.down2(down1)  # (b, 2f, h/4, w/4)
        vector = self.to_vector(down2)  # (b, 2f, 1, 1)

        up = self.lift(vector)  # (b, 2f, h/4, w/4)
        up = self.up1(self.context1(context) * up + self.time1(time), down2)  # (b, f, h/2, w/2)
        up = self.up2(self.context2(context) * up + self.time2(time), down1)  # (b, f, h, w)
        return self.head(torch.cat([up, stem], dim=1))
