"""Walking back from noise to a picture: one step at a time, and the `walk` of many.

`denoiser` is a network read through the step's `schedule`, as `from_eps` makes it. Noise comes from `rng`: a generator,
a function (noise.py), or torch's global generator; `temperature`, at least 0, is the factor of its standard deviation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ddpm_teach.checks import Images, check_int, check_number, check_variance, check_walk
from ddpm_teach.diffusion.forward import bayes
from ddpm_teach.diffusion.noise import NoiseSource, draw_noise
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.types import Denoiser, Frame, Step


def ddpm_step(
    denoiser: Denoiser,
    schedule: Schedule,
    variance: str | float = "beta",
    temperature: float = 1.0,
    rng: NoiseSource = None,
) -> Step:
    """Ancestral sampling: x_s is drawn around the posterior's mean at x̂_0 (DDPM, algorithm 2). Lesson 04.

    `variance`: "beta" for β_{t|s} (right for data of unit variance), "posterior" for q(x_s | x_t, x_0)'s (right for a
    single picture), DDPM section 3.2; a number m in [0, 1] for (1 - m) · posterior + m · beta.
    """
    mix = check_variance(variance)
    check_number("temperature", temperature, 0)

    def step(x: Tensor, t: int, s: int) -> Frame:
        ab_t, ab_s = schedule.move(t, s)
        x0, eps = denoiser(x, t)
        mean, small = bayes(x0, x, ab_t, ab_s)
        if s == 0:  # the last step's mean is the picture: noise added here would stay in it
            return Frame(s, mean, x0, eps)
        sigma = math.sqrt((1 - mix) * small + mix * (1 - ab_t / ab_s))
        return Frame(s, mean + temperature * sigma * draw_noise(x, rng), x0, eps)

    return step


def ddim_step(
    denoiser: Denoiser, schedule: Schedule, eta: float = 0.0, temperature: float = 1.0, rng: NoiseSource = None
) -> Step:
    """The DDIM family (Song et al. 2021, eq. 12 and 16). Lesson 06.

        x_s = √ᾱ_s x̂_0 + √(1 - ᾱ_s - σ²) ε̂ + σ z,    σ² = η² (1 - ᾱ_s)/(1 - ᾱ_t) (1 - ᾱ_t/ᾱ_s)

    η = 0 adds (and draws) no noise, η = 1 equals ddpm_step(variance="posterior") for every list of times.
    """
    check_number("eta", eta, 0, 1)
    check_number("temperature", temperature, 0)

    def step(x: Tensor, t: int, s: int) -> Frame:
        ab_t, ab_s = schedule.move(t, s)
        x0, eps = denoiser(x, t)
        sigma = eta * math.sqrt((1 - ab_s) / (1 - ab_t) * (1 - ab_t / ab_s))
        x = math.sqrt(ab_s) * x0 + math.sqrt(max(1 - ab_s - sigma**2, 0.0)) * eps
        if sigma > 0:
            x = x + temperature * sigma * draw_noise(x, rng)
        return Frame(s, x, x0, eps)

    return step


def heun_step(denoiser: Denoiser, schedule: Schedule) -> Step:
    """DDIM's differential equation dx̄/dσ = ε̂, x̄ = x/√ᾱ, σ = √(1/ᾱ - 1), to second order (Karras et al. 2022, alg. 1).

    A DDIM move looks ahead, and the mean of both ε̂ makes the real move: S moves to time 0 are 2 S - 1 calls, since the
    last one (and one from ᾱ_t = 0, where σ is infinite) is DDIM's. The frame's eps is that mean, its x0 follows from it
    (not clipped again). Lesson 06.
    """
    predict = ddim_step(denoiser, schedule)

    def step(x: Tensor, t: int, s: int) -> Frame:
        first, (ab_t, ab_s) = predict(x, t, s), schedule.move(t, s)
        if s == 0 or ab_t == 0:
            return first
        return _along((first.eps + denoiser(first.x, s).eps) / 2, x, ab_t, ab_s, s)

    return step


def dpm_step(denoiser: Denoiser, schedule: Schedule) -> Step:
    """DPM-Solver++ (2M): DDIM's move with x̂_0 drawn out along λ = log(√ᾱ / √(1 - ᾱ)) (Lu et al. 2022b, algorithm 2).

        D = x̂_0 + h/(2 h') (x̂_0 - x̂_0'),    h = λ_s - λ_t,    h' and x̂_0': of the move that led to x

    Second order for one call a move. Each x that a move returns is remembered with what led to it, as long as it lives.
    Where nothing did (at a walk's start, or for pictures made anew in between, as `inpainting` does), and to time 0,
    where h is infinite, the move is DDIM's. The frame's x0 is D (not clipped again), and its eps follows. Lesson 11.
    """
    half_log_snr = (schedule.log_snr / 2).tolist()
    memory = WeakTensorKeyDictionary()  # x → its time, h' and x̂_0'

    def step(x: Tensor, t: int, s: int) -> Frame:
        ab_t, ab_s = schedule.move(t, s)
        x0, eps = estimate = denoiser(x, t)
        h = half_log_snr[s] - half_log_snr[t]
        time, h_before, before = memory.get(x, (None, None, None))
        if time == t and s > 0:
            x0 = x0 + h / (2 * h_before) * (x0 - before)
            eps = (x - math.sqrt(ab_t) * x0) / math.sqrt(1 - ab_t)
        frame = Frame(s, math.sqrt(ab_s) * x0 + math.sqrt(1 - ab_s) * eps, x0, eps)
        memory[frame.x] = s, h, estimate.x0
        return frame

    return step


def ddim_inversion(denoiser: Denoiser, schedule: Schedule) -> Step:
    """DDIM run forwards, from a picture to the noise that it would come from: s > t (Song et al. 2021, sec. 4.3).

    ε̂ is evaluated at max(t, 1), since networks know no time 0. Lesson 07.
    """

    def step(x: Tensor, t: int, s: int) -> Frame:
        check_int("t", t, 0, schedule.T - 1)
        check_int("s", s, t + 1, schedule.T)
        return _along(denoiser(x, max(t, 1)).eps, x, schedule.at(t), schedule.at(s), s)

    return step


def _along(eps: Tensor, x: Tensor, ab_t: float, ab_s: float, s: int) -> Frame:
    """From t to s along a given ε̂: √ᾱ_s x̂_0 + √(1 - ᾱ_s) ε̂ with the x̂_0 that it leaves in x."""
    x0 = (x - math.sqrt(1 - ab_t) * eps) / math.sqrt(ab_t)
    return Frame(s, math.sqrt(ab_s) * x0 + math.sqrt(1 - ab_s) * eps, x0, eps)


def walk(step: Step, x: Images, times: Iterable[int]) -> Iterator[Frame]:
    """Yields a copy of x at times[0], then the frame after each move: normal noise at T leads to pictures at 0.

    Frames may be kept: their tensors are new, if the network's are. No gradients; the caller's grad mode is left alone.
    `times` are whole numbers ≥ 0, such as trailing(T, 50); they and x are checked now, before any frame. Lesson 04.
    """
    times = check_walk(x, times)

    def frames() -> Iterator[Frame]:
        yield (frame := Frame(times[0], x.detach().clone()))
        for t, s in itertools.pairwise(times):
            with torch.no_grad():  # around the step only: a yield in here would change the caller's grad mode
                frame = step(frame.x, t, s)
            yield frame

    return frames()


def every(frames: Iterable[Frame], n: int) -> Iterator[Frame]:
    """Every n-th frame of a stream (n ≥ 1), always with the first and the last. Lesson 04."""
    check_int("n", n, 1)

    def chosen() -> Iterator[Frame]:
        i = -1
        for i, frame in enumerate(frames):
            if i % n == 0:
                yield frame
        if i > 0 and i % n:
            yield frame

    return chosen()
