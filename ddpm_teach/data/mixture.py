"""A world in which the truth is known: data from a mixture of normal clouds, and the best possible network for them.

    clouds = Mixture([[-0.7, -0.4], [0.6, -0.5], [0.1, 0.7]], weights=[0.5, 0.3, 0.2], variance=0.01)
    denoise = from_eps(clouds.net(schedule), schedule)

Whatever is wrong with samples of it is the sampler's doing. Lessons 04 to 08.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ddpm_teach.checks import Time, check_int
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.types import Net


class Mixture:
    """Normal clouds of equal width in every direction, each with a mean, a weight and a variance.

    Args:
        means: (k, d) their centres.
        weights: (k,) the share of each, above 0; they are divided by their sum. All the same unless given.
        variance: of every coordinate around its cloud's centre, at least 0; one for all clouds, or (k,).

    Raises:
        ValueError: for other shapes, a weight that isn't above 0, or a variance below 0.
    """

    def __init__(
        self,
        means: Tensor | Sequence,
        weights: Tensor | Sequence[float] | None = None,
        variance: Tensor | Sequence[float] | float = 0.01,
    ) -> None:
        self.means = torch.as_tensor(means, dtype=torch.float64)
        if self.means.ndim != 2 or not self.means.numel() or not self.means.isfinite().all():
            got = tuple(self.means.shape)
            raise ValueError(f"means: expected finite numbers (k, d), a row for each cloud, got shape {got}")
        k = len(self.means)
        weights = torch.ones(k) if weights is None else torch.as_tensor(weights)
        if weights.shape != (k,) or not (weights > 0).all():
            raise ValueError(f"weights: expected {k} numbers above 0, one for each cloud, got {weights.tolist()}")
        self.weights = weights.double() / weights.double().sum()
        self.variance = torch.as_tensor(variance, dtype=torch.float64).expand(k) if _fits(variance, k) else None
        if self.variance is None or not (self.variance >= 0).all():
            raise ValueError(f"variance: expected one number of at least 0, or {k} of them, got {variance!r}")

    def sample(self, n: int, rng: torch.Generator | None = None) -> tuple[Float[Tensor, "n d"], Int[Tensor, " n"]]:
        """n draws, and the number of the cloud that each is from."""
        check_int("n", n, 1)
        labels = torch.multinomial(self.weights, n, replacement=True, generator=rng)
        noise = torch.randn(n, self.means.shape[1], generator=rng)
        return (self.means[labels] + self.variance[labels, None].sqrt() * noise).float(), labels

    def log_density(self, schedule: Schedule, x: Float[Tensor, "n d"], t: int) -> Float[Tensor, " n"]:
        """ln q(x_t), the density of data with the noise of time t in 0…T: a mixture again, with wider clouds."""
        return self._log_parts(schedule.alpha_bar[t], x.double()).logsumexp(1).to(x)

    def net(self, schedule: Schedule) -> Net:
        """The network that training looks for: net(x_t, t, c) is the mean of all noises that may be in x_t, exactly.

        It is -√(1 - ᾱ_t) ∇ln q(x_t | c) (lesson 08), so from_eps and `guided` take it as they take a trained one.
        t is a long (b,) in 1…T; c, (b, k) of zeros and ones, says of which clouds the data may be: None and a row of
        zeros mean any.
        """
        k = len(self.means)

        def net(x: Tensor, t: Time, c: Tensor | None = None) -> Tensor:
            alpha_bar = schedule.alpha_bar[t.cpu()].reshape(-1, 1)  # (b, 1)
            x_t = x.double().cpu()
            log_parts = self._log_parts(alpha_bar, x_t)  # (b, k)
            if c is not None:
                if c.shape[-1] != k:
                    raise ValueError(f"c: expected {k} numbers for each point, one for each cloud, got {c.shape[-1]}")
                c = c.double().cpu()
                log_parts = log_parts + torch.where(c.any(-1, keepdim=True), c, torch.ones(())).log()
            away = x_t[:, None] - alpha_bar[..., None].sqrt() * self.means  # (b, k, d)
            noises = (1 - alpha_bar[..., None]).sqrt() * away / self._variances(alpha_bar)[..., None]
            return (log_parts.softmax(1)[..., None] * noises).sum(1).to(x)

        return net

    def _variances(self, alpha_bar: Tensor) -> Tensor:
        """The variance of each noisy cloud, (…, k)."""
        return alpha_bar * self.variance + 1 - alpha_bar

    def _log_parts(self, alpha_bar: Tensor, x: Tensor) -> Tensor:
        """ln of each cloud's weight times its noisy density at x (b, d), alpha_bar () or (b, 1): (b, k)."""
        variances, d = self._variances(alpha_bar), x.shape[1]
        squares = (x[:, None] - alpha_bar.sqrt()[..., None] * self.means).square().sum(-1)
        return self.weights.log() - squares / (2 * variances) - d / 2 * (2 * torch.pi * variances).log()


def _fits(variance: object, k: int) -> bool:
    return torch.as_tensor(variance).shape in ((), (1,), (k,))
