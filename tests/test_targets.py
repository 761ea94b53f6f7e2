"""Reading a network: what holds for every estimate, and what guidance costs and gives."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch

import ddpm_teach
from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.guidance import guided
from ddpm_teach.diffusion.schedule import Schedule, linear, straight, zero_terminal_snr
from ddpm_teach.diffusion.targets import TARGETS, clipped, from_eps, snr_weight, target_named

TIMES = [1, 9, 20, torch.tensor([1, 9, 20])]


def assert_consistent(schedule, x, t, estimate):
    """x_t = √ᾱ_t x̂_0 + √(1-ᾱ_t) ε̂, the law that binds the two halves of every estimate."""
    torch.testing.assert_close(add_noise(schedule, estimate.x0, t, estimate.eps), x, rtol=1e-12, atol=1e-12)


def test_the_network_gets_one_long_time_for_each_picture(strong, counting):
    net = counting()
    denoise = from_eps(net, strong)
    denoise(torch.zeros(3, 2), 7)
    denoise(torch.zeros(3, 2), torch.tensor([1, 2, 3]))
    assert [call[1].tolist() for call in net.calls] == [[7, 7, 7], [1, 2, 3]]
    assert all(call[1].dtype == torch.long and call[2] is None for call in net.calls)


@pytest.mark.parametrize("t", [5, torch.tensor([5, 5, 5])])
def test_an_int_and_its_tensor_mean_the_same(strong, smooth_net, t):
    x = torch.randn(3, 2).double()
    for one, other in zip(from_eps(smooth_net, strong)(x, 5), from_eps(smooth_net, strong)(x, t), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("t", [0, 21, -1, torch.tensor([0, 1, 2]), torch.tensor([1, 2, 21])])
def test_times_out_of_range_never_reach_the_network(strong, counting, t):
    net = counting()
    with pytest.raises(ValueError, match="t: expected"):
        from_eps(net, strong)(torch.zeros(3, 2), t)
    assert not net.calls


def test_noise_says_nothing_about_the_picture_where_no_signal_is_left(counting):
    net, schedule = counting(), Schedule(torch.tensor([1.0, 0.5, 0.0]))
    for t in (2, torch.tensor([1, 2])):
        with pytest.raises(ValueError, match="alpha_bar"):
            from_eps(net, schedule)(torch.ones(2, 3), t)
    assert not net.calls


@pytest.mark.parametrize("limit", [0.5, 1.0, 2.0])
def test_clipping_clamps_the_picture_and_asks_once(strong, counting, smooth_net, limit):
    net = counting(smooth_net)
    x = 2 * torch.randn(16, 2, 3).double()
    plain, kept = from_eps(smooth_net, strong)(x, 4), clipped(from_eps(net, strong), strong, limit)(x, 4)
    assert torch.equal(kept.x0, plain.x0.clamp(-limit, limit))
    assert (plain.x0.abs() > limit).any() and (plain.x0.abs() < limit).any(), "the test must see both cases"
    inside = plain.x0.abs() <= limit
    torch.testing.assert_close(kept.eps[inside], plain.eps[inside], rtol=1e-10, atol=1e-12)
    assert not torch.isclose(kept.eps[~inside], plain.eps[~inside]).any()
    assert len(net.calls) == 1


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan])
def test_a_limit_that_is_not_positive_is_refused(strong, smooth_net, limit):
    with pytest.raises(ValueError, match="limit: "):
        clipped(from_eps(smooth_net, strong), strong, limit)


# --- targets ---------------------------------------------------------------------------------------------------------


def knowing(net, **what):
    """The network, saying what it was trained for."""
    for name, value in what.items():
        setattr(net, name, value)
    return net


@pytest.mark.parametrize("trained", TARGETS)
@pytest.mark.parametrize("reader", TARGETS)
def test_a_network_is_read_by_its_own_reader_alone(strong, counting, trained, reader):
    """Also where it is wrapped: what it was trained for goes with it."""
    net = knowing(counting(), target=trained)
    for inside in (net, guided(net, torch.zeros(1, 3), 2.0)):
        for read in (TARGETS[reader].reader, getattr(ddpm_teach, f"from_{reader}")):
            if reader == trained:
                read(inside, strong)(torch.zeros(2, 3), 5)
            else:
                with pytest.raises(ValueError, match=f"net: .*'{trained}', not '{reader}'.*from_{trained}"):
                    read(inside, strong)
    assert len(net.calls) == (4 if reader == trained else 0)


def test_a_network_that_says_nothing_is_read_as_asked(strong, counting):
    for target in TARGETS.values():
        target.reader(counting(), strong)(torch.zeros(2, 3), 5)


def test_a_network_of_another_length_is_refused(strong, counting):
    for target in TARGETS.values():
        with pytest.raises(ValueError, match=r"schedule: has T = 20, .* T = 1000"):
            target.reader(knowing(counting(), T=1000), strong)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_copied_and_pickled_as_itself(name):
    target = TARGETS[name]
    assert copy.deepcopy(target) is target and pickle.loads(pickle.dumps(target)) is target
    assert target_named(name) is target and target_named(target) is target


@pytest.mark.parametrize("name", ["noise", "", None, 3, ["eps"]])
def test_other_names_are_no_targets(name):
    with pytest.raises((ValueError, TypeError), match=r"target|name"):
        target_named(name)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_where_no_signal_is_left_only_the_noise_says_nothing(counting, target):
    for schedule in (straight(20), zero_terminal_snr(linear())):
        net = counting(lambda x, t, c: 0.3 * x)
        denoise = target.reader(net, schedule)
        for t in (schedule.T, torch.tensor([1, schedule.T])):
            if target.needs_signal:
                with pytest.raises(ValueError, match=rf"t: .*alpha_bar\[{schedule.T}\] = 0.*start at {schedule.T - 1}"):
                    denoise(torch.ones(2, 3), t)
            else:
                assert all(part.isfinite().all() for part in denoise(torch.ones(2, 3), t))
        assert bool(net.calls) != target.needs_signal


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_weights_of_the_loss_are_finite_at_every_time(target):
    for schedule in (linear(), straight(1000)):
        times = torch.arange(1, 1001)
        weights = snr_weight(schedule, times, target, 5.0)
        assert weights.shape == (1000,) and weights.isfinite().all() and (weights >= 0).all()
        assert torch.equal(weights, snr_weight(schedule, times, target.name, 5.0))


def test_a_prediction_of_another_shape_is_refused(strong):
    for target in TARGETS.values():
        with pytest.raises(ValueError, match=r"net: .*\(2, 3\).*\(2, 1\)"):
            target.reader(lambda x, t, c=None: x[:, :1], strong)(torch.zeros(2, 3), 5)
