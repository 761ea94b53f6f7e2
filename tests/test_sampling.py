"""Sampling against exact answers: one point, a Gaussian, and another implementation's whole trajectory."""

from __future__ import annotations

import contextlib
import itertools
import math
from fractions import Fraction

import pytest
import torch

from ddpm_teach import devices
from ddpm_teach.denoise import clipped, from_eps, guided
from ddpm_teach.devices import evaluating
from ddpm_teach.forward import posterior
from ddpm_teach.kinds import Estimate, Frame
from ddpm_teach.sampling import ddim_step, ddpm_step, every, sample, trailing, walk
from ddpm_teach.schedule import linear

LISTS = [list(range(20, -1, -1)), trailing(20, 5), [20, 19, 7, 2, 0], [20, 0]]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def steps_of_every_kind(denoise, schedule) -> dict:
    return {
        "ddim": ddim_step(denoise, schedule),
        "ddim 0.5": ddim_step(denoise, schedule, eta=0.5, rng=generator(1)),
        "ddim 1": ddim_step(denoise, schedule, eta=1.0, rng=generator(1)),
        "ddpm beta": ddpm_step(denoise, schedule, rng=generator(1)),
        "ddpm posterior": ddpm_step(denoise, schedule, "posterior", rng=generator(1)),
    }


# --- one point ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ddim", "ddim 0.5", "ddim 1", "ddpm beta", "ddpm posterior"])
@pytest.mark.parametrize("times", LISTS)
def test_data_of_one_point_comes_back_exactly(strong, gaussian_net, kind, times):
    """Whatever the noise, the best predictor of one-point data knows the point, and the last step lands on it."""
    point = torch.linspace(-1, 1, 12).double().reshape(1, 3, 2, 2)
    step = steps_of_every_kind(from_eps(gaussian_net(strong, point), strong), strong)[kind]
    *_, last = walk(step, torch.randn(5, 3, 2, 2).double(), times)
    assert last.t == 0
    torch.testing.assert_close(last.x, point.expand(5, -1, -1, -1), rtol=1e-12, atol=1e-12)


# --- Gaussian data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 5, 7, 20])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.5), (0.4, 0.2), (-1.0, 2.0)])
def test_ddim_of_gaussian_data_is_the_exact_affine_map(strong, gaussian_net, steps, mean, std):
    """With data N(m, σ²) a DDIM move is x_s - √ᾱ_s m = k (x_t - √ᾱ_t m), k = (√(ᾱ_s ᾱ_t) σ² + √((1-ᾱ_s)(1-ᾱ_t))) / v_t,
    where v_t = ᾱ_t σ² + 1 - ᾱ_t is the variance of x_t."""
    ab, times = strong.alpha_bar.tolist(), trailing(20, steps)
    factor = 1.0
    for t, s in itertools.pairwise(times):
        variance = ab[t] * std**2 + 1 - ab[t]
        factor *= (math.sqrt(ab[s] * ab[t]) * std**2 + math.sqrt((1 - ab[s]) * (1 - ab[t]))) / variance
    x = torch.randn(50, 2).double()
    *_, last = walk(ddim_step(from_eps(gaussian_net(strong, mean, std), strong), strong), x, times)
    torch.testing.assert_close(last.x, mean + factor * (x - math.sqrt(ab[20]) * mean), rtol=1e-6, atol=1e-6)


def test_many_ddim_steps_approach_the_map_that_carries_the_noise_to_the_data(gaussian_net):
    """In the limit the flow keeps the order of the values: x_0 = σ x_T / √v_T. The error falls like 1/S."""
    schedule, std, x = linear(), 0.3, torch.tensor([[1.0]]).double()
    exact = std / math.sqrt(schedule.at(1000) * std**2 + 1 - schedule.at(1000))
    errors = []
    for steps in (10, 100, 1000):
        step = ddim_step(from_eps(gaussian_net(schedule, 0.0, std), schedule), schedule)
        *_, last = walk(step, x, trailing(1000, steps))
        errors.append(abs(last.x.item() - exact) / exact)
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 0.01


