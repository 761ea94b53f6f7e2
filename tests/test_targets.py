"""Reading a network: what holds for every estimate, and what guidance costs and gives."""

from __future__ import annotations

import math

import pytest
import torch

from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import clipped, from_eps

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
