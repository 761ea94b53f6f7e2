"""A StableDiffusionPipeline of tiny random parts, built here, never fetched: its parts under our walk draw its latents.

Random weights show a wrong null, time, schedule or scale as well as trained ones do.
"""

from __future__ import annotations

import json

import pytest
import torch

from ddpm_teach import add_noise, ddim_step, guided, ldm_uniform, sample, trailing, walk
from tests.laws import generator

diffusers = pytest.importorskip("diffusers", reason="diffusers (a development tool) is missing")
transformers = pytest.importorskip("transformers", reason="transformers (a development tool) is missing: no CLIP")
interop = pytest.importorskip("ddpm_teach.interop")

TOKENS = 12  # of a prompt, with begin and end
MERGES = [("a", "t</w>"), ("c", "at</w>"), ("d", "o"), ("do", "g</w>")]
STABLE = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1)


def tiny_tokenizer(folder):
    """A CLIPTokenizer of letters, "cat" and "dog"."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, MERGES)]
    vocabulary = {word: i for i, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS})
    )
    return transformers.CLIPTokenizer.from_pretrained(folder)


def tiny_pipeline(folder, **options):
    torch.manual_seed(3)
    tokenizer = tiny_tokenizer(folder)
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    pipeline = diffusers.StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=transformers.CLIPTextModel(config).eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=diffusers.DDIMScheduler(**(STABLE | options)),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return tiny_pipeline(tmp_path_factory.mktemp("sd"), set_alpha_to_one=False)


@pytest.fixture(scope="module")
def parts(pipeline):
    return interop.stable_diffusion(pipeline)


def starts(n=2):
    return torch.randn(n, 4, 8, 8, generator=generator(7))


def latents_of(pipeline, scale, negative=None, steps=10, **options):
    return pipeline(
        ["a cat", "a dog"],
        negative_prompt=negative,
        num_inference_steps=steps,
        guidance_scale=scale,
        latents=starts(),
        output_type="latent",
        **options,
    ).images


def apart(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("scale", [1.0, 7.5])
@pytest.mark.parametrize("negative", [None, "dog"])
def test_its_latents_by_our_walk(pipeline, parts, scale, negative):
    theirs = latents_of(pipeline, scale, [negative] * 2 if negative else None)
    model, null = parts.model, parts.context(negative) if negative else None
    net = guided(model.net, parts.context("a cat", "a dog"), scale, null)
    *_, last = walk(ddim_step(model.read(net), model.schedule), starts(), ldm_uniform(1000, 10))
    assert apart(last.x, theirs) <= 1e-5
    # Another null, or the last move to the clean picture, would show.
    zeros = guided(model.net, parts.context("a cat", "a dog"), scale, torch.zeros(1, TOKENS, 16))
    *_, other = walk(ddim_step(model.read(zeros), model.schedule), starts(), ldm_uniform(1000, 10))
    assert (apart(other.x, theirs) > 1e-3) == (scale != 1)
    *_, clean = walk(ddim_step(model.read(net), model.schedule), starts(), [*ldm_uniform(1000, 10)[:-1], 0])
    assert apart(clean.x, theirs) > 1e-4


def test_its_latents_with_fresh_noise(pipeline, parts):
    theirs = latents_of(pipeline, 3.0, eta=0.6, generator=generator(9))
    model = parts.model
    net = guided(model.net, parts.context("a cat", "a dog"), 3.0)
    step = ddim_step(model.read(net), model.schedule, eta=0.6, rng=generator(9))
    *_, last = walk(step, starts(), ldm_uniform(1000, 10))
    assert apart(last.x, theirs) <= 1e-5


def test_sample_draws_its_latents_unclipped_and_away_from_the_empty_prompt(tmp_path):
    pipeline = tiny_pipeline(tmp_path, timestep_spacing="trailing", prediction_type="v_prediction")
    model = (parts := interop.stable_diffusion(pipeline)).model
    theirs = latents_of(pipeline, 7.5)
    assert theirs.abs().max() > 1 and model.target.name == "v"
    options = dict(steps=10, guidance_scale=7.5, seed=7, precision="float32")
    assert apart(sample(model, 2, parts.context("a cat", "a dog"), **options), theirs) <= 1e-5


def test_contexts_are_those_of_its_own_text_encoder(pipeline, parts):
    theirs, empty = pipeline.encode_prompt(["a cat", "dog"], "cpu", 1, True)
    assert torch.equal(parts.context("a cat", "dog"), theirs)
    assert torch.equal(parts.context("", ""), empty) and torch.equal(parts.model.net.null, empty[:1])
    assert parts.model.context_dim == (TOKENS, 16)


def test_pictures_of_latents_are_the_pipeline_s(pipeline, parts):
    latents = 0.2 * starts()
    with torch.no_grad():
        decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    theirs = pipeline.image_processor.postprocess(decoded, output_type="pt")
    pictures = parts.decoded(latents)
    assert pictures.shape == (2, 3, 16, 16) and torch.allclose(pictures / 2 + 0.5, theirs, atol=1e-6)
    assert parts.decoded(1000 * latents).abs().max() <= 1


def test_latents_of_pictures_are_draws_of_the_autoencoder(pipeline, parts):
    x = torch.rand(2, 3, 16, 16, generator=generator(1)) * 2 - 1
    with torch.no_grad():
        law = pipeline.vae.encode(x).latent_dist
    factor = pipeline.vae.config.scaling_factor
    assert torch.allclose(parts.latents(x, torch.zeros_like), factor * law.mean)
    assert torch.allclose(parts.latents(x, torch.ones_like), factor * (law.mean + law.std))
    assert torch.equal(parts.latents(x, generator(2)), parts.latents(x, generator(2)))


def test_img2img_is_add_noise_and_the_later_part_of_the_list(pipeline, parts):
    """The pictures of diffusers' own image-to-image pipeline, at its strength of 0.5."""
    model, latents = parts.model, starts()
    img2img = diffusers.StableDiffusionImg2ImgPipeline(
        **{name: part for name, part in pipeline.components.items() if name != "image_encoder"},
        requires_safety_checker=False,
    )
    img2img.set_progress_bar_config(disable=True)
    theirs = img2img(
        ["a cat", "a dog"],
        image=latents,  # four channels: taken for latents
        strength=0.5,
        num_inference_steps=10,
        guidance_scale=3.0,
        generator=generator(9),
        output_type="latent",
    ).images
    times = [t for t in ldm_uniform(1000, 10) if t <= 500]
    assert len(times) == 6  # five moves
    noise = torch.randn(2, 4, 8, 8, generator=generator(9))
    start = add_noise(model.schedule, latents, times[0], noise)
    net = guided(model.net, parts.context("a cat", "a dog"), 3.0)
    *_, last = walk(ddim_step(model.read(net), model.schedule), start, times)
    assert apart(last.x, theirs) <= 1e-5


