"""Waiting for what a test expects."""

from collections.abc import Callable
from threading import Condition
from time import monotonic, sleep

LOOK_SECONDS = 0.02


def wait_until(look: Callable[[], object], changed: Condition, timeout: float, summary: Callable[[], str]) -> None:
    """Wait until something holds.

    Args:
        look: Whether it does; an AssertionError counts as not yet.
        changed: Notified when a look is worth while; else there is one every 20 ms.
        timeout: How long, in seconds.
        summary: What the error says of what there is instead.

    Raises:
        AssertionError: After the time-out.
    """
    deadline = monotonic() + timeout
    while True:
        started = monotonic()
        holds, problem = _look(look)
        if holds:
            return
        now = monotonic()
        if now >= deadline:
            said = f" ({problem})" if problem else ""
            raise AssertionError(f"not true within {timeout:g} s{said}; received: {summary()}")
        sleep(now - started)  # at most half of the time is spent looking, however long the lists
        with changed:
            changed.wait(min(LOOK_SECONDS, max(0.0, deadline - now)))


def _look(look: Callable[[], object]) -> tuple[bool, AssertionError | None]:
    try:
        return bool(look()), None
    except AssertionError as problem:
        return False, problem
