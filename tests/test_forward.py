"""The forward process in closed form, against its single steps and against Bayes' rule."""

from __future__ import annotations

import math

import pytest
import torch

from ddpm_teach.forward import add_noise, posterior


@pytest.mark.parametrize("t", [1, 2, 7, 20])
def test_one_jump_has_the_law_of_the_single_steps(strong, monte_carlo, t):
    """x_t = √(1-β) x_{t-1} + √β ε, t times, against √ᾱ_t x_0 + √(1-ᾱ_t) ε: mean and variance of 200,000 draws."""
    rng = torch.Generator().manual_seed(t)
    start = torch.full((200_000,), 0.7, dtype=torch.float64)
    x = start
    for beta in strong.beta[1 : t + 1].tolist():
        x = math.sqrt(1 - beta) * x + math.sqrt(beta) * torch.randn(len(x), generator=rng, dtype=torch.float64)
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    mean = add_noise(strong, 0.7 * one, t, zero).item()
    deviation = add_noise(strong, zero, t, one).item()
    monte_carlo(x, mean, deviation**2)
    monte_carlo(
        add_noise(strong, start, t, torch.randn(len(x), generator=rng, dtype=torch.float64)), mean, deviation**2
    )


def test_one_jump_follows_the_exact_recursion_of_mean_and_variance(strong):
    mean, variance = 1.0, 0.0
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for t in range(1, strong.T + 1):
        beta = strong.beta[t].item()
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        assert add_noise(strong, one, t, zero).item() == pytest.approx(mean, rel=1e-12)
        assert add_noise(strong, zero, t, one).item() ** 2 == pytest.approx(variance, rel=1e-12)


@pytest.mark.parametrize("t", [0, torch.zeros(3, dtype=torch.long)])
def test_time_zero_gives_the_picture_back(strong, t):
    x0 = torch.randn(3, 1, 4, 4)
    assert torch.equal(add_noise(strong, x0, t, torch.randn_like(x0)), x0)


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (4, 7), (4,)])
def test_every_picture_of_a_batch_has_its_own_time(strong, shape):
    x0, eps = torch.randn(2, *shape).double()
    times = [0, 3, 20, 11]
    together = add_noise(strong, x0, torch.tensor(times), eps)
    for i, t in enumerate(times):
        torch.testing.assert_close(
            together[i : i + 1], add_noise(strong, x0[i : i + 1], t, eps[i : i + 1]), rtol=1e-14, atol=0
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_noise_keeps_the_dtype_and_the_inputs(strong, dtype):
    x0, eps = torch.randn(2, 3, 2).to(dtype)
    kept = x0.clone(), eps.clone()
    assert add_noise(strong, x0, torch.tensor([1, 2, 3]), eps).dtype == dtype
    assert torch.equal(x0, kept[0]) and torch.equal(eps, kept[1])


def test_shapes_that_differ_are_refused(strong):
    with pytest.raises((ValueError, TypeError)):
        add_noise(strong, torch.zeros(2, 3), 1, torch.zeros(2, 1))  # would broadcast: one noise for three pixels


@pytest.mark.parametrize(("pictures", "times"), [(1, 2), (2, 1), (3, 2)])
def test_a_tensor_of_times_has_one_for_each_picture(strong, pictures, times):
    """A batch of one would otherwise broadcast silently to as many pictures as there are times."""
    x0 = torch.randn(pictures, 3)
    with pytest.raises((ValueError, TypeError)):
        add_noise(strong, x0, torch.full((times,), 2), x0)


def bayes(schedule, x0: float, xt: float, t: int, s: int) -> tuple[float, float]:
    """q(x_s | x_t, x_0) ∝ q(x_s | x_0) q(x_t | x_s): two Gaussians in x_s, multiplied; from single steps alone."""
    mean, variance = x0, 0.0
    for u in range(1, s + 1):
        beta = schedule.beta[u].item()
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
    factor, spread = 1.0, 0.0  # x_t = factor · x_s + √spread · noise
    for u in range(s + 1, t + 1):
        beta = schedule.beta[u].item()
        factor, spread = math.sqrt(1 - beta) * factor, (1 - beta) * spread + beta
    precision = 1 / variance + factor**2 / spread
    return (mean / variance + factor * xt / spread) / precision, 1 / precision


@pytest.mark.parametrize("t", [2, 3, 10, 20])
def test_the_posterior_is_bayes_rule_for_every_earlier_time(strong, t):
    x0, xt = torch.tensor([0.3, -1.0, 0.9], dtype=torch.float64), torch.tensor([1.7, 0.2, -0.4], dtype=torch.float64)
    for s in range(1, t):
        mean, variance = posterior(strong, x0, xt, t, s)
        for i in range(3):
            expected = bayes(strong, x0[i].item(), xt[i].item(), t, s)
            assert mean[i].item() == pytest.approx(expected[0], rel=1e-11, abs=1e-13)
            assert variance == pytest.approx(expected[1], rel=1e-11)


@pytest.mark.parametrize("t", [1, 2, 20])
def test_the_posterior_at_time_zero_is_the_picture_itself(strong, t):
    x0, xt = torch.randn(2, 5).double()
    mean, variance = posterior(strong, x0, xt, t, 0)
    assert variance == 0
    torch.testing.assert_close(mean, x0, rtol=1e-14, atol=1e-14)


def test_the_posterior_goes_back_one_step_unless_told(strong):
    x0, xt = torch.randn(2, 5)
    default, told = posterior(strong, x0, xt, 9), posterior(strong, x0, xt, 9, 8)
    assert torch.equal(default.mean, told.mean) and default.variance == told.variance


def test_the_posterior_variance_is_below_the_step_variance(strong):
    """DDPM section 3.2: the posterior's variance and β are the lower and the upper bound."""
    zero = torch.zeros(1)
    for t in range(2, 21):
        assert 0 < posterior(strong, zero, zero, t).variance < strong.beta[t]


@pytest.mark.parametrize(("t", "s"), [(0, None), (21, None), (5, 5), (5, 6), (5, -1), (-1, None)])
def test_posterior_times_out_of_order_are_refused(strong, t, s):
    with pytest.raises(ValueError, match=r"[ts]: expected"):
        posterior(strong, torch.zeros(1), torch.zeros(1), t, s)
