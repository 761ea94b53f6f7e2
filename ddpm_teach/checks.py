"""Refusing bad input before any work is done, in one sentence: the argument, what was given, and the remedy.

Whole numbers and times outside their range are a ValueError; floats, bools and other types a TypeError.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

Time = int | Tensor  # a Python int, or a long tensor (b,)
Images = Float[Tensor, "b ..."]  # or latents, or points: nothing here asks for channels, height or width


def check_int(name: str, value: int, low: int, high: int | None = None, why: str = "") -> int:
    """`value` itself if it is a Python int in low…high (without `high`: at least low); `why` ends the sentence.

    Raises:
        TypeError: for a float, a bool or a tensor.
        ValueError: out of range.
    """
    wanted = f"≥ {low}" if high is None else f"in {low}…{high}"
    if isinstance(value, bool) or not isinstance(value, int):
        got = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise TypeError(f"{name}: expected a whole number {wanted} (an int), got {got}; use int({name})")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name}: expected a whole number {wanted}, got {value}{why}")
    return value


def check_number(name: str, value: float, low: float, high: float = math.inf) -> float:
    """`value` itself if it is a finite number in [low, high].

    Raises:
        TypeError: for what isn't a number.
        ValueError: out of range, infinite or NaN.
    """
    wanted = "a finite number" if low == -math.inf else f"a number in [{low}, {high}]"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: expected {wanted}, got {value!r}; use float({name})")
    if not (low <= value <= high and math.isfinite(value)):  # NaN fails the first, infinity the second
        raise ValueError(f"{name}: expected {wanted}, got {value}")
    return value


def check_variance(variance: str | float) -> float:
    """The v of (1 - v) · posterior + v · beta: 0 for "posterior", 1 for "beta", or a number in [0, 1] itself."""
    if isinstance(variance, str):
        if variance not in ("beta", "posterior"):
            raise ValueError(f'variance: expected "beta", "posterior" or a number in [0, 1], got {variance!r}')
        return 1.0 if variance == "beta" else 0.0
    return check_number("variance", variance, 0, 1)


def check_beta(name: str, value: float) -> None:
    """Refuses what can't be a β: a share strictly between 0 and 1."""
    if not 0 < check_number(name, value, -math.inf) < 1:
        raise ValueError(f"{name}: expected a number strictly between 0 and 1, got {value}")


def check_time(t: Time, low: int, high: int, like: Tensor | None = None, why: str = "") -> Time:
    """`t` itself if it is a Python int in low…high, or a tensor of such, one for each floating-point picture in `like`.

    Tensors are looked into only on the CPU and never while compiling: elsewhere it would wait for the device.

    Raises:
        TypeError: for a float, a bool, or a tensor of floats.
        ValueError: for a time out of range (`why` ends the sentence), or another number of times than of pictures.
    """
    if like is not None:
        check_floats(like)
    if not isinstance(t, Tensor):
        return check_int("t", t, low, high, why)
    if t.is_floating_point() or t.is_complex() or t.dtype == torch.bool:
        raise TypeError(f"t: expected whole times in {low}…{high} (a long tensor), got {t.dtype}; use t.long()")
    if like is not None and t.shape != like.shape[:1]:
        raise ValueError(
            f"t: expected one time for each of {len(like)} pictures, got shape {tuple(t.shape)};"
            f" use torch.full(({len(like)},), t)"
        )
    if t.device.type == "cpu" and not torch.compiler.is_compiling() and t.numel():
        first, last = t.aminmax()
        if first < low or last > high:
            raise ValueError(f"t: expected times in {low}…{high}, got values from {int(first)} to {int(last)}{why}")
    return t


def check_move(t: int, s: int, T: int) -> None:
    """A step back goes from t in 1…T to s in 0…t-1."""
    check_int("t", t, 1, T)
    check_int("s", s, 0, t - 1)


def check_times(times: Iterable[int]) -> list[int]:
    """The times of a walk as a list: at least one, whole numbers, none negative."""
    times = list(times)
    for time in times:
        if isinstance(time, bool) or not isinstance(time, int):
            raise TypeError(f"times: expected whole numbers, got {time!r}; use [int(t) for t in times]")
    if not times or min(times) < 0:
        raise ValueError(f"times: expected at least one time, none negative, got {times}; trailing(T, 50) makes a list")
    return times


