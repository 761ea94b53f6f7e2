"""What every step, walk and sampler promises; that their numbers are right is tests/laws.py's matter."""

from __future__ import annotations

import math
import weakref

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st

import ddpm_teach
from ddpm_teach.diffusion.forward import add_noise, posterior
from ddpm_teach.diffusion.guidance import gradient, guided, inpainting, score_corrected
from ddpm_teach.diffusion.schedule import linear, zero_terminal_snr
from ddpm_teach.diffusion.steps import ddim_inversion, ddim_step, ddpm_step, dpm_step, every, heun_step, walk
from ddpm_teach.diffusion.targets import clipped, from_eps, from_flow, from_v, from_x0, projected, thresholded
from ddpm_teach.diffusion.times import trailing
from ddpm_teach.diffusion.types import Estimate, Frame
from tests import laws
from tests.laws import generator

LISTS = laws.lists(ddpm_teach)
NOISY = ["ddim 0.5", "ddim 1", "ddpm beta", "ddpm posterior", "ddpm 0.3"]


def steps_of_every_kind(denoise, schedule) -> dict:
    return laws.steps_of_every_kind(ddpm_teach, denoise, schedule)


def denoisers_of_every_kind(net, schedule) -> dict:
    """Every reading, and every wrapper around the first."""
    plain = from_eps(net, schedule)
    return {
        "eps": plain,
        "x0": from_x0(net, schedule),
        "v": from_v(net, schedule),
        "flow": from_flow(net, schedule),
        "clipped": clipped(plain, schedule),
        "thresholded": thresholded(plain, schedule),
        "projected": projected(plain, schedule, torch.tanh),
        "corrected": score_corrected(plain, schedule, gradient(lambda x, t: -(x**2).flatten(1).sum(1)), 0.1),
        "guided": from_eps(guided(net, torch.ones(1, 1), 2.0), schedule),
    }


def test_the_beta_variance_is_right_for_data_of_unit_variance(strong):
    """DDPM section 3.2. Then every x_t is N(0, 1), a move keeps that, and only the noiseless last one shrinks it."""
    step = ddpm_step(from_eps(laws.gaussian_net(strong, 0.0, 1.0), strong), strong, rng=generator(0))
    *_, before, last = walk(step, torch.randn(200_000, 1).double(), LISTS[0])
    assert before.x.var().item() == pytest.approx(1, rel=0.016)  # five standard errors: 5 √(2/200,000)
    torch.testing.assert_close(last.x, math.sqrt(strong.at(1)) * before.x, rtol=1e-12, atol=1e-12)


# --- the steps and their noise --------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("kind", NOISY)
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


def test_noise_in_half_precision_is_float32s_rounded(strong):
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


@pytest.mark.parametrize("variance", [-0.1, 1.1, math.nan])
def test_a_mixture_of_variances_outside_zero_to_one_is_refused(strong, smooth_net, variance):
    with pytest.raises(ValueError, match="variance: "):
        ddpm_step(from_eps(smooth_net, strong), strong, variance)


@pytest.mark.parametrize("t", [1, 2, 20])
def test_no_noise_is_drawn_for_the_last_step(strong, smooth_net, t):
    rng = generator(0)
    state = rng.get_state()
    for make in (ddpm_step, lambda *a, **k: ddim_step(*a, eta=1.0, **k)):
        make(from_eps(smooth_net, strong), strong, rng=rng)(torch.ones(2, 3), t, 0)
    assert torch.equal(rng.get_state(), state)


@pytest.mark.parametrize("times", LISTS)
def test_a_move_costs_one_call_of_the_network_and_heun_two(strong, counting, times):
    """S calls for S moves; Heun's last one, to time 0, has nowhere to look ahead: 2 S - 1."""
    moves = len(times) - 1
    for kind in ("ddim", "ddim 0.5", "ddpm beta", "heun", "dpm"):
        net = counting()
        list(walk(steps_of_every_kind(from_eps(net, strong), strong)[kind], torch.ones(2, 3), times))
        assert len(net.calls) == (2 * moves - 1 if kind == "heun" else moves), kind


@pytest.mark.parametrize("make", [heun_step, dpm_step])
def test_a_second_order_begins_with_a_ddim_move_where_no_signal_is_left(smooth_net, make):
    """ᾱ_T = 0: σ is infinite there, but v says what DDIM needs; the walk must start, and no infinity may come out."""
    schedule = zero_terminal_snr(linear())
    frames = list(walk(make(from_v(smooth_net, schedule), schedule), torch.randn(2, 1, 4, 4), trailing(1000, 5)))
    assert all(frame.x.isfinite().all() for frame in frames)


def test_dpm_of_pictures_that_were_made_anew_between_two_moves_is_ddim(strong, smooth_net):
    """What it remembers belongs to another picture: a copy, or one that `inpainting` puts together."""
    denoise, x = from_eps(smooth_net, strong), torch.randn(2, 3)
    step, ddim = dpm_step(denoise, strong), ddim_step(denoise, strong)
    before = step(x, 20, 12).x
    assert torch.equal(step(before.clone(), 12, 5).x, ddim(before, 12, 5).x)
    assert not torch.equal(step(before, 12, 5).x, ddim(before, 12, 5).x)
    assert torch.equal(step(before, 12, 5).x, step(before, 12, 5).x), "asked twice, it answers the same"
    known, mask = torch.zeros(2, 3), torch.tensor([True, False, False])
    one, other = (walk(inpainting(s, strong, known, mask, generator(1)), x, LISTS[1]) for s in (step, ddim))
    assert all(torch.equal(a.x, b.x) for a, b in zip(one, other, strict=True))


