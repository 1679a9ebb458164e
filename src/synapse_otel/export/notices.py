"""What a person is told, once, through the standard ``logging`` module under ``synapse_otel``."""

from __future__ import annotations

import logging
import threading

logger = logging.getLogger("synapse_otel")


class Notices:
    """Says each thing once until it has changed: what failed a thousand times is one line, and so is its recovery."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def warn(self, subject: str, what: str, reason: str) -> None:
        """Warn of `subject`, unless that was done and not taken back since.

        Args:
            subject: What it is about, by which a repetition is known.
            what: What does not work, and what follows from it.
            reason: Why.
        """
        with self._lock:
            if subject in self._said:
                return
            self._said.add(subject)
        logger.warning("%s: %s", what, reason)

    def over(self, subject: str, text: str) -> None:
        """Say that `subject`, if somebody was warned of it, is over."""
        with self._lock:
            if subject not in self._said:
                return
            self._said.discard(subject)
        logger.warning(text)
