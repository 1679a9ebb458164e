"""Keeps forks away from what must not come halved into a child: a lock's file that is not noted yet, an import."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_gate = threading.RLock()


@contextmanager
def held_off() -> Iterator[None]:
    """While this is entered, a thread that forks waits, unless it is the one that entered it."""
    gate = _gate  # the same to the end: a child that this thread forks meanwhile has a new one
    with gate:
        yield


def _open_in_child() -> None:
    global _gate
    _gate = threading.RLock()


os.register_at_fork(
    before=lambda: _gate.acquire(), after_in_parent=lambda: _gate.release(), after_in_child=_open_in_child
)