def test_dpm_forgets_pictures_that_are_gone(strong, smooth_net):
    """Else a step would keep an estimate of every move that it ever made."""
    estimates = []

    def denoise(x, t):
        estimate = from_eps(smooth_net, strong)(x, t)
        estimates.append(weakref.ref(estimate.x0))
        return estimate

    step = dpm_step(denoise, strong)
    for _ in walk(step, torch.ones(2, 3), LISTS[0]):
        assert sum(estimate() is not None for estimate in estimates) <= 2


def test_inversion_asks_the_network_at_time_one_for_the_picture_itself(strong, counting, smooth_net):
    net = counting(smooth_net)
    list(walk(ddim_inversion(from_eps(net, strong), strong), torch.zeros(2, 3), [0, 5, 20]))
    assert [call[1].tolist() for call in net.calls] == [[1, 1], [5, 5]]


@pytest.mark.parametrize(("t", "s"), [(5, 5), (5, 4), (-1, 3), (20, 21), (3, 21)])
def test_inversions_that_do_not_go_forward_are_refused(strong, counting, t, s):
    net = counting()
    with pytest.raises(ValueError, match=r"[ts]: "):
        ddim_inversion(from_eps(net, strong), strong)(torch.zeros(2, 3), t, s)
    assert not net.calls


# --- what no step may do --------------------------------------------------------------------------------------------


def test_no_picture_of_a_batch_looks_at_another(strong, smooth_net):
    """The first of three moves the same when the others change: every step around every denoiser, bit for bit."""
    one, other = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    other[0] = one[0]
    for name, denoise in denoisers_of_every_kind(smooth_net, strong).items():
        for kind in laws.steps_of_every_kind(ddpm_teach, denoise, strong):
            ends = [list(walk(steps_of_every_kind(denoise, strong)[kind], x, LISTS[1]))[-1].x for x in (one, other)]
            assert torch.equal(ends[0][0], ends[1][0]), (name, kind)
            assert not torch.equal(ends[0][1], ends[1][1])


def test_no_step_waits_for_the_device(strong):
    """On the meta device tensors have no values: whoever asked for one, as `.item()` does, would raise."""
    net = lambda x, t, c=None: 0.1 * x + t[:, None, None, None]  # noqa: E731
    x, known = torch.empty(2, 1, 4, 4, device="meta"), torch.zeros(2, 1, 4, 4, device="meta")
    for name, denoise in denoisers_of_every_kind(net, strong).items():
        if name == "guided":
            denoise = from_eps(guided(net, torch.ones(1, 1, device="meta"), 2.0), strong)
        for kind, step in steps_of_every_kind(denoise, strong).items():
            step = inpainting(step, strong, known, torch.ones(4, dtype=torch.bool, device="meta"))
            *_, last = walk(step, x, LISTS[1])
            assert last.x.shape == x.shape and last.x.device.type == "meta", (name, kind)
    list(walk(ddim_inversion(from_eps(net, strong), strong), x, LISTS[1][::-1]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    t=st.integers(2, 20),
)
def test_shapes_and_dtypes_of_the_pictures_are_kept(strong, shape, dtype, t):
    """Any number of dimensions, and tables never below float32: bfloat16 pictures move as float32 ones, rounded."""
    x = torch.randn(shape, generator=generator(1), dtype=torch.float64).to(dtype)
    denoise = from_x0(lambda x, t, c=None: 0.5 * x, strong)
    for kind, step in steps_of_every_kind(denoise, strong).items():
        frame = step(x, t, t // 2)
        assert frame.x.shape == frame.x0.shape == frame.eps.shape == x.shape, kind
        assert frame.x.dtype == frame.x0.dtype == frame.eps.dtype == dtype, kind
        if kind == "ddim":
            exact = step(x.double(), t, t // 2).x
            scale = 1 + exact.abs().max().item()
            torch.testing.assert_close(frame.x.double(), exact, rtol=0, atol=8 * scale * torch.finfo(dtype).eps)


@pytest.mark.parametrize("t", [1, 30])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_reads_tables_of_float32(dtype, t):
    """In bfloat16 ᾱ_1 = 0.9999 would be 1, and 1 - ᾱ_1 nothing: the rate must be right to the last rounding."""
    schedule, zero, one = linear(), torch.zeros(3, 1, dtype=dtype), torch.ones(3, 1, dtype=dtype)
    for time in (t, torch.full((3,), t)):
        found = add_noise(schedule, zero, time, one).double()
        exact = torch.full_like(found, math.sqrt(1 - schedule.at(t)))
        torch.testing.assert_close(found, exact, rtol=torch.finfo(dtype).eps, atol=0)


def test_a_walk_that_is_consumed_keeps_no_old_frames(strong, smooth_net):
    """Its memory doesn't grow with the number of moves: only the frame in hand, and the one before it, are alive."""
    references = []
    for frame in walk(ddim_step(from_eps(smooth_net, strong), strong), torch.ones(2, 3), LISTS[0]):
        references.append(weakref.ref(frame))
        assert sum(reference() is not None for reference in references) <= 2


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
    """A frame may be kept while the walk goes on."""
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


@pytest.mark.parametrize("make", [ddim_step, heun_step, dpm_step])
def test_two_walks_may_take_turns(strong, smooth_net, make):
    step, x = make(from_eps(smooth_net, strong), strong), torch.ones(1, 2)
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
