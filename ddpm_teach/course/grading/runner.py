"""What runs in a process of its own for each file that was handed in.

The fork server imports this module once, with torch, and each process begins as its copy. What it sends back are lines:
"sealed", "found" with the exercises in the file, "ready" when imports and definitions have been run, then one for each
exercise. Whoever reads them trusts none: see wire.py.
"""

from __future__ import annotations

import os
import random
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ddpm_teach.course import exercises
from ddpm_teach.course.exercises.attempt import attempt
from ddpm_teach.course.exercises.catalogue import of_the_course
from ddpm_teach.course.exercises.compare import message
from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.course.grading import sandbox, submissions, wire

of_the_course()  # here, so that no process needs to


class Request(NamedTuple):
    """What is to be run.

    Attributes:
        path: the file.
        ids: of the exercises that may be in it.
        own: the folder of the class's own exercises.
        seed: of the inputs.
        memory: bytes beyond what a process has at its beginning.
        seconds: of processor time.
        unsafe: whether to go on where the system can't isolate.
    """

    path: Path
    ids: tuple[str, ...]
    own: Path
    seed: int
    memory: int
    seconds: int
    unsafe: bool


def inputs(exercise: Exercise, seed: int) -> list[tuple]:
    """What an exercise is graded on: the cases of `check`, which tell its mistakes apart, and new ones."""
    return exercise.inputs() + exercise.inputs(seed)


def main(request: Request, pipe: Connection) -> None:
    """The whole life of a process; nothing of it goes on after its end."""
    try:
        sandbox.die_with_parent()
        os.setsid()
        sandbox.keep_only(pipe.fileno())
        _run(request, pipe.fileno())
    except BaseException as error:
        if isinstance(error, sandbox.CannotIsolate):
            _send(pipe.fileno(), cannot=str(error))
        else:
            kind = "" if isinstance(error, ValueError) else f"ended with {type(error).__name__}: "
            _send(pipe.fileno(), failed=kind + message(error))
    os._exit(0)


def _send(pipe: int, **line: Any) -> None:
    data = wire.dumps(line)
    while data:
        data = data[os.write(pipe, data) :]


def _run(request: Request, pipe: int) -> None:
    data = request.path.read_bytes()
    torch.set_num_threads(1)
    known = [exercise for group in exercises.declared(request.own).values() for exercise in group]
    known = [one for one in known if one.id in request.ids and one.answer.__name__.encode() in data]
    cases = {exercise.id: inputs(exercise, request.seed) for exercise in known}  # before anything of the file is run
    os.chdir("/")
    sandbox.limit(request.memory, request.seconds)
    try:
        sandbox.seal()
        sandbox.verify(request.path)
    except sandbox.CannotIsolate:
        if not request.unsafe:
            raise
    _send(pipe, sealed=True)

    cells = submissions.cells_of(data, request.path.name)
    taken = submissions.take(cells, request.path.name, known)
    found = list(dict.fromkeys(candidate.exercise.id for candidate in taken.candidates))
    _send(pipe, found=found)
    space = submissions.new_space(request.path.name)
    for cell, node in taken.rest:
        submissions.run(cell, node, space)  # what fails here is told where it is missed
    _send(pipe, ready=True)
    for id in found:
        copies = [one for one in taken.candidates if one.exercise.id == id][-submissions.MOST_COPIES :]
        _send(pipe, id=id, copies=[_tried(copy, cases[id], space, request.seed) for copy in copies])


def _tried(copy: submissions.Candidate, cases: list[tuple], space: dict[str, Any], seed: int) -> dict[str, Any]:
    """What one definition of an exercise's function does, or the sentence why it can't be tried."""
    if copy.node is None:
        return {"trouble": copy.trouble}
    error = submissions.run(copy.cell, copy.node, space)
    name = copy.exercise.answer.__name__
    function = space.get(name)
    if error is not None or not callable(function):
        told = f"{type(error).__name__}: {message(error)}" if error is not None else "it is no function"
        return {"trouble": f"{name} can't be used: {told}"}
    order = random.Random(seed).sample(range(len(cases)), len(cases))  # an answer can't count its calls
    try:
        made = attempt(function, copy.exercise.answer, [cases[i] for i in order])
        if made.outcomes:
            made = made._replace(
                outcomes=[one for _, one in sorted(zip(order, made.outcomes, strict=True), key=_first)]
            )
        return wire.to_line(made)
    except BaseException as error:  # KeyboardInterrupt, or too little memory to say what was done
        return {"trouble": f"{name} raises {type(error).__name__}: {message(error)}"}


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]
