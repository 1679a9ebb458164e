"""What is sent is to the byte what the exporter's own encoders would send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from projection.random_records import runs
from projection.rendering import fold, origin_of
from synapse_otel.export.encode import encode, log_record, metrics_data
from synapse_otel.export.settings import Signal
from synapse_otel.journal import records as rec
from synapse_otel.projection.attributes import AttributeLimits
from synapse_otel.projection.logs import LogProjection
from synapse_otel.projection.metrics import MetricProjection
from synapse_otel.projection.resource import Origin
from synapse_otel.projection.spans import SpanProjection

PROJECTIONS: dict[Signal, Any] = {"traces": SpanProjection, "metrics": MetricProjection, "logs": LogProjection}
RESOURCE = {"service.name": "plugin", "process.pid": 17, "load": 0.5, "is": True}


def theirs(signal: Signal, items: list[Any], origin: Origin) -> bytes:
    match signal:
        case "traces":
            request: Any = encode_spans(items)
        case "logs":
            request = encode_logs([log_record(item, origin) for item in items])
        case _:
            request = encode_metrics(metrics_data(items, origin))
    fill_in(request)
    return bytes(request.SerializeToString(deterministic=True))


def fill_in(message: Any) -> None:
    """Give attributes that are None an empty value, as the exporter does by now; older ones leave it out."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if isinstance(value, Sequence) else [value]:
                fill_in(part)
    if isinstance(message, KeyValue):
        message.value.SetInParent()


@pytest.mark.parametrize("signal", PROJECTIONS)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(runs(), st.sampled_from([b"", b"\x02" * 8]), st.sampled_from([AttributeLimits(), AttributeLimits(2, 3, 2)]))
def test_any_run_is_sent_as_the_exporter_would(
    signal: Signal, run: list[rec.Record], parent: bytes, limits: AttributeLimits
) -> None:
    """Whatever a run has recorded, with limits or a parent of another process, is the same request."""
    origin = origin_of(limits, parent_span_id=parent, resource=RESOURCE)
    items = fold(PROJECTIONS[signal](origin), run)
    if items:
        assert encode(signal, items, origin) == theirs(signal, items, origin)


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_every_kind_of_value_is_sent_as_the_exporter_would(signal: Signal) -> None:
    """Scalars, none, and what is nested or empty."""
    data = {"none": None, "list": [1, "a", None, [True]], "dict": {"a": {"b": -1}, "c": {}}, "empty": [], "float": -0.0}
    run: list[rec.Record] = [
        rec.RunStarted(1),
        rec.Event(2, b"", b"", "event", "info", data),
        rec.RunEnded(3, "failed", "why"),
    ]
    origin = origin_of()
    items = fold(PROJECTIONS[signal](origin), run)
    assert items
    assert encode(signal, items, origin) == theirs(signal, items, origin)
