"""The faults of latent diffusion's published DDIM sampler (CompVis, ldm/models/diffusion/ddim.py), by their symptoms.

`Published` is its formulas in a few lines: indices count from 0, so its index is our time - 1. Each test shows what a
fault does, and that ours doesn't. What its lists of times are is tested in test_times.py.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ddpm_teach import (
    Sampler,
    add_noise,
    ddim_step,
    ddpm_step,
    from_eps,
    inpainting,
    ldm_uniform,
    load_model,
    projected,
    quadratic,
    sample,
    scaled_linear,
    score_corrected,
    trailing,
    variational_weights,
    walk,
)
from tests.laws import generator

SCHEDULE = scaled_linear()
POINT = torch.rand(2, 4, 8, 8, generator=generator(1), dtype=torch.float64) * 2 - 1
NOISE = torch.randn(2, 4, 8, 8, generator=generator(2), dtype=torch.float64)


def exact(x, t):
    """The optimal network where every picture is POINT: what is left of x_t is noise."""
    signal, noise = SCHEDULE.rates(t, x)
    return (x - signal * POINT) / noise


class Published:
    """Its sampler after make_schedule(S): `indices` and their ᾱ, the lowest first, and the ᾱ that each move ends at."""

    def __init__(self, S, eta=0.0, **ignored):
        self.table = SCHEDULE.alpha_bar[1:]
        self.model = SimpleNamespace(table=self.table)
        self.indices = [i + 1 for i in range(0, SCHEDULE.T, SCHEDULE.T // S)]
        self.alphas = self.table[self.indices]
        self.before = torch.cat([self.table[:1], self.alphas[:-1]])
        self.original_sigmas = eta * (1 - self.table).sqrt()

    def move(self, net, x, k, quantize=None, correct=None, correct_options=None):
        t = torch.full((len(x),), self.indices[k] + 1)
        eps = net(x, t)
        if correct is not None:
            eps = correct(eps, x, t, **correct_options)
        x0 = (x - (1 - self.alphas[k]).sqrt() * eps) / self.alphas[k].sqrt()
        x0 = x0 if quantize is None else quantize(x0)
        return self.before[k].sqrt() * x0 + (1 - self.before[k]).sqrt() * eps, x0, eps

    def original_sigma(self, k):
        return self.model.original_sigmas[k]

    def subset(self, timesteps):
        S = len(self.indices)
        return self.indices[: int(min(timesteps / S, 1) * S) - 1]

    def walked(self, net, x, ks):
        for k in ks:
            x, *_ = self.move(net, x, k)
        return x


def ours(times, x=NOISE, net=exact):
    *_, last = walk(ddim_step(from_eps(net, SCHEDULE), SCHEDULE), x, times)
    return last.x


@pytest.mark.parametrize(("S", "moves"), [(50, 50), (30, 31), (7, 8), (400, 500)])
def test_S_that_doesn_t_divide_1000_gives_other_numbers_of_moves(S, moves):
    assert len(Published(S).indices) == len(ldm_uniform(1000, S)) - 1 == moves
    assert len(trailing(1000, S)) - 1 == len(quadratic(1000, S)) - 1 == S


@pytest.mark.parametrize("S", [3, 9, 27, 600, 1000])
def test_other_S_run_past_the_end_of_the_table(S):
    with pytest.raises(IndexError):
        Published(S)
    times = trailing(1000, S)
    assert len(times) == S + 1 and times[0] == 1000
    assert (ours(times) - POINT).abs().max() <= 1e-9


def test_it_ends_one_step_before_the_picture_so_noise_stays_in_it():
    theirs = Published(50).walked(exact, NOISE, reversed(range(50)))
    left = (theirs - SCHEDULE.at(1) ** 0.5 * POINT).std()
    assert left == pytest.approx((1 - SCHEDULE.at(1)) ** 0.5, rel=0.1) and left > 0.02
    assert torch.allclose(theirs, ours(ldm_uniform(1000, 50)))  # the list that says what it does
    assert (ours(trailing(1000, 50)) - POINT).abs().max() <= 1e-9


def test_it_begins_below_the_noise_that_it_is_given():
    """The network is told 982 of pure noise; with 400 steps asked for, 999; with 2, 502."""
    assert Published(50).indices[-1] + 1 == 982 and Published(2).indices[-1] + 1 == 502
    assert {trailing(1000, S)[0] for S in (2, 50, 400)} == {1000}


def test_use_original_steps_reads_its_sigmas_where_they_aren_t():
    published = Published(50, eta=1.0)
    assert len(published.original_sigmas) == 1000  # kept by the sampler, looked for in its model
    with pytest.raises(AttributeError, match="original_sigmas"):
        published.original_sigma(999)
    times, T = trailing(1000, 1000), SCHEDULE.T
    assert times == list(range(T, -1, -1))
    denoise, late = from_eps(exact, SCHEDULE), times[-41:]
    ddim = walk(ddim_step(denoise, SCHEDULE, eta=1.0, rng=generator(3)), NOISE, late)
    ddpm = walk(ddpm_step(denoise, SCHEDULE, "posterior", rng=generator(3)), NOISE, late)
    for ours, paper in zip(ddim, ddpm, strict=True):
        assert (ours.x - paper.x).abs().max() <= 1e-9


@pytest.mark.parametrize("S", [10, 50])
def test_timesteps_keeps_a_move_less_than_asked_for_and_sometimes_two(S):
    lost = {n - len(Published(S).subset(n)) for n in range(1, S + 1)}
    assert lost == ({1} if S == 10 else {1, 2})
    assert Published(S).subset(1) == []  # one move asked for: what comes back is the noise
    for n in range(1, S + 1):
        assert len(trailing(1000, S)[-n - 1 :]) - 1 == n  # ours is a list, and a list is as long as it is


def noise_of(x, t):
    """A network that knows the noise that was added: whatever it is asked at another time shows."""
    return NOISE.expand_as(x)


@pytest.mark.parametrize("k", [10, 25, 40])
def test_stochastic_encode_and_decode_disagree_by_one_move(k):
    """Encoded with the noise of move k, decoded from move k - 1 on: the network is told less noise than there is."""
    published = Published(50)
    start = published.alphas[k].sqrt() * POINT + (1 - published.alphas[k]).sqrt() * NOISE
    theirs = published.walked(noise_of, start, reversed(range(k)))
    right = published.walked(noise_of, start, reversed(range(k + 1)))  # only the noise of time 1 is left in it
    wanted = add_noise(SCHEDULE, POINT, 1, NOISE)
    assert (right - wanted).abs().max() <= 1e-9 < 0.01 < (theirs - wanted).abs().mean()
    times = trailing(1000, 50)[-k - 2 :]
    assert (ours(times, add_noise(SCHEDULE, POINT, times[0], NOISE), noise_of) - POINT).abs().max() <= 1e-9


def test_stochastic_encode_of_full_strength_is_past_the_end():
    published, strength = Published(50), 1.0
    with pytest.raises(IndexError):
        published.alphas[int(strength * 50)]
    assert add_noise(SCHEDULE, POINT, SCHEDULE.T, NOISE).isfinite().all()


def test_unknown_keywords_are_swallowed():
    assert Published(10, ddim_discretize="quad").indices == Published(10).indices  # "quad" was asked for
    with pytest.raises(TypeError, match="^ddim_discretize: isn't an option"):
        sample(load_model("mnist"), 1, ddim_discretize="quad")
    with pytest.raises(ValueError, match="^spacing: expected one of trailing, leading, quadratic, got 'quad'"):
        Sampler(spacing="quad")


def test_quantize_x0_leaves_the_noise_behind():
    """x_t = √ᾱ x̂_0 + √(1 - ᾱ) ε̂ no longer holds of what it goes on with."""
    k, quantize = 25, torch.sign
    published = Published(50)
    _, x0, eps = published.move(exact, NOISE, k, quantize)
    rebuilt = published.alphas[k].sqrt() * x0 + (1 - published.alphas[k]).sqrt() * eps
    assert (rebuilt - NOISE).abs().mean() > 0.1
    t = published.indices[k] + 1
    x0, eps = projected(from_eps(exact, SCHEDULE), SCHEDULE, quantize)(NOISE, t)
    assert (add_noise(SCHEDULE, x0, t, eps) - NOISE).abs().max() <= 1e-12


def test_the_mask_is_put_back_before_a_move_so_the_last_one_redraws_the_known_part():
    known, mask = torch.zeros_like(POINT), torch.ones(8, 8, dtype=torch.bool).tril()
    published, x = Published(50), NOISE
    for k in reversed(range(50)):
        noisy = published.alphas[k].sqrt() * known + (1 - published.alphas[k]).sqrt() * NOISE
        x, *_ = published.move(exact, torch.where(mask, noisy, x), k)
    assert (x - known)[..., mask].abs().mean() > 0.1
    step = inpainting(ddim_step(from_eps(exact, SCHEDULE), SCHEDULE), SCHEDULE, known, mask, rng=generator(0))
    *_, last = walk(step, NOISE, trailing(1000, 50))
    assert torch.equal(last.x[..., mask], known[..., mask])


def test_a_corrector_without_options_is_an_error():
    """corrector_kwargs is None unless given, and is unpacked all the same."""
    with pytest.raises(TypeError, match="mapping"):
        Published(50).move(exact, NOISE, 25, correct=lambda eps, x, t: eps)
    unmoved = from_eps(exact, SCHEDULE)(NOISE, 500)
    corrected = score_corrected(from_eps(exact, SCHEDULE), SCHEDULE, lambda x, t: torch.zeros_like(x))(NOISE, 500)
    assert torch.equal(corrected.eps, unmoved.eps)


def test_its_weights_for_x0_are_no_bound_s():
    """√ᾱ / (2 · 1 - ᾱ) / 2, where a bracket is missing; what the bound asks for is half of SNR_{t-1} - SNR_t."""
    ab, snr = SCHEDULE.alpha_bar, SCHEDULE.snr
    published = ab.sqrt() / (2.0 * 1 - ab) / 2
    bound = (snr[1:-1] - snr[2:]) / 2
    assert torch.allclose(variational_weights(SCHEDULE, "x0")[2:], bound, rtol=1e-6)
    share = published[2:] / published[2:].sum() / (bound / bound.sum())
    assert share[0] < 0.01 and share[500] > 100  # the early times' share is gone, the late ones' is made up
    with_bracket = ab[1:].sqrt() / (2.0 * (1 - ab[1:])) / 2
    assert (with_bracket[1:] / published[2:]).max() > 100
