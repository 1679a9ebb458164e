"""Ctrl-C and SIGTERM while an action runs, and while its telemetry is delivered."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM; the action ends as with Ctrl-C."""

    def __str__(self) -> str:
        return "SIGTERM"


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM raise in the main thread, as Ctrl-C does, unless somebody has asked for something else."""
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # what a handler gets
    raise Terminated


def patiently(finish: Callable[[], Any], may_leave: Callable[[], bool]) -> bool:
    """Call `finish` to its end; an interrupt gives up waiting for it as soon as it may be left.

    It is called in a thread of its own: raised inside it, an interrupt could come before the end of the run was
    recorded. What it raises is raised here.

    Args:
        finish: What to do. A daemon thread goes on with it after an interrupt, as long as the process lives.
        may_leave: Whether what must not be interrupted is done.

    Returns:
        Whether it came to its end.
    """
    impatient, failures = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            finish()
        except BaseException as error:  # noqa: BLE001  # raised where it is awaited
            failures.append(error)

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # what a handler gets
        impatient.set()

    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        thread = threading.Thread(target=work, name="synapse-otel-finish", daemon=True)
        thread.start()
        while thread.is_alive() and not (impatient.is_set() and may_leave()):
            thread.join(0.02)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    if failures:
        raise failures[0]
    return not thread.is_alive()
