"""What an exercise is, and how a learner's function is examined."""

from __future__ import annotations

import html
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from ddpm_teach.course.exercises.attempt import Attempt, attempt
from ddpm_teach.course.exercises.calls import Outcome, at_the_start, generators_kept, outcome_of
from ddpm_teach.course.exercises.compare import alike, difference, message, short

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
    _right: list[Outcome] | None = field(default=None, init=False, repr=False)  # for what `check` tries, once known

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

    def inputs(self, seed: int = 0) -> list[tuple]:
        """The cases: the same at every call with the same seed, and `check` always takes 0."""
        with generators_kept(), at_the_start():
            return list(self.cases(torch.Generator().manual_seed(seed)))

    def right(self, cases: Sequence[tuple]) -> list[Outcome]:
        """What the reference does with the cases."""
        with generators_kept():
            return [outcome_of(self.reference, case) for case in cases]

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
            cases = self.inputs()
            made = attempt(function, self.answer, cases)
            if self._right is None and not made.refusal and not made.is_stub:
                self._right = self.right(cases)
            return self.judge(made, cases, self._right or ())

    def judge(self, made: Attempt, cases: Sequence[tuple], right: Sequence[Outcome]) -> Report:
        """The report on what a function did. None of its code is run.

        Args:
            made: what it did with the cases.
            cases: as `inputs` gives them.
            right: what `right` says of them; isn't looked at if the function couldn't be called, or is a stub.
        """
        if made.refusal:
            return self._report("error", made.refusal)
        if made.is_stub:
            return self._report(
                "not attempted", f"not attempted yet: write {self.answer.__name__} and run its cell again"
            )
        failure = next((outcome.error for outcome in right if outcome.error is not None), None)
        if failure is not None:  # this process isn't like any that we have tried
            told = f"{type(failure).__name__}: {message(failure)}"
            return self._report("error", f"can't be checked in this process ({told}); restart it and try again")
        tried = list(zip(made.outcomes, cases, [outcome.value for outcome in right], strict=True))
        wrong = [one for one in tried if self._difference(one[0], one[2])]
        if not wrong:
            changed = [self._names()[i] for outcome in made.outcomes for i in outcome.changed]
            return self._changes(changed[0]) if changed else self._passes(len(cases))
        with generators_kept():
            for mistake in self.mistakes:
                if all(self._is_made(mistake, *one) for one in tried):  # the first that differs ends it
                    return self._report("mistake", mistake.says)
        outcome, case, value = wrong[0]
        if outcome.error is not None:
            return self._report("error", outcome.error.told + self._case(case))
        if outcome.value is None:
            return self._report("error", f"{made.name} returns None; does every way through it end in return?")
        return self._report(
            "wrong",
            f"not right yet. The smallest case that fails:{self._case(case)}\n    {self._difference(outcome, value)}",
        )

    def _is_made(self, mistake: Mistake, outcome: Outcome, case: tuple, right: Any) -> bool:
        """Whether a learner's outcome is that of a mistake; where a tensor is right, a number isn't taken for one."""
        made = outcome_of(mistake.function, case)
        kinds = {isinstance(value, torch.Tensor) for value in (made.value, outcome.value)}
        return alike(outcome, made, self.tolerance) and not (isinstance(right, torch.Tensor) and len(kinds) == 2)

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
