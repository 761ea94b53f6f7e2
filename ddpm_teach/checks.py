"""Refusing bad input before any work is done, in one sentence: the argument, what was given, and the remedy.

Whole numbers and times outside their range are a ValueError; floats, bools and other types a TypeError.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Collection, Iterable

import torch
from jaxtyping import Float
from torch import Tensor

Time = int | Tensor  # a Python int, or a long tensor (b,)
Images = Float[Tensor, "b ..."]  # or latents, or points: nothing here asks for channels, height or width
PRECISIONS = ("auto", "float32", "bfloat16")


def shown(value: object) -> str:
    """What came, in a few words of one line: as Python writes it where that is short, else its kind, and its shape."""
    if hasattr(value, "shape"):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def check_word(name: str, value: str, known: Collection[str]) -> str:
    """`value` itself if it is one of the known words."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}, got {shown(value)}")
    return value


def check_int(name: str, value: int, low: int, high: int | None = None, why: str = "") -> int:
    """`value` itself if it is a Python int in low…high (without `high`: at least low); `why` ends the sentence."""
    wanted = f"≥ {low}" if high is None else f"in {low}…{high}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected a whole number {wanted} (an int), got {shown(value)}; use int({name})")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name}: expected a whole number {wanted}, got {value}{why}")
    return value


def check_number(name: str, value: float, low: float, high: float = math.inf) -> float:
    """`value` itself if it is a finite number in [low, high].

    Raises:
        TypeError: for what isn't a number.
        ValueError: out of range, infinite or NaN.
    """
    wanted = f"a number in [{low}, {high}]"
    if high == math.inf:
        wanted = "a finite number" if low == -math.inf else f"a finite number ≥ {low}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: expected {wanted}, got {value!r}; use float({name})")
    if not (low <= value <= high and math.isfinite(value)):  # NaN fails the first, infinity the second
        raise ValueError(f"{name}: expected {wanted}, got {value}")
    return value


def check_positive(name: str, value: float, why: str = "") -> float:
    """`value` itself if it is a finite number above 0; `why` ends the sentence for 0."""
    if check_number(name, value, 0) == 0:
        raise ValueError(f"{name}: expected a positive number, got {value}{why}")
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

    Tensors are looked into only where `can_look` says so.

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
    if can_look(t) and t.numel():
        first, last = t.aminmax()
        if first < low or last > high:
            raise ValueError(f"t: expected times in {low}…{high}, got values from {int(first)} to {int(last)}{why}")
    return t


def has_numbers(values: Tensor) -> bool:
    """Whether a tensor can be read now: not while compiling, nor under torch.vmap, where it stands for many."""
    return not torch.compiler.is_compiling() and not torch._C._functorch.is_batchedtensor(values)  # no public word


def can_look(values: Tensor) -> bool:
    """Whether reading it costs nothing, too: elsewhere than on the CPU it would wait for the device."""
    return values.device.type == "cpu" and has_numbers(values)


def check_finite(name: str, values: Tensor) -> None:
    """Refuses numbers that aren't finite: one of them would spread over the whole picture."""
    if can_look(values) and not values.isfinite().all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity; find out where {name} got them")


def check_move(t: int, s: int, T: int) -> None:
    """A step back goes from t in 1…T to s in 0…t-1."""
    check_int("t", t, 1, T)
    check_int("s", s, 0, t - 1)


def check_walk(x: Tensor, times: Iterable[int]) -> list[int]:
    """The times of a walk as a list: at least one, whole numbers, none negative; it begins at pictures x."""
    check_pictures("x", x)
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
    check_finite("known", known)
    if not isinstance(mask, Tensor):
        raise TypeError(
            f"mask: expected a tensor of bools, or of zeros and ones, got {shown(mask)}; use torch.tensor(…)"
        )
    if mask.dtype != torch.bool and has_numbers(mask) and not ((mask == 0) | (mask == 1)).all():
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
    """Refuses what isn't a batch of at least one floating-point picture, or latent, or point."""
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name}: expected pictures as a tensor (b, …), got a {type(x).__name__}; use torch.as_tensor(…)"
        )
    if not x.is_floating_point():
        raise TypeError(f"{name}: expected floats in [-1, 1], got {x.dtype}; use x / 127.5 - 1 for bytes 0…255")
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"{name}: expected at least one picture (b, …), got shape {tuple(x.shape)}")


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


def check_guidance(net: Callable[..., Tensor], context: Tensor, null: Tensor, scale: float) -> None:
    """Refuses what is no network, contexts that are no tensors or differ in shape, and what isn't finite."""
    check_net(net)
    for name, value in (("context", context), ("null", null)):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name}: expected a tensor (b, …), got {shown(value)}; use torch.tensor(…) or model.context(name)"
            )
        check_finite(name, value)
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
    if has_numbers(x0) and not ((levels - levels.round().clamp(0, 255)).abs() < 0.02).all():
        raise ValueError("x0: expected pictures in 256 levels k / 127.5 - 1; use images.pictures(index)")


def check_net(net: Callable[..., Tensor]) -> None:
    """Refuses what can't be called as net(x, t), above all a Model or a run in the place of its network."""
    if not callable(net):
        raise TypeError(f"net: expected a network, got {shown(net)}; use model.net, state.net, or ContextUNet(…)")


def check_model(model: object) -> None:
    """Refuses what isn't a network with its schedule and target, above all a network alone, or a name."""
    if not all(hasattr(model, name) for name in ("net", "schedule", "target", "noise")):
        remedy = 'load_model("sprites"), Model(net, schedule), or state.model'
        raise TypeError(f"model: expected a Model, got {shown(model)}; use {remedy}")


def check_schedule(schedule: object) -> None:
    """Refuses what isn't a Schedule."""
    if not hasattr(schedule, "alpha_bar"):
        raise TypeError(f"schedule: expected a Schedule, got {shown(schedule)}; use linear(T), or model.schedule")


def check_classes(classes: object, width: object = None) -> tuple[str, ...]:
    """The names of classes as a tuple, no two of them the same; `width` is that of the network's contexts, if known."""
    if isinstance(classes, str) or not isinstance(classes, Iterable):
        raise TypeError(f'classes: expected a tuple of names, got {shown(classes)}; use ("cat", "dog"), or ("cat",)')
    for i, name in enumerate(classes := tuple(classes)):
        if not isinstance(name, str):
            raise TypeError(f"classes: expected names (strings), got {shown(name)}; use tuple(map(str, classes))")
        if name in classes[:i]:
            raise ValueError(f"classes: expected every name once, got {name!r} twice; give each class its own name")
    if classes and isinstance(width, int) and len(classes) != width:
        raise ValueError(
            f"classes: the network takes contexts of width {width}, got {len(classes)} classes; name {width}, or none"
        )
    return classes
