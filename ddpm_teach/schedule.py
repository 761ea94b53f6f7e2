"""Noise schedules: how much of the picture is left at each time.

Times are whole numbers 1…T as in the DDPM paper (Ho et al. 2020); time 0 is the clean image.

    code               paper          meaning
    alpha_bar[t]       ᾱ_t            share of the signal's variance left at time t; alpha_bar[0] = 1
    signal_rate(t)     √ᾱ_t           factor of the clean image in x_t
    noise_rate(t)      √(1 - ᾱ_t)     standard deviation of the noise in x_t
    beta[t], alpha[t]  β_t, 1 - β_t   variance that step t adds, share of the variance before that it keeps

Derived in lesson 01.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_teach import checks
from ddpm_teach.checks import Time, check_int, check_share


@dataclass(frozen=True, eq=False)
class Schedule:
    """A noise schedule, stored as ᾱ (T + 1,) and nothing else; index = time. Kept in float64 on the CPU."""

    alpha_bar: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha_bar", checks.check_table(self.alpha_bar))
        object.__setattr__(self, "_copies", {})

    @property
    def T(self) -> int:
        """The number of noising steps."""
        return len(self.alpha_bar) - 1

    @functools.cached_property
    def alpha(self) -> Tensor:
        """(T + 1,) α_t = ᾱ_t / ᾱ_{t-1}; alpha[0] = 1."""
        return torch.cat([self.alpha_bar[:1], self.alpha_bar[1:] / self.alpha_bar[:-1]])

    @functools.cached_property
    def beta(self) -> Tensor:
        """(T + 1,) β_t = 1 - α_t; beta[0] = 0."""
        return 1 - self.alpha

    @functools.cached_property
    def snr(self) -> Tensor:
        """(T + 1,) signal-to-noise ratio ᾱ_t / (1 - ᾱ_t), a ratio of variances; infinite at t = 0."""
        return self.alpha_bar / (1 - self.alpha_bar)

    @functools.cached_property
    def log_snr(self) -> Tensor:
        """(T + 1,) natural logarithm of `snr`."""
        return self.snr.log()

    @functools.cached_property
    def _shares(self) -> dict[str, Tensor]:
        return {"signal": self.alpha_bar, "noise": 1 - self.alpha_bar, "kept": self.alpha, "added": self.beta}

    @functools.cached_property
    def _floats(self) -> dict[str, list[float]]:
        return {name: share.tolist() for name, share in self._shares.items()}

    def at(self, t: int) -> float:
        """ᾱ_t as a Python float, for a Python int t in 0…T."""
        return self._floats["signal"][check_int("t", t, 0, self.T)]

    def signal_rate(self, t: Time, like: Tensor) -> Tensor:
        """√ᾱ_t, shaped to broadcast against `like` (b, …), in its dtype, on its device. t: an int or (b,), in 0…T."""
        return self._root("signal", t, like)

    def noise_rate(self, t: Time, like: Tensor) -> Tensor:
        """√(1 - ᾱ_t), shaped, typed and placed like `signal_rate`."""
        return self._root("noise", t, like)

    def step_rates(self, t: Time, like: Tensor) -> tuple[Tensor, Tensor]:
        """(√α_t, √β_t), what a single step keeps and adds, shaped, typed and placed like `signal_rate`."""
        return self._root("kept", t, like), self._root("added", t, like)

    def _root(self, share: str, t: Time, like: Tensor) -> Tensor:
        checks.check_floats(like)
        checks.check_time(t, 0, self.T, like)
        if isinstance(t, int):
            return like.new_full((), math.sqrt(self._floats[share][t]))
        # Half-precision pictures read a float32 table: rounding ᾱ itself to bfloat16 would merge neighbouring times.
        dtype = torch.promote_types(like.dtype, torch.float32)
        key = share, t.device, dtype
        if key not in self._copies:
            self._copies[key] = self._shares[share].sqrt().to(dtype).to(t.device)
        return self._copies[key][t.long()].to(like).reshape(-1, *[1] * (like.ndim - 1))


def from_betas(betas: Tensor) -> Schedule:
    """The schedule with the given β_1…β_T in (0, 1) (DDPM eq. 4: ᾱ_t is the product of 1 - β_s over s ≤ t).

    Warns if ᾱ_T > 0.01, since sampling starts from pure noise and x_T wouldn't be that.
    """
    betas = checks.float64_on_cpu(betas)
    if betas.ndim != 1 or len(betas) == 0 or not ((betas > 0) & (betas < 1)).all():
        raise ValueError("betas: expected shape (T,) with every value strictly between 0 and 1")
    schedule = Schedule(torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)]))
    checks.warn_of_visible_end(schedule.alpha_bar)
    return schedule


def _line(T: int, beta_start: float, beta_end: float, power: float = 1.0) -> Tensor:
    """(T,) values from beta_start^power to beta_end^power at equal distances."""
    check_int("T", T, 1)
    check_share("beta_start", beta_start)
    check_share("beta_end", beta_end)
    return torch.linspace(beta_start**power, beta_end**power, T, dtype=torch.float64)


def linear(T: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> Schedule:
    """β rises linearly (DDPM, section 4). Lesson 01."""
    return from_betas(_line(T, beta_start, beta_end))


def scaled_linear(T: int = 1000, beta_start: float = 0.00085, beta_end: float = 0.012) -> Schedule:
    """√β rises linearly: Stable Diffusion's schedule, which latent diffusion's source calls "linear". Lesson 09."""
    return from_betas(_line(T, beta_start, beta_end, 0.5) ** 2)


def sqrt_beta(T: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> Schedule:
    """β² rises linearly, from beta_start: latent diffusion's "sqrt", β = √(a line). Lesson 09."""
    return from_betas(_line(T, beta_start, beta_end).sqrt())


def cosine(T: int = 1000, s: float = 0.008, max_beta: float = 0.999) -> Schedule:
    """ᾱ_t = f(t)/f(0) with f(t) = cos²(π/2 · (t/T + s)/(1 + s)), and β ≤ max_beta (Nichol & Dhariwal 2021, eq. 17)."""
    checks.check_number("s", s, 0)
    check_share("max_beta", max_beta)
    f = torch.linspace(0, 1, check_int("T", T, 1) + 1, dtype=torch.float64).add(s).mul(math.pi / 2 / (1 + s)).cos() ** 2
    return from_betas((1 - f[1:] / f[:-1]).clamp(max=max_beta))


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """√ᾱ shifted and scaled so that ᾱ_T = 0 and ᾱ_1 stays (Lin et al. 2024, algorithm 1): x_T is pure noise. Lesson 09.

    At T a prediction of ε says nothing about the picture, so `from_eps` refuses it; `from_v` and `from_x0` work.
    """
    check_int("schedule.T", schedule.T, 2)
    root = schedule.alpha_bar[1:].sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return Schedule(torch.cat([schedule.alpha_bar[:1], root**2]))
