"""What a person is told, once, through the standard ``logging`` module under ``synapse_otel``."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("synapse_otel")


QUIET = 60.0
"""Seconds after a warning in which its subject is not warned of again: a collector that flaps is one line a minute."""


class Notices:
    """Says each thing once until it has changed: what failed a thousand times is one line, and so is its recovery.

    Args:
        say: Says a line.
    """

    def __init__(self, say: Callable[[str], None] = logger.warning) -> None:
        self._say = say
        self._said: dict[str, float] = {}
        self._open: set[str] = set()
        self._lock = threading.Lock()

    def warn(self, subject: str, what: str, reason: str) -> None:
        """Warn of `subject`, unless that was done and not taken back since, or was done just now.

        Args:
            subject: What it is about, by which a repetition is known.
            what: What does not work, and what follows from it.
            reason: Why.
        """
        now = time.monotonic()
        with self._lock:
            if subject in self._open or now - self._said.get(subject, -QUIET) < QUIET:
                return
            self._open.add(subject)
            self._said[subject] = now
        self._say(f"{what}: {reason}")

    def over(self, subject: str, text: str) -> None:
        """Say that `subject`, if somebody was warned of it, is over."""
        with self._lock:
            if subject not in self._open:
                return
            self._open.discard(subject)
        self._say(text)
