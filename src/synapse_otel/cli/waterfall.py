"""The spans of a run, from the projection that is sent too, so that both show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode, format_span_id

from synapse_otel.cli.view import SpanKind, SpanStatus, SpanView
from synapse_otel.journal import records as rec
from synapse_otel.projection import names
from synapse_otel.projection.resource import Origin
from synapse_otel.projection.spans import SpanProjection

_STATUS: dict[StatusCode, SpanStatus] = {StatusCode.OK: "ok", StatusCode.ERROR: "error", StatusCode.UNSET: "unset"}
_RUNNING = "running"
_OF_NO_SPAN = {rec.Metrics, rec.DevEvent}


class Waterfall:
    """Collects the spans of one journal.

    Args:
        origin: Who wrote it.
        most: How many spans to keep, about, those that failed before all others and then the longest; None for all.
    """

    def __init__(self, origin: Origin, most: int | None = None) -> None:
        self.left_out = 0
        self._most = most
        self._origin = origin
        self._projection = SpanProjection(origin)
        self._spans: list[SpanView] = []
        self._ended = False

    def take(self, record: rec.Record, seq: int) -> None:
        """Take a record. What can change no span is left out: it would only be collected as an event."""
        if _matters(record):
            self._ended = self._ended or isinstance(record, rec.RunEnded)
            self._spans += self._shown(self._projection.project(record, seq), is_open=False)
            if self._most and len(self._spans) >= 2 * self._most:
                self._leave_out(self._most)

    def close(self, t: int, status: str) -> list[SpanView]:
        """Return all spans; those that have not ended do so at `t`, and are open where the run goes on."""
        if self._ended:
            return self._spans
        is_open = status == _RUNNING
        copy = SpanProjection(self._origin, self._projection.snapshot())
        ended = copy.project(rec.RunEnded(t, "completed" if is_open else status), 0)
        return self._spans + self._shown(ended, is_open=is_open)

    def _leave_out(self, most: int) -> None:
        """Keep a tree: what a span is inside of is as long as the span, and is kept with one that failed."""
        failed = _failed_with_parents(self._spans)
        self._spans.sort(key=lambda span: (span.span_id not in failed, span.start - span.end))
        self.left_out += len(self._spans) - most
        del self._spans[most:]

    def _shown(self, spans: Sequence[ReadableSpan], *, is_open: bool) -> list[SpanView]:
        return [_view(span, kind, is_open) for span in spans if (kind := self._kind(span))]

    def _kind(self, span: ReadableSpan) -> SpanKind | None:
        attributes = span.attributes or {}
        if span.context and span.context.span_id == int.from_bytes(self._origin.identity.span_id, "big"):
            return "run"
        if names.CATEGORY in attributes:
            return "phase"
        # The others repeat or announce: parts of a long span, and `run started`.
        return "step" if names.STEP in attributes else None


def in_tree_order(spans: Sequence[SpanView]) -> tuple[SpanView, ...]:
    """Return spans depth first, each below its parent, siblings by the time they started."""
    known = {span.span_id for span in spans}
    children: dict[str, list[SpanView]] = {}
    for span in sorted(spans, key=lambda span: (span.start, span.kind != "run")):
        parent = span.parent_id if span.parent_id in known and span.parent_id != span.span_id else ""
        children.setdefault(parent, []).append(span)
    ordered: list[SpanView] = []
    waiting = [replace(span, depth=0) for span in reversed(children.get("", []))]
    while waiting:
        span = waiting.pop()
        ordered.append(span)
        waiting += [replace(child, depth=span.depth + 1) for child in reversed(children.pop(span.span_id, []))]
    return tuple(ordered)


def _failed_with_parents(spans: Sequence[SpanView]) -> set[str]:
    parents = {span.span_id: span.parent_id for span in spans}
    found: set[str] = set()
    for span in spans:
        at = span.span_id if span.status == "error" else ""
        while at in parents and at not in found:
            found.add(at)
            at = parents[at]
    return found


def _matters(record: rec.Record) -> bool:
    if type(record) in _OF_NO_SPAN:
        return False
    return not isinstance(record, (rec.Message, rec.Event)) or record.level in names.FAILURE_LEVELS


def _skipped(span: ReadableSpan) -> str:
    attributes = span.attributes or {}
    if attributes.get(names.STEP_STATUS) != "skipped":
        return ""
    reason = attributes.get(names.STEP_MESSAGE)
    return f"skipped: {reason}" if reason else "skipped"


def _view(span: ReadableSpan, kind: SpanKind, is_open: bool) -> SpanView:
    assert span.context is not None
    return SpanView(
        name=span.name,
        kind=kind,
        span_id=format_span_id(span.context.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else "",
        start=span.start_time or 0,
        end=span.end_time or 0,
        open=is_open,
        status=_STATUS[span.status.status_code],
        message=span.status.description or _skipped(span),
    )
