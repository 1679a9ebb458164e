"""From the messages of opentelemetry-proto to the dataclasses of `decoded`. Pure functions."""

from collections.abc import Iterable, Iterator
from math import nan
from typing import Any, Literal, cast

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from synapse_otel.testing.decoded import Attributes, LogRecord, Point, Span, SpanEvent, SpanLink

_STATUS: dict[int, Literal["unset", "ok", "error"]] = {0: "unset", 1: "ok", 2: "error"}
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


def value(any_value: AnyValue) -> Any:
    """The plain Python value of an AnyValue; `None` where it has none."""
    match any_value.WhichOneof("value"):
        case None | "string_value_strindex":  # the latter belongs to profiles alone, and is to be read as absent
            return None
        case "kvlist_value":
            return attributes(any_value.kvlist_value.values)
        case "array_value":
            return [value(element) for element in any_value.array_value.values]
        case field:
            return getattr(any_value, field)


def attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """The dict of a list of pairs; of a key that comes twice, the last one."""
    return {pair.key: value(pair.value) for pair in pairs}


def spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """The spans of a request, in its order."""
    for of_resource in request.resource_spans:
        resource = attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _span(span, resource, of_scope.scope.name)


def logs(request: ExportLogsServiceRequest) -> Iterator[LogRecord]:
    """The log records of a request, in its order."""
    for of_resource in request.resource_logs:
        resource = attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                yield _log(record, resource, of_scope.scope.name)


def points(request: ExportMetricsServiceRequest) -> Iterator[Point]:
    """The data points of a request, in its order."""
    for of_resource in request.resource_metrics:
        resource = attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                yield from _points(metric, resource, of_scope.scope.name)


def count_spans(request: ExportTraceServiceRequest) -> int:
    """How many spans a request holds."""
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


def count_logs(request: ExportLogsServiceRequest) -> int:
    """How many log records a request holds."""
    return sum(len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs)


def count_points(request: ExportMetricsServiceRequest) -> int:
    """How many data points a request holds."""
    return sum(
        len(_data_points(metric))
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def _span(span: trace_pb2.Span, resource: Attributes, scope: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        kind=_KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else str(span.kind),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=attributes(span.attributes),
        events=tuple(SpanEvent(e.name, e.time_unix_nano, attributes(e.attributes)) for e in span.events),
        links=tuple(SpanLink(li.trace_id.hex(), li.span_id.hex(), attributes(li.attributes)) for li in span.links),
        status=_STATUS.get(span.status.code, "unset"),
        status_message=span.status.message,
        resource=resource,
        scope=scope,
    )


def _log(record: logs_pb2.LogRecord, resource: Attributes, scope: str) -> LogRecord:
    return LogRecord(
        time_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        severity_number=record.severity_number,
        severity_text=record.severity_text,
        event_name=record.event_name,
        body=value(record.body),
        attributes=attributes(record.attributes),
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        resource=resource,
        scope=scope,
    )


def _data_points(metric: metrics_pb2.Metric) -> Any:
    kind = metric.WhichOneof("data")
    return () if kind is None else getattr(metric, kind).data_points


def _points(metric: metrics_pb2.Metric, resource: Attributes, scope: str) -> Iterator[Point]:
    kind = cast(Any, metric.WhichOneof("data"))
    number = kind in ("gauge", "sum")
    for point in _data_points(metric):
        yield Point(
            metric=metric.name,
            unit=metric.unit,
            value=_number(point) if number else point.sum,
            time_ns=point.time_unix_nano,
            attributes=attributes(point.attributes),
            resource=resource,
            scope=scope,
            kind=kind,
        )


def _number(point: metrics_pb2.NumberDataPoint) -> int | float:
    match point.WhichOneof("value"):
        case "as_int":
            return point.as_int
        case "as_double":
            return point.as_double
        case _:
            return nan
