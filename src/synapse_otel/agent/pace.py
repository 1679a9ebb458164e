"""When an endpoint that takes nothing is tried again: once for all journals, not once for each of them."""

from __future__ import annotations

import random
import time

from synapse_otel.export.lane import FIRST_BACK_OFF, LONGEST_BACK_OFF


class Pace:
    """The back-off of a signal, beside that of each journal's lane."""

    def __init__(self) -> None:
        self._failures = 0
        self.until = 0.0

    def is_waiting(self, long: float = 0.0) -> bool:
        """Return whether nothing is tried now, and for `long` seconds."""
        return self.until > time.monotonic() + long

    def failed(self, until: float) -> None:
        """Wait, longer each time.

        Args:
            until: When the lane that failed goes on, by the monotonic clock; the receiver may have told it.
        """
        longest = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        self.until = max(until, time.monotonic() + random.uniform(longest / 2, longest))

    def took(self) -> None:
        """Go on: something was taken."""
        self._failures, self.until = 0, 0.0

    def hurry(self) -> None:
        """Try soon: somebody waits."""
        self.until = min(self.until, time.monotonic() + FIRST_BACK_OFF)
