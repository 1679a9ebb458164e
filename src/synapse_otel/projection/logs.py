"""Records -> log records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord

from synapse_otel.journal import records as rec
from synapse_otel.projection import names
from synapse_otel.projection.attributes import bounded, nested
from synapse_otel.projection.metrics import not_numbers
from synapse_otel.projection.resource import Origin


class LogsState(msgspec.Struct):
    """The names of the open steps, by their span."""

    steps: dict[bytes, str] = {}


class LogProjection:
    """Turns each event, message, dev event and exception into one log record."""

    def __init__(self, origin: Origin, state: bytes = b"") -> None:
        self._origin = origin
        self._state = msgspec.msgpack.decode(state, type=LogsState) if state else LogsState()

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
            case rec.StepStarted():
                self._state.steps[record.span] = record.name
            case rec.StepEnded():
                self._state.steps.pop(record.span, None)
            case rec.LogEnded():
                return [self._log(record, seq, "info", names.LOG_RUN_ENDED, "run ended", {})]
            case rec.RunEnded(status="crashed"):
                return [self._log(record, seq, "error", names.LOG_RUN_CRASHED, record.message, {})]
            case rec.Dropped():
                body = f"{sum(record.counts.values())} records were dropped: the journal's quota was reached"
                return [self._log(record, seq, "warning", names.LOG_DROPPED, body, {names.DROPPED: record.counts})]
        return []

    def _message(self, record: rec.Message, seq: int) -> ReadableLogRecord:
        text = self._origin.redactor.text(record.text)
        return self._log(record, seq, record.level, names.LOG_MESSAGE, text, self._levelled(record))

    def _event(self, record: rec.Event, seq: int) -> ReadableLogRecord:
        name = self._origin.redactor.text(record.name)
        attributes = self._data(record.data) | self._levelled(record)
        if record.file is not None:
            attributes[names.FILE_PATH] = self._origin.redactor.text(record.file)
        return self._log(record, seq, record.level, name, name, attributes)

    def _dev_event(self, record: rec.DevEvent, seq: int) -> ReadableLogRecord:
        text = self._origin.redactor.text(record.text)
        return self._log(record, seq, "debug", names.LOG_DEV_EVENT, text, self._data(record.data or {}))

    def _metrics(self, record: rec.Metrics, seq: int) -> list[ReadableLogRecord]:
        kept = not_numbers(record.values)
        if not kept:
            return []
        attributes = self._data(kept) | {names.CATEGORY: record.category}
        return [self._log(record, seq, "info", names.LOG_METRICS, "metrics that are no numbers", attributes)]

    def _exception(self, record: rec.ExceptionRecorded, seq: int) -> ReadableLogRecord:
        redact = self._origin.redactor.text
        attributes = {
            names.EXCEPTION_TYPE: record.error_type,
            names.EXCEPTION_MESSAGE: redact(record.message),
            names.EXCEPTION_STACKTRACE: redact(record.stacktrace),
        }
        body = f"{record.error_type}: {attributes[names.EXCEPTION_MESSAGE]}"
        return self._log(record, seq, "error", names.EVENT_EXCEPTION, body, attributes)

    def _data(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return nested(self._origin.redactor.value(data))

    @staticmethod
    def _levelled(record: rec.Message | rec.Event) -> dict[str, Any]:
        attributes: dict[str, Any] = {names.LEVEL: record.level}
        if record.step is not None:
            attributes[names.STEP] = record.step
        return attributes

    def _log(  # one place that knows what a log record is made of
        self, record: rec.Record, seq: int, level: str, event_name: str, body: str, attributes: dict[str, Any]
    ) -> ReadableLogRecord:
        span, active = getattr(record, "span", b""), getattr(record, "active", b"")
        attributes[names.LOG_RECORD_UID] = f"{self._origin.identity.journal_id}-{seq}"
        if span in self._state.steps:
            attributes.setdefault(names.STEP, self._state.steps[span])
        log_record = LogRecord(
            timestamp=record.t,
            observed_timestamp=record.t,
            context=self._origin.context(span if span in self._state.steps else b"", active),
            severity_text=level,
            severity_number=SeverityNumber(names.SEVERITY.get(level, 9)),
            body=body,
            attributes=bounded(attributes, self._origin.limits),
            event_name=event_name,
        )
        return ReadableLogRecord(log_record, self._origin.resource, self._origin.scope)