@pytest.mark.parametrize("times", [LISTS[0], LISTS[1]])
@pytest.mark.parametrize("std", [0.3, 1.0])
def test_ancestral_sampling_of_gaussian_data_follows_its_recursion(strong, gaussian_net, monte_carlo, times, std):
    """x_s = a x_t + b x̂_0(x_t) + √(spread) z, and x̂_0 is affine: mean and variance of every x_s are known exactly.

    200,000 draws; five standard errors are 1.6 % of a variance, and the two spreads must lie further apart than that.
    """
    mean_0, ab, finals = 0.25, strong.alpha_bar.tolist(), {}
    for variance in ("beta", "posterior"):
        step = ddpm_step(from_eps(gaussian_net(strong, mean_0, std), strong), strong, variance, rng=generator(3))
        frames = walk(step, torch.randn(200_000, 1, generator=generator(4)).double(), times)
        next(frames)
        mean, var = 0.0, 1.0
        for (t, s), frame in zip(itertools.pairwise(times), frames, strict=True):
            added = 1 - ab[t] / ab[s]
            from_x0, from_xt = (
                math.sqrt(ab[s]) * added / (1 - ab[t]),
                math.sqrt(ab[t] / ab[s]) * (1 - ab[s]) / (1 - ab[t]),
            )
            # E[x_0 | x_t] = m + √ᾱ_t σ² / v_t (x_t - √ᾱ_t m)
            slope = math.sqrt(ab[t]) * std**2 / (ab[t] * std**2 + 1 - ab[t])
            spread = 0.0 if s == 0 else added if variance == "beta" else added * (1 - ab[s]) / (1 - ab[t])
            mean = (from_x0 * slope + from_xt) * mean + from_x0 * mean_0 * (1 - slope * math.sqrt(ab[t]))
            var = (from_x0 * slope + from_xt) ** 2 * var + spread
            monte_carlo(frame.x, mean, var)
        finals[variance] = var
    assert finals["beta"] > finals["posterior"] * 1.02, "the test must tell the two variances apart"


def test_the_beta_variance_is_right_for_data_of_unit_variance(strong, gaussian_net):
    """DDPM section 3.2. Then every x_t is N(0, 1), a move keeps that, and only the noiseless last one shrinks it."""
    step = ddpm_step(from_eps(gaussian_net(strong, 0.0, 1.0), strong), strong, rng=generator(0))
    *_, before, last = walk(step, torch.randn(200_000, 1).double(), LISTS[0])
    assert before.x.var().item() == pytest.approx(1, rel=0.016)  # five standard errors: 5 √(2/200,000)
    torch.testing.assert_close(last.x, math.sqrt(strong.at(1)) * before.x, rtol=1e-12, atol=1e-12)


