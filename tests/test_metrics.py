"""Metrics against independent oracles: scipy's matrix root, closed forms, and sets that are what they are."""

import inspect
import math

import numpy as np
import pytest
import scipy.linalg
import torch

from ddpm_teach import load
from ddpm_teach.evaluation import metrics
from ddpm_teach.evaluation.metrics import (
    Measured,
    Moments,
    diversity,
    frechet,
    frechet_distance,
    in_parts,
    load_classifier,
    nearest,
    precision_recall,
)


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
        (lambda: precision_recall([features()], features()), "parts: expected at least two, got 1"),
        (lambda: precision_recall([features(), features(3)], features()), "parts: expected more than k = 3, got 3"),
        (lambda: precision_recall([features()] * 2, features(3)), "reference: expected more than k = 3, got 3"),
        (lambda: precision_recall([features() / 0] * 2, features()), "parts: expected finite numbers"),
        (lambda: precision_recall([features()] * 2, features(), k=0), "k: expected a whole number ≥ 1"),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_features_of_other_widths_are_refused():
    unchecked = inspect.unwrap(precision_recall)  # without the shape checks of the tests
    with pytest.raises(ValueError, match=r"^parts: expected \(n, 5\), got \(500, 8\)"):
        unchecked([features()] * 2, features(d=5))
    with pytest.raises(ValueError, match=r"^reference: expected \(n, 4\), got \(500, 4, 2\)"):
        unchecked([features()] * 2, features().reshape(500, 4, 2))


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


def cloud(n, d=4, seed=0, centre=0.0, width=1.0):
    rng = torch.Generator().manual_seed(seed)
    return centre + width * torch.randn(n, d, generator=rng)


def judged(samples, reference, **options):
    return precision_recall(samples[torch.randperm(len(samples))].chunk(10), reference, **options)


def test_clouds_that_are_apart_have_neither_precision_nor_recall():
    precision, recall = judged(cloud(1000), cloud(1000, seed=1, centre=100.0))
    assert precision.value == recall.value == 0 and 0 < precision.error < 0.01


def test_draws_of_one_law_have_nearly_all_of_both():
    precision, recall = judged(cloud(1000), cloud(1000, seed=1))
    assert precision.value > 0.85 and recall.value > 0.85
    assert judged(cloud(1000), cloud(1000))[0].value == 1  # and a set itself has all of it


def test_a_dropped_mode_costs_recall_alone():
    both = torch.cat([cloud(500, seed=1), cloud(500, seed=2, centre=50.0)])
    precision, recall = judged(cloud(1000, seed=3), both)
    assert precision.value > 0.85 and 0.4 < recall.value <= 0.5


def test_samples_spread_too_wide_cost_precision_and_too_narrow_ones_recall():
    reference = cloud(1000, d=16, seed=1)
    wide, narrow = judged(cloud(1000, 16, width=1.5), reference), judged(cloud(1000, 16, width=0.5), reference)
    alike = judged(cloud(1000, 16), reference)
    assert wide.precision.value < 0.3 < 0.6 < alike.precision.value < narrow.precision.value
    assert narrow.recall.value < 0.1 < 0.6 < alike.recall.value < wide.recall.value


def test_a_blur_costs_precision():
    """On real sprites: blurred, they leave the manifold of sharp ones."""
    train, test = (load("sprites", split) for split in ("train", "test"))
    classifier = load_classifier("sprites")
    as_features = lambda x: in_parts(classifier.features, x)  # noqa: E731
    reference = as_features(test.pictures(slice(0, None, 5)))
    real = train.pictures(slice(0, None, 50))
    blurred = torch.nn.functional.avg_pool2d(real, 3, 1, 1, count_include_pad=False)
    ceiling, soft = judged(as_features(real), reference), judged(as_features(blurred), reference)
    assert ceiling.precision.value > 0.7 and ceiling.recall.value > 0.7
    assert soft.precision.value < ceiling.precision.value - 0.3


def brute_force(samples, reference, k):
    """By single distances, of lists: (precision, recall)."""

    def share_inside(points, centres):
        radii = [sorted(math.dist(c, other) for other in centres)[k] for c in centres]
        return sum(any(math.dist(p, c) <= r for c, r in zip(centres, radii, strict=True)) for p in points) / len(points)

    a, b = samples.tolist(), reference.tolist()
    return share_inside(a, b), share_inside(b, a)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_those_of_single_distances_in_blocks_of_any_size(k, size):
    samples, reference = cloud(40, 2).double(), cloud(31, 2, seed=1, centre=0.5).double()
    precision, recall = precision_recall(samples.split(20), reference, k=k, size=size)
    assert (precision.value, recall.value) == pytest.approx(brute_force(samples, reference, k))
    assert 0 < precision.value < 1 and 0 < recall.value < 1


def test_no_more_than_a_block_of_distances_is_in_memory(monkeypatch):
    largest, cdist = 0, torch.cdist

    def watched(a, b, **options):
        nonlocal largest
        largest = max(largest, len(a) * len(b))
        return cdist(a, b, **options)

    monkeypatch.setattr(metrics.torch, "cdist", watched)
    precision_recall(cloud(1000).split(100), cloud(800, seed=1), size=50)
    assert largest == 50 * 1000


def test_the_error_of_precision_and_recall_says_how_far_two_draws_differ():
    draws = [judged(cloud(300, seed=i), cloud(300, seed=100 + i, width=0.8)) for i in range(30)]
    for which in (0, 1):
        scatter = torch.tensor([draw[which].value for draw in draws]).std().item()
        assert 0.5 < torch.tensor([draw[which].error for draw in draws]).mean().item() / scatter < 2
