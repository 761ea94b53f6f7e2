"""Exact laws: worlds in which the right answer is known in closed form, so that no trained network is needed.

Each law takes `m`, a package with ddpm_teach's names, and raises AssertionError where it is broken. tests/test_laws.py
holds the package to all of them; tests/test_planted_faults.py holds faulty copies to them, and each must be noticed.

    v_t = ᾱ_t σ² + 1 - ᾱ_t      the variance of x_t when the data are N(mean, σ²)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import torch
from torch import Tensor

close = torch.testing.assert_close
LAWS: dict[str, Callable[[ModuleType], None]] = {}


def law(function: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    LAWS[function.__name__] = function
    return function


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def strong(m: ModuleType) -> object:
    """Twenty big steps, so that every mistake in a coefficient is big as well; ᾱ_20 = 0.0002."""
    return m.from_betas(torch.linspace(0.05, 0.6, 20, dtype=torch.float64))


def lists(m: ModuleType) -> list[list[int]]:
    """Times of the strong schedule: every one, even and uneven leaps, one leap."""
    return [list(range(20, -1, -1)), m.trailing(20, 5), [20, 19, 7, 2, 0], [20, 0]]


def gaussian_net(schedule: object, mean: float | Tensor = 0.0, std: float = 0.0) -> Callable[..., Tensor]:
    """The best noise predictor for data N(mean, std²): E[ε | x_t] = √(1 - ᾱ_t) (x_t - √ᾱ_t mean) / v_t."""

    def net(x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        ab = schedule.alpha_bar[t].to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
        return (1 - ab).sqrt() * (x - ab.sqrt() * mean) / (ab * std**2 + 1 - ab)

    return net


def smooth_net(x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
    """A smooth, deterministic stand-in for a network, different at every time and pixel."""
    return 0.7 * torch.sin(1.3 * x + t.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1)) / 17) + 0.2 * x.flip(-1) + 0.1


def steps_of_every_kind(m: ModuleType, denoise: Callable, schedule: object) -> dict[str, Callable]:
    return {
        "ddim": m.ddim_step(denoise, schedule),
        "ddim 0.5": m.ddim_step(denoise, schedule, eta=0.5, rng=generator(1)),
        "ddim 1": m.ddim_step(denoise, schedule, eta=1.0, rng=generator(1)),
        "ddpm beta": m.ddpm_step(denoise, schedule, rng=generator(1)),
        "ddpm posterior": m.ddpm_step(denoise, schedule, "posterior", rng=generator(1)),
        "ddpm 0.3": m.ddpm_step(denoise, schedule, 0.3, rng=generator(1)),
        "heun": m.heun_step(denoise, schedule),
        "dpm": m.dpm_step(denoise, schedule),
    }


def monte_carlo(draws: Tensor, mean: float, variance: float) -> None:
    """Both agree within five standard errors of n independent normal draws: √(variance/n) and variance · √(2/n)."""
    n = draws.numel()
    assert abs(draws.mean().item() - mean) < 5 * math.sqrt(variance / n)
    assert abs(draws.var().item() - variance) < 5 * variance * math.sqrt(2 / n)


def last(frames: object) -> Tensor:
    *_, frame = frames
    return frame.x


# --- schedules ------------------------------------------------------------------------------------------------------


@law
def the_tables_are_products_of_one_minus_beta(m):
    """By the definition, in a plain loop; the β's as their sources print them."""

    def product(betas: list[float]) -> list[float]:
        return list(itertools.accumulate([1.0, *(1 - beta for beta in betas)], lambda a, b: a * b))

    def line(a: float, b: float, T: int) -> list[float]:
        return [a + (b - a) * i / (T - 1) for i in range(T)]

    def f(t: float, T: int, s: float = 0.008) -> float:
        return math.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2

    for T in (1000, 1500):
        expected = {
            m.linear: line(1e-4, 0.02, T),
            m.scaled_linear: [root**2 for root in line(math.sqrt(0.00085), math.sqrt(0.012), T)],
            m.sqrt_beta: [math.sqrt(value) for value in line(1e-4, 0.02, T)],
            m.cosine: [min(1 - f(t, T) / f(t - 1, T), 0.999) for t in range(1, T + 1)],
        }
        for make, betas in expected.items():
            table = torch.tensor(product(betas), dtype=torch.float64)
            close(make(T).alpha_bar, table, rtol=1e-9, atol=0, msg=make.__name__)


@law
def the_tables_end_where_the_papers_say(m):
    """The mean of ᾱ is the loss of the best predictor for N(0, 1) data."""
    ends = {m.linear: 4.0358e-5, m.cosine: 2.4288e-9, m.scaled_linear: 4.6601e-3}
    for make, end in ends.items():
        assert make().at(1000) == pytest.approx(end, rel=2e-5)
    assert m.linear().alpha_bar[1:].mean().item() == pytest.approx(0.2755, abs=5e-5)
    assert m.cosine().alpha_bar[1:].mean().item() == pytest.approx(0.4956, abs=5e-4)
    table = m.scaled_linear()
    assert [round(table.at(t), 4) for t in (982, 22, 2, 1)] == [0.0058, 0.9804, 0.9983, 0.9991]


@law
def the_rates_are_the_roots_of_the_shares(m):
    schedule, like = strong(m), torch.empty(21, 1, dtype=torch.float64)
    shares = {"signal": schedule.alpha_bar, "noise": 1 - schedule.alpha_bar}
    for name, share in shares.items():
        rate = getattr(schedule, f"{name}_rate")
        close(rate(torch.arange(21), like).flatten() ** 2, share, rtol=1e-12, atol=1e-15)
        close(torch.stack([rate(t, like) for t in range(21)]) ** 2, share, rtol=1e-12, atol=1e-15)


