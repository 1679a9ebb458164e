"""Records -> log records."""

from __future__ import annotations

from typing import Any

import msgspec
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord

from synapse_otel.journal import records as rec
from synapse_otel.projection import names
from synapse_otel.projection.attributes import Kept, distinct, limited, nested, shown
from synapse_otel.projection.exceptions import exception_attributes
from synapse_otel.projection.metrics import not_numbers
from synapse_otel.projection.resource import Origin, is_span_id


class LogsState(msgspec.Struct):
    """The names of the open steps, by their span."""

    steps: dict[bytes, str] = {}


_SEVERITY = {level: SeverityNumber(number) for level, number in names.SEVERITY.items()}
_decode = msgspec.msgpack.Decoder(LogsState).decode  # made at import, see `journal.cursor`


class LogProjection:
    """Turns each event, message, dev event and exception into one log record."""

    def __init__(self, origin: Origin, state: bytes = b"") -> None:
        self._origin = origin
        self._redact = origin.redactor.text
        self._state = _decode(state) if state else LogsState()
        self._known = (b"", b""), origin.context(b"", b"")

    def snapshot(self) -> bytes:
        """Return the state, from which another projection goes on."""
        return msgspec.msgpack.encode(self._state)

    def project(self, record: rec.Record, seq: int) -> list[ReadableLogRecord]:
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

    def _lifecycle(self, record: rec.Record, seq: int) -> list[ReadableLogRecord]:
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

    def _run_ended(self, record: rec.RunEnded, seq: int) -> list[ReadableLogRecord]:
        self._state.steps.clear()
        if record.status != "crashed":
            return []
        return [self._log(record, seq, "error", names.LOG_RUN_CRASHED, self._redact(record.message))]

    def _dropped(self, record: rec.Dropped, seq: int) -> ReadableLogRecord:
        body = f"{sum(record.counts.values())} records were dropped: the journal's quota was reached"
        return self._log(record, seq, "warning", names.LOG_DROPPED, body, {names.DROPPED: record.counts})

    def _message(self, record: rec.Message, seq: int) -> ReadableLogRecord:
        text = self._redact(record.text)
        key = {} if record.key is None else {names.MESSAGE_KEY: self._redact(record.key)}
        return self._log(record, seq, record.level, names.LOG_MESSAGE, text, self._levelled(record) | key)

    def _event(self, record: rec.Event, seq: int) -> ReadableLogRecord:
        name = self._redact(record.name)
        own = self._levelled(record)
        if record.file is not None:
            own[names.FILE_PATH] = self._redact(record.file)
        return self._log(record, seq, record.level, name, name, own, record.data)

    def _dev_event(self, record: rec.DevEvent, seq: int) -> ReadableLogRecord:
        text = self._redact(record.text)
        return self._log(record, seq, "debug", names.LOG_DEV_EVENT, text, data=record.data)

    def _metrics(self, record: rec.Metrics, seq: int) -> list[ReadableLogRecord]:
        kept = distinct(not_numbers(record.values))
        if not kept:
            return []
        own = {names.CATEGORY: self._redact(record.category)}
        return [self._log(record, seq, "info", names.LOG_METRICS, "metrics that are no numbers", own, kept)]

    def _exception(self, record: rec.ExceptionRecorded, seq: int) -> ReadableLogRecord:
        own = exception_attributes(record, self._redact)
        body = f"{own[names.EXCEPTION_TYPE]}: {own[names.EXCEPTION_MESSAGE]}"
        return self._log(record, seq, "error", names.EVENT_EXCEPTION, body, own)

    def _levelled(self, record: rec.Message | rec.Event) -> dict[str, Any]:
        step = {} if record.step is None else {names.STEP: self._redact(record.step)}
        return {names.LEVEL: record.level} | step

    def _log(  # one place that knows what a log record is made of
        self,
        record: rec.Record,
        seq: int,
        level: str,
        event_name: str,
        body: str,
        own: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
    ) -> ReadableLogRecord:
        span, active = getattr(record, "span", b""), getattr(record, "active", b"")
        step = {names.STEP: self._state.steps[span]} if span in self._state.steps else {}
        uid = {names.LOG_RECORD_UID: f"{self._origin.identity.journal_id}-{seq}"}
        given = nested(self._origin.redactor.value(data)) if data else ()
        kept = limited(given, uid | step | (own or {}), self._origin.limits)
        log_record = LogRecord(
            timestamp=record.t,
            observed_timestamp=record.t,
            context=self._context(span if step else b"", active),
            severity_text=level,
            severity_number=_SEVERITY.get(level, SeverityNumber.INFO),
            body=body,
            attributes=shown(Kept(kept.values | uid, kept.dropped)),
            event_name=event_name,
        )
        return ReadableLogRecord(log_record, self._origin.resource, self._origin.scope)

    def _context(self, span: bytes, active: bytes) -> Context:
        """Return the context that a record belongs to, which mostly is that of the record before."""
        if self._known[0] != (span, active):
            self._known = (span, active), self._origin.context(span, active)
        return self._known[1]
