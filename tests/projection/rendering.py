"""Folds records with the projections and shows what comes out as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import StatusCode

from synapse_otel.journal import records as rec
from synapse_otel.projection.attributes import AttributeLimits
from synapse_otel.projection.logs import LogProjection
from synapse_otel.projection.metrics import MetricProjection
from synapse_otel.projection.redaction import Redactor
from synapse_otel.projection.resource import Origin
from synapse_otel.projection.spans import SpanProjection

START = 1_700_000_000_000_000_000
MS = 1_000_000
ROOT = b"\x01" * 8
TRACE = b"\xaa" * 16
STEP_A, STEP_B = b"\x0a" * 8, b"\x0b" * 8

IDENTITY = rec.Identity(
    journal_id="f" * 32,
    job_id="job-1",
    name="train",
    trace_id=TRACE,
    span_id=ROOT,
    parent_span_id=b"",
    started=START,
    resource={"service.name": "synapse-plugin"},
)


def at(seconds: float) -> int:
    """The time of a record, in nanoseconds."""
    return START + round(seconds * 1e9)


def origin_of(limits: AttributeLimits | None = None, redactor: Redactor | None = None, **identity: Any) -> Origin:
    return Origin(
        msgspec.structs.replace(IDENTITY, **identity), "1.2.3", redactor or Redactor(), limits or AttributeLimits()
    )


def numbered(records: Iterable[rec.Record]) -> Iterator[tuple[rec.Record, int]]:
    """Records as a reader gives them: as they were decoded, each with its sequence number."""
    seq = 0
    for record in records:
        yield rec.decode(rec.encode(record)), seq
        seq += sum(record.counts.values()) if isinstance(record, rec.Dropped) else 1


def fold(projection: Any, records: Iterable[rec.Record]) -> list[Any]:
    return [item for record, seq in numbered(records) for item in projection.project(record, seq)]


def spans(*records: rec.Record, origin: Origin | None = None) -> list[dict[str, Any]]:
    return [shown_span(span) for span in fold(SpanProjection(origin or origin_of()), records)]


def logs(*records: rec.Record, origin: Origin | None = None) -> list[dict[str, Any]]:
    return [shown_log(log) for log in fold(LogProjection(origin or origin_of()), records)]


def points(*records: rec.Record, origin: Origin | None = None, interval: float = 60) -> list[tuple[Any, ...]]:
    projection = MetricProjection(origin or origin_of(), interval=int(interval * 1e9))
    return [shown_point(sample) for sample in fold(projection, records)]


def shown_span(span: Any) -> dict[str, Any]:
    """A span as a plain dict; what is usual (no parent but the root, no events, status unset) is left out."""
    shown = {
        "name": span.name,
        "id": _id(span.context.span_id),
        "parent": _id(span.parent.span_id) if span.parent else None,
        "time": (_seconds(span.start_time), _seconds(span.end_time)),
        "attributes": dict(span.attributes),
    }
    if span.events:
        shown["events"] = [(event.name, _seconds(event.timestamp), dict(event.attributes)) for event in span.events]
    if span.status.status_code is not StatusCode.UNSET:
        shown["status"] = span.status.description or span.status.status_code.name
    return shown


def shown_log(log: Any) -> dict[str, Any]:
    """A log record as a plain dict; the span is left out where it is the run's."""
    shown = {
        "event": log.event_name,
        "time": _seconds(log.t),
        "severity": (log.level, SeverityNumber(log.severity).name),
        "body": log.body,
        "attributes": plain(log.attributes),
    }
    where = (log.trace_id, log.span_id)
    return shown if where == (TRACE, ROOT) else shown | {"span": _id(int.from_bytes(log.span_id, "big"))}


def shown_point(sample: Any) -> tuple[Any, ...]:
    """A sample as its gauge's name, its attributes but `job_id`, its time and its value."""
    attributes = dict(sample.point.attributes)
    assert attributes.pop("job_id") == "job-1"
    return sample.instrument[0], tuple(attributes.values()), _seconds(sample.point.time_unix_nano), sample.point.value


def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: attributes[key] for key in attributes}


def _id(span_id: int) -> str:
    known = {ROOT: "root", STEP_A: "a", STEP_B: "b"}
    own = span_id.to_bytes(8, "big")
    return known.get(own, own.hex())


def _seconds(t: int) -> float:
    return (t - START) / 1e9
