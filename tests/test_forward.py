"""The forward process in closed form, against its single steps and against Bayes' rule."""

from __future__ import annotations

import pytest
import torch

from ddpm_teach.diffusion.forward import add_noise, posterior


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


def test_the_posterior_variance_is_below_the_step_variance(strong):
    """DDPM section 3.2: the posterior's variance and β are the lower and the upper bound."""
    zero = torch.zeros(1)
    for t in range(2, 21):
        assert 0 < posterior(strong, zero, zero, t).variance < strong.beta[t]


@pytest.mark.parametrize(("t", "s"), [(0, None), (21, None), (5, 5), (5, 6), (5, -1), (-1, None)])
def test_posterior_times_out_of_order_are_refused(strong, t, s):
    with pytest.raises(ValueError, match=r"[ts]: expected"):
        posterior(strong, torch.zeros(1), torch.zeros(1), t, s)
