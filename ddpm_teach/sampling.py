"""Walking back from noise to a picture: the steps, and the walk. A whole sampler, as lesson 06 writes it:

    denoise = clipped(from_eps(net, schedule), schedule)
    for frame in walk(ddim_step(denoise, schedule), x_T, trailing(schedule.T, 50)): ...

Every step that draws noise takes it from `rng`: a generator, a function (noise.py), or torch's global generator.
"""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ddpm_teach import devices
from ddpm_teach.checks import Images, check_int, check_move, check_net, check_number, check_times, check_variance
from ddpm_teach.denoise import clipped, from_eps, guided
from ddpm_teach.forward import add_noise, picture_from, posterior
from ddpm_teach.guidance import inpainting as inpainting
from ddpm_teach.kinds import Denoiser, Frame, Step
from ddpm_teach.noise import Rng, draw_noise
from ddpm_teach.schedule import Schedule
from ddpm_teach.times import leading as leading, quadratic as quadratic, trailing


def ddpm_step(
    denoiser: Denoiser, schedule: Schedule, variance: str | float = "beta", temperature: float = 1.0, rng: Rng = None
) -> Step:
    """Ancestral sampling: x_s is drawn around the posterior's mean at x̂_0 (DDPM, algorithm 2). Lesson 04.

    Args:
        variance: "beta" for β_{t|s} (right for data of unit variance), "posterior" for q(x_s | x_t, x_0)'s (right for a
            single picture), DDPM section 3.2; a number m in [0, 1] for (1 - m) · posterior + m · beta.
        temperature: factor of the noise's standard deviation, at least 0.
    """
    mix = check_variance(variance)
    check_number("temperature", temperature, 0)

    def step(x: Tensor, t: int, s: int) -> Frame:
        check_move(t, s, schedule.T)
        x0, eps = denoiser(x, t)
        mean, small = posterior(schedule, x0, x, t, s)
        if s == 0:  # the last step's mean is the picture: noise added here would stay in it
            return Frame(s, mean, x0, eps)
        sigma = math.sqrt((1 - mix) * small + mix * (1 - schedule.at(t) / schedule.at(s)))
        return Frame(s, mean + temperature * sigma * draw_noise(x, rng), x0, eps)

    return step


def ddim_step(
    denoiser: Denoiser, schedule: Schedule, eta: float = 0.0, temperature: float = 1.0, rng: Rng = None
) -> Step:
    """The DDIM family (Song et al. 2021, eq. 12 and 16). Lesson 06.

        x_s = √ᾱ_s x̂_0 + √(1 - ᾱ_s - σ²) ε̂ + σ z,    σ² = η² (1 - ᾱ_s)/(1 - ᾱ_t) (1 - ᾱ_t/ᾱ_s)

    Args:
        eta: η in [0, 1]: 0 adds (and draws) no noise, 1 equals ddpm_step(variance="posterior") for every list of times.
        temperature: factor of σ z alone, at least 0.
    """
    check_number("eta", eta, 0, 1)
    check_number("temperature", temperature, 0)

    def step(x: Tensor, t: int, s: int) -> Frame:
        check_move(t, s, schedule.T)
        x0, eps = denoiser(x, t)
        ab_t, ab_s = schedule.at(t), schedule.at(s)
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
        first = predict(x, t, s)
        if s == 0 or schedule.at(t) == 0:
            return first
        eps = (first.eps + denoiser(first.x, s).eps) / 2
        return _move(schedule, x, t, s, eps)

    return step


def ddim_inversion(denoiser: Denoiser, schedule: Schedule) -> Step:
    """DDIM run forwards, from a picture to the noise that it would come from: s > t (Song et al. 2021, sec. 4.3).

    ε̂ is evaluated at max(t, 1), since networks know no time 0. Lesson 06.
    """

    def step(x: Tensor, t: int, s: int) -> Frame:
        check_int("t", t, 0, schedule.T - 1)
        check_int("s", s, t + 1, schedule.T)
        return _move(schedule, x, t, s, denoiser(x, max(t, 1)).eps)

    return step