def check_mask(mask: Tensor, known: Tensor) -> Tensor:
    """`mask` as bools: it must hold bools, or zeros and ones, and broadcast to the shape of the pictures `known`."""
    check_pictures("known", known)
    if not isinstance(mask, Tensor):
        raise TypeError(f"mask: expected a tensor of bools, or of zeros and ones, got {mask!r}; use torch.tensor(…)")
    if mask.dtype != torch.bool and not ((mask == 0) | (mask == 1)).all():
        raise ValueError("mask: expected bools, or zeros and ones, got other values; compare it with a threshold first")
    try:
        fits = torch.broadcast_shapes(mask.shape, known.shape) == known.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"mask: expected a shape that broadcasts to known's {tuple(known.shape)}, got {tuple(mask.shape)}"
        )
    return mask.bool()


def check_floats(x: Tensor) -> None:
    """Refuses pictures of whole numbers: √ᾱ_t would be rounded to 0."""
    if not x.is_floating_point():
        raise TypeError(f"x: expected floats in [-1, 1], got {x.dtype}; use images.pictures(index), or x / 127.5 - 1")


def check_shape(name: str, value: Tensor, like: Tensor) -> None:
    """Refuses a tensor of another shape than x's: broadcasting would share one noise or picture between several."""
    check_floats(like)
    if value.shape != like.shape:
        raise ValueError(
            f"{name}: expected the pictures' shape {tuple(like.shape)}, got {tuple(value.shape)}; give one each"
        )


def check_pictures(name: str, x: Tensor) -> None:
    """Refuses what isn't a batch of floating-point pictures, or latents, or points.

    Raises:
        TypeError: for what is no tensor, or one of whole numbers; the remedy is in the sentence.
        ValueError: for no picture.
    """
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name}: expected pictures as a tensor (b, …), got a {type(x).__name__}; use torch.as_tensor(…)"
        )
    if not x.is_floating_point():
        raise TypeError(f"{name}: expected floats in [-1, 1], got {x.dtype}; use x / 127.5 - 1 for bytes 0…255")
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"{name}: expected at least one picture (b, …), got shape {tuple(x.shape)}")


def check_size(x: Tensor, image_shape: tuple[int, int, int]) -> None:
    """Checks that x is (b, *image_shape).

    Raises:
        ValueError, TypeError: that name what came and the remedy.
    """
    channels, height, width = image_shape
    if x.ndim != 4:
        raise ValueError(
            f"x: expected a batch (b, {channels}, {height}, {width}), got {tuple(x.shape)}; x[None] makes one"
        )
    check_floats(x)
    if x.shape[1] != channels:
        raise ValueError(
            f"x: expected {channels} channels, got {x.shape[1]}; convert the pictures or build the net for them"
        )
    if x.shape[2:] != (height, width):
        raise ValueError(
            f"x: expected pictures of {height}×{width}, got {x.shape[2]}×{x.shape[3]};"
            " pad them (data.load(size=…)) or build the net for that size"
        )


def check_input(
    x: Tensor, t: Tensor, c: Tensor | None, image_shape: tuple[int, int, int], T: int, context_dim: int | None
) -> None:
    """Checks net(x, t, c): x (b, *image_shape), t long (b,) in 1…T, c (b, context_dim) or None.

    Raises:
        ValueError: that names the argument, what came, and the remedy.
        TypeError: if x isn't of floats, t isn't of whole numbers, or c is no tensor.
    """
    check_size(x, image_shape)
    if not isinstance(t, Tensor) or t.shape != (len(x),):
        got = tuple(t.shape) if isinstance(t, Tensor) else repr(t)
        raise ValueError(
            f"t: expected a long tensor ({len(x)},), one time per picture, got {got}; use torch.full(({len(x)},), t)"
        )
    check_time(t, 1, T)
    if c is None:
        return
    if context_dim is None:
        raise ValueError("c: this network takes no context; leave it out, or use a network with a context_dim")
    if not isinstance(c, Tensor):
        raise TypeError(f"c: expected a tensor ({len(x)}, {context_dim}), got {type(c).__name__}; use torch.tensor(c)")
    if c.shape != (len(x), context_dim):
        raise ValueError(
            f"c: expected contexts of shape ({len(x)}, {context_dim}), one per picture, got {tuple(c.shape)};"
            f" torch.nn.functional.one_hot(labels, {context_dim}).float() makes them from labels"
        )


