"""The variational bound: how many bits the model would need to store a picture (DDPM eq. 5). Lesson 08.

    bits = KL(q(x_T | x_0) ‖ N(0, 1)) + Σ_{t=2…T} KL(q(x_{t-1} | x_t, x_0) ‖ p(x_{t-1} | x_t)) - log₂ p(x_0 | x_1)
            prior                       the moves t = T…2                                        the move t = 1

p is what `ddpm_step` draws from, the posterior's mean at x̂_0 and a variance σ_t² between "posterior" and "beta". At
t = 1 the step draws nothing; there the decoder shares a normal law of variance σ_1² out among the 256 levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_teach.checks import Images, check_int, check_levels, check_variance
from ddpm_teach.diffusion.forward import add_noise, posterior
from ddpm_teach.diffusion.noise import NoiseSource, draw_noise
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import EPS, Target, target_named
from ddpm_teach.diffusion.types import Denoiser


class Bound(NamedTuple):
    """Bits per dimension: `prior` (b,), and `moves` (T + 1, b), index = time t of the move to t - 1; moves[0] = 0."""

    prior: Tensor
    moves: Tensor

    @property
    def total(self) -> Tensor:
        """(b,) the bound for each picture."""
        return self.prior + self.moves.sum(0)


def posterior_log_variance(schedule: Schedule) -> Tensor:
    """(T + 1,) the logarithm of q(x_{t-1} | x_t, x_0)'s variance; time 2's at 1, where the variance is 0; [0] is NaN.

    This is the clipping of the DDPM authors' bound; latent diffusion puts the variance 1e-20 there instead.
    """
    ab = schedule.alpha_bar
    variance = schedule.beta[1:] * (1 - ab[:-1]) / (1 - ab[1:])
    variance[0] = variance[1] if schedule.T > 1 else schedule.beta[1]
    return torch.cat([variance.new_full((1,), math.nan), variance.log()])


def move_variance(schedule: Schedule, variance: str | float = "beta") -> Tensor:
    """(T + 1,) the variance σ_t² of p(x_{t-1} | x_t), for ddpm_step's `variance`; [0] is NaN.

    Time 1's is the clipped posterior variance in any case, which gives the decoder more likelihood than β_1 does.
    """
    mix, posterior_variance = check_variance(variance), posterior_log_variance(schedule).exp()
    beta = torch.cat([posterior_variance[:2], schedule.beta[2:]])
    return (1 - mix) * posterior_variance + mix * beta


def variational_weights(schedule: Schedule, target: str | Target = EPS, variance: str | float = "posterior") -> Tensor:
    """(T + 1,) the factor of ‖target - prediction‖² in move t's KL, for any target. Lesson 08.

    All follow from the means' distance √ᾱ_{t-1} β_t / (1 - ᾱ_t) · ‖x_0 - x̂_0‖ (DDPM eq. 8 and 12) and from the target's
    own error in x̂_0 (`Target.error_in_x0`); with the posterior's variance the weight of x0 is (SNR_{t-1} - SNR_t) / 2
    (Kingma et al. 2021, eq. 13), for t ≥ 2. At t = 1 the clipped variance keeps it finite; at T it is infinite for eps
    where ᾱ_T = 0. [0] is NaN.
    """
    ab, signal = schedule.alpha_bar, schedule.alpha_bar.roll(1).sqrt()  # √ᾱ_{t-1} at index t
    weight = (signal * schedule.beta / (1 - ab)) ** 2 / (2 * move_variance(schedule, variance))
    return weight * target_named(target).error_in_x0(schedule.snr)


def bound_moves(
    denoiser: Denoiser,
    schedule: Schedule,
    x0: Images,
    times: Iterable[int],
    variance: str | float = "beta",
    rng: NoiseSource = None,
) -> Iterator[Tensor]:
    """The bits per dimension (b,) of the move t → t - 1 for each t in `times` (1…T): one call of the network each.

    x0: pictures (b, …) in [-1, 1]; for t = 1 in 256 levels, as `ImageSet.pictures` gives them. The terms are one draw
    of the noise in x_t, from `rng`, and right on average.
    """
    times, sigma2 = [check_int("times", t, 1, schedule.T) for t in times], move_variance(schedule, variance).tolist()
    if 1 in times:
        check_levels(x0)

    def moves() -> Iterator[Tensor]:
        for t in times:
            with torch.no_grad():  # around the move only: a yield in here would change the caller's grad mode
                xt = add_noise(schedule, x0, t, draw_noise(x0, rng))
                true, model = (posterior(schedule, x, xt, t) for x in (x0, denoiser(xt, t).x0))
                if t == 1:
                    nats = -_log_share_of_level(x0, model.mean, math.sqrt(sigma2[1]))
                else:
                    ratio = true.variance / sigma2[t]
                    nats = (ratio - 1 - math.log(ratio) + (true.mean - model.mean) ** 2 / sigma2[t]) / 2
                bits = _bits_per_dimension(nats)
            yield bits

    return moves()


def variational_bound(
    denoiser: Denoiser, schedule: Schedule, x0: Images, variance: str | float = "beta", rng: NoiseSource = None
) -> Bound:
    """The whole bound for pictures x0 (b, …) in 256 levels, as `bound_moves` says: T calls of the net. Lesson 08."""
    share = schedule.at(schedule.T)
    prior = (share * x0**2 - share - math.log1p(-share)) / 2  # KL(N(√ᾱ_T x_0, 1 - ᾱ_T) ‖ N(0, 1))
    moves = bound_moves(denoiser, schedule, x0, range(1, schedule.T + 1), variance, rng)
    bits = [_bits_per_dimension(torch.zeros_like(x0)), *moves]
    return Bound(_bits_per_dimension(prior), torch.stack(bits))


def _bits_per_dimension(nats: Tensor) -> Tensor:
    return nats.reshape(len(nats), -1).mean(1) / math.log(2)


def _log_share_of_level(x0: Tensor, mean: Tensor, sigma: float) -> Tensor:
    """log ∫ N(mean, σ²) over the level of x0, 2/255 wide; the lowest and highest level reach to infinity (eq. 13)."""
    low, high = (x0 - 1 / 255 - mean) / sigma, (x0 + 1 / 255 - mean) / sigma
    low, high = low.masked_fill(x0 < -0.999, -math.inf), high.masked_fill(x0 > 0.999, math.inf)
    mirrored = low > 0  # above the mean, where the difference of two numbers near 1 would lose its digits
    low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    low, high = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    return high + torch.log1p(-torch.exp(low - high))
