"""A span while it is open: what it is called, what it holds, and how it is shown when it ends."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanKind, Status, StatusCode

from synapse_otel.projection import names
from synapse_otel.projection.attributes import Kept, limited, shown
from synapse_otel.projection.resource import Origin, derived_id

UNSET = Status(StatusCode.UNSET)
OK = Status(StatusCode.OK)

PART_AFTER = 60 * 1_000_000_000
"""Nanoseconds after which a span hands over the events that it holds."""

PART_BYTES = 256 * 1024
"""Bytes of events that a span holds at most; they are in the state, which is saved with every request."""


class Held(msgspec.Struct, array_like=True):
    """An event that its span has not handed over yet; its attributes are within the limits already."""

    name: str
    t: int
    attributes: dict[str, Any]
    dropped: int = 0


class Open(msgspec.Struct):
    """A span that has not ended: the run, a step, the phase of a category, or a part of one of them."""

    name: str
    span: bytes
    parent: bytes
    start: int
    attributes: dict[str, Any] = {}
    dropped: int = 0
    events: list[Held] = []
    size: int = 0
    parts: int = 0
    handed_over: int = 0
    error: str | None = None

    def hold(self, event: Held) -> None:
        """Take an event; a clock that went back puts it neither before the span's start nor off for hours."""
        self.handed_over = min(self.handed_over, event.t)
        event.t = max(event.t, self.start)
        self.events.append(event)
        self.size += len(msgspec.msgpack.encode(event))

    def is_full(self, events: int) -> bool:
        """Return whether what it holds should be handed over at once, at `events` events or `PART_BYTES`."""
        return len(self.events) >= events or self.size >= PART_BYTES

    def due(self) -> int:
        """Return when the events that it holds should be handed over."""
        return self.handed_over + PART_AFTER


class Ended(NamedTuple):
    """A span, when it ended and how."""

    span: Open
    t: int
    status: Status = UNSET


def hand_over(span: Open, t: int) -> Ended:
    """Take the events out of `span` into a part of it, a finished child span from the first to the last of them."""
    span.parts += 1
    part = Open(
        name=f"{span.name} part {span.parts}",
        span=derived_id(span.span, "part", span.parts),
        parent=span.span,
        start=min(event.t for event in span.events),
        attributes={names.PART: span.parts},
        events=span.events,
    )
    span.events, span.size, span.handed_over = [], 0, t
    return Ended(part, part.start)


def finished(ended: Ended, origin: Origin) -> ReadableSpan:
    """Return an ended span as the SDK's data model has it; it ends after its start and its last event."""
    span = ended.span
    is_root = span.span == origin.identity.span_id
    attributes = limited((), dict(span.attributes), origin.limits).values
    return ReadableSpan(
        name=span.name,
        context=origin.span_context(span.span),
        parent=origin.span_context(span.parent, remote=is_root) if span.parent else None,
        resource=origin.resource,
        attributes=shown(Kept(attributes, span.dropped)),
        events=[Event(held.name, shown(Kept(held.attributes, held.dropped)), held.t) for held in span.events],
        kind=SpanKind.INTERNAL,
        status=ended.status,
        start_time=span.start,
        end_time=max(ended.t, span.start, *(held.t for held in span.events)),
        instrumentation_scope=origin.scope,
    )
