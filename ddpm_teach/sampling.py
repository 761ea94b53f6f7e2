"""Walking back from noise to a picture.

    Step(x, t, s) -> Frame                     one move from time t to time s; t and s are Python ints
    walk(step, x, times) -> Iterator[Frame]    many moves; what to do with the frames is a `for` loop

A whole sampler, as lesson 06 writes it:

    denoise = clipped(from_eps(net, schedule), schedule)
    for frame in walk(ddim_step(denoise, schedule), x_T, trailing(schedule.T, 50)): ...
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ddpm_teach import devices
from ddpm_teach.denoise import Denoiser, Net, clipped, from_eps, guided
from ddpm_teach.forward import posterior
from ddpm_teach.schedule import Schedule, check_int, check_net


@dataclass(frozen=True, eq=False)
class Frame:
    """A moment of a walk: the picture `x` (b, …) at time `t`.

    `x0` and `eps` are the estimate, made at the time before, that led here; None in the first frame.
    """

    t: int
    x: Tensor
    x0: Tensor | None = None
    eps: Tensor | None = None


Step = Callable[[Tensor, int, int], Frame]


def ddpm_step(
    denoiser: Denoiser,
    schedule: Schedule,
    variance: str = "beta",
    temperature: float = 1.0,
    rng: torch.Generator | None = None,
) -> Step:
    """Ancestral sampling: x_s is drawn around the posterior's mean at x̂_0 (DDPM, algorithm 2). Lesson 04.

    Args:
        variance: "beta" for β_{t|s} (right for data of unit variance), "posterior" for q(x_s | x_t, x_0)'s (right for a
            single picture); the two bounds of DDPM, section 3.2.
        temperature: factor of the noise's standard deviation.
        rng: where the noise comes from; the global generator unless given.

    Raises:
        ValueError: if `variance` is neither, or `temperature` is negative or not a number.
    """
    if variance not in ("beta", "posterior"):
        raise ValueError(f'variance: expected "beta" or "posterior", got {variance!r}')
    _check_range("temperature", temperature, 0, math.inf)

    def step(x: Tensor, t: int, s: int) -> Frame:
        _check_move(t, s, schedule)
        x0, eps = denoiser(x, t)
        mean, small = posterior(schedule, x0, x, t, s)
        if s == 0:  # the last step's mean is the picture: noise added here would stay in it
            return Frame(s, mean, x0, eps)
        spread = small if variance == "posterior" else 1 - schedule.at(t) / schedule.at(s)
        return Frame(s, mean + temperature * math.sqrt(spread) * _noise(x, rng), x0, eps)

    return step


def ddim_step(
    denoiser: Denoiser,
    schedule: Schedule,
    eta: float = 0.0,
    temperature: float = 1.0,
    rng: torch.Generator | None = None,
) -> Step:
    """The DDIM family (Song et al. 2021, eq. 12 and 16). Lesson 06.

        x_s = √ᾱ_s x̂_0 + √(1 - ᾱ_s - σ²) ε̂ + σ z,    σ² = η² (1 - ᾱ_s)/(1 - ᾱ_t) (1 - ᾱ_t/ᾱ_s)

    Args:
        eta: η in [0, 1]: 0 adds no noise, 1 equals ddpm_step(variance="posterior") for every list of times.
        temperature: factor of σ z alone.
        rng: where the noise z comes from; the global generator unless given. With eta = 0 none is drawn.

    Raises:
        ValueError: if `eta` is outside [0, 1], or `temperature` is negative or not a number.
    """
    _check_range("eta", eta, 0, 1)
    _check_range("temperature", temperature, 0, math.inf)

    def step(x: Tensor, t: int, s: int) -> Frame:
        _check_move(t, s, schedule)
        x0, eps = denoiser(x, t)
        ab_t, ab_s = schedule.at(t), schedule.at(s)
        sigma = eta * math.sqrt((1 - ab_s) / (1 - ab_t) * (1 - ab_t / ab_s))
        x = math.sqrt(ab_s) * x0 + math.sqrt(max(1 - ab_s - sigma**2, 0.0)) * eps
        if sigma > 0:
            x = x + temperature * sigma * _noise(x, rng)
        return Frame(s, x, x0, eps)

    return step


def trailing(T: int, steps: int) -> list[int]:
    """`steps` evenly spaced moves from T to 0: the times round(T · k / steps), k = steps…0. Lesson 06.

    Raises:
        TypeError, ValueError: unless `steps` is an int in 1…T.
    """
    check_int("steps", steps, 1, T)
    return [
        (2 * T * k + steps) // (2 * steps) for k in range(steps, -1, -1)
    ]  # whole-number arithmetic: halves round up


def walk(step: Step, x: Float[Tensor, "b ..."], times: Iterable[int]) -> Iterator[Frame]:
    """Yields a copy of x at times[0], then the frame after each move. Lesson 04.

    Each frame's tensors are new, so frames may be kept; a walk that is consumed frame by frame keeps one only.
    Runs without gradients, and leaves the caller's grad mode alone.

    Args:
        x: where to start: standard normal noise for times[0] = T.
        times: whole numbers ≥ 0, such as trailing(T, 50).

    Raises:
        ValueError, TypeError: for times that aren't whole and non-negative; at the call, before any frame.
    """
    times = list(times)
    for time in times:
        if isinstance(time, bool) or not isinstance(time, int):
            raise TypeError(f"times: expected whole numbers, got {time!r}")
    if not times or min(times) < 0:
        raise ValueError(f"times: expected at least one time, none negative, got {times}")
    return _walk(step, x, times)


def _walk(step: Step, x: Tensor, times: Sequence[int]) -> Iterator[Frame]:
    frame = Frame(times[0], x.detach().clone())
    yield frame
    for t, s in itertools.pairwise(times):
        with torch.no_grad():  # around the step only: a yield in here would change the caller's grad mode
            frame = step(frame.x, t, s)
        yield frame


def every(frames: Iterable[Frame], n: int) -> Iterator[Frame]:
    """Every n-th frame of a stream, always with the first and the last. Lesson 04.

    Raises:
        TypeError, ValueError: unless n is an int ≥ 1.
    """
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
    net: Net,
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
    """Pictures from a network that predicts noise: DDIM over `steps` trailing times, x̂_0 clipped to [-1, 1]. Lesson 00.

    Args:
        net: a module; it runs in eval mode and is left in the mode it was in.
        shape: (b, c, h, w) of the pictures.
        eta: η of `ddim_step`; 1 is DDPM with the posterior's variance.
        context: (b, …) or (1, …), what the pictures shall show; None for a network without context.
        guidance_scale: scale of `guided`; needs a context unless it is 1.
        seed: same seed, same pictures, on every device up to rounding; None takes a new one each time.
        precision: "auto" computes the network in bfloat16 where the hardware has it natively, "float32" exactly.
        progress: show a progress bar.

    Returns:
        (b, c, h, w) float32 in [-1, 1], on the network's device.
    """
    if context is None and guidance_scale != 1:
        raise ValueError(f"guidance_scale: {guidance_scale} needs a context to guide towards; pass context=… as well")
    check_net(net, schedule)
    times = trailing(schedule.T, steps)
    device = next(net.parameters()).device
    rng = torch.Generator()
    if seed is None:
        rng.seed()
    else:
        rng.manual_seed(seed)

    predict = devices.in_precision(net, device, precision)
    if context is not None:
        predict = guided(predict, context.to(device) if isinstance(context, Tensor) else context, guidance_scale)
    step = ddim_step(clipped(from_eps(predict, schedule), schedule), schedule, eta, rng=rng)
    frames = walk(step, torch.randn(*shape, generator=rng).to(device), times)
    if progress:
        from tqdm.auto import tqdm

        frames = tqdm(frames, total=len(times), desc="sampling", leave=False)
    with evaluating(net):
        last = collections.deque(frames, maxlen=1).pop()
    return last.x


@contextlib.contextmanager
def evaluating(net: torch.nn.Module) -> Iterator[None]:
    """Eval mode inside the block; every module's own mode is put back after it, also after an error."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _noise(x: Tensor, rng: torch.Generator | None) -> Tensor:
    """Standard normal noise for x, drawn on rng's device and at least in float32, so that it is the same everywhere."""
    device = x.device if rng is None else rng.device
    return torch.randn(x.shape, generator=rng, device=device, dtype=torch.promote_types(x.dtype, torch.float32)).to(x)


def _check_move(t: int, s: int, schedule: Schedule) -> None:
    """A step back goes from t in 1…T to s in 0…t-1."""
    check_int("t", t, 1, schedule.T)
    check_int("s", s, 0, t - 1)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not (low <= value <= high and math.isfinite(value)):  # NaN fails the first, infinity the second
        raise ValueError(f"{name}: expected a number in [{low}, {high}], got {value}")