# --- the steps and their noise --------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("times", LISTS)
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_ddim_with_eta_one_is_ddpm_with_the_posterior_variance(strong, smooth_net, times, temperature, clip):
    denoise = from_eps(smooth_net, strong)
    denoise = clipped(denoise, strong) if clip else denoise
    x = torch.randn(4, 1, 3, 3).double()
    one = walk(ddim_step(denoise, strong, 1.0, temperature, generator(7)), x, times)
    other = walk(ddpm_step(denoise, strong, "posterior", temperature, generator(7)), x, times)
    for a, b in zip(one, other, strict=True):
        assert a.t == b.t
        torch.testing.assert_close(a.x, b.x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", [1, 2, 20])
def test_the_last_step_adds_no_noise(strong, smooth_net, t):
    x, rng = torch.randn(4, 3).double(), generator(0)
    denoise = from_eps(smooth_net, strong)
    for kind, step in steps_of_every_kind(denoise, strong).items():
        assert torch.equal(step(x, t, 0).x, step(x, t, 0).x), kind
    state = rng.get_state()
    ddpm_step(denoise, strong, rng=rng)(x, t, 0)
    assert torch.equal(rng.get_state(), state)


def test_a_step_without_noise_follows_the_formulas(strong, smooth_net):
    """DDIM eq. 12 with σ = 0, and the posterior's mean, written out with the estimate that the frame carries."""
    x, denoise = torch.randn(4, 3).double(), from_eps(smooth_net, strong)
    for t, s in [(20, 13), (13, 12), (2, 1), (5, 0)]:
        estimate = denoise(x, t)
        frame = ddim_step(denoise, strong)(x, t, s)
        assert frame.t == s and torch.equal(frame.x0, estimate.x0) and torch.equal(frame.eps, estimate.eps)
        expected = math.sqrt(strong.at(s)) * estimate.x0 + math.sqrt(1 - strong.at(s)) * estimate.eps
        torch.testing.assert_close(frame.x, expected, rtol=1e-13, atol=1e-13)
        frame = ddpm_step(denoise, strong, temperature=0.0)(x, t, s)
        torch.testing.assert_close(frame.x, posterior(strong, estimate.x0, x, t, s).mean, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("make", [lambda *a, **k: ddpm_step(*a, **k), lambda *a, **k: ddim_step(*a, eta=0.8, **k)])
def test_temperature_scales_the_noise_alone(strong, smooth_net, make):
    x, denoise = torch.randn(4, 3).double(), from_eps(smooth_net, strong)
    cold, warm, hot = (make(denoise, strong, temperature=k, rng=generator(1))(x, 20, 8).x for k in (0.0, 1.0, 2.0))
    torch.testing.assert_close(hot - cold, 2 * (warm - cold), rtol=1e-9, atol=1e-9)
    assert (warm - cold).abs().min() > 0


@pytest.mark.parametrize("kind", ["ddim 0.5", "ddim 1", "ddpm beta", "ddpm posterior"])
def test_members_of_a_batch_do_not_share_noise(strong, smooth_net, kind):
    """Four equal pictures come apart, and so do the pixels of one: the noise is uncorrelated (5 / √4096 = 0.08)."""
    x = torch.zeros(4, 1, 64, 64)
    step = steps_of_every_kind(lambda x, t: Estimate(torch.zeros_like(x), torch.zeros_like(x)), strong)[kind]
    correlation = torch.corrcoef(step(x, 20, 10).x.flatten(1))
    assert (correlation - torch.eye(4)).abs().max() < 0.08


@pytest.mark.parametrize("kind", ["ddim 0.5", "ddim 1", "ddpm beta", "ddpm posterior"])
def test_a_generator_decides_alone(strong, smooth_net, untouched, kind):
    x, denoise = torch.randn(2, 3), from_eps(smooth_net, strong)
    with untouched():
        one, again = (list(walk(steps_of_every_kind(denoise, strong)[kind], x, LISTS[1]))[-1].x for _ in range(2))
    assert torch.equal(one, again)


@pytest.mark.parametrize("make", [lambda *a, **k: ddpm_step(*a, **k), lambda *a, **k: ddim_step(*a, eta=1.0, **k)])
def test_without_a_generator_the_global_one_decides(strong, smooth_net, make):
    x, denoise, results = torch.randn(2, 3), from_eps(smooth_net, strong), []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        results.append(make(denoise, strong)(x, 20, 10).x)
    assert torch.equal(results[0], results[1]) and not torch.isclose(results[0], results[2]).any()


def test_ddim_without_eta_draws_nothing(strong, smooth_net, untouched):
    with untouched():
        list(walk(ddim_step(from_eps(smooth_net, strong), strong), torch.ones(2, 3), LISTS[0]))


def test_noise_is_the_same_in_every_precision(strong):
    """Drawn in float32 at least: the bfloat16 walk sees the same noise, rounded."""
    step = lambda: ddpm_step(lambda x, t: Estimate(0 * x, 0 * x), strong, rng=generator(2))  # noqa: E731
    exact, rounded = step()(torch.zeros(64, 4), 20, 10).x, step()(torch.zeros(64, 4).bfloat16(), 20, 10).x
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=2**-6, atol=1e-3)


@pytest.mark.parametrize(("t", "s"), [(5, 5), (5, 6), (0, 0), (21, 3), (5, -1), (-3, -4)])
def test_moves_that_do_not_go_back_are_refused_before_the_network_runs(strong, counting, t, s):
    net = counting()
    for step in steps_of_every_kind(from_eps(net, strong), strong).values():
        with pytest.raises(ValueError, match=r"[ts]: "):
            step(torch.zeros(2, 3), t, s)
    assert not net.calls


@pytest.mark.parametrize("eta", [-0.1, 1.1, math.nan, math.inf])
def test_eta_outside_zero_to_one_is_refused(strong, smooth_net, eta):
    with pytest.raises(ValueError, match="eta: "):
        ddim_step(from_eps(smooth_net, strong), strong, eta)


@pytest.mark.parametrize("temperature", [-0.1, math.nan, math.inf])
@pytest.mark.parametrize("make", [ddpm_step, ddim_step])
def test_a_temperature_that_is_no_finite_positive_number_is_refused(strong, smooth_net, make, temperature):
    with pytest.raises(ValueError, match="temperature: "):
        make(from_eps(smooth_net, strong), strong, temperature=temperature)


def test_an_unknown_variance_is_refused(strong, smooth_net):
    with pytest.raises(ValueError, match="variance: "):
        ddpm_step(from_eps(smooth_net, strong), strong, "learned")


# --- the same trajectory as diffusers -------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("steps", [1, 10, 50, 250])
def test_ddim_walks_the_trajectory_of_diffusers(smooth_net, steps, eta, clip):
    """Frame by frame, with our ᾱ injected (its own table is a float32 product) and the same noise.

    Only where `steps` divides T: elsewhere its step() recomputes the previous time instead of reading its own list.
    The tolerance is a part of the largest value: both sides round the same formulas in another order.
    """
    ddim = pytest.importorskip(
        "diffusers.schedulers.scheduling_ddim", reason="diffusers (a development tool) is missing"
    )
    schedule = linear()
    theirs = ddim.DDIMScheduler(timestep_spacing="trailing", clip_sample=clip)
    theirs.alphas_cumprod = schedule.alpha_bar[1:]  # its index is our time - 1
    theirs.set_timesteps(steps)
    x = torch.randn(2, 1, 4, 4).double()
    denoise = from_eps(smooth_net, schedule)
    step = ddim_step(clipped(denoise, schedule) if clip else denoise, schedule, eta, rng=generator(9))
    frames, rng = walk(step, x, trailing(1000, steps)), generator(9)
    next(frames)
    for index, frame in zip(theirs.timesteps.tolist(), frames, strict=True):
        eps = smooth_net(x, torch.full((2,), index + 1))
        answer = theirs.step(eps, index, x, eta, use_clipped_model_output=clip, generator=rng)
        x = answer.prev_sample
        scale = x.abs().max().item()
        torch.testing.assert_close(frame.x, x, rtol=0, atol=1e-12 * scale)
        torch.testing.assert_close(
            frame.x0, answer.pred_original_sample, rtol=0, atol=1e-12 * frame.x0.abs().max().item()
        )


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("T", [1, 2, 3, 7, 10, 28, 50, 99, 100, 128, 333, 997, 1000])
def test_trailing_is_strictly_decreasing_from_T_to_zero_in_exactly_S_moves(T):
    for steps in range(1, T + 1):
        times = trailing(T, steps)
        assert times[0] == T and times[-1] == 0 and len(times) == steps + 1
        moves = {t - s for t, s in itertools.pairwise(times)}
        assert min(moves) >= 1 and max(moves) - min(moves) <= 1, "as even as whole numbers can be"


@pytest.mark.parametrize(("T", "steps"), [(1000, 50), (1000, 7), (20, 3), (10, 4), (997, 600)])
def test_trailing_rounds_the_exact_fractions_half_up(T, steps):
    exact = [Fraction(T * k, steps) for k in range(steps, -1, -1)]
    assert trailing(T, steps) == [math.floor(time + Fraction(1, 2)) for time in exact]


@pytest.mark.parametrize("steps", [0, -1, 1001, True])
def test_a_number_of_steps_that_is_impossible_is_refused(steps):
    with pytest.raises((ValueError, TypeError), match="steps: "):
        trailing(1000, steps)


# --- walk and every -------------------------------------------------------------------------------------------------


def halving(x, t, s):
    return Frame(s, x / 2, x, x)


def test_walk_yields_the_start_and_the_frame_after_each_move():
    x = torch.ones(2, 3)
    frames = list(walk(halving, x, [9, 4, 0]))
    assert [frame.t for frame in frames] == [9, 4, 0]
    assert [frame.x.unique().item() for frame in frames] == [1, 0.5, 0.25]
    assert frames[0].x0 is None and frames[0].eps is None
    assert torch.equal(frames[1].x0, x)


def test_a_walk_need_not_end_at_zero_and_may_have_one_time():
    assert [frame.t for frame in walk(halving, torch.ones(1, 1), iter([9, 4]))] == [9, 4]
    assert [frame.t for frame in walk(halving, torch.ones(1, 1), [5])] == [5]


@pytest.mark.parametrize("times", [[5.0, 4.5], [True, False], ["9", "0"], [None]])
def test_times_that_are_no_whole_numbers_are_refused_at_the_call(times):
    with pytest.raises(TypeError):
        walk(halving, torch.ones(1, 1), times)


@pytest.mark.parametrize("times", [[], [5, -1], [-1]])
def test_missing_and_negative_times_are_refused_at_the_call(times):
    with pytest.raises(ValueError, match="times: "):
        walk(halving, torch.ones(1, 1), times)


def test_frames_share_no_memory_with_the_start_or_each_other(strong, smooth_net):
    """A frame may be kept, or written to, while the walk goes on."""
    x = torch.ones(2, 3)
    for step in steps_of_every_kind(clipped(from_eps(smooth_net, strong), strong), strong).values():
        frames = list(walk(step, x, LISTS[1]))
        pointers = [
            tensor.data_ptr() for frame in frames for tensor in (frame.x, frame.x0, frame.eps) if tensor is not None
        ]
        assert len(set([x.data_ptr(), *pointers])) == 1 + len(pointers)


def test_the_start_may_change_after_the_first_frame():
    x = torch.ones(1, 1)
    frames = walk(halving, x, [2, 1])
    first = next(frames)
    x.zero_()
    assert first.x.item() == 1 and next(frames).x.item() == 0.5


@pytest.mark.parametrize("enabled", [True, False])
def test_a_walk_runs_without_gradients_and_leaves_the_callers_mode_alone(enabled):
    modes = []

    def step(x, t, s):
        modes.append(torch.is_grad_enabled())
        if s == 1:
            raise RuntimeError("the planted failure")
        return Frame(s, x * 2)

    x = torch.ones(1, 1, requires_grad=True)
    with torch.set_grad_enabled(enabled):
        frames = walk(step, x, [4, 3, 2, 1, 0])
        for _ in range(3):
            assert not next(frames).x.requires_grad
            assert torch.is_grad_enabled() is enabled
        with pytest.raises(RuntimeError, match="planted"):
            next(frames)
        assert torch.is_grad_enabled() is enabled
        abandoned = walk(step, x, [4, 3, 2])
        next(abandoned), next(abandoned)
        abandoned.close()
        assert torch.is_grad_enabled() is enabled
    assert modes == [False] * 4


def test_two_walks_may_take_turns(strong, smooth_net):
    step, x = ddim_step(from_eps(smooth_net, strong), strong), torch.ones(1, 2)
    one, other = walk(step, x, LISTS[0]), walk(step, 2 * x, LISTS[0])
    turns = list(zip(one, other, strict=True))
    assert torch.equal(turns[-1][0].x, list(walk(step, x, LISTS[0]))[-1].x)


@pytest.mark.parametrize("length", [0, 1, 2, 5, 6, 7])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 100])
def test_every_keeps_each_nth_with_the_first_and_the_last(length, n):
    frames = [Frame(i, torch.zeros(1)) for i in range(length)]
    kept = [frame.t for frame in every(iter(frames), n)]
    assert kept == sorted({*range(0, length, n), *([length - 1] if length else [])})


