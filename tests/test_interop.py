"""Our network inside diffusers: its loop, its scheduler, its folder format, and the same pictures."""

import copy
import dataclasses
import inspect
import json

import pytest
import torch

from ddpm_teach import Model, clipped, ddim_step, guided, load_model, sample, trailing, walk
from ddpm_teach.model_files import NAMES
from tests.small_runs import OwnNet, new_run

interop = pytest.importorskip("ddpm_teach.interop", reason="diffusers (a development tool) is missing")


@pytest.fixture(scope="module")
def model():
    return load_model("sprites")


def drawn(pipeline, context, scale, noise, steps):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(context, scale, steps, noise=noise).images


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_same_pictures_as_ours(model, scale):
    """In float64, with our table in its scheduler: all that is left is what both do."""
    context = model.context("food", "hero", rng=torch.Generator().manual_seed(0)).double()
    schedule = model.schedule
    noise = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    pipeline = interop.to_pipeline(model)
    pipeline.unet.double()
    pipeline.scheduler.alphas_cumprod = schedule.alpha_bar[1:]
    net = guided(copy.deepcopy(model.net).double(), context, scale)
    step = ddim_step(clipped(model.read(net), schedule), schedule)
    *_, ours = walk(step, noise, trailing(schedule.T, 20))
    assert (drawn(pipeline, context, scale, noise, 20) - ours.x).abs().max() <= 1e-10


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_same_pictures_in_float32_to_1e_5(model, scale):
    """In the mean: rounding grows along the moves, on some processors to 2e-4 in a pixel."""
    context = model.context("food", "hero")
    noise = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    ours = sample(model, 2, context, steps=50, guidance_scale=scale, seed=7, precision="float32")
    assert (drawn(interop.to_pipeline(model), context, scale, noise, 50) - ours).abs().mean() <= 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_in_diffusers_format_it_draws_the_same(name, tmp_path):
    model = load_model(name)
    pipeline = interop.to_pipeline(model)
    pipeline.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"model_index.json", "unet", "scheduler"}
    again = interop.CoursePipeline.from_pretrained(tmp_path)
    assert again.unet.config.classes == list(model.classes)
    context = None if model.context_dim is None else model.context(*model.classes[:2])
    noise = torch.randn(2, *model.image_shape, generator=torch.Generator().manual_seed(0))
    for one in (pipeline, again):
        one.set_progress_bar_config(disable=True)
    first, second = (one(context, 1.0, 2, noise=noise).images for one in (pipeline, again))
    assert torch.equal(first, second)


def test_a_folder_of_an_earlier_version_is_still_read(tmp_path):
    """It names the classes' home of then, which was the room itself."""
    interop.to_pipeline(load_model("mnist")).save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    index["unet"] = ["ddpm_teach.interop", "CourseUNet"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert isinstance(interop.CoursePipeline.from_pretrained(tmp_path).unet, interop.CourseUNet)


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_every_target_that_diffusers_knows_is_read_as_what_it_is(target):
    """An untrained network, so that a wrong reading would show at once."""
    model = new_run(target=target).model
    model = Model(model.net.eval(), model.schedule, target, model.classes)
    noise = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(7))
    ours = sample(model, 2, model.context("left"), steps=10, seed=7, precision="float32")
    theirs = drawn(interop.to_pipeline(model), model.context("left", "left"), 1.0, noise, 10)
    assert (theirs - ours).abs().mean() <= 1e-5


def test_what_diffusers_can_t_read_is_refused():
    with pytest.raises(ValueError, match="^model: .*eps, x0, v, got one for flow"):
        interop.to_pipeline(new_run(target="flow").model)
    with pytest.raises(ValueError, match="^model: expected a network of this course, got a OwnNet"):
        interop.to_pipeline(new_run(OwnNet()).model)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"num_inference_steps": 0}, ValueError, "num_inference_steps: .*1…1000, got 0"),
        ({"num_inference_steps": 1001}, ValueError, "num_inference_steps: .*1…1000, got 1001"),
        ({"batch_size": 0}, ValueError, "batch_size: .*≥ 1, got 0"),
        ({"eta": float("nan")}, ValueError, "eta: .*nan"),
        ({"eta": 2.0}, ValueError, r"eta: .*\[0, 1\]"),
        ({"guidance_scale": float("inf")}, ValueError, "guidance_scale: .*finite"),
        ({"context": ["hero"]}, TypeError, r"context: .*model\.context"),
        ({"noise": torch.zeros(1, 3, 16, 16, dtype=torch.long)}, TypeError, "noise: .*floats"),
    ],
)
def test_what_the_pipeline_can_t_compute_with_is_refused(model, options, error, words):
    with pytest.raises(error, match=f"^{words}"):
        inspect.unwrap(interop.CoursePipeline.__call__)(interop.to_pipeline(model), **options)


@pytest.mark.parametrize("factor", [1e10, float("nan")])
def test_pictures_of_no_finite_numbers_are_not_returned(factor):
    pipeline = interop.to_pipeline(load_model("mnist"))
    pipeline.set_progress_bar_config(disable=True)
    for parameter in pipeline.unet.parameters():
        parameter.data *= factor
    with pytest.raises(FloatingPointError, match="finite"):
        pipeline(num_inference_steps=2)


def test_guidance_without_a_context_is_refused(model):
    with pytest.raises(ValueError, match="^guidance_scale: "):
        drawn(interop.to_pipeline(model), None, 2.0, None, 1)


def test_a_student_makes_no_pipeline_for_any_number_of_steps(model):
    with pytest.raises(ValueError, match=r"^model: .*a student of \(1000, 0\).*teacher"):
        interop.to_pipeline(dataclasses.replace(model, times=(1000, 0)))
