"""Senders for the collector's tests: the SDK's own exporters, a raw gRPC call, and the data that they send."""

from __future__ import annotations

from typing import Any

import grpc
import requests
from opentelemetry import trace
from opentelemetry._logs import LogRecord as ApiLogRecord
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace import Status as SpanStatus

from synapse_otel.testing import Collector, LogRecord, Point, Span, SpanEvent, SpanLink

TRACE_ID, SPAN_ID, PARENT_ID = 0x1234, 0x56, 0x78
TRACE_HEX, SPAN_HEX, PARENT_HEX = f"{TRACE_ID:032x}", f"{SPAN_ID:016x}", f"{PARENT_ID:016x}"
RESOURCE = Resource({"service.name": "svc", "job_id": "job-1"})
RESOURCE_DICT = {"service.name": "svc", "job_id": "job-1"}
SCOPE = InstrumentationScope("tests", "1")

PATHS = {"traces": "/v1/traces", "metrics": "/v1/metrics", "logs": "/v1/logs"}
METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}


def _context(span_id: int) -> SpanContext:
    return SpanContext(TRACE_ID, span_id, is_remote=False, trace_flags=TraceFlags(1))


def span(name: str = "train") -> ReadableSpan:
    return ReadableSpan(
        name,
        context=_context(SPAN_ID),
        parent=_context(PARENT_ID),
        resource=RESOURCE,
        attributes={"text": "é", "flag": True, "count": 3, "ratio": 0.5, "list": ("a", "b")},
        events=[Event("message", {"n": 1}, timestamp=15)],
        links=[Link(_context(0x99), {"why": "follows"})],
        kind=SpanKind.CLIENT,
        status=SpanStatus(trace.StatusCode.ERROR, "failed"),
        start_time=10,
        end_time=20,
        instrumentation_scope=SCOPE,
    )


def decoded_span(name: str = "train") -> Span:
    return Span(
        trace_id=TRACE_HEX,
        span_id=SPAN_HEX,
        parent_span_id=PARENT_HEX,
        name=name,
        kind="client",
        start_ns=10,
        end_ns=20,
        attributes={"text": "é", "flag": True, "count": 3, "ratio": 0.5, "list": ["a", "b"]},
        events=(SpanEvent("message", 15, {"n": 1}),),
        links=(SpanLink(TRACE_HEX, f"{0x99:016x}", {"why": "follows"}),),
        status="error",
        status_message="failed",
        resource=RESOURCE_DICT,
        scope="tests",
    )


def log(body: Any = "hello", event_name: str = "synapse.message") -> ReadableLogRecord:
    record = ApiLogRecord(
        timestamp=30,
        observed_timestamp=31,
        context=trace.set_span_in_context(trace.NonRecordingSpan(_context(SPAN_ID))),
        severity_text="info",
        severity_number=SeverityNumber.INFO,
        body=body,
        attributes={"data": {"deep": [1, {"er": b"\x00\xff"}], "none": None}},
        event_name=event_name,
    )
    return ReadableLogRecord(record, RESOURCE, SCOPE)


def decoded_log(body: Any = "hello", event_name: str = "synapse.message") -> LogRecord:
    return LogRecord(
        time_ns=30,
        observed_ns=31,
        severity_number=9,
        severity_text="info",
        event_name=event_name,
        body=body,
        attributes={"data": {"deep": [1, {"er": b"\x00\xff"}], "none": None}},
        trace_id=TRACE_HEX,
        span_id=SPAN_HEX,
        resource=RESOURCE_DICT,
        scope="tests",
    )


def metrics() -> MetricsData:
    number = {"attributes": {"synapse.category": "train"}, "start_time_unix_nano": 0}
    points = [
        NumberDataPoint(**number, time_unix_nano=40, value=0.5),
        NumberDataPoint(**number, time_unix_nano=41, value=2),
    ]
    histogram = HistogramDataPoint({}, 0, 43, count=2, sum=7.5, bucket_counts=[2], explicit_bounds=[], min=1, max=6.5)
    cumulative = AggregationTemporality.CUMULATIVE
    found = [
        Metric("loss", "", "1", Gauge(points)),
        Metric("calls", "", "{call}", Sum([NumberDataPoint({}, 0, 42, 5)], cumulative, is_monotonic=True)),
        Metric("seconds", "", "s", Histogram([histogram], cumulative)),
    ]
    return MetricsData([ResourceMetrics(RESOURCE, [ScopeMetrics(SCOPE, found, "")], "")])


def decoded_points() -> list[Point]:
    category = {"synapse.category": "train"}
    return [
        Point("loss", "1", 0.5, 40, category, RESOURCE_DICT, "tests"),
        Point("loss", "1", 2, 41, category, RESOURCE_DICT, "tests"),
        Point("calls", "{call}", 5, 42, {}, RESOURCE_DICT, "tests", kind="sum"),
        Point("seconds", "s", 7.5, 43, {}, RESOURCE_DICT, "tests", kind="histogram"),
    ]


def spans_body(*names: str) -> bytes:
    return encode_spans([span(name) for name in names]).SerializeToString()


def logs_body(*bodies: Any) -> bytes:
    return encode_logs([log(body) for body in bodies]).SerializeToString()


def metrics_body() -> bytes:
    return encode_metrics(metrics()).SerializeToString()


def post(
    collector: Collector, body: bytes, signal: str = "traces", timeout: float = 10, **headers: str
) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(
        collector.http_endpoint + PATHS[signal],
        data=body,
        headers={"Content-Type": "application/x-protobuf", **named},
        timeout=timeout,
        allow_redirects=False,
    )


def call(
    collector: Collector, body: bytes, signal: str = "traces", timeout: float = 10, method: str = "", **kwargs: Any
) -> tuple[grpc.StatusCode, str, dict[str, Any], bytes]:
    """One raw gRPC call: its status, its details, its trailing metadata and the response."""
    with grpc.insecure_channel(collector.grpc_endpoint.removeprefix("http://")) as channel:
        try:
            response, made = channel.unary_unary(method or METHODS[signal]).with_call(body, timeout=timeout, **kwargs)
        except grpc.RpcError as error:
            return error.code(), error.details(), dict(error.trailing_metadata() or ()), b""
        return made.code(), made.details(), dict(made.trailing_metadata()), response
