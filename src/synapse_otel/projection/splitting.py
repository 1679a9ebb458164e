"""Takes a span that a collector refused apart, so that one poisoned event does not take its neighbours along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext

from synapse_otel.projection import names
from synapse_otel.projection.open_span import UNSET
from synapse_otel.projection.resource import SPAN_ID, derived_id


def split_span(span: Any) -> list[ReadableSpan]:
    """Return `span` as smaller ones that together say the same, none where it cannot be divided.

    A part is halved; any other span is sent without its events, which follow in a part. Anything but a span is not
    divided.
    """
    if not isinstance(span, ReadableSpan) or not span.events:
        return []
    if not _is_part(span):
        return [_copy(span, events=()), _part(span)]
    middle = len(span.events) // 2
    if middle == 0:
        return []
    return [_half(span, "first", span.events[:middle]), _half(span, "second", span.events[middle:])]


def _is_part(span: ReadableSpan) -> bool:
    return names.PART in (span.attributes or {})


def _part(span: ReadableSpan) -> ReadableSpan:
    return _copy(
        span,
        name=f"{span.name} part",
        context=_derived(span, "events"),
        parent=span.context,
        attributes={names.PART: 0},
        status=UNSET,
    )


def _half(part: ReadableSpan, which: str, events: Sequence[Event]) -> ReadableSpan:
    return _copy(part, context=_derived(part, which), events=events)


def _derived(span: ReadableSpan, which: str) -> SpanContext:
    assert span.context is not None
    span_id = derived_id(span.context.span_id.to_bytes(SPAN_ID, "big"), which)
    return SpanContext(span.context.trace_id, int.from_bytes(span_id, "big"), False, span.context.trace_flags)


def _copy(span: ReadableSpan, **changed: Any) -> ReadableSpan:
    same = ("name", "context", "parent", "resource", "attributes", "events", "kind", "status", "start_time", "end_time")
    values = {name: getattr(span, name) for name in (*same, "instrumentation_scope")}
    return ReadableSpan(**values | changed)
