"""Comparing what a learner's function gave with what is right, and saying the difference."""

from __future__ import annotations

import math
import numbers
import re
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ddpm_teach.course.exercises.calls import Outcome


class Raised(NamedTuple):
    """An error in words: its type with the module, the first line of its message, and what a learner reads."""

    kind: str
    text: str
    told: str = ""

    @classmethod
    def of(cls, error: BaseException | Raised | None, told: str = "") -> Raised:
        """The words for an error, which may be words already; for None they are those of no error."""
        if isinstance(error, Raised):
            return error
        return cls(f"{type(error).__module__}.{type(error).__qualname__}", message(error), told)


def alike(a: Outcome, b: Outcome, tolerance: float) -> bool:
    """Whether two functions came to the same: errors of one type and one message, or values that agree.

    Numbers in the messages don't count: the same mistake, made in another order, meets other sizes.
    """
    if a.error is not None or b.error is not None:
        one, other = (Raised.of(error) for error in (a.error, b.error))
        return one.kind == other.kind and _without_numbers(one.text) == _without_numbers(other.text)
    return not difference(a.value, b.value, tolerance)


def message(error: BaseException | None) -> str:
    """The first line of an error's message, cut short; "" where there is none, or where it can't be made."""
    try:
        line = str(error).strip().partition("\n")[0]
        return line if len(line) <= 200 else line[:199] + "…"
    except Exception:
        return ""


def _without_numbers(text: str) -> str:
    return re.sub(r"#(, #)*", "#", re.sub(r"0x[0-9a-f]+|-?\d+(\.\d+)?(e-?\d+)?", "#", text))


def difference(got: Any, expected: Any, tolerance: float) -> str:
    """In words how a value differs from what is expected; "" where it doesn't."""
    try:
        return _difference(got, expected, tolerance)
    except Exception:  # what can't be compared with the right value isn't it
        return f"expected {short(expected)}, got {short(got)}"


def _difference(got: Any, expected: Any, tolerance: float) -> str:
    if isinstance(expected, Tensor):
        return _tensor_difference(got, expected, tolerance)
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple) or len(got) != len(expected):
            return f"expected {short(expected)}, got {short(got)}"
        return next(filter(None, (difference(a, b, tolerance) for a, b in zip(got, expected, strict=True))), "")
    if isinstance(got, Tensor | np.ndarray | np.generic) and math.prod(got.shape) == 1:
        got = got.item()
    if isinstance(expected, int | float) and isinstance(got, numbers.Real):
        same = math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance) or (
            got != got and expected != expected
        )
    else:
        same = type(got) is type(expected) and bool(got == expected)
    return "" if same else f"expected {short(expected)}, got {short(got)}"


def _tensor_difference(got: Any, expected: Tensor, tolerance: float) -> str:
    if not isinstance(got, Tensor):
        return f"expected a tensor of shape {tuple(expected.shape)}, got {short(got)}"
    if got.shape != expected.shape:
        return f"expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    if got.dtype != expected.dtype:
        return f"expected dtype {_named(expected.dtype)}, got {_named(got.dtype)}"
    if got.device != expected.device:
        return f"expected a tensor on {expected.device}, where the inputs are, got one on {got.device}"
    if got.layout != expected.layout:
        return f"expected a dense tensor, got layout {_named(got.layout)}; use .to_dense()"
    if expected.requires_grad and not got.requires_grad:
        return "expected a tensor through which a gradient flows back, got one without"
    off = ~torch.isclose(got.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
    if not off.any():
        return ""
    if expected.numel() <= 8:
        return f"expected {short(expected)}, got {short(got)}"
    place = tuple(off.nonzero()[0].tolist())
    values = f"expected {expected[place].item():.4g}, got {got[place].item():.4g}"
    return f"at {list(place)}: {values}; {int(off.sum())} of {off.numel()} values differ"


def _named(kind: torch.dtype | torch.layout) -> str:
    return str(kind).removeprefix("torch.")


def short(value: Any) -> str:
    """Any value in a few words."""
    try:
        return _short(value)
    except Exception:  # its own __repr__ raises
        return f"an object of type {type(value).__name__}"


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        kind = f"{_named(value.dtype)} {tuple(value.shape)}"
        if value.device.type == "meta" or value.layout != torch.strided:
            return f"a tensor, {kind}, {'meta' if value.device.type == 'meta' else _named(value.layout)}"
        if value.numel() > 8:
            return f"a tensor, {kind}"
        figures = ", ".join(f"{number:.4g}" for number in value.flatten().tolist())
        return f"[{figures}]" + (f", {kind}" if value.ndim != 1 else "")
    if isinstance(value, float):
        return f"{value:.6g}"
    if callable(value):
        return getattr(value, "in_words", "a function")
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))  # an address says nothing, and is another one every time
    return text if len(text) <= 80 else text[:77] + "…"