def _move(schedule: Schedule, x: Tensor, t: int, s: int, eps: Tensor) -> Frame:
    """From t to s along a given ε̂: √ᾱ_s x̂_0 + √(1 - ᾱ_s) ε̂ with the x̂_0 that it leaves in x."""
    x0 = picture_from(schedule, x, t, eps)
    return Frame(s, add_noise(schedule, x0, s, eps), x0, eps)


def walk(step: Step, x: Images, times: Iterable[int]) -> Iterator[Frame]:
    """Yields a copy of x at times[0], then the frame after each move: normal noise at T leads to pictures at 0.

    Each frame's tensors are new (if the network's are), so frames may be kept; a walk that is consumed frame by frame
    keeps one only. Runs without gradients, and leaves the caller's grad mode alone. `times` are whole numbers ≥ 0, such
    as trailing(T, 50), looked at now, before any frame. Lesson 04.
    """
    times = check_times(times)
    return _walk(step, Frame(times[0], x.detach().clone()), times)


def _walk(step: Step, frame: Frame, times: Sequence[int]) -> Iterator[Frame]:
    yield frame
    for t, s in itertools.pairwise(times):
        with torch.no_grad():  # around the step only: a yield in here would change the caller's grad mode
            frame = step(frame.x, t, s)
        yield frame


def every(frames: Iterable[Frame], n: int) -> Iterator[Frame]:
    """Every n-th frame of a stream (n ≥ 1), always with the first and the last. Lesson 04."""
    check_int("n", n, 1)
    return _every(frames, n)


def _every(frames: Iterable[Frame], n: int) -> Iterator[Frame]:
    last = None
    for i, frame in enumerate(frames):
        last = frame if i % n else None
        if last is None:
            yield frame
    if last is not None:
        yield last


def sample(
    net: torch.nn.Module,
    schedule: Schedule,
    shape: Sequence[int],
    *,
    steps: int = 50,
    eta: float = 0.0,
    context: Tensor | None = None,
    guidance_scale: float = 1.0,
    seed: int | None = None,
    precision: str = "auto",
    progress: bool = False,
) -> Tensor:
    """Pictures (b, c, h, w) in [-1, 1] from a module that predicts noise: clipped DDIM, trailing times. Lesson 00.

    Args:
        net: runs in eval mode and is left in the mode it was in.
        shape: (b, c, h, w) of the pictures; the result is float32, on the network's device.
        steps, eta: of `trailing` and `ddim_step`; eta = 1 is DDPM with the posterior's variance.
        context: (b, …) or (1, …), what the pictures shall show; None for a network without context.
        guidance_scale: scale of `guided`; needs a context unless it is 1.
        seed: same seed, same pictures, on every device up to rounding; None takes a new one each time.
        precision: "auto" computes a `tuned` copy (in bfloat16 where the hardware has it), "float32" the network itself.
    """
    from tqdm.auto import tqdm  # here, since `import ddpm_teach` shall cost no more than torch does

    if context is None and guidance_scale != 1:
        raise ValueError(f"guidance_scale: {guidance_scale} needs a context to guide towards; pass context=… as well")
    check_net(net, schedule)
    times, device = trailing(schedule.T, steps), next(net.parameters(), torch.empty(0)).device
    rng = torch.Generator()
    rng.seed() if seed is None else rng.manual_seed(seed)
    predict = devices.tuned(net, device, precision)
    if context is not None:
        predict = guided(predict, context.to(device) if isinstance(context, Tensor) else context, guidance_scale)
    step = ddim_step(clipped(from_eps(predict, schedule), schedule), schedule, eta, rng=rng)
    frames = walk(step, torch.randn(*shape, generator=rng, dtype=torch.float32).to(device), times)
    frames = tqdm(frames, total=len(times), desc="sampling", leave=False, disable=not progress)
    with devices.evaluating(net):
        return collections.deque(frames, maxlen=1).pop().x
