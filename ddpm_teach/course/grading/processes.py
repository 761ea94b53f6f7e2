"""Running files that were handed in: a fork server, a process for each, and a watch on how long they take."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import NamedTuple

from ddpm_teach.course.grading import runner, wire
from ddpm_teach.course.grading.runner import Request
from ddpm_teach.course.grading.sandbox import CannotIsolate

ALLOWANCES = 6  # so many times the limit of one function for a whole file
WAITING = 4  # so much longer a process may take on the clock than of a processor: others want that, too
PATIENCE = 900  # seconds for what is ours: torch, and making the inputs
OUTPUT = 2**23  # bytes that a file's functions may give back; those of all lessons give half of that
# No threads in linear algebra, which a fork would leave behind; no GPU; nothing imported from the current folder.
SERVER = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
SERVER |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONSAFEPATH": "1"}

Found = dict[str, list[bytes | str]]  # for each exercise what came back, unread, or sentences; "" for the file itself


class Stopped(Exception):
    """Why a process was ended, as the end of a sentence that begins with what ran there."""


def run_all(groups: Sequence[Sequence[Request]], seconds: int, workers: int) -> Iterator[Found]:
    """Runs each group's files; yields what came back for each group, in their order.

    Raises:
        CannotIsolate: if a file can't be isolated, and may not be run without that.
    """
    with _environment(SERVER):
        forkserver.set_forkserver_preload([runner.__name__])
        forkserver.ensure_running()
    ended: list[bool] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            futures = [[pool.submit(_run, request, seconds, ended) for request in group] for group in groups]
            yield from map(_joined, futures)
        finally:
            ended.append(True)
            pool.shutdown(cancel_futures=True)


def _joined(futures: Sequence[Future[Found]]) -> Found:
    found: Found = {}
    for future in futures:
        for id, copies in future.result().items():
            found.setdefault(id, []).extend(copies)
    return found


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _run(request: Request, seconds: int, ended: list[bool]) -> Found:
    """What came back from a file. After a function that ended its process, those behind it get a new one."""
    done: Found = {}
    left, room = float(ALLOWANCES * seconds), OUTPUT
    while True:
        ids = tuple(id for id in request.ids if id not in done)
        found, stage, why = [], "", "ended its own process (os._exit, endless recursion, or a crash in compiled code)"
        with _Process(request._replace(ids=ids)) as process:
            try:
                for data in process.lines(seconds, left, room, ended):
                    line = wire.loads(data)
                    if "cannot" in line:
                        raise CannotIsolate(f"{line['cannot']}; --unsafe runs them all the same")
                    if "failed" in line:
                        why = str(line["failed"])
                    elif "found" in line and not found:
                        found = [id for id in line["found"] if id in ids]
                    elif line.get("id") in found:
                        done[line["id"]] = [data]
                    stage = "ready" if "ready" in line else stage or "begun"
            except Stopped as error:
                why = str(error)
            except (LookupError, TypeError, ValueError):
                why = "gave back what can't be read"
            left, room = left - process.used, room - process.total
        missed = [id for id in found if id not in done]
        if not found:
            return done if stage == "ready" or done else {"": [f"{request.path.name} {why}"]}
        if not missed:
            return done
        if stage != "ready" or left <= 0 or room <= 0:
            return done | {id: [f"couldn't be run: the file {why}"] for id in missed}
        done[missed[0]] = [f"was stopped: it {why}"]


class Moment(NamedTuple):
    """Seconds: of processor time that a process has taken, and on the clock."""

    taken: float
    clock: float

    def since(self, before: Moment) -> float:
        """Seconds of processor time; or as many as would do for one that mostly waits."""
        return max(self.taken - before.taken, (self.clock - before.clock) / WAITING)


class _Process:
    """A process for one file, which ends with the block."""

    def __init__(self, request: Request) -> None:
        context = multiprocessing.get_context("forkserver")
        self._pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=runner.main, args=(request, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.used = 0.0  # seconds, since what was handed in has been running
        self.total = 0  # bytes that came back

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *error: object) -> None:
        for kill in (lambda: os.killpg(self._process.pid, signal.SIGKILL), self._process.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it has no group yet, or has gone
                kill()
        self._process.join()
        self._pipe.close()

    def lines(self, seconds: float, left: float, room: int, ended: Sequence[bool]) -> Iterator[bytes]:
        """The lines that come back, to the end of the process.

        Args:
            seconds: until the next line, once the first has come, in the sense of `Moment.since`.
            left: seconds for all of them.
            room: bytes for all of them.
            ended: is filled when nothing of it is wanted any more.

        Raises:
            Stopped: at a limit.
        """
        buffer, first, last = bytearray(), None, self._now()
        while not ended:
            now = self._now()
            self.used = 0.0 if first is None else now.since(first)
            if now.since(last) > (PATIENCE if first is None else seconds):
                raise Stopped(f"took more than {seconds} seconds")
            if self.used > left:
                raise Stopped("took too long altogether")
            if not select.select([self._pipe.fileno()], [], [], 0.25)[0]:
                continue
            data = os.read(self._pipe.fileno(), 2**16)
            if not data:
                return
            buffer += data
            self.total += len(data)
            if self.total > room:
                raise Stopped(f"gave back more than {OUTPUT >> 20} MB")
            *whole, buffer = buffer.split(b"\n") if b"\n" in data else [buffer]
            for line in whole:
                last = self._now()
                first = first or last
                yield bytes(line)

    def _now(self) -> Moment:
        """The processor time that the process has taken, and the clock. (Where the system doesn't tell: the clock.)"""
        taken = 0.0
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            taken = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return Moment(taken, time.monotonic())