def check_table(alpha_bar: Tensor) -> None:
    """Refuses what is no ᾱ_0…ᾱ_T: it must start at 1 and fall strictly to a last value ≥ 0 (NaN does neither)."""
    if alpha_bar.ndim != 1 or len(alpha_bar) < 2:
        raise ValueError(f"alpha_bar: expected shape (T + 1,) with T ≥ 1, got {tuple(alpha_bar.shape)}")
    if alpha_bar[0] != 1 or not (alpha_bar.diff() < 0).all() or not alpha_bar[-1] >= 0:
        raise ValueError("alpha_bar: must start at 1 and fall strictly to a value ≥ 0; pass the product of 1 - β")


def check_betas(betas: Tensor) -> None:
    """Refuses what are no β_1…β_T, and so many that the product of 1 - β is 0 in float64; warns of a visible end."""
    if betas.ndim != 1 or len(betas) == 0 or not ((betas > 0) & (betas < 1)).all():
        raise ValueError("betas: expected shape (T,) with every value strictly between 0 and 1")
    alpha_bar = [1.0, *(1 - betas).cumprod(0).tolist()]
    if vanished := sum(share < sys.float_info.min for share in alpha_bar):
        raise ValueError(
            f"betas: the product of 1 - β underflows at t = {len(betas) + 1 - vanished} of {len(betas)};"
            f" use fewer steps, or β about {len(betas) / 1000:.3g} times smaller"
        )
    _warn_of_visible_end(alpha_bar)


def _warn_of_visible_end(alpha_bar: list[float]) -> None:
    """Warns if ᾱ_T > 0.01, at the line that called the package: sampling starts from pure noise, and x_T isn't that."""
    *_, before, visible = alpha_bar
    if visible <= 0.01:
        return
    stacklevel, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].startswith(__package__):
        stacklevel, frame = stacklevel + 1, frame.f_back
    factor = math.log(4e-5) / math.log(visible)  # 4e-5 is what the DDPM paper's schedule leaves
    warnings.warn(
        f"alpha_bar[{len(alpha_bar) - 1}] = {visible:.3f}: the last picture still shows {visible:.0%} of the signal's"
        f" variance, but sampling starts from pure noise; scale beta by about {factor:.1f}"
        f" (beta_end = {min(0.999, (1 - visible / before) * factor):.3g}) or use more steps",
        stacklevel=stacklevel,
    )


def check_guidance(context: Tensor, null: Tensor, scale: float) -> None:
    """Refuses contexts that are no tensors or differ in shape, and a scale that isn't finite."""
    for name, value in (("context", context), ("null", null)):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name}: expected a tensor (b, …), got {value!r}; use torch.tensor(…) or model.context(name)"
            )
    check_number("scale", scale, -math.inf)
    if null.shape[1:] != context.shape[1:]:
        raise ValueError(f"null: expected contexts of shape {tuple(context.shape[1:])}, got {tuple(null.shape[1:])}")


def check_one_each(log_p: Tensor, x: Tensor) -> None:
    """Refuses a log_prob that isn't one number for each picture."""
    if log_p.shape != x.shape[:1]:
        raise ValueError(
            f"log_prob: expected one number per picture, ({len(x)},), got {tuple(log_p.shape)};"
            " pick the wanted class's column, logits.log_softmax(1)[:, k]"
        )


def check_levels(x0: Tensor) -> None:
    """Refuses pictures whose values aren't the 256 levels of a byte, -1…1; NaN is none either."""
    levels = (x0 + 1) * 127.5
    if not ((levels - levels.round().clamp(0, 255)).abs() < 0.02).all():
        raise ValueError("x0: expected pictures in 256 levels k / 127.5 - 1; use images.pictures(index)")
