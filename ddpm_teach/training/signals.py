"""Ctrl-C in a training run: the step at hand is finished, so that what is saved is consistent; the second one stops."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Ctrl-C and `kill` make the list true; a second one does what it would have done without this block.

    Signals can be handled in a program's main thread only; in another nothing is changed.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _: FrameType | None) -> None:
        noted.append(number)
        restore()

    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # a run in the background may ignore Ctrl-C
                signal.signal(number, note)
        yield noted
    finally:
        restore()
