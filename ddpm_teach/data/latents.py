"""Pictures as an autoencoder's latents: encoded once, and trained on as pictures are. Lesson 12."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from ddpm_teach.data.images import ImageSet
from ddpm_teach.nets.autoencoder import Autoencoder


@dataclass
class LatentSet(ImageSet):
    """An ImageSet whose pictures are latents: `images` (n, c, h, w) in half precision, of variance about 1."""

    def _check_images(self) -> None:
        if self.images.dtype != torch.float16:
            raise TypeError(f"images: expected latents in half precision, got {self.images.dtype}; use encoded(…)")

    def pictures(self, index: Tensor | slice) -> Float[Tensor, "b c h w"]:
        """The latents at `index` as float32."""
        return self.images[index].float()


@torch.no_grad()
def encoded(images: ImageSet, autoencoder: Autoencoder, batch_size: int = 500) -> LatentSet:
    """The latents of pictures, in half precision on their device: scale · mean (see `Autoencoder.encode`).

    Without the noise of q(z | x), which a decoder that was trained with it doesn't need.
    """
    home, device = images.images.device, next(autoencoder.parameters()).device
    index = torch.arange(len(images), device=home)
    parts = [autoencoder.encode(images.pictures(part).to(device)).half().to(home) for part in index.split(batch_size)]
    rest = {part.name: getattr(images, part.name) for part in fields(images) if part.name != "images"}
    return LatentSet(torch.cat(parts), **rest)
