"""Noise schedules: how much of the picture is left at each time.

Times are whole numbers 1…T as in the DDPM paper (Ho et al. 2020); time 0 is the clean image.

    code               paper          meaning
    alpha_bar[t]       ᾱ_t            share of the signal's variance left at time t; alpha_bar[0] = 1
    signal_rate(t)     √ᾱ_t           factor of the clean image in x_t
    noise_rate(t)      √(1 - ᾱ_t)     standard deviation of the noise in x_t
    beta[t]            β_t            variance that step t adds

Derived in lesson 01.
"""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

Time = int | Tensor  # a Python int, or a long tensor (b,)


@dataclass(frozen=True, eq=False)
class Schedule:
    """A noise schedule, stored as ᾱ and nothing else.

    Args:
        alpha_bar: (T + 1,) falling from alpha_bar[0] = 1; index = time. Kept in float64 on the CPU.

    Raises:
        ValueError: if `alpha_bar` isn't a falling list of numbers in [0, 1] that starts at 1.
    """

    alpha_bar: Tensor

    def __post_init__(self) -> None:
        table = torch.as_tensor(self.alpha_bar).detach().to("cpu", torch.float64, copy=True)
        if table.ndim != 1 or len(table) < 2:
            raise ValueError(f"alpha_bar: expected shape (T + 1,) with T ≥ 1, got {tuple(table.shape)}")
        if table[0] != 1 or not (table.diff() < 0).all() or not table[-1] >= 0:
            raise ValueError(
                "alpha_bar: must start at 1 and fall strictly to a last value ≥ 0; pass the product of 1 - β"
            )
        object.__setattr__(self, "alpha_bar", table)
        object.__setattr__(self, "_copies", {})

    @property
    def T(self) -> int:
        """The number of noising steps."""
        return len(self.alpha_bar) - 1

    @functools.cached_property
    def alpha(self) -> Tensor:
        """(T + 1,) α_t = ᾱ_t / ᾱ_{t-1}: share of the signal's variance that step t keeps; alpha[0] = 1."""
        return torch.cat([self.alpha_bar[:1], self.alpha_bar[1:] / self.alpha_bar[:-1]])

    @functools.cached_property
    def beta(self) -> Tensor:
        """(T + 1,) β_t = 1 - α_t: variance of the noise that step t adds; beta[0] = 0."""
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
    def _floats(self) -> list[float]:
        return self.alpha_bar.tolist()

    def at(self, t: int) -> float:
        """ᾱ_t as a Python float, for a Python int t in 0…T."""
        return self._floats[check_int("t", t, 0, self.T)]

    def signal_rate(self, t: Time, like: Tensor) -> Tensor:
        """√ᾱ_t, shaped to broadcast against `like` (b, …), in its dtype, on its device. t: an int or (b,), in 0…T."""
        return self._rate("signal", t, like)

    def noise_rate(self, t: Time, like: Tensor) -> Tensor:
        """√(1 - ᾱ_t), shaped, typed and placed like `signal_rate`."""
        return self._rate("noise", t, like)

    def _rate(self, which: str, t: Time, like: Tensor) -> Tensor:
        check_time(t, 0, self.T)
        if isinstance(t, int):
            share = self._floats[t]
            rate = math.sqrt(share if which == "signal" else 1 - share)
            return torch.full((), rate, dtype=like.dtype, device=like.device)
        if t.shape != like.shape[:1]:
            raise ValueError(f"t: expected one time for each of {len(like)} pictures, got shape {tuple(t.shape)}")
        # Half-precision pictures read a float32 table: rounding ᾱ itself to bfloat16 would merge neighbouring times.
        dtype = torch.promote_types(like.dtype, torch.float32)
        key = which, t.device, dtype
        if key not in self._copies:
            share = self.alpha_bar if which == "signal" else 1 - self.alpha_bar
            self._copies[key] = share.sqrt().to(dtype).to(t.device)
        return self._copies[key][t.long()].to(like).reshape(-1, *[1] * (like.ndim - 1))


def check_int(name: str, value: int, low: int, high: int | None = None) -> int:
    """`value` itself if it is a Python int in low…high (or, without `high`, at least low).

    Raises:
        TypeError: for a float, a bool or a tensor.
        ValueError: out of range.
    """
    wanted = f"≥ {low}" if high is None else f"in {low}…{high}"
    if isinstance(value, bool) or not isinstance(value, int):
        got = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise TypeError(f"{name}: expected a whole number {wanted} (an int), got {got}; use int({name})")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name}: expected a whole number {wanted}, got {value}")
    return value


def check_time(t: Time, low: int, high: int) -> Time:
    """`t` itself if it is a Python int, or a tensor of whole numbers, in low…high.

    Tensors are looked into only on the CPU and never while compiling: elsewhere it would wait for the device.

    Raises:
        TypeError: for a float, a bool, or a tensor of floats.
        ValueError: for a time out of range.
    """
    if not isinstance(t, Tensor):
        return check_int("t", t, low, high)
    if t.is_floating_point() or t.is_complex() or t.dtype == torch.bool:
        raise TypeError(f"t: expected whole times in {low}…{high} (a long tensor), got {t.dtype}; use t.long()")
    if t.device.type == "cpu" and not torch.compiler.is_compiling() and t.numel():
        first, last = t.aminmax()
        if first < low or last > high:
            raise ValueError(f"t: expected times in {low}…{high}, got values from {int(first)} to {int(last)}")
    return t


def check_net(net: object, schedule: Schedule) -> None:
    """Refuses a network that says, in `net.T`, that it was built for another number of steps: it would misread t."""
    if (T := getattr(net, "T", schedule.T)) != schedule.T:
        raise ValueError(f"schedule: has T = {schedule.T}, but the network was built for T = {T}; use one T for both")


def from_betas(betas: Tensor) -> Schedule:
    """The schedule with the given β_1…β_T (DDPM eq. 4: ᾱ_t is the product of 1 - β_s over s ≤ t).

    Args:
        betas: (T,) variances in (0, 1).

    Raises:
        ValueError: if a β is outside (0, 1).

    Warns:
        UserWarning: if ᾱ_T > 0.01, since sampling starts from pure noise and x_T wouldn't be that.
    """
    return _from_betas(betas, stacklevel=3)


def _from_betas(betas: Tensor, stacklevel: int) -> Schedule:
    betas = torch.as_tensor(betas, dtype=torch.float64).cpu()
    if betas.ndim != 1 or len(betas) == 0 or not ((betas > 0) & (betas < 1)).all():
        raise ValueError("betas: expected shape (T,) with every value strictly between 0 and 1")
    schedule = Schedule(torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(0)]))
    visible = schedule.at(schedule.T)
    if visible > 0.01:
        factor = math.log(4e-5) / math.log(visible)  # 4e-5 is what the DDPM paper's schedule leaves
        warnings.warn(
            f"alpha_bar[{schedule.T}] = {visible:.3f}: the last picture still shows {visible:.0%} of the signal's"
            f" variance, but sampling starts from pure noise; scale beta by about {factor:.1f}"
            f" (beta_end = {min(0.999, betas[-1].item() * factor):.3g}) or use more steps",
            stacklevel=stacklevel,
        )
    return schedule


def linear(T: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> Schedule:
    """β rises linearly from `beta_start` to `beta_end` (DDPM, section 4). Lesson 01."""
    steps = check_int("T", T, 1)
    return _from_betas(torch.linspace(beta_start, beta_end, steps, dtype=torch.float64), stacklevel=3)
