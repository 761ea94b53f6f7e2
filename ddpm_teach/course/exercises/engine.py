"""What an exercise is, and how a learner's function is examined."""

from __future__ import annotations

import copy
import dis
import html
import inspect
import linecache
import math
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

STUB_CODE = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}  # all that `def f(x): ...` compiles to
MARKS = {"passed": "✓", "not attempted": "○"}  # anything else: ✗


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        status: "passed", "not attempted", "mistake" (a recognised one), "error" (the function raised), or "wrong".
        text: the same for a learner.
    """

    status: str
    text: str

    @property
    def passed(self) -> bool:
        """Whether the exercise is solved."""
        return self.status == "passed"

    def __repr__(self) -> str:
        return f"{MARKS.get(self.status, '✗')} {self.text}"

    def _repr_html_(self) -> str:
        colour = {"passed": "#009e73", "not attempted": "#888888"}.get(self.status, "#d55e00")
        style = f"white-space:pre-wrap;border-left:4px solid {colour};padding:2px 10px;margin:4px 0"
        return f'<div style="{style}">{html.escape(repr(self))}</div>'


class Mistake(NamedTuple):
    """A mistake that is recognised: the sentence for the learner, and the function that makes it."""

    says: str
    function: Callable


class Outcome(NamedTuple):
    """What one call came to: a value or an error, and the names of the arguments that it changed in place."""

    value: Any = None
    error: Exception | None = None
    changed: tuple[str, ...] = ()


@dataclass(eq=False)
class Exercise:
    """One exercise, declared once. `solution` and `mistake` are decorators that add what can be run.

    Attributes:
        id: lesson and number, such as "01.2".
        title: a few words.
        difficulty: 1, 2 or 3.
        minutes: that it takes a learner.
        task: what to write, as Markdown.
        hints: as Markdown, from a nudge to nearly the answer.
        covers: what the cases are, in words, for the report.
        cases: makes the inputs, as tuples of arguments, the smallest first; a new generator is given to it each time.
        reference: what is right, usually the package's function.
        tolerance: relative and absolute.
    """

    id: str
    title: str
    difficulty: int
    minutes: int
    task: str
    hints: tuple[str, ...]
    covers: str
    cases: Callable[[torch.Generator], Iterable[tuple]]
    reference: Callable
    tolerance: float = 1e-4
    mistakes: list[Mistake] = field(default_factory=list)
    answer: Callable | None = None

    def solution(self, function: Callable) -> Callable:
        """Decorates the solution that the lesson shows; its name and parameters are the stub's."""
        self.answer = function
        return function

    def mistake(self, says: str) -> Callable[[Callable], Callable]:
        """Decorates a function that makes a mistake; `says` names it without giving the answer away."""

        def register(function: Callable) -> Callable:
            self.mistakes.append(Mistake(says, function))
            return function

        return register

    def inputs(self) -> list[tuple]:
        """The cases, the same at every call."""
        return list(self.cases(torch.Generator().manual_seed(0)))

    def examine(self, function: Any) -> Report:
        """The report on a learner's function. What it raises is told, never raised."""
        if not callable(function):
            name = self.answer.__name__
            return self._report(
                "error", f"hand over the function itself, check({self.id!r}, {name}), not {_short(function)}"
            )
        cases = self.inputs()
        refused = _refused(function, cases[0], self.answer)
        if refused:
            return self._report("error", refused)
        outcomes = [_outcome(function, case) for case in cases]
        if _is_stub(function, outcomes[0]):
            return self._report("not attempted", f"not attempted yet: write {function.__name__} and run its cell again")
        right = [_outcome(self.reference, case).value for case in cases]
        wrong = [i for i in range(len(cases)) if self._difference(outcomes[i], right[i])]
        changed = next((one.changed for one in outcomes if one.changed), ())
        if not wrong and changed:
            return self._report(
                "mistake", f"the values are right, but your function changes {changed[0]} in place; make a new tensor"
            )
        if not wrong:
            return self._report("passed", f"passed: {len(cases)} cases ({self.covers})")
        for mistake in self.mistakes:
            theirs = [_outcome(mistake.function, case) for case in cases]
            if all(_alike(a, b, self.tolerance) for a, b in zip(outcomes, theirs, strict=True)):
                return self._report("mistake", mistake.says)
        first = wrong[0]
        if outcomes[first].error is not None:
            return self._report("error", _told(outcomes[first].error, function) + self._case(cases[first]))
        if outcomes[first].value is None:
            return self._report("error", f"{function.__name__} returns None; does every way through it end in return?")
        return self._report(
            "wrong",
            "not right yet. The smallest case that fails:"
            + self._case(cases[first])
            + f"\n    {self._difference(outcomes[first], right[first])}",
        )

    def task_text(self) -> str:
        """The Markdown above the learner's cell."""
        dots = "●" * self.difficulty + "○" * (3 - self.difficulty)
        return f"### Exercise {self.id} · {self.title} {dots} {self.minutes} minutes\n\n{inspect.cleandoc(self.task)}"

    def folded_text(self) -> str:
        """The Markdown below it: hints and solution, folded."""
        source = inspect.getsource(self.answer)
        source = source[source.index("def ") :].rstrip()
        blocks = [(f"Hint {i}", inspect.cleandoc(hint)) for i, hint in enumerate(self.hints, 1)]
        blocks.append(("Solution", f"```python\n{source}\n```"))
        return "\n\n".join(f"<details><summary>{title}</summary>\n\n{text}\n\n</details>" for title, text in blocks)

    def _report(self, status: str, text: str) -> Report:
        return Report(status, f"{self.id} {text}")

    def _difference(self, outcome: Outcome, right: Any) -> str:
        return "it raises" if outcome.error is not None else _difference(outcome.value, right, self.tolerance)

    def _case(self, case: tuple) -> str:
        names = list(inspect.signature(self.answer).parameters)
        return "".join(f"\n    {name} = {_short(value)}" for name, value in zip(names, case, strict=True))


