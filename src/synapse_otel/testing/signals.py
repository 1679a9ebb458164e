"""The three signals: their names, and how each of them travels in OTLP."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from synapse_otel.testing import decoding
from synapse_otel.testing.decoded import Item

Signal: TypeAlias = Literal["traces", "metrics", "logs"]
Protocol: TypeAlias = Literal["http/protobuf", "grpc"]


@dataclass(frozen=True, slots=True)
class Wire:
    """How one signal travels.

    Attributes:
        path: Where it is posted to over HTTP.
        method: The full name of its gRPC method, with the leading slash.
        request: The message type of a request.
        response: The message type of a response.
        rejected: The field of `partial_success` that counts what was rejected.
        decode: Gives the items of a request.
        count: Gives the number of items of a request without decoding them.
    """

    signal: Signal
    path: str
    method: str
    request: type[Message]
    response: type[Message]
    rejected: str
    decode: Callable[[Any], Iterable[Item]]
    count: Callable[[Any], int]

    def answer(self, rejected: int, message: str) -> bytes:
        """The serialized response; empty, as the specification asks, where everything was accepted silently."""
        response = cast(Any, self.response())
        if rejected or message:
            setattr(response.partial_success, self.rejected, rejected)
            response.partial_success.error_message = message
        return cast(bytes, response.SerializeToString())


WIRES: tuple[Wire, ...] = (
    Wire(
        signal="traces",
        path="/v1/traces",
        method="/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        request=trace_service_pb2.ExportTraceServiceRequest,
        response=trace_service_pb2.ExportTraceServiceResponse,
        rejected="rejected_spans",
        decode=decoding.spans,
        count=decoding.count_spans,
    ),
    Wire(
        signal="metrics",
        path="/v1/metrics",
        method="/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        request=metrics_service_pb2.ExportMetricsServiceRequest,
        response=metrics_service_pb2.ExportMetricsServiceResponse,
        rejected="rejected_data_points",
        decode=decoding.points,
        count=decoding.count_points,
    ),
    Wire(
        signal="logs",
        path="/v1/logs",
        method="/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        request=logs_service_pb2.ExportLogsServiceRequest,
        response=logs_service_pb2.ExportLogsServiceResponse,
        rejected="rejected_log_records",
        decode=decoding.logs,
        count=decoding.count_logs,
    ),
)
WIRE_OF: dict[tuple[Protocol, str], Wire] = {
    **{("http/protobuf", wire.path): wire for wire in WIRES},
    **{("grpc", wire.method): wire for wire in WIRES},
}
SIGNALS: frozenset[Signal] = frozenset(wire.signal for wire in WIRES)
