"""Records -> spans.

A span reaches a backend when it ends, so a span that is long, or holds many events, hands its events over in finished
child spans, ``<name> part <n>``: memory stays flat and any backend shows the run within a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status, StatusCode

from synapse_otel.journal import records as rec
from synapse_otel.projection import names, phases
from synapse_otel.projection.attributes import Kept, flat, limited
from synapse_otel.projection.details import details
from synapse_otel.projection.exceptions import exception_attributes
from synapse_otel.projection.metrics import numbers
from synapse_otel.projection.open_span import OK, UNSET, Ended, Held, Open, finished, hand_over
from synapse_otel.projection.resource import Origin, derived_id, is_span_id
from synapse_otel.projection.splitting import split_span

_NEVER = 2**63 - 1
_MAX_FINAL_METRICS = 64
"""Metrics whose last value the root span carries: half of the attributes that a span may have."""


class SpansState(msgspec.Struct):
    """The open spans by their id, the phases by category, and the time at which events are due."""

    spans: dict[bytes, Open]
    phases: dict[str, phases.Phase] = {}
    metrics: dict[tuple[str, str], int | float] = {}
    due: int = _NEVER
    started: bool = False
    ended: bool = False


_decode = msgspec.msgpack.Decoder(SpansState).decode  # made at import, see `journal.cursor`


class SpanProjection:
    """Turns the life of a run into spans.

    Args:
        origin: Who the records come from.
        state: What `snapshot` of an earlier projection gave.
    """

    def __init__(self, origin: Origin, state: bytes = b"") -> None:
        self._origin = origin
        self._root = origin.identity.span_id
        self._redact = origin.redactor.text
        self._state = _decode(state) if state else self._initial()

    def _initial(self) -> SpansState:
        identity = self._origin.identity
        root = Open(
            self._root_name(identity.name),
            identity.span_id,
            identity.parent_span_id,
            identity.started,
            {names.WORKER: True} if identity.worker else {},
            handed_over=identity.started,
        )
        return SpansState({self._root: root})

    def _root_name(self, name: str) -> str:
        return self._redact(f"{name} worker" if self._origin.identity.worker else name)

    def snapshot(self) -> bytes:
        """Return the state, from which another projection goes on."""
        return msgspec.msgpack.encode(self._state)

    def project(self, record: rec.Record, seq: int) -> list[ReadableSpan]:  # noqa: ARG002  # the shape of every projection
        """Return the spans that end with a record, innermost first."""
        due = self._hand_over_due(record.t) if record.t >= self._state.due else []
        return [finished(ended, self._origin) for ended in due + self._project(record)]

    def _project(self, record: rec.Record) -> list[Ended]:
        match record:
            case rec.Message():
                return self._message(record)
            case rec.Event():
                return self._event(record)
            case rec.ExceptionRecorded():
                return self._exception(record)
            case rec.Progress():
                return self._progress(record)
            case rec.Metrics():
                self._note_metrics(record)
                return []
            case _:
                return self._lifecycle(record)

    def _lifecycle(self, record: rec.Record) -> list[Ended]:
        match record:
            case rec.RunStarted():
                return self._run_started(record.t)
            case rec.ActionNamed():
                self._name_action(record)
            case rec.StepStarted():
                self._start_step(record)
            case rec.StepEnded():
                return self._end_step(record)
            case rec.RunEnded():
                return self._end_run(record)
        return []

    # -- the run and its steps

    def _run_started(self, t: int) -> list[Ended]:
        if self._state.started:
            return []
        self._state.started = True
        root = self._state.spans[self._root]
        marker = derived_id(self._root, names.RUN_STARTED)
        return [
            Ended(Open(names.RUN_STARTED, marker, self._root, t, {**root.attributes, names.RUN_NAME: root.name}), t)
        ]

    def _name_action(self, record: rec.ActionNamed) -> None:
        root = self._state.spans[self._root]
        root.attributes[names.ACTION] = self._redact(record.name)
        if record.category:
            root.attributes[names.ACTION_CATEGORY] = self._redact(record.category)
        if self._origin.is_named_by(record):
            root.name = self._root_name(record.name)

    def _start_step(self, record: rec.StepStarted) -> None:
        if not is_span_id(record.span) or record.span in self._state.spans:
            return
        name = self._redact(record.name)
        parent = self._span(record.parent).span
        self._state.spans[record.span] = Open(
            name, record.span, parent, record.t, {names.STEP: name}, handed_over=record.t
        )

    def _end_step(self, record: rec.StepEnded) -> list[Ended]:
        if record.span == self._root or record.span not in self._state.spans:
            return []
        return [self._close_step(self._state.spans.pop(record.span), record)]

    def _close_step(self, span: Open, record: rec.StepEnded | rec.RunEnded) -> Ended:
        span.attributes[names.STEP_STATUS] = record.status
        status = self._status(span, record)
        message = self._redact(record.message)
        if message and status.status_code is not StatusCode.ERROR:
            span.attributes[names.STEP_MESSAGE] = message
        return Ended(span, record.t, status)

    def _end_run(self, record: rec.RunEnded) -> list[Ended]:
        """End what is open, innermost first; of a run that has ended already, what was opened since."""
        root = self._state.spans.pop(self._root)
        status = self._status(root, record)
        left = UNSET if record.status == "completed" else status
        ended = [span for phase in self._state.phases.values() for span in phases.close(phase, record.t, left)]
        ended += [self._close_step(span, record) for span in reversed(self._state.spans.values())]
        if not self._state.ended:
            root.attributes[names.RUN_STATUS] = record.status
            root.attributes, root.dropped = self._with_final_metrics(root.attributes)
            ended.append(Ended(msgspec.structs.replace(root), record.t, status))
        root.events, root.size = [], 0
        self._state.spans = {self._root: root}
        self._state.ended = True
        return ended

    def _status(self, span: Open, record: rec.StepEnded | rec.RunEnded) -> Status:
        if record.status in {"completed", "skipped"}:
            return OK if span.error is None else Status(StatusCode.ERROR, span.error)
        message, error = self._redact(record.message), span.error or ""
        # An exception's message is part of the error that it left; any other one tells what an earlier error does not.
        return Status(StatusCode.ERROR, (error if message in error else message) or record.status)

    def _span(self, span: bytes) -> Open:
        """Return the open span of this id, the run's where there is none."""
        return self._state.spans.get(span) or self._state.spans[self._root]

    # -- what happens inside

    def _message(self, record: rec.Message) -> list[Ended]:
        own = {names.MESSAGE: self._redact(record.text), **details(record, self._redact)}
        if record.level in names.FAILURE_LEVELS:
            self._span(record.span).error = own[names.MESSAGE]
        return self._hold(record, names.EVENT_MESSAGE, {}, own)

    def _event(self, record: rec.Event) -> list[Ended]:
        name = self._redact(record.name)
        if record.level in names.FAILURE_LEVELS:
            self._span(record.span).error = name
        return self._hold(record, name, record.data, details(record, self._redact))

    def _exception(self, record: rec.ExceptionRecorded) -> list[Ended]:
        own = exception_attributes(record, self._redact)
        span = self._span(record.span)
        span.error = f"{own[names.EXCEPTION_TYPE]}: {own[names.EXCEPTION_MESSAGE]}"
        span.attributes[names.ERROR_TYPE] = own[names.EXCEPTION_TYPE]
        return self._hold(record, names.EVENT_EXCEPTION, {}, own)

    def _hold(
        self,
        record: rec.Message | rec.Event | rec.ExceptionRecorded,
        name: str,
        data: Mapping[str, Any],
        own: dict[str, Any],
    ) -> list[Ended]:
        span = self._span(record.span)
        given = flat(self._origin.redactor.value(data)) if data else ()
        kept = limited(given, own, self._origin.limits)
        span.hold(Held(name, record.t, kept.values, kept.dropped))
        if self._state.ended or span.is_full(self._origin.limits.events):
            return [hand_over(span, record.t)]
        self._state.due = min(self._state.due, span.due())
        return []

    def _hand_over_due(self, t: int) -> list[Ended]:
        waiting = [span for span in self._state.spans.values() if span.events]
        parts = [hand_over(span, t) for span in waiting if t >= span.due()]
        self._state.due = min((span.due() for span in waiting if span.events), default=_NEVER)
        return parts

    def _progress(self, record: rec.Progress) -> list[Ended]:
        phase = self._state.phases.setdefault(record.category, phases.Phase())
        label, parent = self._redact(record.category), self._span(record.span).span
        return phases.report(phase, record, lambda number: phases.phase_span(self._root, parent, record, label, number))

    def _note_metrics(self, record: rec.Metrics) -> None:
        known = self._state.metrics
        for key, value in numbers(record.values):
            if (record.category, key) in known or len(known) < _MAX_FINAL_METRICS:
                known[record.category, key] = value

    def _with_final_metrics(self, own: dict[str, Any]) -> Kept:
        named = (
            (f"{names.METRIC_PREFIX}{self._redact(category)}.{self._redact(key)}", value)
            for (category, key), value in self._state.metrics.items()
        )
        return limited(named, own, self._origin.limits)


__all__ = ["SpanProjection", "split_span"]