def test_every_is_lazy():
    taken = []
    frames = (taken.append(i) or Frame(i, torch.zeros(1)) for i in range(10))
    assert next(every(frames, 3)).t == 0 and taken == [0]


@pytest.mark.parametrize("n", [0, -1, True])
def test_every_refuses_a_bad_distance_at_the_call(n):
    with pytest.raises((ValueError, TypeError), match="n: "):
        every([], n)


# --- sample ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_sample_is_the_walk_that_its_docstring_names(toy_net, eta):
    schedule, net = linear(), toy_net()
    x = sample(net, schedule, (3, 1, 8, 8), steps=6, eta=eta, seed=11, precision="float32")
    rng = generator(11)
    start = torch.randn(3, 1, 8, 8, generator=rng)
    net.eval()
    denoise = clipped(from_eps(net, schedule), schedule)
    *_, last = walk(ddim_step(denoise, schedule, eta, rng=rng), start, trailing(1000, 6))
    assert torch.equal(x, last.x)
    assert x.dtype == torch.float32 and x.shape == (3, 1, 8, 8) and x.abs().max() <= 1 and not x.requires_grad


def test_guided_sampling_is_the_guided_walk(strong):
    class ContextNet(torch.nn.Linear):
        def forward(self, x, t, c):
            return super().forward(x) + c.sum(1).reshape(-1, 1, 1, 1)

    net, context = ContextNet(2, 2), torch.eye(3)[[1]]
    for scale in (0.0, 1.0, 2.5):
        x = sample(
            net, strong, (4, 1, 2, 2), steps=5, context=context, guidance_scale=scale, seed=1, precision="float32"
        )
        denoise = clipped(from_eps(guided(net, context, scale), strong), strong)
        *_, last = walk(ddim_step(denoise, strong), torch.randn(4, 1, 2, 2, generator=generator(1)), trailing(20, 5))
        assert torch.equal(x, last.x)


