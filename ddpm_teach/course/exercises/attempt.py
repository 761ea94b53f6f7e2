"""What a learner's function did with the cases: all that a report needs, and none of the learner's code or objects.

So that a class's submissions can be run in one process and reported on in another.
"""

from __future__ import annotations

import dis
import inspect
import itertools
import linecache
import traceback
import types
from collections.abc import Callable, Sequence
from typing import NamedTuple

import ddpm_teach
from ddpm_teach.course.exercises.calls import Outcome, code_of, name_of, outcome_of, signature_of
from ddpm_teach.course.exercises.compare import Raised, message

STUB_CODE = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}  # all that `def f(x): ...` compiles to


class Attempt(NamedTuple):
    """What a function did.

    Attributes:
        name: its name, or "your function".
        refusal: a sentence if it couldn't be called at all, else "".
        is_stub: whether nothing is written yet.
        outcomes: for each case; what was raised stands there as `Raised`.
    """

    name: str
    refusal: str = ""
    is_stub: bool = False
    outcomes: Sequence[Outcome] = ()


def attempt(function: Callable, answer: Callable, cases: Sequence[tuple]) -> Attempt:
    """Calls a function on each case.

    Args:
        function: the learner's.
        answer: the exercise's solution, which has the name and the parameters that are asked for.
        cases: tuples of arguments; the function gets copies.
    """
    name, refusal = name_of(function), _refusal(function, cases[0], answer)
    if refusal:
        return Attempt(name, refusal)
    first = outcome_of(function, cases[0])
    is_stub = _is_stub(function, first)
    outcomes = itertools.chain([first], (outcome_of(function, case) for case in cases[1:]))
    return Attempt(name, "", is_stub, [_in_words(outcome, function, answer) for outcome in outcomes])


def _in_words(outcome: Outcome, function: Callable, answer: Callable) -> Outcome:
    if outcome.error is None:
        return outcome
    raised = Raised.of(outcome.error, _told(outcome.error, function, answer))
    traceback.clear_frames(outcome.error.__traceback__)  # which would keep all that the function has made
    return outcome._replace(error=raised)


def _is_stub(function: Callable, first: Outcome) -> bool:
    """Whether nothing is written yet: no more than a docstring, or a line that raises NotImplementedError."""
    code = code_of(function)
    if code is None:
        return False
    if isinstance(first.error, NotImplementedError):  # torch raises it, too, for what a device can't do
        return _raised_by(code, first.error.__traceback__)
    written = {instruction.opname for instruction in dis.get_instructions(code)}
    return first.error is None and first.value is None and written <= STUB_CODE


def _raised_by(code: types.CodeType, trace: types.TracebackType) -> bool:
    """Whether an error comes from a `raise` in this code, and not from something that it called."""
    while trace.tb_next:
        trace = trace.tb_next
    return trace.tb_frame.f_code is code and dis.opname[code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def _refusal(function: Callable, case: tuple, answer: Callable) -> str:
    """A sentence if the function can't even be called with the stub's arguments; "" if it can, or can't be asked."""
    signature = signature_of(function)
    if signature is None:
        return ""
    try:
        signature.bind(*case)
    except TypeError:
        stub = inspect.signature(answer)
        return f"your function takes {signature}, it is called with {stub}; keep the first line of the stub"
    return ""


def _is_imported(name: str | None, answer: Callable) -> bool:
    """Whether a lesson imports this name: torch, another module that its solutions use, or what is public here."""
    return isinstance(answer.__globals__.get(name), types.ModuleType) or name in ("torch", *ddpm_teach.__all__)


def _told(error: BaseException, function: Callable, answer: Callable) -> str:
    """The error with the line of the learner's own code: the last one on the way to it."""
    text = f"{type(error).__name__}: {message(error) or 'without a message'}"
    if isinstance(error, SystemExit):
        text += " (your function ends the program; return the result instead)"
    if isinstance(error, NameError) and _is_imported(error.name, answer):
        text += "; import it, or run the cells above first (menu Run, Run All Above Selected Cell)"
    file = getattr(code_of(function), "co_filename", None)
    steps = [step for step in traceback.walk_tb(error.__traceback__) if step[0].f_code.co_filename == file]
    if not steps:
        return f"{name_of(function)} raises {text}. The input:"
    frame, number = steps[-1]
    line, code = linecache.getline(file, number).strip(), frame.f_code
    return f"{text}\n    in line {number - code.co_firstlineno + 1} of {code.co_name}: {line}\n  The input:"