@law
def zero_terminal_snr_shifts_and_scales_the_root(m):
    """Lin et al. 2024: √ᾱ is moved by a line that maps √ᾱ_T to 0 and keeps √ᾱ_1."""
    old = m.scaled_linear()
    new = m.zero_terminal_snr(old)
    assert new.at(1000) == 0 and new.at(0) == 1 and new.at(1) == pytest.approx(old.at(1), rel=1e-12)
    a, b = old.alpha_bar[1:].sqrt(), new.alpha_bar[1:].sqrt()
    slopes = b.diff() / a.diff()
    close(slopes, slopes[:1].expand_as(slopes), rtol=1e-8, atol=0)


# --- forward --------------------------------------------------------------------------------------------------------


@law
def one_jump_is_as_many_single_steps(m):
    """forward_step's factors give mean and variance by recursion; add_noise must have the same, and so must draws."""
    schedule, one, zero = strong(m), torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    mean, variance = 1.0, 0.0
    for t in range(1, 21):
        kept, added = m.forward_step(schedule, one, t, zero).item(), m.forward_step(schedule, zero, t, one).item()
        assert kept**2 + added**2 == pytest.approx(1, rel=1e-12)
        assert added**2 == pytest.approx(0.05 + 0.55 * (t - 1) / 19, rel=1e-10)
        mean, variance = kept * mean, kept**2 * variance + added**2
        assert m.add_noise(schedule, one, t, zero).item() == pytest.approx(mean, rel=1e-12)
        assert m.add_noise(schedule, zero, t, one).item() ** 2 == pytest.approx(variance, rel=1e-12)
    x = torch.full((200_000,), 0.7, dtype=torch.float64)
    for t in range(1, 8):
        x = m.forward_step(schedule, x, t, normal(len(x), seed=t))
    monte_carlo(x, 0.7 * math.sqrt(schedule.at(7)), 1 - schedule.at(7))


@law
def single_steps_keep_their_noise_in_every_precision(m):
    """√β_t comes from the table: 1 - (√ᾱ_t/√ᾱ_{t-1})² in float32 would lose three digits of β_1, in bfloat16 all."""
    schedule = m.linear()
    for dtype in (torch.float32, torch.bfloat16):
        one, zero = torch.ones(1, dtype=dtype), torch.zeros(1, dtype=dtype)
        for t in (1, torch.tensor([1])):
            added = m.forward_step(schedule, zero, t, one)
            assert added.item() == pytest.approx(0.01, rel=2 * torch.finfo(dtype).eps)


@law
def the_posterior_is_bayes_rule(m):
    """q(x_s | x_t, x_0) ∝ q(x_s | x_0) q(x_t | x_s): two Gaussians in x_s, multiplied; from the single β's alone."""
    schedule, beta = strong(m), [0.0, *torch.linspace(0.05, 0.6, 20, dtype=torch.float64).tolist()]
    x0, xt = torch.tensor([[0.3, -1.0, 0.9], [1.7, 0.2, -0.4]], dtype=torch.float64)
    for t in (2, 3, 10, 20):
        for s in range(1, t):
            kept_s, kept_ts = (math.prod(1 - b for b in beta[i:j]) for i, j in ((1, s + 1), (s + 1, t + 1)))
            precision = 1 / (1 - kept_s) + kept_ts / (1 - kept_ts)
            mean = (math.sqrt(kept_s) * x0 / (1 - kept_s) + math.sqrt(kept_ts) * xt / (1 - kept_ts)) / precision
            found = m.posterior(schedule, x0, xt, t, s)
            close(found.mean, mean, rtol=1e-10, atol=1e-12)
            assert found.variance == pytest.approx(1 / precision, rel=1e-10)
        assert m.posterior(schedule, x0, xt, t, 0).variance == 0
        close(m.posterior(schedule, x0, xt, t, 0).mean, x0, rtol=1e-12, atol=1e-12)
        default, told = m.posterior(schedule, x0, xt, t), m.posterior(schedule, x0, xt, t, t - 1)
        assert torch.equal(default.mean, told.mean) and default.variance == told.variance


# --- reading a network ----------------------------------------------------------------------------------------------


