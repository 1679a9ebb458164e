"""What a progress report means: whether it starts over, how much is done, how long the rest takes."""

from __future__ import annotations

import math


def starts_over(current: float, last: float, first: float) -> bool:
    """Return whether a category begins anew with the report `current`, after `last`, having begun with `first`.

    Going back a little is not starting over: threads that share a category report out of order.
    """
    return current < last and (current <= first or current <= last / 2)


def ratio(current: float, total: float) -> float:
    """Return the share that is done, from 0 to 1; NaN where there is nothing to do."""
    return current / total if total > 0 else math.nan


def remaining(done: float, elapsed: int, left: float) -> float | None:
    """Return the seconds that what is `left` still takes, None where nothing is known.

    Args:
        done: What was done since the category began.
        elapsed: The nanoseconds that it took.
        left: What is still to do.
    """
    if left <= 0:
        return 0.0
    if done <= 0 or elapsed <= 0:
        return None
    seconds = elapsed / done * left / 1e9
    return seconds if math.isfinite(seconds) else None
