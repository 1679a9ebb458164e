"""Progress reports -> phase spans: from a category's first report until it is done, has failed or starts over."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from opentelemetry.trace import Status, StatusCode

from synapse_otel.journal.records import Progress
from synapse_otel.projection import names
from synapse_otel.projection.attributes import number
from synapse_otel.projection.open_span import OK, UNSET, Ended, Open
from synapse_otel.projection.progress import ratio, starts_over
from synapse_otel.projection.resource import derived_id

FAILED = Status(StatusCode.ERROR, "progress failed")


class Phase(msgspec.Struct):
    """The open phase of a category, if there is one, how many there were, and the reports that count."""

    number: int = 0
    open: Open | None = None
    first: int | float = 0
    current: int | float = 0
    total: int | float = 0
    failed: bool = False
    last: int = 0

    def goes_on(self, record: Progress) -> bool:
        """Return whether `record` belongs to the phase that is open, or was the last to be."""
        if self.number == 0 or starts_over(record.current, self.current, self.first):
            return False
        if self.open is not None:
            return True
        # A phase that has ended is sent and cannot change: what says nothing new, or comes late, opens no other one.
        return record.current <= self.current and record.total == self.total and record.failed <= self.failed


def report(phase: Phase, record: Progress, new: Callable[[int], Open]) -> list[Ended]:
    """Note a report in the phase of its category; return the phases that end with it.

    Args:
        phase: The phase of the report's category.
        record: The report.
        new: Makes the span of the category's phase of a number.
    """
    ended: list[Ended] = []
    if not phase.goes_on(record):
        ended = close(phase, phase.last, UNSET)
        phase.number += 1
        phase.open, phase.first = new(phase.number), record.current
    elif phase.open is None:
        return []
    phase.current, phase.total, phase.failed, phase.last = record.current, record.total, record.failed, record.t
    if record.failed:
        return ended + close(phase, record.t, FAILED)
    if record.current >= record.total:
        return ended + close(phase, record.t, OK)
    return ended


def close(phase: Phase, t: int, status: Status) -> list[Ended]:
    """End the phase of a category with its final numbers, if one is open."""
    span, phase.open = phase.open, None
    if span is None:
        return []
    span.attributes |= {
        names.PROGRESS_CURRENT[0]: number(phase.current),
        names.PROGRESS_TOTAL[0]: number(phase.total),
        names.PROGRESS_RATIO[0]: ratio(phase.current, phase.total),
    }
    return [Ended(span, t, status)]


def phase_span(root: bytes, parent: bytes, record: Progress, label: str, nth: int) -> Open:
    """Return the span of the `nth` phase of a report's category, which is shown as `label`."""
    span = derived_id(root, "phase", record.category, nth)
    return Open(label, span, parent, record.t, {names.CATEGORY: label})