def targets_and_schedules(m: ModuleType) -> Iterator[tuple[object, object, tuple[int, ...]]]:
    """Each of the four targets with each kind of schedule, and times at which it can be read there."""
    short = [m.straight(20), m.zero_terminal_snr(strong(m))]  # ᾱ_T = 0
    for target, schedule in itertools.product((m.EPS, m.X0, m.V, m.FLOW), [strong(m), m.linear(), m.cosine(), *short]):
        end = schedule.last_with_signal if target.needs_signal else schedule.T
        yield target, schedule, (1, schedule.T // 2, end - 1, end)


@law
def what_a_target_asks_for_is_read_as_what_was_put_in(m):
    """x_0 and ε, told as ε, x_0, v or flow, for one time or one each; √ᾱ x̂_0 + √(1-ᾱ) ε̂ gives x_t back."""
    x0, eps = normal(2, 4, 1, 4, 4)
    for target, schedule, times in targets_and_schedules(m):
        for t in (*times, torch.tensor(times)):
            x = m.add_noise(schedule, x0, t, eps)
            prediction = target.ask(schedule, x0, eps, t)
            estimate = target.reader(lambda x, t, c=None, prediction=prediction: prediction, schedule)(x, t)
            close(estimate.x0, x0, rtol=1e-9, atol=1e-9, msg=lambda text: f"{target.name}: {text}")  # noqa: B023
            close(estimate.eps, eps, rtol=1e-9, atol=1e-9, msg=lambda text: f"{target.name}: {text}")  # noqa: B023
            wild = target.reader(smooth_net, schedule)(3 * x, t)
            close(m.add_noise(schedule, wild.x0, t, wild.eps), 3 * x, rtol=1e-9, atol=1e-9)


@law
def the_four_readers_have_their_formulas(m):
    """By the table of the course, from ᾱ alone."""
    schedule, x = strong(m), normal(3, 5)
    for t in (1, 9, 20):
        signal, noise = math.sqrt(schedule.at(t)), math.sqrt(1 - schedule.at(t))
        y = smooth_net(x, torch.full((3,), t))
        expected = {
            m.from_eps: ((x - noise * y) / signal, y),
            m.from_x0: (y, (x - signal * y) / noise),
            m.from_v: (signal * x - noise * y, signal * y + noise * x),
            m.from_flow: ((x - noise * y) / (signal + noise), (x + signal * y) / (signal + noise)),
        }
        for read, (x0, eps) in expected.items():
            estimate = read(smooth_net, schedule)(x, t)
            close(estimate.x0, x0, rtol=1e-10, atol=1e-10)
            close(estimate.eps, eps, rtol=1e-10, atol=1e-10)


def error_in_x0_of_a_perturbed_prediction(m: ModuleType, target: object, schedule: object, t: int) -> float:
    """‖x_0 - x̂_0‖² where the prediction is off by δ, over ‖δ‖²; measured, since reading is affine."""
    x, prediction, delta = normal(3, 2, 5)
    one, other = (
        target.reader(lambda x, t, c=None, y=y: y, schedule)(x, t).x0 for y in (prediction, prediction + delta)
    )
    return ((one - other).square().sum() / delta.square().sum()).item()


@law
def min_snr_weighs_the_error_of_the_picture(m):
    """Hang et al. 2023: min(SNR, γ) · ‖x_0 - x̂_0‖², whatever the network predicts. 1 for ε where nothing is left."""
    for target, schedule, times in targets_and_schedules(m):
        for gamma in (0.5, 5.0):
            weights = m.snr_weight(schedule, torch.tensor(times), target, gamma).tolist()
            for t, weight in zip(times, weights, strict=True):
                snr = schedule.at(t) / (1 - schedule.at(t))
                expected = min(snr, gamma) * error_in_x0_of_a_perturbed_prediction(m, target, schedule, t)
                assert weight == pytest.approx(expected, rel=1e-4, abs=1e-30), (target.name, t, gamma)
    ended = m.straight(20)
    assert m.snr_weight(ended, torch.tensor([20]), "eps", 5.0).item() == pytest.approx(1)


@law
def every_wrapped_estimate_still_agrees_with_its_picture(m):
    """x_t = √ᾱ_t x̂_0 + √(1 - ᾱ_t) ε̂ after clipping, thresholding, quantising and correcting, too."""
    schedule, x = strong(m), 3 * normal(3, 1, 4, 4)
    denoise = m.from_eps(smooth_net, schedule)
    for t in (1, 9, torch.tensor([1, 9, 20])):
        wrapped = {
            "clipped": m.clipped(denoise, schedule, 0.5),
            "thresholded": m.thresholded(denoise, schedule, 0.8),
            "quantised": m.projected(denoise, schedule, torch.round),
            "corrected": m.score_corrected(denoise, schedule, lambda x, t: torch.cos(x), 2.0),
        }
        plain = denoise(x, t)
        for name, wrapper in wrapped.items():
            estimate = wrapper(x, t)
            close(m.add_noise(schedule, estimate.x0, t, estimate.eps), x, rtol=1e-10, atol=1e-10, msg=name)
            assert not torch.allclose(estimate.x0, plain.x0), f"{name} must act"
        assert torch.equal(wrapped["clipped"](x, t).x0, plain.x0.clamp(-0.5, 0.5))
        assert torch.equal(wrapped["quantised"](x, t).x0, plain.x0.round())


@law
def dynamic_thresholding_looks_at_each_picture_alone(m):
    """A faint picture stays as it is, beside a burnt one that is scaled to its own quantile."""
    schedule = strong(m)
    x0 = torch.stack([normal(400).clamp(-1, 1), 4 * normal(400, seed=1)])
    kept = m.thresholded(m.from_x0(lambda x, t, c=None: x0, schedule), schedule, 0.9)(torch.zeros_like(x0), 5).x0
    assert torch.equal(kept[0], x0[0])
    limit = x0[1].abs().sort().values[359].item()  # 90 % of 400 values lie at or below it
    close(kept[1], (x0[1] / limit).clamp(-1, 1), rtol=0.02, atol=0.02)


@law
def a_corrected_score_is_the_score_of_the_conditional_law(m):
    """Bayes: ∇ log q(x_t | y) = ∇ log q(x_t) + ∇ log p(y | x_t). With x_0 ~ N(0, 1) and y = x_0 + noise of variance r,
    q(x_0 | y) is Gaussian, and its own best predictor must come out."""
    schedule, y, r = strong(m), 0.8, 0.5
    x = normal(50, 1)
    for t in (1, 7, 20):
        ab = schedule.at(t)

        def log_prob(x: Tensor, t: int, ab: float = ab) -> Tensor:  # y | x_t ~ N(√ᾱ x_t, (1 - ᾱ) + r)
            return -((y - math.sqrt(ab) * x) ** 2).flatten(1).sum(1) / (2 * (1 - ab + r))

        free = m.from_eps(gaussian_net(schedule, 0.0, 1.0), schedule)
        mean, std = y / (1 + r), math.sqrt(r / (1 + r))
        told = m.from_eps(gaussian_net(schedule, mean, std), schedule)(x, t)
        found = m.score_corrected(free, schedule, m.gradient(log_prob))(x, t)
        close(found.eps, told.eps, rtol=1e-10, atol=1e-10)
        close(found.x0, told.x0, rtol=1e-9, atol=1e-9)


@law
def guidance_is_its_formula_at_its_price(m):
    """ε_u + scale · (ε_c - ε_u): one call with b pictures for scale 0 or 1, else ONE call with 2 b."""
    x, c, t = normal(4, 2, 2), normal(4, 3, seed=1), torch.tensor([1, 5, 2, 9])
    calls = []

    def net(x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        calls.append(len(x))
        return x * c.sum(1).reshape(-1, 1, 1) + c[:, :1, None] ** 2 + t.to(x.dtype).reshape(-1, 1, 1)

    for null in (None, torch.tensor([[0.0, 0.0, -1.0]]).double()):
        without, with_context = net(x, t, torch.zeros_like(c) if null is None else null.expand(4, 3)), net(x, t, c)
        for scale in (0.0, 1.0, 3.0, -0.5, 0.5, 7.5):
            calls.clear()
            found = m.guided(net, c, scale, null)(x, t)
            if scale in (0, 1):
                assert torch.equal(found, with_context if scale else without), "exact"
            close(found, without + scale * (with_context - without), rtol=1e-12, atol=1e-12)
            assert calls == [4 if scale in (0, 1) else 8]


# --- steps ----------------------------------------------------------------------------------------------------------


@law
def data_of_one_point_come_back_exactly(m):
    """Whatever the noise, the best predictor of one-point data knows the point, and the last step lands on it."""
    schedule, point = strong(m), torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(1, 3, 2, 2)
    for kind, step in steps_of_every_kind(m, m.from_eps(gaussian_net(schedule, point), schedule), schedule).items():
        for times in lists(m):
            x = last(m.walk(step, normal(5, 3, 2, 2), times))
            close(x, point.expand(5, -1, -1, -1), rtol=1e-11, atol=1e-11, msg=f"{kind} {times}")


@law
def ddim_of_gaussian_data_is_the_exact_affine_map(m):
    """A move is x_s - √ᾱ_s m = k (x_t - √ᾱ_t m), k = (√(ᾱ_s ᾱ_t) σ² + √((1-ᾱ_s)(1-ᾱ_t))) / v_t, for all spacings."""
    schedule, x = strong(m), normal(50, 2)
    ab = schedule.alpha_bar.tolist()
    for mean, std in ((0.0, 0.5), (0.4, 0.2), (-1.0, 2.0)):
        for spacing, steps in itertools.product((m.trailing, m.leading, m.quadratic), (1, 2, 5, 7, 20)):
            times, factor = spacing(20, steps), 1.0
            for t, s in itertools.pairwise(times):
                v = ab[t] * std**2 + 1 - ab[t]
                factor *= (math.sqrt(ab[s] * ab[t]) * std**2 + math.sqrt((1 - ab[s]) * (1 - ab[t]))) / v
            found = last(
                m.walk(m.ddim_step(m.from_eps(gaussian_net(schedule, mean, std), schedule), schedule), x, times)
            )
            close(found, mean + factor * (x - math.sqrt(ab[times[0]]) * mean), rtol=1e-6, atol=1e-6)


@law
def ancestral_sampling_of_gaussian_data_follows_its_recursion(m):
    """x_s = a x_t + b x̂_0(x_t) + √(spread) z, and x̂_0 is affine: mean and variance of every x_s are known exactly.

    200,000 draws; five standard errors are 1.6 % of a variance, and the spreads lie further apart than that.
    """
    schedule, mean_0, std = strong(m), 0.25, 0.3
    ab = schedule.alpha_bar.tolist()
    for times in lists(m)[:2]:
        finals = []
        for v, variance in ((0.0, "posterior"), (0.5, 0.5), (1.0, "beta")):
            denoise = m.from_eps(gaussian_net(schedule, mean_0, std), schedule)
            frames = m.walk(
                m.ddpm_step(denoise, schedule, variance, rng=generator(3)), normal(200_000, 1, seed=4), times
            )
            next(frames)
            mean, var = 0.0, 1.0
            for (t, s), frame in zip(itertools.pairwise(times), frames, strict=True):
                added = 1 - ab[t] / ab[s]
                b, a = math.sqrt(ab[s]) * added / (1 - ab[t]), math.sqrt(ab[t] / ab[s]) * (1 - ab[s]) / (1 - ab[t])
                slope = math.sqrt(ab[t]) * std**2 / (ab[t] * std**2 + 1 - ab[t])  # of E[x_0 | x_t]
                spread = 0.0 if s == 0 else v * added + (1 - v) * added * (1 - ab[s]) / (1 - ab[t])
                mean = (b * slope + a) * mean + b * mean_0 * (1 - slope * math.sqrt(ab[t]))
                var = (b * slope + a) ** 2 * var + spread
                monte_carlo(frame.x, mean, var)
            finals.append(var)
        assert finals[0] * 1.02 < finals[1] and finals[1] * 1.02 < finals[2], "the test must tell the variances apart"


@law
def ddim_with_eta_one_is_ddpm_with_the_posterior_variance(m):
    """To rounding, with the same noise, for lists that skip too."""
    schedule, x = strong(m), normal(4, 1, 3, 3)
    plain = m.from_eps(smooth_net, schedule)
    for denoise, times, k in itertools.product((plain, m.clipped(plain, schedule)), lists(m), (1.0, 0.3)):
        one = m.walk(m.ddim_step(denoise, schedule, 1.0, k, generator(7)), x, times)
        other = m.walk(m.ddpm_step(denoise, schedule, "posterior", k, generator(7)), x, times)
        for a, b in zip(one, other, strict=True):
            close(a.x, b.x, rtol=1e-9, atol=1e-9)


@law
def ddim_keeps_the_marginals_for_every_eta(m):
    """One known point: x_t ~ q(x_t | x_0) moves to x_s ~ q(x_s | x_0), whatever η and however far."""
    schedule, x0 = strong(m), torch.full((200_000, 1), 0.6, dtype=torch.float64)
    denoise = m.from_x0(lambda x, t, c=None: x0, schedule)
    for eta, (t, s) in itertools.product((0.0, 0.5, 1.0), ((20, 12), (9, 8), (6, 2))):
        xt = m.add_noise(schedule, x0, t, normal(200_000, 1, seed=t))
        frame = m.ddim_step(denoise, schedule, eta, rng=generator(s))(xt, t, s)
        monte_carlo(frame.x, 0.6 * math.sqrt(schedule.at(s)), 1 - schedule.at(s))


@law
def temperature_scales_the_noise_alone(m):
    schedule, x = strong(m), normal(4, 3)
    denoise = m.from_eps(smooth_net, schedule)
    mean = m.posterior(schedule, denoise(x, 20).x0, x, 20, 8).mean
    close(m.ddpm_step(denoise, schedule, temperature=0.0)(x, 20, 8).x, mean, rtol=1e-12, atol=1e-12)
    for make in (lambda **k: m.ddpm_step(denoise, schedule, **k), lambda **k: m.ddim_step(denoise, schedule, 0.8, **k)):
        cold, warm, hot = (make(temperature=k, rng=generator(1))(x, 20, 8).x for k in (0.0, 1.0, 2.0))
        close(hot - cold, 2 * (warm - cold), rtol=1e-9, atol=1e-9)
        assert (warm - cold).abs().min() > 0


@law
def the_last_step_adds_no_noise(m):
    schedule, x = strong(m), normal(4, 3)
    for t in (1, 2, 20):
        for kind, step in steps_of_every_kind(m, m.from_eps(smooth_net, schedule), schedule).items():
            assert torch.equal(step(x, t, 0).x, step(x, t, 0).x), kind


@law
def members_of_a_batch_do_not_share_noise(m):
    """Four equal pictures come apart, and so do the pixels of one: the noise is uncorrelated (5 / √4096 = 0.08)."""
    schedule, x = strong(m), torch.zeros(4, 1, 64, 64)
    steps = steps_of_every_kind(m, m.from_x0(lambda x, t, c=None: torch.zeros_like(x), schedule), schedule)
    for kind in ("ddim 0.5", "ddim 1", "ddpm beta", "ddpm posterior"):
        correlation = torch.corrcoef(steps[kind](x, 20, 10).x.flatten(1))
        assert (correlation - torch.eye(4)).abs().max() < 0.08, kind


@law
def noise_may_be_repeated_or_dropped_out(m):
    """Latent diffusion's repeat_noise and noise_dropout: one noise for all; a share p zeroed, the rest over 1 - p."""
    x = torch.zeros(3, 20_000)
    same = m.repeated(generator(1))(x)
    assert torch.equal(same[0], same[2]) and same.std() > 0.9
    noise, thinned = m.draw_noise(x, generator(2)), m.dropped_out(generator(2), 0.25)(x)
    kept = thinned != 0
    close(thinned[kept], (noise / 0.75)[kept], rtol=1e-6, atol=0)
    assert abs(kept.double().mean().item() - 0.75) < 5 * math.sqrt(0.75 * 0.25 / x.numel())
    schedule = strong(m)
    step = m.ddim_step(m.from_eps(smooth_net, schedule), schedule, 1.0, rng=m.repeated(generator(3)))
    moved = step(torch.zeros(3, 5), 20, 10).x
    assert torch.equal(moved[0], moved[1])


@law
def heun_and_dpm_converge_to_second_order_and_ddim_to_first(m):
    """The flow of Gaussian data is x_s = √ᾱ_s m + √(v_s / v_t) (x_t - √ᾱ_t m). From 0.8 T to 0.2 T, where no move ends
    at σ = 0: halving the moves' length divides the error of Heun and of DPM-Solver++ by 4 and DDIM's by 2."""
    schedule, mean, std, x = m.linear(), 0.4, 0.3, normal(20, 1)
    ab = schedule.alpha_bar.tolist()
    v_t, v_s = (ab[t] * std**2 + 1 - ab[t] for t in (800, 200))
    exact = math.sqrt(ab[200]) * mean + math.sqrt(v_s / v_t) * (x - math.sqrt(ab[800]) * mean)
    for make, order in ((m.ddim_step, 1), (m.heun_step, 2), (m.dpm_step, 2)):
        step = make(m.from_eps(gaussian_net(schedule, mean, std), schedule), schedule)
        errors = [(last(m.walk(step, x, range(800, 199, -600 // n))) - exact).abs().max().item() for n in (30, 60, 120)]
        slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
        assert slopes == pytest.approx([order, order], abs=0.15), make.__name__


def dpm_solver_2m(denoise: Callable, schedule: object, x: Tensor, times: list[int]) -> Iterator[Tensor]:
    """Lu et al. 2022b, algorithm 2, with its own symbols: α = √ᾱ, σ = √(1 - ᾱ), λ = log(α/σ); D = x̂_0 at both ends."""
    before = None
    for t, s in itertools.pairwise(times):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = (
            (math.sqrt(schedule.at(k)), math.sqrt(1 - schedule.at(k))) for k in (t, s)
        )
        x0 = direction = denoise(x, t).x0
        if s == 0 or alpha_t == 0:  # h is infinite there, and e^-h is 0
            x = sigma_s / sigma_t * x + (alpha_s - alpha_t * sigma_s / sigma_t) * x0
        else:
            h = math.log(alpha_s / sigma_s) - math.log(alpha_t / sigma_t)
            if before is not None:
                r = before[0] / h
                direction = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * before[1]
            x = sigma_s / sigma_t * x - alpha_s * (math.exp(-h) - 1) * direction
        before = (math.inf if alpha_t == 0 or s == 0 else h, x0)
        yield x


@law
def dpm_is_the_algorithm_of_its_paper(m):
    """Move by move, for every reading and every list, whatever else the same step has walked before or walks between;
    its first move and its last are DDIM's, bit for bit."""
    x, other = normal(2, 4, 3)
    for target, schedule, _ in targets_and_schedules(m):
        if schedule.T > 100:
            continue
        denoise = m.clipped(target.reader(smooth_net, schedule), schedule, 2.0)
        step, ddim = m.dpm_step(denoise, schedule), m.ddim_step(denoise, schedule)
        start = schedule.last_with_signal if target.needs_signal else schedule.T
        for times in lists(m):
            times = [start, *(t for t in times if t < start)]
            frames, turns = list(m.walk(step, x, times)), []
            for mine, _ in zip(m.walk(step, x, times), m.walk(step, other, times), strict=True):  # take turns
                turns.append(mine.x)
            expected = [x, *dpm_solver_2m(denoise, schedule, x, times)]
            for frame, turn, right in zip(frames, turns, expected, strict=True):
                close(frame.x, right, rtol=1e-10, atol=1e-10)
                assert torch.equal(turn, frame.x)
            assert torch.equal(frames[1].x, ddim(x, *times[:2]).x)
            assert torch.equal(frames[-1].x, ddim(frames[-2].x, *times[-2:]).x)
            for t, s in ((times[0], times[1]), (times[-2], 0)):  # a picture of that walk, taken to be of another time
                jump = step(frames[1].x, t, s).x if t != times[1] else ddim(frames[1].x, t, s).x
                assert torch.equal(jump, ddim(frames[1].x, t, s).x)


@law
def inversion_and_sampling_return_the_picture(m):
    """The error falls as 1/S, and the noise found is the flow's: x_T = x_0 √v_T / σ for N(0, σ²) data."""
    schedule, std = m.linear(), 0.4
    denoise = m.from_eps(gaussian_net(schedule, 0.0, std), schedule)
    x0, there, back = std * normal(20, 1), [], []
    for steps in (25, 100, 400):
        times = m.trailing(1000, steps)
        x = last(m.walk(m.ddim_inversion(denoise, schedule), x0, times[::-1]))
        there.append((x - x0 * math.sqrt(schedule.at(1000) * std**2 + 1 - schedule.at(1000)) / std).abs().max().item())
        back.append((last(m.walk(m.ddim_step(denoise, schedule), x, times)) - x0).abs().max().item())
    for errors in (there, back):
        assert errors[0] > 3 * errors[1] > 9 * errors[2], errors
    assert back[-1] < 0.02


@law
def inpainting_keeps_what_is_known(m):
    """At every s the known part has the law q(x_s | known), at 0 it is `known` itself; the rest is the step's own."""
    schedule, known = strong(m), torch.full((100_000, 2), 0.6, dtype=torch.float64)
    mask, x = torch.tensor([True, False]), normal(100_000, 2, seed=5)
    step = m.ddim_step(m.from_eps(gaussian_net(schedule, 0.0, 0.5), schedule), schedule)
    for keep in (mask, mask.double(), mask.expand(100_000, 2)):
        masked = m.inpainting(step, schedule, known, keep, rng=generator(6))
        frame = masked(x, 20, 10)
        monte_carlo(frame.x[:, 0], 0.6 * math.sqrt(schedule.at(10)), 1 - schedule.at(10))
        assert torch.equal(frame.x[:, 1], step(x, 20, 10).x[:, 1])
        assert torch.equal(masked(x, 10, 0).x[:, 0], known[:, 0])


@law
def a_mixture_comes_back_with_its_weights(m):
    """Two blobs in the plane, 1 : 3. The exact predictor is Bayes' rule over the blobs; 5 standard errors."""
    schedule, std, n = m.linear(), 0.15, 4000
    centres, weights = torch.tensor([[-0.7, 0.2], [0.6, -0.4]]).double(), torch.tensor([0.25, 0.75]).double()

    def net(x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        ab = schedule.alpha_bar[t][:, None]
        away = x[:, None] - ab.sqrt()[..., None] * centres  # (b, 2 blobs, 2)
        v = ab * std**2 + 1 - ab
        share = (weights.log() - (away**2).sum(-1) / (2 * v)).softmax(1)
        return ((1 - ab).sqrt() / v) * (share[..., None] * away).sum(1)

    denoise = m.from_eps(net, schedule)
    steps = (m.ddpm_step(denoise, schedule, "posterior", rng=generator(1)), m.heun_step(denoise, schedule))
    for step in steps:
        x = last(m.walk(step, normal(n, 2, seed=2), m.trailing(1000, 250)))
        right = x[:, 0] > 0
        assert abs(right.double().mean().item() - 0.75) < 5 * math.sqrt(0.75 * 0.25 / n)
        for side, centre in ((~right, centres[0]), (right, centres[1])):
            k = int(side.sum())
            assert (x[side].mean(0) - centre).abs().max() < 5 * std / math.sqrt(k) + 0.005
            assert x[side].std(0).tolist() == pytest.approx([std] * 2, rel=5 / math.sqrt(2 * k) + 0.02)


def every_kind_of_list(m: ModuleType, schedule: object, start: int) -> Iterator[list[int]]:
    """All spacings, leaps, a list that ends early; every single one of few times; some at random, `start` or below."""
    T, rng = schedule.T, generator(8)
    yield from (m.trailing(T, 5), m.leading(T, 4), m.quadratic(T, 7), [T, T - 1, T // 2, 2, 0], [T, 0], [T - 3, 5, 1])
    if T == 20:
        yield list(range(T, -1, -1))
    for moves in (1, 2, 5, 12):
        yield sorted(torch.randperm(start + 1, generator=rng)[: moves + 1].tolist(), reverse=True)


def euler(m: ModuleType, level: Callable, scale: Callable, slope: Callable, least: float) -> None:
    """Euler's z ← z + (level(s) - level(t)) · slope is DDIM's move of x = z / scale, by every schedule, for every list,
    whatever the network predicts: to rounding. `level` and `scale` are of an ᾱ, at least `least`."""
    cases = [(strong(m), target) for target in m.TARGETS.values()]
    cases += [(m.straight(20), m.FLOW), (m.zero_terminal_snr(strong(m)), m.V)]
    cases += [(m.straight(), m.X0), (m.linear(), m.EPS), (m.scaled_linear(), m.V), (m.sqrt_beta(), m.X0)]
    for schedule, target in [*cases, (m.cosine(), m.FLOW)]:
        x, denoise = normal(4, 3), target.reader(smooth_net, schedule)
        step, needed = m.ddim_step(denoise, schedule), max(least, 1e-6 if target.needs_signal else 0.0)
        start = max(t for t in range(schedule.T + 1) if schedule.at(t) >= needed)
        for times in every_kind_of_list(m, schedule, start):
            times = [t for t in times if t <= start]
            frames = m.walk(step, x, times)
            z = scale(schedule.at(times[0])) * next(frames).x
            for (t, s), frame in zip(itertools.pairwise(times), frames, strict=True):
                ab_t, ab_s = schedule.at(t), schedule.at(s)
                z = z + (level(ab_s) - level(ab_t)) * slope(denoise(z / scale(ab_t), t))
                close(scale(ab_s) * frame.x, z, rtol=1e-8, atol=1e-8, msg=lambda text: f"{schedule} {times}: {text}")  # noqa: B023


@law
def euler_along_the_flow_is_ddim(m):
    """z = x / (√ᾱ + √(1 - ᾱ)) = (1 - s) x_0 + s ε moves by û = ε̂ - x̂_0, which a flow network predicts; on `straight`
    s is t / T."""

    def scale(ab: float) -> float:
        return 1 / (math.sqrt(ab) + math.sqrt(1 - ab))

    def flow_time(ab: float) -> float:
        return math.sqrt(1 - ab) * scale(ab)

    euler(m, flow_time, scale, lambda estimate: estimate.eps - estimate.x0, 0.0)
    for T in (20, 1000):
        assert [flow_time(m.straight(T).at(t)) for t in range(T + 1)] == pytest.approx([t / T for t in range(T + 1)])
    for schedule in (strong(m), m.straight(20)):
        x = normal(4, 3)
        estimate = m.from_flow(smooth_net, schedule)(x, 9)
        close(estimate.eps - estimate.x0, smooth_net(x, torch.full((4,), 9)), rtol=1e-12, atol=1e-12)


@law
def euler_in_edms_sigma_is_ddim(m):
    """x̄ = x / √ᾱ = x_0 + σ ε moves by dx̄/dσ = ε̂ (Karras et al. 2022), which an ε network predicts. σ is infinite where
    ᾱ = 0; it goes up to 1000 here, whose square is still far from float64's 16 digits."""
    euler(m, lambda ab: math.sqrt((1 - ab) / ab), lambda ab: 1 / math.sqrt(ab), lambda estimate: estimate.eps, 1e-6)


@law
def the_vocabularies_tell_one_process(m):
    """Each level leads back to its ᾱ, and on to the other two: σ = s / (1 - s), s = σ / (1 + σ), ln σ = logit s; at its
    level the picture is x̄ = x_0 + σ ε, or z = (1 - s) x_0 + s ε."""
    for schedule in (strong(m), m.linear(), m.cosine(), m.straight(20)):
        ab = schedule.alpha_bar
        for vocabulary in m.VOCABULARIES.values():
            close(vocabulary.alpha_bar(vocabulary.level(ab)), ab, rtol=1e-9, atol=1e-15)
        sigma, s = m.EDM.level(ab), m.FLOW_TIME.level(ab)
        close(m.FLOW_TIME.level(m.EDM.alpha_bar(sigma)), s, rtol=1e-9, atol=1e-12)
        close(m.EDM.level(m.FLOW_TIME.alpha_bar(s[:-1])), s[:-1] / (1 - s[:-1]), rtol=1e-9, atol=1e-9)
        close(sigma[1:].log(), s[1:].logit(), rtol=1e-9, atol=1e-9)
        close(sigma[1:].log(), -schedule.log_snr[1:] / 2, rtol=1e-9, atol=1e-9)
        x0, eps = normal(2, 4, 3)
        for t in (0, 1, schedule.T // 2, schedule.T - 1):
            x = m.add_noise(schedule, x0, t, eps)
            close(m.EDM.scale(ab)[t] * x, x0 + sigma[t] * eps, rtol=1e-9, atol=1e-9)
            close(m.FLOW_TIME.scale(ab)[t] * x, (1 - s[t]) * x0 + s[t] * eps, rtol=1e-9, atol=1e-9)
            assert torch.equal(m.DDPM.scale(ab)[t] * x, x) and m.DDPM.level(ab)[t] == ab[t]
            for vocabulary in m.VOCABULARIES.values():  # floats are as good
                assert vocabulary.level(schedule.at(t)) == pytest.approx(vocabulary.level(ab)[t].item(), rel=1e-12)
                assert vocabulary.scale(schedule.at(t)) == pytest.approx(vocabulary.scale(ab)[t].item(), rel=1e-12)


# --- times ----------------------------------------------------------------------------------------------------------


@law
def lists_of_times_fall_strictly_to_zero_in_exactly_as_many_moves(m):
    for T in (1, 2, 3, 7, 28, 99, 333, 1000):
        for spacing in (m.trailing, m.leading, m.quadratic):
            for steps in {*range(1, min(T, 99) + 1), T // 2 + 1, T}:
                times = spacing(T, steps)
                assert len(times) == steps + 1 and times[-1] == 0 and times[0] <= T
                assert all(t > s for t, s in itertools.pairwise(times)), (spacing.__name__, T, steps)
                assert spacing is m.leading or times[0] == T
    assert m.trailing(1000, 3) == [1000, 667, 333, 0]
    assert m.leading(1000, 4) == [751, 501, 251, 1, 0]
    assert m.quadratic(1000, 4) == [1000, 563, 250, 63, 0]


# --- the bound ------------------------------------------------------------------------------------------------------


@law
def the_bound_of_gaussian_data_has_closed_terms(m):
    """With the best denoiser E‖x_0 - x̂_0‖² = σ² (1 - ᾱ_t) / v_t, so that every KL's mean is known: 200,000 draws."""
    schedule, std = strong(m), 0.5
    denoise = m.from_eps(gaussian_net(schedule, 0.0, std), schedule)
    x0 = std * normal(200_000, 1, seed=1)
    ab = schedule.alpha_bar.tolist()
    for variance in ("beta", "posterior"):
        weight = m.variational_weights(schedule, "x0", variance)
        for t, bits in zip(
            (2, 9, 20), m.bound_moves(denoise, schedule, x0, (2, 9, 20), variance, generator(2)), strict=True
        ):
            beta = 1 - ab[t] / ab[t - 1]
            small = beta * (1 - ab[t - 1]) / (1 - ab[t])
            ratio = 1.0 if variance == "posterior" else small / beta
            error = std**2 * (1 - ab[t]) / (ab[t] * std**2 + 1 - ab[t])
            expected = (ratio - 1 - math.log(ratio)) / 2 + weight[t].item() * error
            spread = weight[t].item() * error * math.sqrt(2 / len(x0))
            assert bits.mean().item() * math.log(2) == pytest.approx(expected, abs=5 * spread)


@law
def the_variational_weights_are_differences_of_snr(m):
    """(SNR_{t-1} - SNR_t)/2 for x_0; DDPM's eq. 12, β²/(2σ²α(1-ᾱ)), for ε; for v by ‖x_0-x̂_0‖² = (1-ᾱ)‖v-v̂‖²."""
    for schedule in (strong(m), m.linear()):
        ab, snr = schedule.alpha_bar[2:], schedule.snr
        log_variance = m.posterior_log_variance(schedule)
        x0, eps, v = (m.variational_weights(schedule, target)[2:] for target in ("x0", "eps", "v"))
        close(x0, (snr[1:-1] - snr[2:]) / 2, rtol=1e-6, atol=1e-9)
        alpha, beta = schedule.alpha[2:], schedule.beta[2:]
        close(eps, beta**2 / (2 * log_variance[2:].exp() * alpha * (1 - ab)), rtol=1e-9, atol=0)
        close(v, x0 * (1 - ab), rtol=1e-12, atol=0)
        assert log_variance[1] == log_variance[2] and m.variational_weights(schedule)[1].isfinite()


@law
def the_bound_weighs_every_targets_error_as_its_moves_do(m):
    """With the true prediction each KL is a constant; off by δ it grows by weight · mean(δ²), measured in its moves."""
    x0, delta = normal(2, 6, 50)
    for target, schedule, times in targets_and_schedules(m):
        if schedule.T > 100:
            continue
        for t, variance in itertools.product(sorted({2, *times} - {1}), ("posterior", "beta", 0.5)):
            nats = []
            for off in (0.0, 1.0):

                def net(x: Tensor, t: Tensor, c: Tensor | None = None, off: float = off) -> Tensor:
                    time = int(t[0])
                    return target.ask(schedule, x0, m.noise_from(schedule, x, time, x0), time) + off * delta  # noqa: B023

                (bits,) = m.bound_moves(target.reader(net, schedule), schedule, x0, [t], variance, generator(1))
                nats.append(bits * math.log(2))
            weight = m.variational_weights(schedule, target, variance)[t].item()
            grown = (nats[1] - nats[0]) / delta.square().mean(1)
            close(grown, torch.full_like(grown, weight), rtol=1e-6, atol=1e-9)
            close(m.variational_weights(schedule, target.name, variance)[t].item(), weight)


@law
def the_decoder_shares_out_all_of_its_mass(m):
    """The chances p(x_0 | x_1) of the 256 levels sum to 1; each is the normal law's mass between its edges."""
    schedule, mean, levels = strong(m), 0.31, (torch.arange(256).double() / 127.5 - 1)[:, None]
    denoise = m.from_x0(lambda x, t, c=None: torch.full_like(x, mean), schedule)
    (bits,) = m.bound_moves(denoise, schedule, levels, [1], "beta", generator())
    chances = 2**-bits
    assert chances.sum().item() == pytest.approx(1, rel=1e-9)
    sigma = math.sqrt(schedule.beta[2].item() * (1 - schedule.at(1)) / (1 - schedule.at(2)))  # 2's at 1
    for level in (0, 100, 167, 200, 255):
        edges = [
            -math.inf if level == 0 else (2 * level - 1) / 255 - 1,
            math.inf if level == 255 else (2 * level + 1) / 255 - 1,
        ]
        low, high = (0.5 * math.erfc((mean - edge) / (sigma * math.sqrt(2))) for edge in edges)
        assert chances[level].item() == pytest.approx(high - low, rel=1e-6)


@law
def the_bound_of_a_discrete_law_is_just_above_its_entropy(m):
    """Pixels are one of four grey levels with known chances. The best denoiser is Bayes' rule over the levels; with it
    the bound can't fall below the entropy, and many steps, even in log SNR, bring it close. (The linear schedule begins
    with noise of 0.01, wider than a level, 2/255: its bound lies 0.55 bits above.)"""
    levels = torch.tensor([0, 60, 61, 255]).double() / 127.5 - 1
    chances = torch.tensor([0.5, 0.2, 0.2, 0.1]).double()
    even = m.Schedule(torch.cat([torch.ones(1).double(), torch.linspace(14, -10, 400).double().sigmoid()]))

    def net(x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        ab = even.alpha_bar[t][:, None, None]
        share = (chances.log() - (x[..., None] - ab.sqrt() * levels) ** 2 / (2 * (1 - ab))).softmax(-1)
        return (share * levels).sum(-1)

    x0 = levels[torch.multinomial(chances, 4 * 2000, replacement=True, generator=generator(3))].reshape(4, 2000)
    true = -(chances.log2()[(x0[..., None] - levels).abs().argmin(-1)]).mean().item()  # of these very pixels
    bound = m.variational_bound(m.from_x0(net, even), even, x0, "posterior", generator(4))
    assert bound.prior.mean() < 1e-4 and bound.moves.shape == (401, 4) and not bound.moves[0].any()
    assert true - 0.03 < bound.total.mean().item() < true + 0.05
    flat = m.variational_bound(m.from_x0(lambda x, t, c=None: 0 * x, even), even, x0[:1], "posterior", generator(4))
    assert flat.total.item() > bound.total.mean().item() + 1, "a worse model needs more bits"
