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
        self._failing: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def warn(self, subject: str, what: str, reason: str, by: str = "") -> None:
        """Warn of `subject`, unless that was done and not taken back since, or was done just now.

        Args:
            subject: What it is about, by which a repetition is known.
            what: What does not work, and what follows from it.
            reason: Why.
            by: Who has met it, of several that it concerns.
        """
        now = time.monotonic()
        with self._lock:
            failing = self._failing.setdefault(subject, set())
            is_known = bool(failing)
            if not is_known and now - self._said.get(subject, -QUIET) < QUIET:
                return
            failing.add(by)
            if is_known:
                return
            self._said[subject] = now
        self._say(f"{what}: {reason}")

    def over(self, subject: str, text: str, by: str = "") -> None:
        """Say that `subject`, if somebody was warned of it, is over, now that it is for all that it concerned."""
        with self._lock:
            failing = self._failing.get(subject, set())
            if by not in failing:
                return
            failing.discard(by)
            if failing:
                return
        self._say(text)

    def is_open(self, subject: str) -> bool:
        """Return whether `subject` does not work still."""
        with self._lock:
            return bool(self._failing.get(subject))
