"""Records -> spans.

A span reaches a backend when it ends, so a span that is long, or holds many events, hands its events over in finished
child spans, ``<name> part <n>``: memory stays flat and any backend shows the run within a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from synapse_otel.journal import records as rec
from synapse_otel.projection import names
from synapse_otel.projection.attributes import bounded, flat
from synapse_otel.projection.resource import Origin, derived_id

PART_AFTER = 60 * 1_000_000_000
_NEVER = 2**63 - 1
_MAX_FINAL_METRICS = 64


class Held(msgspec.Struct, array_like=True):
    """An event that its span has not handed over yet."""

    name: str
    t: int
    attributes: dict[str, Any]


class Open(msgspec.Struct):
    """A span that has not ended: the run, a step, or the phase of a category."""

    name: str
    span: bytes
    parent: bytes
    start: int
    attributes: dict[str, Any] = {}
    events: list[Held] = []
    parts: int = 0
    handed_over: int = 0
    error: str | None = None


class Phase(msgspec.Struct):
    """The open phase of a category, if there is one, and how many there were."""

    number: int = 0
    open: Open | None = None
    current: float = 0
    total: float = 0
    last: int = 0


class SpansState(msgspec.Struct):
    """The open spans by their id, the phases by category, and the time at which events are due."""

    spans: dict[bytes, Open]
    phases: dict[str, Phase] = {}
    metrics: dict[str, float] = {}
    due: int = _NEVER


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
        self._state = msgspec.msgpack.decode(state, type=SpansState) if state else self._initial()

    def _initial(self) -> SpansState:
        identity = self._origin.identity
        name = f"{identity.name} worker" if identity.worker else identity.name
        attributes = {names.WORKER: True} if identity.worker else {}
        root = Open(
            self._redact(name),
            identity.span_id,
            identity.parent_span_id,
            identity.started,
            attributes,
            handed_over=identity.started,
        )
        return SpansState({self._root: root})

    def snapshot(self) -> bytes:
        """Return the state, from which another projection goes on."""
        return msgspec.msgpack.encode(self._state)

    def project(self, record: rec.Record, seq: int) -> list[ReadableSpan]:  # noqa: ARG002  # the shape of every projection
        """Return the spans that end with a record, innermost first."""
        due = self._hand_over_due(record.t) if record.t >= self._state.due else []
        return due + self._project(record)

    def _project(self, record: rec.Record) -> list[ReadableSpan]:
        match record:
            case rec.Message():
                attributes = {names.MESSAGE: self._redact(record.text), names.LEVEL: record.level}
                return self._event(record, names.EVENT_MESSAGE, attributes, record.level, record.text)
            case rec.Event():
                return self._event(record, record.name, self._event_attributes(record), record.level, record.name)
            case rec.ExceptionRecorded():
                return self._exception(record)
            case rec.Progress():
                return self._progress(record)
            case rec.Metrics():
                self._note_metrics(record)
                return []
            case _:
                return self._lifecycle(record)

    def _lifecycle(self, record: rec.Record) -> list[ReadableSpan]:
        match record:
            case rec.RunStarted():
                return [self._run_started(record.t)]
            case rec.ActionNamed():
                self._name_action(record.name)
            case rec.StepStarted():
                parent = record.parent if record.parent in self._state.spans else self._root
                name = self._redact(record.name)
                self._state.spans[record.span] = Open(
                    name, record.span, parent, record.t, {names.STEP: name}, handed_over=record.t
                )
            case rec.StepEnded():
                return self._step_ended(record)
            case rec.RunEnded():
                return self._run_ended(record)
        return []

    def _run_started(self, t: int) -> ReadableSpan:
        root = self._state.spans[self._root]
        started = Open(names.RUN_STARTED, derived_id(self._root, names.RUN_STARTED), self._root, t, root.attributes)
        return self._finished(started, t, Status(StatusCode.UNSET))

    def _name_action(self, name: str) -> None:
        root = self._state.spans[self._root]
        root.attributes[names.ACTION] = self._redact(name)
        if root.name == "run":
            root.name = self._redact(name)

    def _event_attributes(self, record: rec.Event) -> dict[str, Any]:
        attributes = flat(self._origin.redactor.value(record.data))
        attributes[names.LEVEL] = record.level
        if record.file is not None:
            attributes[names.FILE_PATH] = self._redact(record.file)
        return attributes

    def _event(
        self, record: rec.Message | rec.Event, name: str, attributes: dict[str, Any], level: str, text: str
    ) -> list[ReadableSpan]:
        span = self._span(record.span)
        if level in names.FAILURE_LEVELS:
            span.error = self._redact(text)
        return self._hold(span, Held(self._redact(name), record.t, attributes))

    def _exception(self, record: rec.ExceptionRecorded) -> list[ReadableSpan]:
        span = self._span(record.span)
        attributes = {
            names.EXCEPTION_TYPE: record.error_type,
            names.EXCEPTION_MESSAGE: self._redact(record.message),
            names.EXCEPTION_STACKTRACE: self._redact(record.stacktrace),
        }
        span.error = f"{record.error_type}: {attributes[names.EXCEPTION_MESSAGE]}"
        span.attributes[names.ERROR_TYPE] = record.error_type
        return self._hold(span, Held(names.EVENT_EXCEPTION, record.t, attributes))

    def _span(self, span: bytes) -> Open:
        return self._state.spans.get(span) or self._state.spans[self._root]

    def _hold(self, span: Open, event: Held) -> list[ReadableSpan]:
        span.events.append(event)
        if len(span.events) >= self._origin.limits.events:
            return [self._part(span, event.t)]
        self._state.due = min(self._state.due, span.handed_over + PART_AFTER)
        return []

    def _hand_over_due(self, t: int) -> list[ReadableSpan]:
        waiting = [span for span in self._state.spans.values() if span.events]
        parts = [self._part(span, t) for span in waiting if t >= span.handed_over + PART_AFTER]
        self._state.due = min((span.handed_over + PART_AFTER for span in waiting if span.events), default=_NEVER)
        return parts

    def _part(self, span: Open, t: int) -> ReadableSpan:
        span.parts += 1
        span.handed_over = t
        part = Open(
            f"{span.name} part {span.parts}",
            derived_id(span.span, "part", span.parts),
            span.span,
            span.events[0].t,
            {names.PART: span.parts},
            span.events,
        )
        span.events = []
        return self._finished(part, max(event.t for event in part.events), Status(StatusCode.UNSET))

    def _progress(self, record: rec.Progress) -> list[ReadableSpan]:
        phase = self._state.phases.setdefault(record.category, Phase())
        ended: list[ReadableSpan] = []
        if phase.open is not None and record.current < phase.current:
            ended = self._end_phase(phase, phase.last, Status(StatusCode.UNSET))
        if phase.open is None:
            phase.open = self._open_phase(record, phase)
        phase.current, phase.total, phase.last = record.current, record.total, record.t
        if record.failed:
            return ended + self._end_phase(phase, record.t, Status(StatusCode.ERROR, "progress failed"))
        if record.current >= record.total:
            return ended + self._end_phase(phase, record.t, Status(StatusCode.OK))
        return ended

    def _open_phase(self, record: rec.Progress, phase: Phase) -> Open:
        phase.number += 1
        name = names.DEFAULT_PHASE if record.category == names.DEFAULT_CATEGORY else self._redact(record.category)
        return Open(
            name,
            derived_id(self._root, "phase", record.category, phase.number),
            self._span(record.span).span,
            record.t,
            {names.CATEGORY: self._redact(record.category)},
        )

    def _end_phase(self, phase: Phase, t: int, status: Status) -> list[ReadableSpan]:
        span, phase.open = phase.open, None
        if span is None:
            return []
        span.attributes |= {
            names.PROGRESS_CURRENT[0]: phase.current,
            names.PROGRESS_TOTAL[0]: phase.total,
            names.PROGRESS_RATIO[0]: phase.current / phase.total,
        }
        return [self._finished(span, t, status)]

    def _note_metrics(self, record: rec.Metrics) -> None:
        for key, value in record.values.items():
            name = f"{names.METRIC_PREFIX}{self._redact(record.category)}.{self._redact(key)}"
            if isinstance(value, int | float) and (
                name in self._state.metrics or len(self._state.metrics) < _MAX_FINAL_METRICS
            ):
                self._state.metrics[name] = float(value)

    def _step_ended(self, record: rec.StepEnded) -> list[ReadableSpan]:
        span = self._state.spans.pop(record.span, None)
        if span is None or span.span == self._root:
            return []
        span.attributes[names.STEP_STATUS] = record.status
        return [self._finished(span, record.t, self._status(span, record.status, record.message))]

    def _run_ended(self, record: rec.RunEnded) -> list[ReadableSpan]:
        root = self._state.spans[self._root]
        left = Status(StatusCode.UNSET) if record.status == "completed" else self._status(root, record.status, "")
        finished = [span for phase in self._state.phases.values() for span in self._end_phase(phase, record.t, left)]
        for span in reversed([span for span in self._state.spans.values() if span.span != self._root]):
            span.attributes[names.STEP_STATUS] = record.status
            finished.append(self._finished(span, record.t, self._status(span, record.status, record.message)))
        root.attributes |= self._state.metrics
        root.attributes[names.RUN_STATUS] = record.status
        finished.append(self._finished(root, record.t, self._status(root, record.status, record.message)))
        self._state.spans = {self._root: root}
        root.events = []
        return finished

    def _status(self, span: Open, status: str, message: str) -> Status:
        if status in {"completed", "skipped"}:
            return Status(StatusCode.OK) if span.error is None else Status(StatusCode.ERROR, span.error)
        return Status(StatusCode.ERROR, span.error or self._redact(message) or status)

    def _finished(self, span: Open, end: int, status: Status) -> ReadableSpan:
        parent = None
        if span.parent:
            remote = span.span == self._root
            parent = self._origin.span_context(span.parent, remote=remote)
        return ReadableSpan(
            name=span.name,
            context=self._origin.span_context(span.span),
            parent=parent,
            resource=self._origin.resource,
            attributes=self._bounded(span.attributes),
            events=[Event(held.name, self._bounded(held.attributes), held.t) for held in span.events],
            kind=SpanKind.INTERNAL,
            status=status,
            start_time=span.start,
            end_time=max(end, span.start),
            instrumentation_scope=self._origin.scope,
        )

    def _bounded(self, attributes: Mapping[str, Any]) -> Any:
        return bounded(dict(attributes), self._origin.limits)


def split_span(span: Any) -> list[ReadableSpan]:
    """Return `span` as smaller ones that together say the same, none where it cannot be divided.

    For a span that the collector refused, so that one poisoned event does not take its neighbours along: a part is
    halved, any other span is sent without its events, which follow in a part. Anything but a span is not divided.
    """
    if not isinstance(span, ReadableSpan) or not span.events:
        return []
    attributes = dict(span.attributes or {})
    if names.PART not in attributes:
        return [_with_events(span, span.context, span.parent, ()), _part_of(span, span.events, "events")]
    middle = len(span.events) // 2
    if middle == 0:
        return []
    return [_part_of(span, span.events[:middle], "first"), _part_of(span, span.events[middle:], "second")]


def _part_of(span: ReadableSpan, events: Sequence[Event], part: str) -> ReadableSpan:
    assert span.context is not None
    own = span.context.span_id.to_bytes(8, "big")
    context = SpanContext(
        span.context.trace_id, int.from_bytes(derived_id(own, part), "big"), False, span.context.trace_flags
    )
    is_part = names.PART in (span.attributes or {})
    parent = span.parent if is_part else span.context
    return _with_events(span, context, parent, events, None if is_part else f"{span.name} part")


def _with_events(
    span: ReadableSpan,
    context: SpanContext | None,
    parent: SpanContext | None,
    events: Sequence[Event],
    part_name: str | None = None,
) -> ReadableSpan:
    return ReadableSpan(
        name=part_name or span.name,
        context=context,
        parent=parent,
        resource=span.resource,
        attributes={names.PART: 0} if part_name else span.attributes,
        events=events,
        kind=span.kind,
        status=Status(StatusCode.UNSET) if part_name else span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
