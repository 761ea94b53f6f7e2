"""Our network inside diffusers: its loop, its scheduler, its folder format, and the same pictures."""

import copy
from dataclasses import replace

import pytest
import torch

from ddpm_teach import clipped, ddim_step, from_eps, guided, load_pretrained, sample, trailing, walk

interop = pytest.importorskip("ddpm_teach.interop", reason="diffusers (a development tool) is missing")


@pytest.fixture(scope="module")
def model():
    return load_pretrained("sprites")


def drawn(pipeline, context, scale, noise, steps):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(context, scale, steps, noise=noise).images


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_same_pictures_as_ours(model, scale):
    """In float64, with our table in its scheduler: all that is left is what both do."""
    context, schedule = model.context("food", "hero").double(), model.schedule
    noise = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    pipeline = interop.to_pipeline(model)
    pipeline.unet.double()
    pipeline.scheduler.alphas_cumprod = schedule.alpha_bar[1:]
    net = guided(copy.deepcopy(model.net).double(), context, scale)
    step = ddim_step(clipped(from_eps(net, schedule), schedule), schedule)
    *_, ours = walk(step, noise, trailing(schedule.T, 20))
    assert (drawn(pipeline, context, scale, noise, 20) - ours.x).abs().max() <= 1e-10


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_same_pictures_in_float32_to_1e_5(model, scale):
    """In the mean: rounding grows along the moves, on some processors to 2e-4 in a pixel."""
    context = model.context("food", "hero")
    noise = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    options = dict(steps=50, context=context, guidance_scale=scale, seed=7, precision="float32")
    ours = sample(model.net, model.schedule, noise.shape, **options)
    assert (drawn(interop.to_pipeline(model), context, scale, noise, 50) - ours).abs().mean() <= 1e-5


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
