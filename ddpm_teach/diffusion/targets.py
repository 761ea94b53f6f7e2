"""What a network predicts, and how it is read: one `Target` for the loss, the sampler and every weight. Lesson 04.

    target   the network predicts       the estimate x̂_0 that it leaves in x = x_t (ε̂ follows)
    EPS      ε                          (x - √(1 - ᾱ) ε̂) / √ᾱ                    (DDPM eq. 15)
    X0       x_0                        x̂_0
    V        v = √ᾱ ε - √(1 - ᾱ) x_0    √ᾱ x - √(1 - ᾱ) v̂                        (Salimans & Ho 2022, appendix D)
    FLOW     u = ε - x_0                (x - √(1 - ᾱ) û) / (√ᾱ + √(1 - ᾱ))       (lesson 11)

`clipped`, `thresholded` and `projected` make a Denoiser of a Denoiser, as `score_corrected` in guidance.py does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_teach.checks import Time, check_net, check_number, check_positive, check_schedule, check_shape, check_word
from ddpm_teach.diffusion.forward import noise_from, velocity
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.types import Denoiser, Estimate, Net


@dataclass(frozen=True)
class Target:
    """What a network is trained to predict: the loss asks for it, the sampler reads it, weights follow from its error.

    Attributes:
        name: "eps", "x0", "v" or "flow"; what `--target`, checkpoints and `net.target` call it.
        ask: (schedule, x0, eps, t) → (b, …), what the network shall predict at x_t.
        read: (prediction, x, √ᾱ_t, √(1 - ᾱ_t)) → the estimate.
        error_in_x0: SNR → the factor by which a squared error of the prediction is one of x̂_0, x_t being given.
        needs_signal: whether a prediction says nothing where ᾱ_t = 0.
    """

    name: str
    ask: Callable[[Schedule, Tensor, Tensor, Time], Tensor]
    read: Callable[[Tensor, Tensor, Tensor, Tensor], Estimate]
    error_in_x0: Callable[[Tensor], Tensor]
    needs_signal: bool = False

    def __reduce__(self) -> tuple:
        return target_named, (self.name,)  # functions without a name can't be copied or pickled

    def reader(self, net: Net, schedule: Schedule) -> Denoiser:
        """The network read through a schedule: net(x, t) → estimate, with t: an int or a long tensor (b,) in 1…T.

        A ValueError for a network that says, in `net.T` or `net.target`, that it was trained for something else; at a
        call, for a prediction of another shape than x's, or a time at which it can't be read.
        """
        check_net(net)
        check_schedule(schedule)
        schedule.check_net(net)
        self.check_net(net)

        def denoise(x: Tensor, t: Time) -> Estimate:
            signal, noise = schedule.rates(t, x, low=1, needs_signal=self.needs_signal)
            times = torch.full((len(x),), t, device=x.device) if isinstance(t, int) else t.to(x.device, torch.long)
            prediction = net(x, times)
            check_shape("net", prediction, x)
            return self.read(prediction, x, signal, noise)

        return denoise

    def check_net(self, net: Net) -> None:
        """Refuses a network that says, in `net.target`, that it predicts something else: pictures would be noise."""
        if (trained := getattr(net, "target", self.name)) != self.name:
            raise ValueError(f"net: was trained to predict {trained!r}, not {self.name!r}; read it by from_{trained}")


EPS = Target(
    "eps",
    ask=lambda schedule, x0, eps, t: eps,
    read=lambda eps, x, signal, noise: Estimate((x - noise * eps) / signal, eps),
    error_in_x0=lambda snr: 1 / snr,
    needs_signal=True,
)
X0 = Target(
    "x0",
    ask=lambda schedule, x0, eps, t: x0,
    read=lambda x0, x, signal, noise: Estimate(x0, (x - signal * x0) / noise),
    error_in_x0=torch.ones_like,
)
V = Target(
    "v",
    ask=velocity,
    read=lambda v, x, signal, noise: Estimate(signal * x - noise * v, signal * v + noise * x),
    error_in_x0=lambda snr: 1 / (1 + snr),
)
FLOW = Target(
    "flow",
    ask=lambda schedule, x0, eps, t: eps - x0,
    read=lambda u, x, signal, noise: Estimate(x0 := (x - noise * u) / (signal + noise), x0 + u),
    error_in_x0=lambda snr: 1 / (1 + snr.sqrt()) ** 2,
)
TARGETS = {target.name: target for target in (EPS, X0, V, FLOW)}


def target_named(name: str | Target) -> Target:
    """The target with this name; a Target itself stays what it is. A ValueError for an unknown name."""
    return name if isinstance(name, Target) else TARGETS[check_word("target", name, TARGETS)]


def from_eps(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts ε (see `Target.reader`); not where ᾱ_t = 0: ε̂ says nothing there. Lesson 04."""
    return EPS.reader(net, schedule)


