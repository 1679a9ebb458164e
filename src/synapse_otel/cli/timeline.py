"""Records -> lines of the timeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
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

    def lines(self, most: int | None = None) -> list[LineView]:
        """Return the lines that are kept, `most` of them, the last ones, in order."""
        last = list(islice(reversed(self._kept), most))
        return [_line(record, step, self._process) for record, step in reversed(last)]

    def forget(self, but: int = 0) -> None:
        """Keep no line any more but the last ones, so many."""
        while len(self._kept) > but:
            self._kept.popleft()


def distinct_errors(exceptions: Iterable[ExceptionView]) -> list[ExceptionView]:
    """Return exceptions, each once, where it came to rest: on its way out it is recorded in all that it ends."""
    found = list(exceptions)
    last = {one.identity: one for one in found}
    return [one for one in found if one is last[one.identity]]


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