def _outcome(function: Callable, case: tuple) -> Outcome:
    """One call on a copy of the arguments, with torch's global generator seeded and put back afterwards."""
    arguments = copy.deepcopy(case)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            value = function(*arguments)
        except Exception as error:
            return Outcome(error=error)
    names = inspect.signature(function).parameters
    pairs = [(name, a, b) for name, a, b in zip(names, arguments, case, strict=False) if isinstance(b, Tensor)]
    return Outcome(value, changed=tuple(name for name, a, b in pairs if not torch.equal(a, b)))


def _is_stub(function: Callable, first: Outcome) -> bool:
    if isinstance(first.error, NotImplementedError):
        return True
    code = getattr(function, "__code__", None)
    return first.value is None and code is not None and {i.opname for i in dis.get_instructions(code)} <= STUB_CODE


def _refused(function: Callable, case: tuple, answer: Callable) -> str:
    """A sentence if the function can't even be called with the stub's arguments."""
    try:
        inspect.signature(function).bind(*case)
    except TypeError:
        wanted, got = inspect.signature(answer), inspect.signature(function)
        return f"your function takes {got}, it is called with {wanted}; keep the first line of the stub"
    except ValueError:  # a builtin without a signature
        return ""
    return ""


def _told(error: Exception, function: Callable) -> str:
    """The error with the line of the learner's own code: the last one on the way to it."""
    text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'without a message'}"
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if not frames:
        return f"{function.__name__} raises {text}. The input:"
    number = frames[-1].lineno - function.__code__.co_firstlineno + 1
    line = linecache.getline(file, frames[-1].lineno).strip()
    return f"{text}\n    in line {number} of {frames[-1].name}: {line}\n  The input:"


def _alike(a: Outcome, b: Outcome, tolerance: float) -> bool:
    """Whether two functions came to the same: both the same kind of error, or values that agree."""
    if a.error is not None or b.error is not None:
        return type(a.error) is type(b.error)
    return not _difference(a.value, b.value, tolerance)


def _difference(got: Any, expected: Any, tolerance: float) -> str:
    """In words how a value differs from what is expected; "" where it doesn't."""
    if isinstance(expected, Tensor):
        return _tensor_difference(got, expected, tolerance)
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple) or len(got) != len(expected):
            return f"expected {_short(expected)}, got {_short(got)}"
        return next(filter(None, (_difference(a, b, tolerance) for a, b in zip(got, expected, strict=True))), "")
    got = got.item() if isinstance(got, Tensor) and got.numel() == 1 else got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        same = math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance) or (
            got != got and expected != expected
        )
    else:
        same = type(got) is type(expected) and got == expected
    return "" if same else f"expected {_short(expected)}, got {_short(got)}"


def _tensor_difference(got: Any, expected: Tensor, tolerance: float) -> str:
    if not isinstance(got, Tensor):
        return f"expected a tensor of shape {tuple(expected.shape)}, got {_short(got)}"
    if got.shape != expected.shape:
        return f"expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    if got.dtype != expected.dtype:
        return f"expected dtype {_dtype(expected)}, got {_dtype(got)}"
    if expected.requires_grad and not got.requires_grad:
        return "expected a tensor through which a gradient flows back, got one without"
    off = ~torch.isclose(got.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
    if not off.any():
        return ""
    if expected.numel() <= 8:
        return f"expected {_short(expected)}, got {_short(got)}"
    place = tuple(off.nonzero()[0].tolist())
    values = f"expected {expected[place].item():.4g}, got {got[place].item():.4g}"
    return f"at {list(place)}: {values}; {int(off.sum())} of {off.numel()} values differ"


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _short(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, Tensor):
        kind = f"{_dtype(value)} {tuple(value.shape)}"
        if value.numel() > 8:
            return f"a tensor, {kind}"
        numbers = ", ".join(f"{number:.4g}" for number in value.flatten().tolist())
        return f"[{numbers}]" + (f", {kind}" if value.ndim != 1 else "")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, torch.nn.Module | type(lambda: 0)):
        return "a function"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
