"""Noise schedules: how much of the picture is left at each time. Derived in lesson 01.

Times are whole numbers 1…T as in the DDPM paper (Ho et al. 2020); time 0 is the clean image.

    code               paper          meaning
    alpha_bar[t]       ᾱ_t            share of the signal's variance left at time t; alpha_bar[0] = 1
    signal_rate(t)     √ᾱ_t           factor of the clean image in x_t
    noise_rate(t)      √(1 - ᾱ_t)     standard deviation of the noise in x_t
    beta[t], alpha[t]  β_t, 1 - β_t   variance that step t adds, share of the variance before that it keeps
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddpm_teach.checks import (
    Time,
    check_beta,
    check_betas,
    check_int,
    check_move,
    check_number,
    check_table,
    check_time,
)
from ddpm_teach.diffusion.types import Net
from ddpm_teach.diffusion.vocabularies import FLOW_TIME


class Schedule:
    """A noise schedule, stored as ᾱ (T + 1,) and nothing else; index = time. Kept in float64 on the CPU.

    A ValueError unless ᾱ starts at 1 and falls strictly to a last value ≥ 0; later, if it was changed in place.
    """

    def __init__(self, alpha_bar: Tensor) -> None:
        table = _float64_on_cpu(alpha_bar)
        check_table(table)
        self._table, self._version, self.T = table, table._version, len(table) - 1  # T: the number of noising steps
        # The last time with ᾱ_t > 0: T, or T - 1 with zero terminal SNR, where ε says nothing about the picture.
        self.last_with_signal = self.T - (table[-1] == 0).item()
        self._shares = {"signal": table.clone(), "noise": 1 - table, "kept": self.alpha, "added": self.beta}
        self._floats = {name: share.tolist() for name, share in self._shares.items()}
        self._copies: dict[tuple, Tensor] = {}

    def __repr__(self) -> str:
        return f"Schedule(T={self.T}, alpha_bar[T]={self.at(self.T):.4g})"

    def __reduce__(self) -> tuple:
        return Schedule, (self.alpha_bar,)

    @property
    def alpha_bar(self) -> Tensor:
        """(T + 1,) ᾱ_t, falling from alpha_bar[0] = 1."""
        self._check_unchanged()
        return self._table

    @property
    def alpha(self) -> Tensor:
        """(T + 1,) α_t = ᾱ_t / ᾱ_{t-1}; alpha[0] = 1."""
        return torch.cat([self.alpha_bar[:1], self.alpha_bar[1:] / self.alpha_bar[:-1]])

    @property
    def beta(self) -> Tensor:
        """(T + 1,) β_t = 1 - α_t; beta[0] = 0."""
        return 1 - self.alpha

    @property
    def snr(self) -> Tensor:
        """(T + 1,) signal-to-noise ratio ᾱ_t / (1 - ᾱ_t), a ratio of variances; infinite at t = 0."""
        return self.alpha_bar / (1 - self.alpha_bar)

    @property
    def log_snr(self) -> Tensor:
        """(T + 1,) natural logarithm of `snr`."""
        return self.snr.log()

    def at(self, t: int) -> float:
        """ᾱ_t as a Python float, for a Python int t in 0…T."""
        self._check_unchanged()
        return self._floats["signal"][check_int("t", t, 0, self.T)]

    def move(self, t: int, s: int) -> tuple[float, float]:
        """(ᾱ_t, ᾱ_s) of a step back, checked: 0 ≤ s < t ≤ T."""
        self._check_unchanged()
        check_move(t, s, self.T)
        return self._floats["signal"][t], self._floats["signal"][s]

    def rates(self, t: Time, like: Tensor, low: int = 0, needs_signal: bool = False) -> tuple[Tensor, Tensor]:
        """(√ᾱ_t, √(1 - ᾱ_t)), shaped to broadcast against pictures `like` (b, …), in their dtype, on their device.

        t: an int or long (b,), in low…T; needs_signal refuses a time with ᾱ_t = 0, for what divides by √ᾱ_t.
        """
        high = self.last_with_signal if needs_signal else self.T
        why = f"; alpha_bar[{self.T}] = 0, where noise says nothing about the picture: start at {high}, or use from_v"
        check_time(t, low, high, like, why if high < self.T else "")
        return self._root("signal", t, like), self._root("noise", t, like)

    def signal_rate(self, t: Time, like: Tensor) -> Tensor:
        """√ᾱ_t: the first of `rates`."""
        return self.rates(t, like)[0]

    def noise_rate(self, t: Time, like: Tensor) -> Tensor:
        """√(1 - ᾱ_t): the second of `rates`."""
        return self.rates(t, like)[1]

    def step_rates(self, t: Time, like: Tensor) -> tuple[Tensor, Tensor]:
        """(√α_t, √β_t), what a single step keeps and adds, shaped, typed and placed like `rates`; t in 1…T."""
        check_time(t, 1, self.T, like)
        return self._root("kept", t, like), self._root("added", t, like)

    def _check_unchanged(self) -> None:
        if not torch.compiler.is_compiling() and self._table._version != self._version:  # tracing has no versions
            raise ValueError("alpha_bar: was changed in place after the schedule was made; make a new Schedule of it")

    def _root(self, share: str, t: Time, like: Tensor) -> Tensor:
        self._check_unchanged()
        if isinstance(t, int):
            return like.new_full((), math.sqrt(self._floats[share][t]))
        # Half-precision pictures read a float32 table: rounding ᾱ itself to bfloat16 would merge neighbouring times.
        dtype = torch.promote_types(like.dtype, torch.float32)
        key = share, t.device, dtype
        if key not in self._copies:
            with torch.inference_mode(False):  # a table made inside of it would serve no gradient afterwards
                self._copies[key] = self._shares[share].sqrt().to(dtype).to(t.device)
        return self._copies[key][t.long()].to(like).reshape(-1, *[1] * (like.ndim - 1))

    def check_net(self, net: Net) -> None:
        """Refuses a network that says, in `net.T`, that it was built for another number of steps: it'd misread t."""
        if (T := getattr(net, "T", self.T)) != self.T:
            raise ValueError(f"schedule: has T = {self.T}, but the network was built for T = {T}; use one T for both")


