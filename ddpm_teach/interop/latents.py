"""Stable Diffusion's parts, taken out of diffusers' pipeline, for our guided, ddim_step and walk. Lesson 14.

    parts = stable_diffusion(StableDiffusionPipeline.from_pretrained(folder))
    model = parts.model
    net = guided(model.net, parts.context("a photograph of a knight"), 7.5)  # away from the encoded empty prompt
    frames = walk(ddim_step(model.read(net), model.schedule), noise, ldm_uniform(1000, 50))
    pictures = parts.decoded(frame.x)  # of the last frame

Nothing is clipped: latents don't end at -1 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from jaxtyping import Float
from torch import Tensor, nn

from ddpm_teach.checks import check_pictures, shown
from ddpm_teach.diffusion.noise import NoiseSource, draw_noise
from ddpm_teach.interop.unets import from_diffusers
from ddpm_teach.model import Model

PARTS = ("tokenizer", "text_encoder", "unet", "vae", "scheduler")


@dataclass(frozen=True, eq=False)
class StableDiffusion:
    """The parts of Stable Diffusion; none of them is copied.

    Attributes:
        model: the UNet with its schedule and target, a Model whose pictures are latents, (4, 64, 64) for 512×512.
        tokenizer: prompts → ids of tokens, (b, 77).
        text_encoder: CLIP's, ids → vectors, (b, 77, 768).
        autoencoder: an AutoencoderKL, pictures → latents → pictures.
    """

    model: Model
    tokenizer: Any
    text_encoder: nn.Module
    autoencoder: AutoencoderKL

    def context(self, *prompts: str) -> Float[Tensor, "b n d"]:
        """The contexts of prompts, what the text encoder makes of their tokens; of "", the empty one, too.

        Raises:
            TypeError: for a prompt that is no text.
            ValueError: for none, or one of more tokens than the text encoder reads: the rest would be cut off.
        """
        return encoded(self.tokenizer, self.text_encoder, prompts)

    @torch.no_grad()
    def latents(self, x: Float[Tensor, "b c h w"], rng: NoiseSource = None) -> Float[Tensor, "b k i j"]:
        """Latents of pictures in [-1, 1], a draw of the autoencoder's q(z | x), scaled to a variance of about 1."""
        check_pictures("x", x)
        law = self.autoencoder.encode(x).latent_dist
        return (law.mean + law.std * draw_noise(law.mean, rng)) * self.autoencoder.config.scaling_factor

    @torch.no_grad()
    def decoded(self, latents: Float[Tensor, "b k i j"]) -> Float[Tensor, "b c h w"]:
        """The pictures of latents, clipped to [-1, 1]."""
        check_pictures("latents", latents)
        return self.autoencoder.decode(latents / self.autoencoder.config.scaling_factor).sample.clamp(-1, 1)


@torch.no_grad()
def encoded(tokenizer: Any, text_encoder: nn.Module, prompts: tuple) -> Tensor:
    """(b, tokens, width) of at least one prompt: see `StableDiffusion.context`."""
    if not prompts:
        raise ValueError('prompts: expected at least one, got none; "" is the empty one')
    for prompt in prompts:
        if not isinstance(prompt, str):
            raise TypeError(f"prompts: expected text, got {shown(prompt)}; pass several as context(*prompts)")
        tokens = len(tokenizer(prompt).input_ids)  # with those that mark begin and end
        if tokens > tokenizer.model_max_length:
            raise ValueError(
                f"prompts: expected at most {tokenizer.model_max_length} tokens, got {tokens} of {shown(prompt)};"
                " shorten it"
            )
    rows = tokenizer(
        list(prompts), padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt"
    ).to(text_encoder.device)
    mask = rows.attention_mask if getattr(text_encoder.config, "use_attention_mask", False) else None
    return text_encoder(rows.input_ids, attention_mask=mask)[0]


def stable_diffusion(pipeline: DiffusionPipeline) -> StableDiffusion:
    """The parts of a StableDiffusionPipeline, under our names; no condition is the encoded empty prompt.

    Raises:
        TypeError: for what has not all of them: tokenizer, text_encoder, unet, vae and scheduler.
        ValueError: as `from_diffusers`, for Stable Diffusion XL for example, whose UNet is told more than a prompt.
    """
    missing = [name for name in PARTS if getattr(pipeline, name, None) is None]
    if missing:
        raise TypeError(
            f"pipeline: expected a StableDiffusionPipeline, got {shown(pipeline)}, which has no {missing[0]};"
            " use StableDiffusionPipeline.from_pretrained(folder)"
        )
    null = encoded(pipeline.tokenizer, pipeline.text_encoder, ("",))
    model = from_diffusers(pipeline.unet, pipeline.scheduler, null)
    return StableDiffusion(model, pipeline.tokenizer, pipeline.text_encoder, pipeline.vae)