@pytest.mark.parametrize(
    ("prompts", "error", "words"),
    [
        ((), ValueError, "prompts: expected at least one"),
        ((5,), TypeError, "prompts: expected text, got 5"),
        ((["a cat"],), TypeError, r"prompts: expected text, got \['a cat'\]"),
        (("cat " * TOKENS,), ValueError, f"prompts: expected at most {TOKENS} tokens, got {TOKENS + 2}"),
    ],
)
def test_prompts_that_can_t_be_encoded_are_refused(pipeline, prompts, error, words):
    from ddpm_teach.interop.latents import encoded

    with pytest.raises(error, match=f"^{words}"):
        encoded(pipeline.tokenizer, pipeline.text_encoder, prompts)


def test_a_pipeline_without_these_parts_is_refused(pipeline):
    other = diffusers.DDIMPipeline(unet=diffusers.UNet2DModel(8), scheduler=diffusers.DDIMScheduler())
    with pytest.raises(TypeError, match="^pipeline: expected a StableDiffusionPipeline, .*no tokenizer"):
        interop.stable_diffusion(other)


def test_trailing_times_end_at_the_picture(tmp_path):
    """With set_alpha_to_one its list ends at our 0, as `trailing` does."""
    pipeline = tiny_pipeline(tmp_path, timestep_spacing="trailing", set_alpha_to_one=True)
    model = (parts := interop.stable_diffusion(pipeline)).model
    net = guided(model.net, parts.context("a cat", "a dog"), 2.0)
    *_, last = walk(ddim_step(model.read(net), model.schedule), starts(), trailing(1000, 20))
    assert apart(last.x, latents_of(pipeline, 2.0, steps=20)) <= 1e-5