@pytest.mark.parametrize("progress", [False, True])
def test_the_seed_decides_the_pictures(toy_net, untouched, progress):
    net, schedule = toy_net(), linear()
    options = dict(steps=4, eta=1.0, precision="float32", progress=progress)
    with untouched():
        one, again, other, free, free2 = (
            sample(net, schedule, (2, 1, 8, 8), seed=seed, **options) for seed in (1, 1, 2, None, None)
        )
    assert torch.equal(one, again)
    assert not torch.equal(one, other) and not torch.equal(free, free2)


@pytest.mark.parametrize("fails_at", [None, 0, 2])
def test_the_network_samples_in_eval_mode_and_is_left_as_it_was(toy_net, fails_at):
    net = toy_net(fails_at)
    net.train()
    net.norm.eval()  # a frozen BatchNorm must stay frozen
    running = net.norm.running_mean.clone()
    with pytest.raises(RuntimeError, match="planted") if fails_at is not None else contextlib.nullcontext():
        sample(net, linear(), (2, 1, 8, 8), steps=4, seed=0)
    assert [net.training, net.conv.training, net.norm.training, net.drop.training] == [True, True, False, True]
    assert net.modes == [False] * (4 if fails_at is None else fails_at)
    assert torch.equal(net.norm.running_mean, running)


