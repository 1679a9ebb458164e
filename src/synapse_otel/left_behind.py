"""Threads that the interpreter leaves behind when it ends: daemons, which it freezes in a moment."""

from __future__ import annotations

import threading
import time

_LONGEST_STAY = 5.0
"""Seconds: other exit handlers may take that long, or wait for something that the thread holds."""

_ends = threading.Event()


def note_end() -> None:
    """Note that the interpreter ends."""
    _ends.set()


def stay() -> None:
    """Before a call is refused since the run is closed: do not return where the interpreter has closed it.

    It is not the thread's mistake then, which so gets no exception, and what has returned to it is recorded.
    """
    if _ends.is_set() and threading.current_thread() is not threading.main_thread():
        time.sleep(_LONGEST_STAY)
