"""What a function did as bytes that can be read without trusting who wrote them: JSON, and never a pickle."""

from __future__ import annotations

import base64
import binascii
import json
import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddpm_teach.course.exercises.attempt import Attempt
from ddpm_teach.course.exercises.calls import Outcome
from ddpm_teach.course.exercises.compare import Raised, short

LARGEST = 2**22  # bytes of a tensor; what an exercise asks for is far smaller
LONGEST = 2000  # letters of a text that is shown
DEEPEST = 8  # lists within lists
PLAIN = (type(None), bool, int, float, str)


class Other:
    """A value that no exercise asks for, in words."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def to_line(made: Attempt) -> dict[str, Any]:
    """An attempt as what JSON can say."""
    outcomes = [
        {"value": _packed(outcome.value), "error": outcome.error, "changed": list(outcome.changed)}
        for outcome in made.outcomes
    ]
    return {"name": made.name, "refusal": made.refusal, "is_stub": made.is_stub, "outcomes": outcomes}


def from_line(line: Any, cases: int) -> Attempt:
    """The attempt that `to_line` took apart.

    Args:
        cases: how many outcomes there have to be, unless the function couldn't be called.

    Raises:
        ValueError: for anything else.
    """
    try:
        outcomes = [
            Outcome(
                _unpacked(one["value"]),
                None if one["error"] is None else Raised(*map(text, one["error"])),
                tuple(int(place) for place in one["changed"]),
            )
            for one in line["outcomes"]
        ]
        made = Attempt(text(line["name"]), text(line["refusal"]), line["is_stub"] is True, outcomes)
    except (LookupError, TypeError, AttributeError, OverflowError, RuntimeError, RecursionError) as error:
        raise ValueError("not an attempt") from error
    if len(outcomes) != (0 if made.refusal else cases):
        raise ValueError(f"expected {cases} outcomes, got {len(outcomes)}")
    return made


def loads(line: bytes) -> dict[str, Any]:
    """A line of JSON.

    Raises:
        ValueError: if it is none, or no object.
    """
    try:
        value = json.loads(line)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def dumps(value: dict[str, Any]) -> bytes:
    """A line of JSON, with its end."""
    return json.dumps(value).encode() + b"\n"


def text(value: Any) -> str:
    """A text that came back, at most LONGEST letters of it.

    Raises:
        TypeError: if it is none.
    """
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value.encode("utf8", "replace").decode()[:LONGEST]  # half a pair of surrogates can't be written to a file


def _packed(value: Any, depth: int = 0) -> list:
    """[kind, …] for a value; what has no kind is told in words."""
    try:
        if type(value) in PLAIN and (not isinstance(value, str) or len(value) < LONGEST):
            return ["plain", value]
        if type(value) is complex:
            return ["complex", value.real, value.imag]
        if isinstance(value, Tensor):
            return _packed_tensor(value) or ["other", short(value)]
        if isinstance(value, np.ndarray | np.generic):
            if value.dtype.kind in "biufc" and value.nbytes <= LARGEST:
                scalar = isinstance(value, np.generic)
                return ["array", value.dtype.str, list(value.shape), _letters(value.tobytes()), scalar]
        elif isinstance(value, list | tuple) and depth < DEEPEST and len(value) < LARGEST:
            kind = "list" if isinstance(value, list) else "tuple"
            return [kind, [_packed(one, depth + 1) for one in value]]
        elif isinstance(value, numbers.Real):
            return ["plain", float(value)]
    except Exception:  # a value can be anything, and so can its attributes
        pass
    return ["other", short(value)]


def _packed_tensor(value: Tensor) -> list | None:
    """None for one that is elsewhere, isn't dense, or is too large."""
    if value.device.type != "cpu" or value.layout != torch.strided or value.numel() * value.element_size() > LARGEST:
        return None
    flat = value.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return ["tensor", str(value.dtype).removeprefix("torch."), list(value.shape), _letters(data), value.requires_grad]


def _letters(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(letters: Any) -> bytearray:
    try:
        return bytearray(base64.b64decode(letters, validate=True))
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _unpacked(packed: Any) -> Any:
    kind, *parts = packed
    if kind not in READERS:
        raise ValueError(f"no kind {kind!r}")
    return READERS[kind](*parts)


def _plain(value: Any) -> Any:
    if type(value) not in PLAIN:
        raise ValueError("not plain")
    return value


def _tensor(dtype: str, shape: list[int], letters: str, grad: bool) -> Tensor:
    kind, data = getattr(torch, dtype), _bytes(letters)
    if not isinstance(kind, torch.dtype) or len(data) != _count(shape) * kind.itemsize:
        raise ValueError("not a tensor")
    value = torch.frombuffer(data, dtype=kind) if data else torch.empty(0, dtype=kind)
    return value.reshape(shape).requires_grad_(grad is True)


def _array(dtype: str, shape: list[int], letters: str, scalar: bool) -> np.ndarray | np.generic:
    kind, data = np.dtype(dtype), _bytes(letters)
    if kind.kind not in "biufc" or len(data) != _count(shape) * kind.itemsize:
        raise ValueError("not an array")
    value = np.frombuffer(data, kind).reshape(shape)
    return value[()] if scalar else value


def _count(shape: Any) -> int:
    if not isinstance(shape, list) or len(shape) > 64 or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("not a shape")
    return math.prod(shape)


READERS: dict[str, Callable] = {
    "plain": _plain,
    "complex": lambda real, imaginary: complex(real, imaginary),
    "tensor": _tensor,
    "array": _array,
    "list": lambda parts: [_unpacked(part) for part in parts],
    "tuple": lambda parts: tuple(_unpacked(part) for part in parts),
    "other": lambda words: Other(text(words)),
}
