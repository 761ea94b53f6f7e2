"""The same trajectories as diffusers, frame by frame: an implementation that shares no code with ours.

Our ᾱ is put into its schedulers (its own table is a float32 product, and it derives β from ratios of ᾱ). Tolerances are
parts of the largest value: both sides round the same formulas in another order. Trailing lists are compared where the
number of steps divides T, since its step() recomputes the previous time instead of reading its own list.
"""

from __future__ import annotations

import itertools

import pytest
import torch

from ddpm_teach.diffusion.sampling import walk
from ddpm_teach.diffusion.schedule import linear
from ddpm_teach.diffusion.steps import ddim_step, ddpm_step
from ddpm_teach.diffusion.targets import clipped, from_eps, from_v, from_x0
from ddpm_teach.diffusion.times import leading, trailing
from tests.laws import generator, smooth_net

schedulers = pytest.importorskip("diffusers.schedulers", reason="diffusers (a development tool) is missing")
SCHEDULE = linear()
READERS = {"epsilon": from_eps, "sample": from_x0, "v_prediction": from_v}


def ours(make, times, x, prediction="epsilon", clip=False):
    denoise = READERS[prediction](smooth_net, SCHEDULE)
    return walk(make(clipped(denoise, SCHEDULE) if clip else denoise, SCHEDULE), x, times)


def theirs(scheduler, indices, x, **options):
    """Its frames: (x, x̂_0) after each move. Its index is our time - 1; its table is replaced by ours."""
    scheduler.alphas_cumprod = SCHEDULE.alpha_bar[1:].to(x.dtype)
    scheduler.one, scheduler.final_alpha_cumprod = torch.ones((), dtype=x.dtype), torch.ones((), dtype=x.dtype)
    for index in indices:
        raw = smooth_net(x, torch.full((len(x),), index + 1))
        answer = scheduler.step(raw, index, x, **options)
        x = answer.prev_sample
        yield x, answer.pred_original_sample


def assert_same(frames, expected, tolerance, last_x=True):
    """x after every move; in float64 x̂_0 as well (float32 magnifies its rounding by 1/√ᾱ, on both sides)."""
    next(frames)
    moves = 0
    for frame, (x, x0) in itertools.zip_longest(frames, expected):
        moves += 1
        pairs = [(frame.x, x)] if frame.t > 0 or last_x else []
        pairs += [(frame.x0, x0)] if x.dtype == torch.float64 else []
        for mine, other in pairs:
            assert (mine - other).abs().max() <= tolerance * other.abs().max(), f"at time {frame.t}"
    return moves


def start(dtype=torch.float64):
    return torch.randn(2, 1, 4, 4, generator=generator(5), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(
    ("steps", "eta", "clip"),
    [*itertools.product([1, 10, 50], [0.0, 0.3, 1.0], [False, True]), (250, 0.3, True), (1000, 1.0, True)],
)
@pytest.mark.parametrize("spacing", [trailing, leading])
def test_ddim(spacing, steps, eta, clip):
    scheduler = schedulers.DDIMScheduler(timestep_spacing=spacing.__name__, clip_sample=clip)
    scheduler.set_timesteps(steps)
    frames = ours(lambda d, s: ddim_step(d, s, eta, rng=generator(9)), spacing(1000, steps), start(), clip=clip)
    expected = theirs(
        scheduler, scheduler.timesteps.tolist(), start(), eta=eta, use_clipped_model_output=clip, generator=generator(9)
    )
    assert assert_same(frames, expected, 1e-12) == steps


@pytest.mark.parametrize("prediction", READERS)
def test_ddim_reads_every_kind_of_network(prediction):
    scheduler = schedulers.DDIMScheduler(timestep_spacing="trailing", clip_sample=False, prediction_type=prediction)
    scheduler.set_timesteps(20)
    frames = ours(ddim_step, trailing(1000, 20), start(), prediction)
    assert_same(frames, theirs(scheduler, scheduler.timesteps.tolist(), start()), 1e-12)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize(("variance", "name"), [("posterior", "fixed_small"), ("beta", "fixed_large")])
@pytest.mark.parametrize("spacing", [trailing, leading])
@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_ddpm(spacing, steps, variance, name, clip):
    """Trailing lists that skip are compared but for their last x: its last index isn't 0 there, and it adds noise."""
    scheduler = schedulers.DDPMScheduler(timestep_spacing=spacing.__name__, variance_type=name, clip_sample=clip)
    scheduler.set_timesteps(steps)
    frames = ours(lambda d, s: ddpm_step(d, s, variance, rng=generator(9)), spacing(1000, steps), start(), clip=clip)
    expected = theirs(scheduler, scheduler.timesteps.tolist(), start(), generator=generator(9))
    assert assert_same(frames, expected, 1e-12, last_x=spacing is leading or steps == 1000) == steps


@pytest.mark.parametrize(("steps", "tolerance"), [(10, 1e-5), (50, 1e-5), (1000, 1e-3)])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_in_float32(sampler, steps, tolerance):
    """diffusers derives β from float32 ratios of ᾱ, which costs it digits; ours reads a float64 table."""
    options = {}
    if sampler == "ddim":
        scheduler = schedulers.DDIMScheduler(timestep_spacing="trailing", clip_sample=True)
        options = {"eta": 0.3, "use_clipped_model_output": True}
        make = lambda d, s: ddim_step(d, s, 0.3, rng=generator(9))  # noqa: E731
    else:
        scheduler = schedulers.DDPMScheduler(timestep_spacing="trailing")
        make = lambda d, s: ddpm_step(d, s, "posterior", rng=generator(9))  # noqa: E731
    scheduler.set_timesteps(steps)
    expected = theirs(scheduler, scheduler.timesteps.tolist(), start(torch.float32), generator=generator(9), **options)
    frames = ours(make, trailing(1000, steps), start(torch.float32), clip=True)
    assert_same(frames, expected, tolerance, last_x=sampler == "ddim" or steps == 1000)
