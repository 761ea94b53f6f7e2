"""What an exercise is, and how a learner's function is examined."""

from __future__ import annotations

import dis
import html
import inspect
import linecache
import traceback
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

import ddpm_teach
from ddpm_teach.course.exercises.calls import (
    Outcome,
    at_the_start,
    code_of,
    generators_kept,
    name_of,
    outcome_of,
    signature_of,
)
from ddpm_teach.course.exercises.compare import alike, difference, message, short

STUB_CODE = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}  # all that `def f(x): ...` compiles to
MARKS = {"passed": "✓", "not attempted": "○"}  # anything else: ✗


@dataclass(frozen=True)
class Report:
    """What `check` says of a function.

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
    _right: list | None = field(default=None, init=False, repr=False)  # the reference's values, once they are known

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
        with generators_kept(), at_the_start():
            return list(self.cases(torch.Generator().manual_seed(0)))

    def examine(self, function: Any) -> Report:
        """The report on a learner's function. What it raises is told, never raised, but for KeyboardInterrupt.

        The function gets copies of its inputs. Its prints and warnings are dropped, and the global generators of all
        devices are afterwards as they were before.
        """
        if not callable(function):
            name = self.answer.__name__
            return self._report(
                "error", f"hand over the function itself, check({self.id!r}, {name}), not {short(function)}"
            )
        with generators_kept():
            return self._examine(function)

    def _is_made(self, mistake: Mistake, outcome: Outcome, case: tuple, right: Any) -> bool:
        """Whether a learner's outcome is that of a mistake; where a tensor is right, a number isn't taken for one."""
        made = outcome_of(mistake.function, case)
        kinds = {isinstance(value, torch.Tensor) for value in (made.value, outcome.value)}
        return alike(outcome, made, self.tolerance) and not (isinstance(right, torch.Tensor) and len(kinds) == 2)

    def _examine(self, function: Callable) -> Report:
        cases = self.inputs()
        refusal = _refusal(function, cases[0], self.answer)
        if refusal:
            return self._report("error", refusal)
        outcomes = [outcome_of(function, case) for case in cases]
        if _is_stub(function, outcomes[0]):
            return self._report(
                "not attempted", f"not attempted yet: write {self.answer.__name__} and run its cell again"
            )
        if self._right is None:
            references = [outcome_of(self.reference, case) for case in cases]
            failure = next((outcome.error for outcome in references if outcome.error is not None), None)
            if failure is not None:  # this process isn't like any that we have tried
                told = f"{type(failure).__name__}: {message(failure)}"
                return self._report("error", f"can't be checked in this process ({told}); restart it and try again")
            self._right = [outcome.value for outcome in references]
        right = self._right
        wrong = [i for i in range(len(cases)) if self._difference(outcomes[i], right[i])]
        if not wrong:
            changed = [self._names()[i] for outcome in outcomes for i in outcome.changed]
            return self._changes(changed[0]) if changed else self._passes(len(cases))
        for mistake in self.mistakes:
            tried = zip(outcomes, cases, right, strict=True)  # the first that differs ends it
            if all(self._is_made(mistake, outcome, case, value) for outcome, case, value in tried):
                return self._report("mistake", mistake.says)
        first = wrong[0]
        if outcomes[first].error is not None:
            return self._report("error", _told(outcomes[first].error, function, self.answer) + self._case(cases[first]))
        if outcomes[first].value is None:
            return self._report("error", f"{name_of(function)} returns None; does every way through it end in return?")
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
        blocks = [(f"Hint {i}", inspect.cleandoc(hint)) for i, hint in enumerate(self.hints, 1)]
        blocks.append(("Solution", f"```python\n{self.solution_text()}\n```"))
        return "\n\n".join(folded(title, text) for title, text in blocks)

    def stub_text(self) -> str:
        """The code that a learner begins with."""
        return f"def {self.answer.__name__}{inspect.signature(self.answer)}:\n    # write it here\n    ..."

    def solution_text(self) -> str:
        """The code of the solution."""
        source = inspect.getsource(self.answer)
        return source[source.index("def ") :].rstrip()

    def _report(self, status: str, text: str) -> Report:
        return Report(status, f"{self.id} {text}")

    def _passes(self, cases: int) -> Report:
        return self._report("passed", f"passed: {cases} cases ({self.covers})")

    def _changes(self, name: str) -> Report:
        return self._report(
            "mistake", f"the values are right, but your function changes {name} in place; change a copy of it"
        )

    def _difference(self, outcome: Outcome, right: Any) -> str:
        return "it raises" if outcome.error is not None else difference(outcome.value, right, self.tolerance)

    def _names(self) -> list[str]:
        return list(inspect.signature(self.answer).parameters)

    def _case(self, case: tuple) -> str:
        return "".join(f"\n    {name} = {short(value)}" for name, value in zip(self._names(), case, strict=True))


def folded(title: str, text: str) -> str:
    """Markdown that shows its title alone until somebody clicks on it."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


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
