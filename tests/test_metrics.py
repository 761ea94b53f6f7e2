"""Metrics against independent oracles: scipy's matrix root, closed forms, and sets that are what they are."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from ddpm_teach.evaluation.metrics import Measured, Moments, diversity, frechet, frechet_distance, in_parts, nearest


def features(n=500, d=8, seed=0):
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=rng, dtype=torch.float64)
    return torch.randn(n, d, generator=rng, dtype=torch.float64) @ mixing + torch.randn(d, generator=rng)


def test_frechet_distance_is_scipys():
    a, b = features(seed=1), features(seed=2)
    A, B = np.cov(a.T, bias=True), np.cov(b.T, bias=True)
    root = scipy.linalg.sqrtm(A @ B).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum().item() + np.trace(A + B - 2 * root)
    assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_in_one_dimension_is_that_of_two_normal_laws():
    """(μ_a - μ_b)² + (σ_a - σ_b)², whatever the two are."""
    a, b = Moments(1, torch.tensor([2.0]).double(), torch.tensor([[9.0]]).double()), Moments.of(features(d=1))
    expected = (2 - b.mean.item()) ** 2 + (3 - math.sqrt(b.covariance.item())) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_frechet_distance_is_symmetric_and_zero_for_the_same():
    a, b = Moments.of(features(seed=1)), Moments.of(features(seed=2))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))
    assert 0 <= frechet_distance(a, a) < 1e-9


def test_fewer_features_than_dimensions_are_no_obstacle():
    a, b = Moments.of(features(4)), Moments.of(features(3, seed=1))
    assert math.isfinite(frechet_distance(a, b)) and frechet_distance(a, a) < 1e-6


@pytest.mark.parametrize("cut", [1, 17, 499])
def test_moments_of_parts_add_up_to_those_of_all(cut):
    whole = features()
    parts, expected = Moments.of(whole[:cut]) + Moments.of(whole[cut:]), Moments.of(whole)
    assert parts.n == 500
    assert torch.allclose(parts.mean, expected.mean) and torch.allclose(parts.covariance, expected.covariance)


def test_the_error_says_how_far_two_draws_differ():
    """The standard error of one draw's distance, against how much 40 draws' distances really scatter."""
    reference = Moments.of(features(20_000))
    rng = torch.Generator().manual_seed(0)
    law = lambda n: torch.randn(n, 8, generator=rng, dtype=torch.float64) @ root + shift  # noqa: E731
    root, shift = torch.linalg.cholesky(2 * reference.covariance).T, reference.mean + 1
    draws = [frechet([Moments.of(part) for part in law(1000).split(100)], reference) for _ in range(40)]
    scatter = torch.tensor([draw.value for draw in draws]).std().item()
    assert 0.7 < torch.tensor([draw.error for draw in draws]).mean().item() / scatter < 1.4


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Moments.of(torch.zeros(0, 3)), "features: expected at least one"),
        (lambda: frechet([Moments.of(features())], Moments.of(features())), "parts: expected at least two, got 1"),
        (lambda: nearest(torch.zeros(1, 3), torch.zeros(0, 3)), r"among: expected at least one.*\(0, 3\)"),
        (lambda: in_parts(torch.sin, torch.zeros(3), 0), "size"),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_in_parts_is_the_whole():
    x = torch.linspace(0, 1, 25, requires_grad=True)
    assert torch.equal(in_parts(torch.sin, x, 10), torch.sin(x)) and not in_parts(torch.sin, x).requires_grad


def test_diversity_of_normal_features_is_known():
    """Two draws of N(0, σ²) differ by √2 σ in each of many dimensions; classes far apart don't count."""
    x = 3 * torch.randn(200, 4000, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(200) % 2
    assert diversity(x + 1000 * labels[:, None], labels) == pytest.approx(3 * math.sqrt(2), rel=0.01)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_nearest_is_found_in_any_part(size):
    rng = torch.Generator().manual_seed(0)
    among = torch.randn(50, 3, 4, 4, generator=rng)
    which = torch.tensor([49, 0, 17])
    distance, index = nearest(among[which] + 0.01, among, size)
    assert torch.equal(index, which) and torch.allclose(distance, torch.full((3,), 0.01), rtol=1e-3)


@pytest.mark.parametrize("hits", [0, 1, 50, 99, 100])
def test_a_share_has_an_error_also_where_all_or_none_are_right(hits):
    """100 of 100: a true share of 97 % gives that often enough. In the middle it is √(p (1 - p) / n), nearly."""
    share = Measured.share(hits, 100)
    assert share.value == hits / 100 and 0.01 < share.error < 0.052
    if hits == 50:
        assert share.error == pytest.approx(0.05, rel=0.03)


def test_a_measured_value_reads_as_one():
    assert str(Measured(0.12345, 0.0123)) == "0.123 ± 0.01"
