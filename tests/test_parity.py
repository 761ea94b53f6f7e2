"""The same trajectories as diffusers, frame by frame: an implementation that shares no code with ours.

Our ᾱ is put into its schedulers (its own table is a float32 product, and it derives β from ratios of ᾱ). Tolerances are
parts of the largest value: both sides round the same formulas in another order. Trailing lists are compared where the
number of steps divides T, since its step() recomputes the previous time instead of reading its own list.
"""

from __future__ import annotations

import itertools

import pytest
import torch

from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.schedule import Schedule, cosine, linear, scaled_linear, straight
from ddpm_teach.diffusion.steps import ddim_step, ddpm_step, dpm_step, walk
from ddpm_teach.diffusion.targets import clipped, from_eps, from_flow, from_v, from_x0
from ddpm_teach.diffusion.times import leading, quadratic, trailing
from ddpm_teach.diffusion.vocabularies import EDM, FLOW_TIME
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


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 20, 50])
@pytest.mark.parametrize("schedule", [linear(), scaled_linear()], ids=["linear", "scaled_linear"])
def test_dpm_solver(schedule, steps, clip):
    """Its σ and λ are float32 inside, whatever it is given: 1e-5 of the largest value. x̂_0 is clamped by hand: it has
    dynamic thresholding alone."""
    scheduler = schedulers.DPMSolverMultistepScheduler(
        timestep_spacing="trailing", prediction_type="sample", final_sigmas_type="zero"
    )
    scheduler.alphas_cumprod = schedule.alpha_bar[1:].numpy()
    scheduler.set_timesteps(steps)
    denoise = from_x0(smooth_net, schedule)
    frames = walk(dpm_step(clipped(denoise, schedule) if clip else denoise, schedule), start(), trailing(1000, steps))

    def diffusers_frames():
        x = start()
        for index in scheduler.timesteps.tolist():
            x0 = smooth_net(x, torch.full((len(x),), index + 1))
            x = scheduler.step(x0.clamp(-1, 1) if clip else x0, index, x).prev_sample
            yield x, x0

    assert assert_same(frames, ((x.float(), x0) for x, x0 in diffusers_frames()), 1e-5) == steps


def along_the_flow(scheduler, levels, net, schedule, times):
    """Frames of diffusers' Euler in flow time, which asks `net` at its picture turned back into x: (z, û)."""
    scheduler.set_timesteps(sigmas=levels)
    scale = FLOW_TIME.scale(schedule.alpha_bar)
    z = scale[times[0]] * start()
    for t, index in zip(times, scheduler.timesteps, strict=False):
        u = net(z / scale[t], torch.full((len(z),), t))
        z = scheduler.step(u, index, z).prev_sample.double()
        yield z, u


@pytest.mark.parametrize("spacing", [trailing, leading, quadratic])
@pytest.mark.parametrize("steps", [1, 4, 50])
@pytest.mark.parametrize("schedule", [straight(), linear(), cosine()], ids=["straight", "linear", "cosine"])
def test_flow_matching(schedule, steps, spacing):
    """diffusers walks z through the list of flow times that `FLOW_TIME` makes of ours; its sums are in float32."""
    times = spacing(1000, steps)
    levels, scale = FLOW_TIME.level(schedule.alpha_bar), FLOW_TIME.scale(schedule.alpha_bar)
    scheduler = schedulers.FlowMatchEulerDiscreteScheduler()
    theirs = along_the_flow(scheduler, levels[times[:-1]].tolist(), smooth_net, schedule, times)
    frames = walk(ddim_step(from_flow(smooth_net, schedule), schedule), start(), times)
    next(frames)
    for frame, (z, _) in zip(frames, theirs, strict=True):
        assert (scale[frame.t] * frame.x - z).abs().max() <= 1e-5 * z.abs().max(), f"at time {frame.t}"
    mixed = scheduler.scale_noise(x0 := start(), scheduler.timesteps[:1].expand(len(x0)), eps := x0.flip(-1))
    mine = scale[times[0]] * add_noise(schedule, x0, times[0], eps)
    assert (mine - mixed).abs().max() <= 1e-5 * mixed.abs().max()


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_a_shifted_flow_is_a_schedule(shift):
    """Stable Diffusion 3 leaves `straight` by σ' = 3 σ / (1 + 2 σ): read as flow times, that table is a Schedule."""
    scheduler = schedulers.FlowMatchEulerDiscreteScheduler(shift=shift)
    table = torch.cat([torch.zeros(1), scheduler.sigmas.flip(0)]).double()
    s = torch.arange(1001).double() / 1000
    torch.testing.assert_close(table, shift * s / (1 + (shift - 1) * s), rtol=1e-6, atol=1e-7)
    schedule = Schedule(FLOW_TIME.alpha_bar(table))
    torch.testing.assert_close(FLOW_TIME.level(schedule.alpha_bar), table, rtol=1e-12, atol=1e-12)
    if shift == 1:
        torch.testing.assert_close(schedule.alpha_bar, straight().alpha_bar, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 10, 50])
def test_euler_in_sigma(steps):
    """diffusers' Euler of k-diffusion, which walks x̄ = x / √ᾱ through EDM's σ, is DDIM as well."""
    schedule, times = SCHEDULE, trailing(1000, steps)
    scheduler = schedulers.EulerDiscreteScheduler(timestep_spacing="trailing", prediction_type="epsilon")
    scheduler.alphas_cumprod = schedule.alpha_bar[1:].numpy()
    scheduler.set_timesteps(steps)
    sigma, scale = EDM.level(schedule.alpha_bar), EDM.scale(schedule.alpha_bar)
    torch.testing.assert_close(scheduler.sigmas.double(), sigma[times], rtol=1e-6, atol=0)
    frames = walk(ddim_step(from_eps(smooth_net, schedule), schedule), start(), times)
    bar = scale[1000] * next(frames).x
    for frame, t, index in zip(frames, times, scheduler.timesteps, strict=False):
        eps = smooth_net(bar / scale[t], torch.full((len(bar),), t))
        bar = scheduler.step(eps, index, bar).prev_sample.double()
        assert (scale[frame.t] * frame.x - bar).abs().max() <= 1e-5 * bar.abs().max()
