"""Reading a network: what holds for every estimate, and what guidance costs and gives."""

from __future__ import annotations

import math

import pytest
import torch

from ddpm_teach.denoise import clipped, from_eps, guided
from ddpm_teach.forward import add_noise
from ddpm_teach.schedule import Schedule

TIMES = [1, 9, 20, torch.tensor([1, 9, 20])]


def assert_consistent(schedule, x, t, estimate):
    """x_t = √ᾱ_t x̂_0 + √(1-ᾱ_t) ε̂, the law that binds the two halves of every estimate."""
    torch.testing.assert_close(add_noise(schedule, estimate.x0, t, estimate.eps), x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("t", TIMES)
def test_the_true_noise_gives_the_true_picture(strong, t):
    x0, eps = torch.randn(2, 3, 1, 4, 4).double()
    estimate = from_eps(lambda x, t, c=None: eps, strong)(add_noise(strong, x0, t, eps), t)
    assert torch.equal(estimate.eps, eps)
    torch.testing.assert_close(estimate.x0, x0, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("t", TIMES)
def test_every_estimate_agrees_with_its_picture(strong, smooth_net, t):
    x = 3 * torch.randn(3, 1, 4, 4).double()
    assert_consistent(strong, x, t, from_eps(smooth_net, strong)(x, t))
    assert_consistent(strong, x, t, clipped(from_eps(smooth_net, strong), strong)(x, t))


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


def context_net(x, t, c):
    """A stand-in whose answer depends on the picture, its time and its context."""
    return x * c.sum(1).reshape(-1, 1, 1) + c[:, :1, None] ** 2 + t.to(x.dtype).reshape(-1, 1, 1)


@pytest.mark.parametrize("null", [None, torch.tensor([[0.0, 0.0, -1.0]]).double()])
@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0, -0.5, 0.5, 7.5])
def test_guidance_is_the_formula_at_its_price(counting, scale, null):
    """ε_u + scale · (ε_c - ε_u): one call with b pictures for scale 0 or 1, else ONE call with 2b."""
    net = counting(context_net)
    x, c, t = torch.randn(4, 2, 2).double(), torch.randn(4, 3).double(), torch.tensor([1, 5, 2, 9])
    result = guided(net, c, scale, null)(x, t)
    conditional = context_net(x, t, c)
    unconditional = context_net(x, t, torch.zeros_like(c) if null is None else null.expand(4, 3))
    assert [len(call[0]) for call in net.calls] == [4 if scale in (0, 1) else 8]
    if scale in (0, 1):
        assert torch.equal(result, conditional if scale == 1 else unconditional)
    else:
        torch.testing.assert_close(
            result, unconditional + scale * (conditional - unconditional), rtol=1e-13, atol=1e-13
        )
        wrong_sign = scale * conditional + (scale - 1) * unconditional
        assert not torch.allclose(result, wrong_sign), "the tutorials' sign must be told apart"


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.0])
def test_one_context_serves_all_pictures(scale):
    x, t, c = torch.randn(4, 2, 2).double(), torch.tensor([1, 5, 2, 9]), torch.randn(1, 3).double()
    one, each = guided(context_net, c, scale), guided(context_net, c.expand(4, 3), scale)
    assert torch.equal(one(x, t), each(x, t))


def test_guidance_is_a_net_for_from_eps(strong):
    x, c = torch.randn(4, 2, 2).double(), torch.randn(4, 3).double()
    assert_consistent(strong, x, 5, from_eps(guided(context_net, c, 2.0), strong)(x, 5))


@pytest.mark.parametrize("scale", [math.nan, math.inf, -math.inf])
def test_a_scale_that_is_not_finite_is_refused(scale):
    with pytest.raises(ValueError, match="scale: "):
        guided(context_net, torch.zeros(1, 3), scale)


def test_contexts_that_do_not_fit_never_reach_the_network(counting):
    net = counting(context_net)
    with pytest.raises(ValueError, match="null: "):
        guided(net, torch.zeros(1, 3), 2.0, torch.zeros(1, 4))
    with pytest.raises(ValueError, match="context: "):
        guided(net, torch.zeros(3, 3), 2.0)(torch.zeros(4, 2, 2), torch.ones(4, dtype=torch.long))
    with pytest.raises((ValueError, TypeError)):
        guided(net, torch.zeros(1, 3), 2.0)(torch.zeros(4, 2, 2), torch.ones(4, dtype=torch.long), torch.zeros(4, 3))
    assert not net.calls
