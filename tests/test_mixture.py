"""The world of known truth: its network is the one that training looks for."""

from __future__ import annotations

import math

import pytest
import torch

from ddpm_teach import Mixture, add_noise, ddim_step, from_eps, guided, linear, trailing, walk
from ddpm_teach.data import mixture as module

CLOUDS = Mixture([[-0.7, -0.4], [0.6, -0.5], [0.1, 0.7]], [0.5, 0.3, 0.2], [0.01, 0.02, 0.05])


@pytest.mark.parametrize("t", [1, 250, 1000])
@pytest.mark.parametrize("cloud", [None, 0, 2])
def test_the_network_is_the_slope_of_the_density(t, cloud):
    """ε̂ = -√(1 - ᾱ_t) ∇ln q(x_t | c), the slope by autograd; a condition leaves one cloud."""
    schedule, rng = linear(), torch.Generator().manual_seed(0)
    x = torch.randn(50, 2, dtype=torch.float64, generator=rng).requires_grad_()
    picked = slice(None) if cloud is None else slice(cloud, cloud + 1)
    part = Mixture(CLOUDS.means[picked], CLOUDS.weights[picked], CLOUDS.variance[picked])
    (slope,) = torch.autograd.grad(part.log_density(schedule, x, t).sum(), x)
    context = None if cloud is None else torch.eye(3)[cloud].expand(50, 3)
    eps = CLOUDS.net(schedule)(x.detach(), torch.full((50,), t), context)
    torch.testing.assert_close(eps, -((1 - schedule.at(t)) ** 0.5) * slope)


def test_no_other_guess_of_the_noise_has_a_smaller_loss():
    """The network is the mean of ε given x_t: its error has nothing to do with anything known about x_t."""
    schedule, rng = linear(), torch.Generator().manual_seed(0)
    x0, _ = CLOUDS.sample(200_000, rng)
    eps = torch.randn(x0.shape, generator=rng)
    x = add_noise(schedule, x0, 300, eps)
    error = eps - CLOUDS.net(schedule)(x, torch.full((len(x),), 300))
    for known in (torch.ones(len(x)), x[:, 0], x[:, 1] ** 2, x.sum(1).sin()):
        products = error * known[:, None]
        assert (products.mean(0).abs() < 5 * products.std(0) / len(x) ** 0.5).all()


def test_a_density_sums_to_one_and_samples_follow_it():
    edge = torch.linspace(-3, 3, 400)
    grid = torch.cartesian_prod(edge, edge)
    for t in (0, 200):
        mass = CLOUDS.log_density(linear(), grid, t).exp().sum() * (edge[1] - edge[0]) ** 2
        assert mass == pytest.approx(1, abs=1e-3)
    x, labels = CLOUDS.sample(50_000, torch.Generator().manual_seed(0))
    for k in range(3):
        own = x[labels == k]
        assert len(own) / len(x) == pytest.approx(CLOUDS.weights[k].item(), abs=0.01)
        torch.testing.assert_close(own.mean(0).double(), CLOUDS.means[k], atol=0.01, rtol=0)
        assert own.var(0).mean().item() == pytest.approx(CLOUDS.variance[k].item(), rel=0.05)


def test_it_can_be_guided_and_walked_like_a_trained_network():
    schedule = linear()
    net = guided(CLOUDS.net(schedule), torch.eye(3)[1:2], 1.0)
    start = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    *_, last = walk(ddim_step(from_eps(net, schedule), schedule), start, trailing(1000, 100))
    torch.testing.assert_close(last.x.mean(0).double(), CLOUDS.means[1], atol=0.02, rtol=0)
    assert last.x.var(0).mean().item() == pytest.approx(0.02, rel=0.2)


def test_a_row_of_zeros_is_no_condition():
    schedule, x, t = linear(), torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), torch.full((4,), 500)
    net = CLOUDS.net(schedule)
    torch.testing.assert_close(net(x, t, torch.zeros(4, 3)), net(x, t))
    torch.testing.assert_close(net(x, t, torch.ones(4, 3)), net(x, t))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (dict(means=[1.0, 2.0]), "means"),
        (dict(means=[[math.nan]]), "means"),
        (dict(means=[[0.0], [1.0]], weights=[1.0]), "weights"),
        (dict(means=[[0.0], [1.0]], weights=[1.0, 0.0]), "weights"),
        (dict(means=[[0.0], [1.0]], variance=[1.0, 2.0, 3.0]), "variance"),
        (dict(means=[[0.0]], variance=-1.0), "variance"),
    ],
)
def test_what_is_no_mixture_is_refused_by_name(arguments, name):
    with pytest.raises(ValueError, match=f"^{name}: "):
        module.Mixture(**arguments)
