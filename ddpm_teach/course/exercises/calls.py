"""Calling a learner's function: whatever it does comes to an `Outcome`, and all else is left as it was."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import io
import random
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Outcome(NamedTuple):
    """What one call came to: a value or an error (or its words, `Raised`), and the places of what it changed."""

    value: Any = None
    error: Any = None
    changed: tuple[int, ...] = ()


def outcome_of(function: Callable, case: tuple) -> Outcome:
    """One call on a copy of the arguments. Only KeyboardInterrupt is raised: sys.exit() comes to an Outcome, too."""
    with at_the_start():
        arguments = copy.deepcopy(case)
    try:
        with at_the_start():
            value = function(*arguments)
    except KeyboardInterrupt:  # a learner's own, in an endless loop
        raise
    except BaseException as error:
        return Outcome(error=error)
    return Outcome(
        value, changed=tuple(i for i, (a, b) in enumerate(zip(arguments, case, strict=True)) if differ(a, b))
    )


class Nowhere(io.TextIOBase):
    """A text file that keeps nothing, so that gigabytes can be printed to it."""

    def write(self, text: str) -> int:
        """As if all of it had been written."""
        return len(text)


@contextlib.contextmanager
def at_the_start() -> Iterator[None]:
    """Torch as it is when a process begins, whatever a notebook has set: the CPU, float32, gradients, seed 0.

    What is printed and warned of inside is dropped: fifty cases would say it fifty times.
    """
    dtype = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(contextlib.redirect_stdout(Nowhere()))
        stack.enter_context(contextlib.redirect_stderr(Nowhere()))
        stack.enter_context(warnings.catch_warnings())
        stack.callback(torch.set_default_dtype, dtype)
        warnings.simplefilter("ignore")
        torch.set_default_dtype(torch.float32)
        torch.default_generator.manual_seed(0)  # torch.manual_seed would seed the other devices as well
        yield


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """All global generators are afterwards as they were: torch's on every device in use, NumPy's and Python's."""
    states = [(torch.default_generator.set_state, torch.default_generator.get_state())]
    for device in (torch.cuda, torch.xpu):
        if device.is_initialized():  # to ask for its state would start it
            states.append((device.set_rng_state_all, device.get_rng_state_all()))
    if torch.backends.mps.is_available():
        states.append((torch.mps.set_rng_state, torch.mps.get_rng_state()))
    states += [(np.random.set_state, np.random.get_state()), (random.setstate, random.getstate())]
    try:
        yield
    finally:
        for put_back, state in states:
            put_back(state)


def differ(a: Any, b: Any) -> bool:
    """Whether two arguments differ: tensors, arrays, and lists, tuples, dicts and sets of such; of the rest, no."""
    try:
        if isinstance(b, Tensor):
            return a.shape != b.shape or a.dtype != b.dtype or not bool(((a == b) | ((a != a) & (b != b))).all())
        if isinstance(b, np.ndarray):
            return not np.array_equal(a, b)
        if isinstance(b, dict):
            return list(a) != list(b) or any(differ(a[key], b[key]) for key in b)
        if isinstance(b, list | tuple):
            return len(a) != len(b) or any(map(differ, a, b))
        return isinstance(b, set | str | int | float | complex | bytearray) and a != b and b == b
    except Exception:  # whatever has taken the argument's place can't even be compared with it
        return True


def name_of(function: Any) -> str:
    """A name for anything that can be called; not all have one of their own."""
    name = _attribute(undecorated(function), "__name__")
    return name if isinstance(name, str) and name != "<lambda>" else "your function"


def code_of(function: Any) -> types.CodeType | None:
    """The code that somebody wrote for it; None where there is none in Python."""
    function = undecorated(function)
    if isinstance(function, torch.nn.Module):
        function = function.forward
    elif _attribute(function, "__code__") is None:
        function = undecorated(type(function).__call__)
    code = _attribute(function, "__code__")
    return code if isinstance(code, types.CodeType) else None


def undecorated(function: Any) -> Any:
    """What is inside of functools.partial and of decorators."""
    for _ in range(100):  # a decorator can point to itself
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.isroutine(function) and (inside := _attribute(function, "__wrapped__")) is not None:
            function = inside
        else:
            break
    return function


def _attribute(thing: Any, name: str) -> Any:
    """The attribute; None where there is none, or where an object's own __getattr__ raises something else."""
    try:
        return getattr(thing, name)
    except Exception:
        return None


def signature_of(function: Any) -> inspect.Signature | None:
    """The signature; None where there is none to read, as for some builtins."""
    try:
        return inspect.signature(function)
    except Exception:  # TypeError, ValueError, or whatever an object's own attributes raise
        return None
