"""Training an autoencoder: its loss, and how its steps and its progress are those of any other run. Lesson 12."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ddpm_teach import nets
from ddpm_teach.data.images import ImageSet
from ddpm_teach.nets.autoencoder import Autoencoder, Latent

if TYPE_CHECKING:
    from ddpm_teach.training.state import TrainState

Draw = Callable[[torch.Generator], tuple[Tensor, ...]]  # what a step draws beside its pictures
Loss = Callable[..., tuple[Tensor, Tensor]]  # (net, index, *drawn) → (loss, what is reported)


def is_autoencoder(net: nn.Module) -> bool:
    """Whether a network compresses pictures, and draws none."""
    return isinstance(nets.unwrapped(net), Autoencoder)


def reconstruction_loss(
    net: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]], x: Tensor, noise: Tensor, kl_weight: float
) -> tuple[Tensor, Tensor]:
    """(loss, error of the reconstruction) of pictures x (b, c, h, w): mean of |x̂ - x| + (x̂ - x)², and KL. Lesson 12.

    The squared error alone blurs outlines, the absolute one alone loses what is small; the KL term is the mean over the
    latents' numbers, in nats, so that `kl_weight` means the same for every size (Kingma & Welling 2014, eq. 10).
    """
    reconstruction, *latent = net(x, noise)
    difference = reconstruction - x
    error = (difference.abs() + difference.square()).mean()
    return error + kl_weight * Latent(*latent).kl().mean(), error.detach()


def autoencoding(state: TrainState, images: ImageSet) -> tuple[Draw, Loss]:
    """What a step of an autoencoder draws beside its pictures, the noise of their latents, and its loss."""
    shape = state.options.batch_size, *nets.unwrapped(state.net).latent_shape

    def draw(rng: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(shape, generator=rng, device="cpu"),)

    def loss(net: Callable, index: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        x = images.pictures(index).contiguous(memory_format=torch.channels_last)
        return reconstruction_loss(net, x, noise, state.options.kl_weight)

    return draw, loss


@torch.no_grad()
def reconstruction_error(net: Autoencoder, images: ImageSet, n: int = 1024, batch_size: int = 256) -> float:
    """The error of `reconstruction_loss` on the first n pictures, decoded from their latents' means."""
    total, device = 0.0, next(net.parameters()).device
    n = min(n, len(images))
    for start in range(0, n, batch_size):
        x = images.pictures(slice(start, min(start + batch_size, n))).to(device)
        difference = net(x) - x
        total += (difference.abs() + difference.square()).mean(dim=(1, 2, 3)).sum().item()
    return total / n


@torch.no_grad()
def latent_scale(net: Autoencoder, images: ImageSet, n: int = 4096, batch_size: int = 256) -> float:
    """1 / the standard deviation of the means of the first n pictures' latents: what makes their variance 1."""
    device, n = next(net.parameters()).device, min(n, len(images))
    parts = torch.arange(n, device=images.images.device).split(batch_size)
    return 1 / torch.cat([net.distribution(images.pictures(part).to(device)).mean for part in parts]).std().item()