@torch.inference_mode(False)  # an inference tensor couldn't tell that it was changed in place
def _float64_on_cpu(values: Tensor) -> Tensor:
    """A copy, in two moves: MPS has no float64."""
    return torch.as_tensor(values, device="cpu").detach().to(torch.float64, copy=True)


def from_betas(betas: Tensor) -> Schedule:
    """The schedule with the given β_1…β_T in (0, 1) (DDPM eq. 4: ᾱ_t is the product of 1 - β_s over s ≤ t).

    Warns if ᾱ_T > 0.01, since sampling starts from pure noise and x_T wouldn't be that.
    """
    betas = _float64_on_cpu(betas)
    check_betas(betas)
    return Schedule(torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)]))


def _line(T: int, beta_start: float, beta_end: float, power: float = 1.0) -> Tensor:
    check_int("T", T, 1)
    check_beta("beta_start", beta_start)
    check_beta("beta_end", beta_end)
    return torch.linspace(beta_start**power, beta_end**power, T, dtype=torch.float64, device="cpu")


def linear(T: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> Schedule:
    """β rises linearly (DDPM, section 4). Lesson 01."""
    return from_betas(_line(T, beta_start, beta_end))


def scaled_linear(T: int = 1000, beta_start: float = 0.00085, beta_end: float = 0.012) -> Schedule:
    """√β rises linearly: Stable Diffusion's schedule, which latent diffusion's source calls "linear". Lesson 14."""
    return from_betas(_line(T, beta_start, beta_end, 0.5) ** 2)


def sqrt_beta(T: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> Schedule:
    """β² rises linearly, from beta_start: latent diffusion's "sqrt", β = √(a line). Lesson 14."""
    return from_betas(_line(T, beta_start, beta_end).sqrt())


def _unit_line(T: int) -> Tensor:
    return torch.linspace(0, 1, check_int("T", T, 1) + 1, dtype=torch.float64, device="cpu")


def cosine(T: int = 1000, s: float = 0.008, max_beta: float = 0.999) -> Schedule:
    """ᾱ_t = f(t)/f(0) with f(t) = cos²(π/2 · (t/T + s)/(1 + s)), and β ≤ max_beta (Nichol & Dhariwal 2021, eq. 17)."""
    check_number("s", s, 0)
    check_beta("max_beta", max_beta)
    f = _unit_line(T).add(s).mul(math.pi / 2 / (1 + s)).cos() ** 2
    return from_betas((1 - f[1:] / f[:-1]).clamp(max=max_beta))


def straight(T: int = 1000) -> Schedule:
    """√ᾱ_t : √(1 - ᾱ_t) = 1 - s : s with s = t/T: the straight path of flow matching, z = (1 - s) x_0 + s ε. Lesson 11.

    (Liu et al. 2023, Lipman et al. 2023), scaled to variance 1: x = z / √((1 - s)² + s²). ᾱ_T = 0: x_T is pure noise.
    """
    return Schedule(FLOW_TIME.alpha_bar(_unit_line(T)))


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """√ᾱ shifted and scaled so that ᾱ_T = 0 and ᾱ_1 stays (Lin et al. 2024, alg. 1): x_T is pure noise. Lesson 14."""
    check_int("schedule.T", schedule.T, 2)
    root = schedule.alpha_bar[1:].sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return Schedule(torch.cat([schedule.alpha_bar[:1], root**2]))


SCHEDULES = {make.__name__: make for make in (linear, scaled_linear, sqrt_beta, cosine, straight)}
