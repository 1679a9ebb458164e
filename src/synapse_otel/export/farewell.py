"""What a process does for its run when it ends itself: deliver what the workers of the run left, which end with it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Set
from pathlib import Path

from synapse_otel.export.notices import logger
from synapse_otel.export.orphans import Orphan, orphans
from synapse_otel.export.plan import ShippingPlan
from synapse_otel.journal.directory import JournalPath, journals_of
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.recovery import ending

_PAUSE = 0.02


def see_off(plan: ShippingPlan, run: Path, own: Set[str], deadline: float) -> None:
    """Deliver what other processes of a run left that are dead, or at rest, and about to be ended; never raises.

    Args:
        plan: How it is shipped.
        run: The directory of the run.
        own: The journals in it that are this process's, by their ids.
        deadline: When it is left to the next start, by the monotonic clock.
    """
    if not plan.sends or not any(others(run, own)):
        return
    try:
        destination = plan.destination()
    except Exception as error:  # noqa: BLE001  # such as a certificate that cannot be read
        logger.warning("what workers left is kept for the next start: %r", error)
        return
    try:
        while True:
            for orphan in orphans(others(run, own), plan.origin, destination):
                _deliver(orphan, deadline)
            if time.monotonic() > deadline or not any(is_about_to_end(path) for path in others(run, own)):
                return
            time.sleep(_PAUSE)
    finally:
        destination.close()


def others(run: Path, own: Set[str]) -> Iterator[JournalPath]:
    """Yield the journals of a run that are not among `own`."""
    return (path for path in journals_of(run) if path.journal_id not in own)


def is_about_to_end(path: JournalPath) -> bool:
    """Return whether the process of a journal lives, but has done all that it was given."""
    try:
        return path.is_live() and ending(path).rested is not None
    except (JournalError, OSError):
        return False


def _deliver(orphan: Orphan, deadline: float) -> None:
    while not orphan.is_done() and time.monotonic() < deadline:
        if not orphan.delivery.step(time.monotonic()):
            time.sleep(_PAUSE)
    orphan.close()
