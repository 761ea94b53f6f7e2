"""Short versions of the package's longer functions, each with options that plant a fault; right without them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch

import ddpm_teach as m

Estimate, Frame, Gaussian, Schedule = m.Estimate, m.Frame, m.Gaussian, m.Schedule
right = {name: getattr(m, name) for name in m.__all__ if name not in ("exercises", "interop", "show")}
rates = Schedule.rates
LOG2 = math.log(2)


def ddpm(mean=None, variance_of=lambda mix, small, large: (1 - mix) * small + mix * large, root=math.sqrt, **options):
    hot_mean, noise_at_end = options.get("hot_mean", False), options.get("noise_at_end", False)

    def ddpm_step(denoiser, schedule, variance="beta", temperature=1.0, rng=None):
        mix = {"beta": 1.0, "posterior": 0.0}.get(variance, variance)

        def step(x, t, s):
            ab_t, ab_s = schedule.at(t), schedule.at(s)
            x0, eps = denoiser(x, t)
            large = 1 - ab_t / ab_s
            a, b = math.sqrt(ab_s) * large / (1 - ab_t), math.sqrt(ab_t / ab_s) * (1 - ab_s) / (1 - ab_t)
            middle = mean(a, b, x0, x) if mean else a * x0 + b * x
            sigma = root(variance_of(mix, large * (1 - ab_s) / (1 - ab_t), large))
            if s == 0 and not noise_at_end:
                return Frame(s, middle, x0, eps)
            noise = sigma * m.draw_noise(x, rng)
            return Frame(s, temperature * (middle + noise) if hot_mean else middle + temperature * noise, x0, eps)

        return step

    return ddpm_step


def ddim(
    sigma_of=lambda ab_t, ab_s: math.sqrt((1 - ab_s) / (1 - ab_t) * (1 - ab_t / ab_s)),
    direction=lambda ab_t, ab_s, sigma: 1 - ab_s - sigma**2,
    signal=lambda ab_t, ab_s: ab_s,
):
    def ddim_step(denoiser, schedule, eta=0.0, temperature=1.0, rng=None):
        def step(x, t, s):
            ab_t, ab_s = schedule.at(t), schedule.at(s)
            x0, eps = denoiser(x, t)
            sigma = eta * sigma_of(ab_t, ab_s)
            x = math.sqrt(signal(ab_t, ab_s)) * x0 + math.sqrt(max(direction(ab_t, ab_s, sigma), 0.0)) * eps
            return Frame(s, x + temperature * sigma * m.draw_noise(x, rng) if sigma > 0 else x, x0, eps)

        return step

    return ddim_step


def heun(mean=lambda first, second: (first + second) / 2, second_time=lambda t, s: s):
    def heun_step(denoiser, schedule):
        def step(x, t, s):
            first = right["ddim_step"](denoiser, schedule)(x, t, s)
            if s == 0 or schedule.at(t) == 0:
                return first
            eps = mean(first.eps, denoiser(first.x, second_time(t, s)).eps)
            x0 = m.picture_from(schedule, x, t, eps)
            return Frame(s, m.add_noise(schedule, x0, s, eps), x0, eps)

        return step

    return heun_step


def dpm(
    drawn_out=lambda x0, before, h, h_before: x0 + h / (2 * h_before) * (x0 - before),
    remembers=lambda x, t: id(x),
    asks=True,
    at_the_end=False,
):
    def dpm_step(denoiser, schedule):
        half_log_snr, memory = (schedule.log_snr / 2).tolist(), {}

        def step(x, t, s):
            estimate = x0 = denoiser(x, t).x0
            h = half_log_snr[s] - half_log_snr[t]
            time, h_before, before, _ = memory.get(remembers(x, t), (None, None, None, None))
            if time is not None and (time == t or not asks) and (s > 0 or at_the_end):
                x0 = drawn_out(estimate, before, min(h, 5.0), h_before)
            eps = m.noise_from(schedule, x, t, x0)
            moved = m.add_noise(schedule, x0, s, eps)
            memory[remembers(moved, s)] = s, h, estimate, moved  # which lives as long as the step: no id comes twice
            return Frame(s, moved, x0, eps)

        return step

    return dpm_step


def inversion(start=lambda schedule, x, t, eps: m.picture_from(schedule, x, t, eps)):
    def ddim_inversion(denoiser, schedule):
        def step(x, t, s):
            eps = denoiser(x, max(t, 1)).eps
            x0 = start(schedule, x, t, eps)
            return Frame(s, m.add_noise(schedule, x0, s, eps), x0, eps)

        return step

    return ddim_inversion


def guidance(combine=lambda without, with_context, scale: without + scale * (with_context - without), swapped=False):
    def guided(net, context, scale, null=None):
        null = torch.zeros_like(context) if null is None else null

        def guided_net(x, t, c=None):
            wanted, unwanted = (value.expand(len(x), *value.shape[1:]) for value in (context, null))
            if scale in (0, 1):
                return net(x, t, wanted if scale == 1 else unwanted)
            without, told = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([unwanted, wanted])).chunk(2)
            return combine(told, without, scale) if swapped else combine(without, told, scale)

        return guided_net

    return guided


def correction(factor=lambda noise, scale: -scale * noise):
    def score_corrected(denoiser, schedule, change, scale=1.0):
        def denoise(x, t):
            eps = denoiser(x, t).eps + factor(schedule.noise_rate(t, x), scale) * change(x, t)
            return Estimate(m.picture_from(schedule, x, t, eps), eps)

        return denoise

    return score_corrected


def masking(time=lambda t, s: s, hole=False):
    def inpainting(step, schedule, known, mask, rng=None):
        def masked(x, t, s):
            frame, k = step(x, t, s), time(t, s)
            noisy = m.add_noise(schedule, known, k, m.draw_noise(x, rng)) if k > 0 else known
            x = torch.where(mask.bool(), *((frame.x, noisy) if hole else (noisy, frame.x)))
            return Frame(s, x, frame.x0, frame.eps)

        return masked

    return inpainting


def bayes(variance=lambda beta_ts, ab_t, ab_s: beta_ts * (1 - ab_s) / (1 - ab_t), beta=None):
    def posterior(schedule, x0, xt, t, s=None):
        ab_t, ab_s = schedule.at(t), schedule.at(t - 1 if s is None else s)
        beta_ts = 1 - ab_t / ab_s if beta is None else beta(schedule, t)
        mean = (ab_s**0.5 * beta_ts / (1 - ab_t)) * x0 + ((ab_t / ab_s) ** 0.5 * (1 - ab_s) / (1 - ab_t)) * xt
        return Gaussian(mean, variance(beta_ts, ab_t, ab_s))

    return posterior


def moves(half=0.5, ratio=lambda true, model: true / model, width=1.0, log=LOG2):
    def bound_moves(denoiser, schedule, x0, times, variance="beta", rng=None):
        for t in times:
            xt = m.add_noise(schedule, x0, t, m.draw_noise(x0, rng))
            true, model = (m.posterior(schedule, x, xt, t) for x in (x0, denoiser(xt, t).x0))
            sigma2 = m.move_variance(schedule, variance)[t].item()
            if t == 1:
                low, high = ((x0 + edge * width / 255 - model.mean) / sigma2**0.5 for edge in (-1, 1))
                low, high = low.masked_fill(x0 < -0.999, -math.inf), high.masked_fill(x0 > 0.999, math.inf)
                low, high = torch.where(low > 0, -high, low), torch.where(low > 0, -low, high)  # keeps the digits
                nats = -(torch.special.ndtr(high) - torch.special.ndtr(low)).log()
            else:
                r = ratio(true.variance, sigma2)
                nats = half * (r - 1 - math.log(r)) + half * (true.mean - model.mean) ** 2 / sigma2
            yield nats.flatten(1).mean(1) / log

    return bound_moves


def weights(factor=lambda signal, beta, ab: signal * beta / (1 - ab)):
    def variational_weights(schedule, target="eps", variance="posterior"):
        ab = schedule.alpha_bar
        weight = factor(ab.roll(1).sqrt(), schedule.beta, ab) ** 2 / (2 * m.move_variance(schedule, variance))
        target = {"eps": m.EPS, "x0": m.X0, "v": m.V, "flow": m.FLOW}.get(target, target)
        return weight * target.error_in_x0(schedule.snr)

    return variational_weights


def min_snr(clamp=True):
    def snr_weight(schedule, t, target, gamma):
        target = {"eps": m.EPS, "x0": m.X0, "v": m.V, "flow": m.FLOW}.get(target, target)
        snr = schedule.snr[t].clamp(min=1e-37)
        return ((snr.clamp(max=gamma) if clamp else snr) * target.error_in_x0(snr)).float()

    return snr_weight


def betas_to_table(extra=False):
    def from_betas(betas):
        product = (1 - betas).cumprod(0) * (1 - betas[0] if extra else 1)
        return Schedule(torch.cat([betas.new_ones(1), product]))

    return from_betas


def cosine_table(power=2):
    def cosine(T=1000, s=0.008, max_beta=0.999):
        f = ((torch.linspace(0, 1, T + 1, dtype=torch.float64) + s) / (1 + s) * math.pi / 2).cos() ** power
        return right["from_betas"]((1 - f[1:] / f[:-1]).clamp(max=max_beta))

    return cosine


def zero_snr(scaled=True):
    def zero_terminal_snr(schedule):
        root = schedule.alpha_bar[1:].sqrt()
        factor = root[0] / (root[0] - root[-1]) if scaled else 1
        return Schedule(torch.cat([schedule.alpha_bar[:1], ((root - root[-1]) * factor) ** 2]))

    return zero_terminal_snr


def straight_table(ends_at=lambda T: T):
    def straight(T=1000):
        s = torch.arange(T + 1, dtype=torch.float64) / ends_at(T)
        return Schedule((1 - s) ** 2 / ((1 - s) ** 2 + s**2))

    return straight


def clipping(left_behind=False):
    def clipped(denoiser, schedule, limit=1.0):
        def denoise(x, t):
            x0, eps = denoiser(x, t)
            x0 = x0.clamp(-limit, limit)
            return Estimate(x0, eps if left_behind else m.noise_from(schedule, x, t, x0))

        return denoise

    return clipped


def thresholding(threshold=lambda values, quantile: values.quantile(quantile, dim=1)):
    def thresholded(denoiser, schedule, quantile=0.995):
        def denoise(x, t):
            x0 = denoiser(x, t).x0
            r = threshold(x0.flatten(1).abs(), quantile).clamp(min=1).expand(len(x))
            r = r.reshape(-1, *[1] * (x0.ndim - 1))
            x0 = x0.clamp(-r, r) / r
            return Estimate(x0, m.noise_from(schedule, x, t, x0))

        return denoise

    return thresholded


def thinned(rescaled=True):
    def dropped_out(rng, p, mask_rng=None):
        def draw(x):
            noise = m.draw_noise(x, rng)
            return noise * (torch.rand(x.shape, generator=rng) >= p) / (1 - p if rescaled else 1)

        return draw

    return dropped_out


def noise_of_the_batch(x, rng=None):
    return right["draw_noise"](x[0], rng).expand_as(x)


def step_with_all_of_the_signal(schedule, x, t, eps):
    return schedule.signal_rate(t, x) * x + schedule.step_rates(t, x)[1] * eps


def step_with_a_rounded_alpha(schedule, x, t, eps):
    kept = schedule.step_rates(t, x)[0]
    return kept * x + (1 - kept**2).sqrt() * eps


def late_rates(self, t, like, **options):
    return rates(self, max(t - 1, 0) if isinstance(t, int) else (t - 1).clamp(min=0), like)


def unrooted_noise(kind):
    def wrong(self, t, like, *args, **options):
        signal, noise = rates(self, t, like, *args, **options)
        return signal, noise**2 if isinstance(t, kind) else noise

    return wrong


def retargeted(target, **parts):
    return dataclasses.replace(target, **parts)


# the thing: its sketch without a fault
SKETCHES: dict[str, Callable] = {
    "ddpm_step": ddpm(),
    "ddim_step": ddim(),
    "heun_step": heun(),
    "dpm_step": dpm(),
    "ddim_inversion": inversion(),
    "guided": guidance(),
    "score_corrected": correction(),
    "inpainting": masking(),
    "posterior": bayes(),
    "bound_moves": moves(),
    "variational_weights": weights(),
    "snr_weight": min_snr(),
    "from_betas": betas_to_table(),
    "cosine": cosine_table(),
    "zero_terminal_snr": zero_snr(),
    "straight": straight_table(),
    "clipped": clipping(),
    "thresholded": thresholding(),
    "dropped_out": thinned(),
}