def test_evaluating_puts_every_module_back(toy_net):
    net = toy_net()
    net.drop.eval()
    with evaluating(net):
        assert not any(module.training for module in net.modules())
    assert net.training and net.norm.training and not net.drop.training


@pytest.mark.parametrize(
    "bad", [dict(steps=0), dict(steps=1001), dict(eta=-1.0), dict(eta=math.nan), dict(precision="half")]
)
def test_bad_numbers_never_reach_the_network(toy_net, bad):
    net = toy_net()
    with pytest.raises(ValueError, match=f"{next(iter(bad))}: "):
        sample(net, linear(), (2, 1, 8, 8), **bad)
    assert not net.modes and net.training


def test_guidance_without_a_context_is_refused(toy_net):
    with pytest.raises(ValueError, match="guidance_scale: "):
        sample(toy_net(), linear(), (2, 1, 8, 8), guidance_scale=2.0)


# --- precision ------------------------------------------------------------------------------------------------------


def test_precision_float32_is_the_network_itself_and_bfloat16_computes_in_it(toy_net):
    net, device, seen = toy_net().eval(), torch.device("cpu"), []
    assert devices.in_precision(net, device, "float32") is net
    net.conv.register_forward_hook(lambda module, args, result: seen.append(result.dtype))
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([1, 2])
    rounded = devices.in_precision(net, device, "bfloat16")(x, t)
    assert seen == [torch.bfloat16] and rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, net(x, t), rtol=0, atol=0.05)
    assert torch.get_autocast_dtype("cpu") and not torch.is_autocast_enabled("cpu")


def test_auto_is_bfloat16_only_where_the_hardware_has_it(monkeypatch):
    for native in (True, False):
        monkeypatch.setattr(devices, "has_native_bfloat16", lambda device, native=native: native)
        assert devices.compute_dtype(torch.device("cpu"), "auto") == (torch.bfloat16 if native else torch.float32)
