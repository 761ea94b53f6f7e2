"""Our network inside diffusers: its loop, its scheduler, its folder format, and the same pictures."""

from dataclasses import replace

import pytest
import torch

from ddpm_teach import load_pretrained, sample

interop = pytest.importorskip("ddpm_teach.interop", reason="diffusers (a development tool) is missing")


@pytest.fixture(scope="module")
def model():
    return load_pretrained("sprites")


def drawn(pipeline, context, scale, noise):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(context=context, guidance_scale=scale, num_inference_steps=50, noise=noise).images


def test_same_pictures_as_ours_to_1e_5(model):
    context = model.context(*model.classes)
    noise = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    pipeline = interop.to_pipeline(model)
    for scale, most in ((1.0, 1e-5), (2.0, 3e-5)):  # guidance makes the float32 differences larger
        ours = sample(
            model.net,
            model.schedule,
            noise.shape,
            steps=50,
            context=context,
            guidance_scale=scale,
            seed=7,
            precision="float32",
        )
        assert (drawn(pipeline, context, scale, noise) - ours).abs().max() <= most


@pytest.mark.parametrize("name", ["sprites", "mnist", "mnist32"])
def test_saved_and_loaded_in_diffusers_format_it_draws_the_same(name, tmp_path):
    model = load_pretrained(name)
    pipeline = interop.to_pipeline(model)
    pipeline.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"model_index.json", "unet", "scheduler"}
    again = interop.CoursePipeline.from_pretrained(tmp_path)
    assert again.unet.config.classes == list(model.classes)
    context = model.context(*model.classes[:2]) if model.net.config.get("context_dim") else None
    noise = torch.randn(2, *model.net.image_shape, generator=torch.Generator().manual_seed(0))
    for one in (pipeline, again):
        one.set_progress_bar_config(disable=True)
    first, second = (one(context, 1.0, 2, noise=noise).images for one in (pipeline, again))
    assert torch.equal(first, second)


def test_a_network_for_something_else_than_noise_is_refused(model):
    with pytest.raises(ValueError, match="model: expected a network that predicts the noise, got one for 'x0'"):
        interop.to_pipeline(replace(model, target="x0"))
