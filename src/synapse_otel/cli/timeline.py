"""Records -> lines of the timeline."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TypeAlias

from synapse_otel.cli.view import ExceptionView, LineKind, LineView
from synapse_otel.journal import records as rec
from synapse_otel.projection.metrics import not_numbers

Told: TypeAlias = (
    rec.Message | rec.Event | rec.DevEvent | rec.Metrics | rec.ExceptionRecorded | rec.Dropped  # what makes a line
)

_KINDS: dict[type[rec.Record], LineKind] = {
    rec.Message: "message",
    rec.Event: "event",
    rec.DevEvent: "dev_event",
    rec.Metrics: "metrics",
    rec.ExceptionRecorded: "exception",
    rec.Dropped: "dropped",
}


class Timeline:
    """Keeps the last records that make a line, and makes the lines when they are wanted.

    Args:
        process: The journal that they come from.
        most: How many to keep; None for all.
    """

    def __init__(self, process: str, most: int | None = None) -> None:
        self._process = process
        self._kept: deque[tuple[Told, str | None]] = deque(maxlen=most)
        self.total = 0

    def add(self, record: Told, step: str | None) -> None:
        """Take a record that makes a line, and the step that it belongs to."""
        self.total += 1
        self._kept.append((record, step))

    def lines(self) -> list[LineView]:
        """Return the lines, in order."""
        return self.since(0)

    def since(self, seen: int) -> list[LineView]:
        """Return the lines behind the first `seen` ones of all, in order."""
        new = list(islice(reversed(self._kept), max(0, self.total - seen)))
        return [_line(record, step, self._process) for record, step in reversed(new)]


def same_error(one: ExceptionView, other: ExceptionView) -> bool:
    """Return whether two records tell of one exception: on its way out it is recorded in all that it ends."""
    return (one.error_type, one.message) == (other.error_type, other.message)


def _line(record: Told, step: str | None, process: str) -> LineView:
    kind = _KINDS[type(record)]
    match record:
        case rec.Message():
            return LineView(record.t, kind, record.level, record.text, step=record.step or step, process=process)
        case rec.Event():
            step = record.step or step
            return LineView(record.t, kind, record.level, record.name, record.data, record.file, step, process)
        case rec.DevEvent():
            return LineView(record.t, kind, "debug", record.text, record.data or {}, step=step, process=process)
        case rec.Metrics():
            data = dict(not_numbers(record.values))
            return LineView(record.t, kind, "info", record.category, data, step=step, process=process)
        case rec.ExceptionRecorded():
            text = f"{record.error_type}: {record.message}" if record.message else record.error_type
            return LineView(record.t, kind, "error", text, step=step, process=process)
        case rec.Dropped():
            text = f"{sum(record.counts.values())} records were dropped here: the journal directory was full"
            return LineView(record.t, kind, "warning", text, record.counts, process=process)
