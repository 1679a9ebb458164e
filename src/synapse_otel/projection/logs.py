"""Records -> log records."""

from __future__ import annotations

from typing import Any

import msgspec

from synapse_otel.journal import records as rec
from synapse_otel.projection import names
from synapse_otel.projection.attributes import distinct, limited, nested
from synapse_otel.projection.details import details
from synapse_otel.projection.exceptions import exception_attributes
from synapse_otel.projection.log_item import LogItem
from synapse_otel.projection.metrics import not_numbers
from synapse_otel.projection.resource import Origin, is_span_id


class LogsState(msgspec.Struct):
    """The names of the open steps, by their span."""

    steps: dict[bytes, str] = {}


_decode = msgspec.msgpack.Decoder(LogsState).decode  # made at import, see `journal.cursor`


class LogProjection:
    """Turns each event, message, dev event and exception into one log record."""

    def __init__(self, origin: Origin, state: bytes = b"") -> None:
        self._origin = origin
        self._redact = origin.redactor.text
        self._state = _decode(state) if state else LogsState()
        self._known = (b"", b""), origin.ids(b"", b"")

    def snapshot(self) -> bytes:
        """Return the state, from which another projection goes on."""
        return msgspec.msgpack.encode(self._state)

    def project(self, record: rec.Record, seq: int) -> list[LogItem]:
        """Return the log records of the record number `seq`: one or none."""
        match record:
            case rec.Message():
                return [self._message(record, seq)]
            case rec.Event():
                return [self._event(record, seq)]
            case rec.DevEvent():
                return [self._dev_event(record, seq)]
            case rec.Metrics():
                return self._metrics(record, seq)
            case rec.ExceptionRecorded():
                return [self._exception(record, seq)]
            case _:
                return self._lifecycle(record, seq)

    def _lifecycle(self, record: rec.Record, seq: int) -> list[LogItem]:
        match record:
            case rec.StepStarted() if is_span_id(record.span) and record.span != self._origin.identity.span_id:
                self._state.steps.setdefault(record.span, self._redact(record.name))
            case rec.StepEnded():
                self._state.steps.pop(record.span, None)
            case rec.RunEnded():
                return self._run_ended(record, seq)
            case rec.LogEnded():
                return [self._log(record, seq, "info", names.LOG_RUN_ENDED, "run ended")]
            case rec.Dropped():
                return [self._dropped(record, seq)]
        return []

    def _run_ended(self, record: rec.RunEnded, seq: int) -> list[LogItem]:
        self._state.steps.clear()
        if record.status != "crashed":
            return []
        return [self._log(record, seq, "error", names.LOG_RUN_CRASHED, self._redact(record.message))]

    def _dropped(self, record: rec.Dropped, seq: int) -> LogItem:
        body = f"{sum(record.counts.values())} records were dropped: the journal's quota was reached"
        return self._log(record, seq, "warning", names.LOG_DROPPED, body, {names.DROPPED: record.counts})

    def _message(self, record: rec.Message, seq: int) -> LogItem:
        text = self._redact(record.text)
        return self._log(record, seq, record.level, names.LOG_MESSAGE, text, details(record, self._redact))

    def _event(self, record: rec.Event, seq: int) -> LogItem:
        name = self._redact(record.name)
        return self._log(record, seq, record.level, name, name, details(record, self._redact), record.data)

    def _dev_event(self, record: rec.DevEvent, seq: int) -> LogItem:
        text = self._redact(record.text)
        return self._log(record, seq, "debug", names.LOG_DEV_EVENT, text, data=record.data)

    def _metrics(self, record: rec.Metrics, seq: int) -> list[LogItem]:
        kept = distinct(not_numbers(record.values))
        if not kept:
            return []
        own = {names.CATEGORY: self._redact(record.category)}
        return [self._log(record, seq, "info", names.LOG_METRICS, "metrics that are no numbers", own, kept)]

    def _exception(self, record: rec.ExceptionRecorded, seq: int) -> LogItem:
        own = exception_attributes(record, self._redact)
        body = f"{own[names.EXCEPTION_TYPE]}: {own[names.EXCEPTION_MESSAGE]}"
        return self._log(record, seq, "error", names.EVENT_EXCEPTION, body, own)

    def _log(  # one place that knows what a log record is made of
        self,
        record: rec.Record,
        seq: int,
        level: str,
        event_name: str,
        body: str,
        own: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
    ) -> LogItem:
        span, active = getattr(record, "span", b""), getattr(record, "active", b"")
        step = self._state.steps.get(span)
        uid = f"{self._origin.identity.journal_id}-{seq}"
        ours = {names.LOG_RECORD_UID: uid} if step is None else {names.LOG_RECORD_UID: uid, names.STEP: step}
        if own:
            ours.update(own)
        given = nested(self._origin.redactor.value(data)) if data else ()
        attributes, dropped = limited(given, ours, self._origin.limits)
        attributes[names.LOG_RECORD_UID] = uid  # whole, also where values are shortened
        severity = names.SEVERITY.get(level, names.SEVERITY["info"])
        trace_id, span_id = self._ids(b"" if step is None else span, active)
        return LogItem(record.t, level, severity, event_name, body, attributes, trace_id, span_id, dropped)

    def _ids(self, span: bytes, active: bytes) -> tuple[bytes, bytes]:
        """Return the trace and the span that a record belongs to, which mostly are those of the record before."""
        if self._known[0] != (span, active):
            self._known = (span, active), self._origin.ids(span, active)
        return self._known[1]
