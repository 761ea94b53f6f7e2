"""LayerNormUNet: the first UNet of the course, small enough to count by hand. Lesson 02.

The sum at the end gives back what the first LayerNorm takes away. Each norm divides out the mean and the scale of the
whole picture, so without the sum ε̂ would be the same for x_t and for x_t + 0.1. No loss shows it (after 1,000 steps on
MNIST 0.0389 with the sum, 0.0388 without), but x̂_0 inherits the error divided by √ᾱ_t: digits on grey or white.

At 28×28, channels×height×width; the time is added before each stage (of pictures with one channel the first norm of
stage1 takes it away again), a stage is three blocks:

x ─ stage1 10×28×28 ───────────────────────────────────────────────────── cat ─ stage6 10×28×28 ─ head ─ + x ─ ε̂
       │ down1                                                              │ up3
     stage2 20×14×14 ────────────────────────────────── cat ─ stage5 10×14×14
       │ down2                                           │ up2
     stage3 40×7×7 ───────────── cat ─ stage4 20×7×7
       │ down3                    │ up1
     40×3×3 ───── bottleneck 40×3×3
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from ddpm_teach.checks import check_int
from ddpm_teach.nets.blocks import LastConv2d, sinusoids
from ddpm_teach.nets.inputs import check_input, check_sizes, check_tuple


class PictureNorm(nn.LayerNorm):
    """LayerNorm over (c, h, w), computed in the order (h, w, c): fast convolutions like it, torch would copy."""

    def forward(self, x: Tensor) -> Tensor:
        x, weight, bias = x.movedim(1, -1), self.weight.movedim(0, -1), self.bias.movedim(0, -1)  # channels last
        return layer_norm(x, x.shape[1:], weight, bias, self.eps).movedim(-1, 1)


class Block(nn.Module):
    """LayerNorm over the whole picture (c, h, w), then twice a 3×3 convolution and SiLU."""

    def __init__(self, c_in: int, c_out: int, size: tuple[int, int], normalize: bool = True) -> None:
        super().__init__()
        self.norm, self.normalize = PictureNorm((c_in, *size)), normalize
        self.first, self.second = nn.Conv2d(c_in, c_out, 3, padding=1), nn.Conv2d(c_out, c_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x) if self.normalize else x
        return silu(self.second(silu(self.first(x))))


class Stage(nn.Module):
    """Adds the time, one number per channel, then a Block from each width to the next: (b, c, h, w) → (b, c', h, w)."""

    def __init__(self, widths: list[int], size: tuple[int, int], time_dim: int, normalize_last: bool = True) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(time_dim, widths[0]), nn.SiLU(), nn.Linear(widths[0], widths[0]))
        last = len(widths) - 2
        self.blocks = nn.Sequential(
            *(Block(a, b, size, normalize_last or i < last) for i, (a, b) in enumerate(pairwise(widths)))
        )

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.blocks(x + self.time(time)[:, :, None, None])  # (b, c) → (b, c, 1, 1)


class LayerNormUNet(nn.Module):
    """Predicts the noise in x_t, given the time. 606,852 parameters at (1, 28, 28), the frozen time table's included.

    Args:
        image_shape: (channels, height, width) of the pictures; height/4 and width/4 must be odd: 12, 20, 28 or 36.
        T: number of noising steps.
        time_dim: columns of the table of sinusoids, an even number.

    Raises:
        ValueError: for another size, since the lowest level would not come back to the one above it; an odd time_dim.
    """

    def __init__(self, image_shape: tuple[int, int, int] = (1, 28, 28), T: int = 1000, time_dim: int = 100) -> None:
        super().__init__()
        channels, *size = check_tuple("image_shape", image_shape, "(channels, height, width)")
        check_sizes(T=T)
        if any(side % 8 != 4 or side < 12 for side in size):
            raise ValueError(
                f"image_shape: expected sides of 12, 20, 28 or 36 (a quarter must be odd), got {size[0]}×{size[1]};"
                " pad the pictures (data.load(size=…))"
            )
        if check_int("time_dim", time_dim, 0) < 2 or time_dim % 2:
            raise ValueError(f"time_dim: expected an even number ≥ 2 (sines and cosines), got {time_dim}; add 1")
        self.config = dict(image_shape=tuple(image_shape), T=T, time_dim=time_dim)
        self.T = T
        full, half, quarter, lowest = ((size[0] // k, size[1] // k) for k in (1, 2, 4, 8))

        self.time_table = nn.Embedding.from_pretrained(sinusoids(T, time_dim), freeze=True)  # row t - 1 is time t
        self.stage1 = Stage([channels, 10, 10, 10], full, time_dim)
        self.down1 = nn.Conv2d(10, 10, 4, 2, 1)
        self.stage2 = Stage([10, 20, 20, 20], half, time_dim)
        self.down2 = nn.Conv2d(20, 20, 4, 2, 1)
        self.stage3 = Stage([20, 40, 40, 40], quarter, time_dim)
        self.down3 = nn.Sequential(nn.Conv2d(40, 40, 2, 1), nn.SiLU(), nn.Conv2d(40, 40, 4, 2, 1))  # 7 → 6 → 3

        self.bottleneck = Stage([40, 20, 20, 40], lowest, time_dim)

        self.up1 = nn.Sequential(nn.ConvTranspose2d(40, 40, 4, 2, 1), nn.SiLU(), nn.ConvTranspose2d(40, 40, 2, 1))
        self.stage4 = Stage([80, 40, 20, 20], quarter, time_dim)
        self.up2 = nn.ConvTranspose2d(20, 20, 4, 2, 1)
        self.stage5 = Stage([40, 20, 10, 10], half, time_dim)
        self.up3 = nn.ConvTranspose2d(10, 10, 4, 2, 1)
        self.stage6 = Stage([20, 10, 10, 10], full, time_dim, normalize_last=False)
        self.head = LastConv2d(10, channels, 3, padding=1)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return tuple(self.config["image_shape"])

    def forward(self, x: Float[Tensor, "b c h w"], t: Int[Tensor, " b"], c: None = None) -> Float[Tensor, "b c h w"]:
        """ε̂ (b, c, h, w) for x_t and times t in 1…T. It takes no context."""
        check_input(x, t, c, self.image_shape, self.T, None)
        time = self.time_table(t - 1).to(x.dtype)  # (b, time_dim)

        stage1 = self.stage1(x, time)  # (b, 10, 28, 28)
        stage2 = self.stage2(self.down1(stage1), time)  # (b, 20, 14, 14)
        stage3 = self.stage3(self.down2(stage2), time)  # (b, 40, 7, 7)
        lowest = self.bottleneck(self.down3(stage3), time)  # (b, 40, 3, 3)

        up = self.stage4(torch.cat([stage3, self.up1(lowest)], dim=1), time)  # (b, 20, 7, 7)
        up = self.stage5(torch.cat([stage2, self.up2(up)], dim=1), time)  # (b, 10, 14, 14)
        up = self.stage6(torch.cat([stage1, self.up3(up)], dim=1), time)  # (b, 10, 28, 28)
        return x + self.head(up)
