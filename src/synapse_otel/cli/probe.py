"""The smallest valid request of each signal: one span, log record or data point named ``synapse.doctor``."""

from __future__ import annotations

import time
from importlib.metadata import version

from msgspec.structs import replace
from opentelemetry.sdk.metrics.export import NumberDataPoint

from synapse_otel.export.encode import encode
from synapse_otel.export.settings import Signal
from synapse_otel.journal import records as rec
from synapse_otel.projection import names
from synapse_otel.projection.logs import LogProjection
from synapse_otel.projection.metrics import Sample
from synapse_otel.projection.resource import Origin
from synapse_otel.projection.spans import SpanProjection
from synapse_otel.run_identity import new_identity

NAME = "synapse.doctor"


def probe(signal: Signal) -> bytes:
    """Return the request for `signal`, encoded."""
    # Without a parent, whatever TRACEPARENT says, and nobody's worker.
    identity = replace(new_identity(NAME, NAME, "unknown", version("synapse-otel"), {}), worker=False)
    origin, now = Origin(identity, version("synapse-otel")), time.time_ns()
    match signal:
        case "traces":
            spans = SpanProjection(origin).project(rec.RunEnded(now, "completed"), 0)
            return encode("traces", spans, origin)
        case "logs":
            event = rec.Event(now, b"", b"", NAME, "info", {"synapse.probe": True})
            return encode("logs", LogProjection(origin).project(event, 0), origin)
        case "metrics":
            point = NumberDataPoint({names.JOB_ID: NAME}, 0, now, 1)
            return encode("metrics", [Sample((NAME, "1", "A probe of synapse-otel doctor"), point)], origin)