def from_x0(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts the picture x_0 (see `Target.reader`). Lesson 04."""
    return X0.reader(net, schedule)


def from_v(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts v. (x_t, v) is (x_0, ε) turned by an angle: reading is turning back. Lesson 04."""
    return V.reader(net, schedule)


def from_flow(net: Net, schedule: Schedule) -> Denoiser:
    """Reads a network that predicts u = ε - x_0 (see `Target.reader`), through any schedule: ε̂ = x̂_0 + û. Lesson 11."""
    return FLOW.reader(net, schedule)


def snr_weight(schedule: Schedule, t: Tensor, target: str | Target, gamma: float) -> Tensor:
    """(b,) what makes a squared error of the target min(SNR_t, γ) times that of x̂_0 (Hang et al. 2023). Lesson 08."""
    like = torch.empty(len(t), device=t.device)
    signal, noise = schedule.rates(t, like)
    snr = (signal / noise).square().clamp(min=torch.finfo(like.dtype).tiny)  # 0 where ᾱ_t = 0: ε's weight is 1 there
    return snr.clamp(max=check_positive("gamma", gamma)) * target_named(target).error_in_x0(snr)


def projected(denoiser: Denoiser, schedule: Schedule, projection: Callable[[Tensor], Tensor]) -> Denoiser:
    """Replaces x̂_0 by projection(x̂_0), and ε̂ follows; onto a codebook: latent diffusion's quantize_x0. Lesson 04."""

    def denoise(x: Tensor, t: Time) -> Estimate:
        x0 = projection(denoiser(x, t).x0)
        if x0.shape != x.shape:
            check_shape("projection", x0, x)
        return Estimate(x0, noise_from(schedule, x, t, x0))

    return denoise


def clipped(denoiser: Denoiser, schedule: Schedule, limit: float = 1.0) -> Denoiser:
    """Clamps x̂_0 to [-limit, limit], limit > 0, and ε̂ follows. Lesson 04."""
    check_positive("limit", limit)
    return projected(denoiser, schedule, lambda x0: x0.clamp(-limit, limit))


def thresholded(denoiser: Denoiser, schedule: Schedule, quantile: float = 0.995) -> Denoiser:
    """Dynamic thresholding: each x̂_0 is clamped to [-r, r] and divided by r (Saharia et al. 2022, sec. 2.3). Lesson 05.

    r is the `quantile` of the picture's own |x̂_0|, at least 1: strong guidance then fades colours, not burns them.
    """
    check_number("quantile", quantile, 0, 1)

    def threshold(x0: Tensor) -> Tensor:
        values = x0.reshape(len(x0), -1).abs().to(torch.promote_types(x0.dtype, torch.float32))
        r = values.quantile(quantile, dim=1).clamp(min=1).to(x0)
        r = r.reshape(-1, *[1] * (x0.ndim - 1))
        return x0.clamp(-r, r) / r

    return projected(denoiser, schedule, threshold)
