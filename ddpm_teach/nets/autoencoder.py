"""Autoencoder: pictures to latents and back, trained with a KL term, as in latent diffusion. Lesson 12.

At 32×32, channels×height×width:

x 3×32×32 ─ unshuffle 12×16×16 ─ 48×16×16 ─ 96×8×8 ─┬─ mean         16×8×8 ─┐
                                                    └─ log-variance 16×8×8 ─┴─ z = mean + σ · noise
z ─ 128×8×8 ─ 48×16×16 ─ 12×16×16 ─ shuffle 3×32×32 ─ x̂
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ddpm_teach.nets.blocks import LastConv2d
from ddpm_teach.nets.inputs import check_size, check_sizes

FACTOR = 4  # of height and width


class Latent(NamedTuple):
    """q(z | x) of pictures, normal with independent numbers: mean and log-variance, (b, channels, h/4, w/4)."""

    mean: Float[Tensor, "b c h w"]
    log_variance: Float[Tensor, "b c h w"]

    def sample(self, noise: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """z = mean + σ · noise: as a function of given noise z has a gradient (Kingma & Welling 2014, sec. 2.4)."""
        return self.mean + (self.log_variance / 2).exp() * noise

    def kl(self) -> Float[Tensor, "b c h w"]:
        """KL(q(z | x) ‖ N(0, 1)) in nats, number by number: (mean² + σ² - 1 - log σ²) / 2 (there, appendix B)."""
        return (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance) / 2


class Block(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))): a residual block, which knows no time."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.GroupNorm(groups, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)),
            *(nn.GroupNorm(groups, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Autoencoder(nn.Module):
    """Encodes pictures as a normal distribution of latents, and decodes latents.

    Args:
        channels, size: of the pictures; size is a multiple of 4.
        latent_channels: numbers for each place of 4×4 pixels.
        widths: of the encoder's two levels, and of the decoder's two.
        depth: residual blocks in each of the decoder's levels; the encoder has one.
        groups: of every GroupNorm; they must divide the widths.

    Attributes:
        scale: what latents are multiplied by so that their variance is 1; a buffer, 1 until it is measured.

    Raises:
        ValueError: for sizes and widths that don't fit together.
    """

    scale: Tensor

    def __init__(
        self,
        channels: int = 3,
        size: int = 32,
        latent_channels: int = 16,
        widths: tuple[int, int, int, int] = (48, 96, 128, 48),
        depth: int = 2,
        groups: int = 8,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, size=size, latent_channels=latent_channels, depth=depth, groups=groups)
        widths = tuple(widths)
        if size % FACTOR:
            raise ValueError(f"size: expected a multiple of {FACTOR}, got {size}; pad the pictures (load(size=…))")
        if len(widths) != 4 or any(width % groups for width in widths):
            raise ValueError(f"widths: expected four multiples of groups = {groups}, got {widths}")
        self.config = dict(
            channels=channels, size=size, latent_channels=latent_channels, widths=widths, depth=depth, groups=groups
        )
        down1, down2, up2, up1 = widths
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),  # (b, c, h, w) → (b, 4 c, h/2, w/2): the finest level costs the most, and is left out
            *(nn.Conv2d(4 * channels, down1, 3, padding=1), Block(down1, groups)),
            *(nn.Conv2d(down1, down2, 3, 2, 1), Block(down2, groups)),
            *(nn.GroupNorm(groups, down2), nn.SiLU(), LastConv2d(down2, 2 * latent_channels, 3, padding=1)),
        )
        self.decoder = nn.Sequential(
            *(nn.Conv2d(latent_channels, up2, 3, padding=1), *(Block(up2, groups) for _ in range(depth))),
            *(nn.ConvTranspose2d(up2, up1, 4, 2, 1), *(Block(up1, groups) for _ in range(depth))),
            *(nn.GroupNorm(groups, up1), nn.SiLU(), LastConv2d(up1, 4 * channels, 3, padding=1)),
            nn.PixelShuffle(2),
        )
        self.register_buffer("scale", torch.ones(()))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return self.config["channels"], self.config["size"], self.config["size"]

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of their latents."""
        side = self.config["size"] // FACTOR
        return self.config["latent_channels"], side, side

    def distribution(self, x: Float[Tensor, "b c h w"]) -> Latent:
        """q(z | x) of pictures in [-1, 1], before the scale."""
        check_size(x, self.image_shape)
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return Latent(mean, log_variance.clamp(-30, 20))  # far from any use: a bad step can't overflow

    def encode(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k i j"]:
        """Latents of pictures in [-1, 1], as diffusion reads them: scale · mean, of variance about 1."""
        return self.scale * self.distribution(x).mean

    def decode(self, z: Float[Tensor, "b k i j"]) -> Float[Tensor, "b c h w"]:
        """Pictures of latents of `encode`'s scale; not clipped."""
        check_size(z, self.latent_shape)
        return self.decoder(z / self.scale)

    def forward(
        self, x: Float[Tensor, "b c h w"], noise: Float[Tensor, "b k i j"] | None = None
    ) -> Float[Tensor, "b c h w"] | tuple[Tensor, Tensor, Tensor]:
        """The reconstruction of pictures by their latents' means. With noise, as training needs it: that of
        z = mean + σ · noise, the mean and the log-variance."""
        latent = self.distribution(x)
        if noise is None:
            return self.decoder(latent.mean)
        return self.decoder(latent.sample(noise)), *latent
