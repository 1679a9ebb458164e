"""Projected items -> the bytes of an OTLP request, and what an answer says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import Gauge, Metric, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from synapse_otel.export.messages import logs_request, metrics_request, spans_request
from synapse_otel.export.settings import Signal
from synapse_otel.projection.attributes import Kept, shown
from synapse_otel.projection.log_item import LogItem
from synapse_otel.projection.metrics import Sample
from synapse_otel.projection.resource import SAMPLED, Origin

RESPONSES: dict[Signal, Any] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}
_REQUESTS: dict[Signal, Callable[[Sequence[Any], Origin], Any]] = {
    "traces": spans_request,
    "metrics": metrics_request,
    "logs": logs_request,
}
_REJECTED = {"traces": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}


def encode(signal: Signal, items: Sequence[Any], origin: Origin) -> bytes:
    """Return the request that carries `items`: spans, log records or samples, all from `origin`."""
    return bytes(_REQUESTS[signal](items, origin).SerializeToString(deterministic=True))


def metrics_data(samples: Sequence[Sample], origin: Origin) -> MetricsData:
    """Return `samples` as the SDK's data model has them: one gauge per instrument, in the order of appearance."""
    gauges: dict[tuple[str, str, str], list[Any]] = {}
    for sample in samples:
        gauges.setdefault(sample.instrument, []).append(sample.point)
    metrics = [Metric(name, description, unit, Gauge(points)) for (name, unit, description), points in gauges.items()]
    scope = ScopeMetrics(origin.scope, metrics, origin.scope.schema_url or "")
    return MetricsData([ResourceMetrics(origin.resource, [scope], origin.resource.schema_url)])


def log_record(item: LogItem, origin: Origin) -> ReadableLogRecord:
    """Return `item` as the SDK's data model has it."""
    trace_id, span_id = (int.from_bytes(identifier, "big") for identifier in (item.trace_id, item.span_id))
    span = NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False, trace_flags=SAMPLED))
    record = LogRecord(
        timestamp=item.t,
        observed_timestamp=item.t,
        context=set_span_in_context(span, Context()),
        severity_text=item.level,
        severity_number=SeverityNumber(item.severity),
        body=item.body,
        attributes=shown(Kept(item.attributes, item.dropped)),
        event_name=item.event_name,
    )
    return ReadableLogRecord(record, origin.resource, origin.scope)


def partial_success(signal: Signal, body: bytes) -> tuple[int, str] | None:
    """Return how many items an answer says were rejected, and why; None where it is no answer of OTLP."""
    try:
        partial = RESPONSES[signal].FromString(body).partial_success
    except Exception:  # noqa: BLE001  # protobuf raises different errors by implementation
        return None
    return int(getattr(partial, _REJECTED[signal])), str(partial.error_message)
