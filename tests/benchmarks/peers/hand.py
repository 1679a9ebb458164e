"""What a plugin's author would write with the OpenTelemetry SDK: the obvious mapping, every setting at its default."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_SEVERITY = {"debug": SeverityNumber.DEBUG, "info": SeverityNumber.INFO, "error": SeverityNumber.ERROR}


class ByHand:
    """The methods of a `RuntimeContext`: gauges for numbers, a span event and a log record for the rest."""

    def __init__(self, endpoint: str, **batching: Any) -> None:
        resource = Resource.create({"service.name": "benchmark", "job_id": "benchmark"})
        self._traces = TracerProvider(resource=resource)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces"), **batching))
        self._logs = LoggerProvider(resource=resource)
        exporter = OTLPLogExporter(endpoint=f"{endpoint}/v1/logs")
        self._logs.add_log_record_processor(BatchLogRecordProcessor(exporter, **batching))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"))
        self._metrics = MeterProvider([reader], resource=resource)
        self._logger = self._logs.get_logger("benchmark")
        meter = self._meter = self._metrics.get_meter("benchmark")
        self._current = meter.create_gauge("progress.current")
        self._total = meter.create_gauge("progress.total")
        self._ratio = meter.create_gauge("progress.ratio")
        self._gauges: dict[str, Any] = {}
        self.tracer = self._traces.get_tracer("benchmark")
        self._run = self.tracer.start_as_current_span("run")
        self._run.__enter__()

    def set_progress(self, current: float, total: float, category: str) -> None:
        attributes = {"category": category}
        self._current.set(current, attributes)
        self._total.set(total, attributes)
        self._ratio.set(current / total, attributes)

    def set_metrics(self, value: Mapping[str, Any], category: str) -> None:
        attributes = {"category": category}
        for key, number in value.items():
            gauge = self._gauges.get(key)
            if gauge is None:
                gauge = self._gauges[key] = self._meter.create_gauge(f"metric.{key}")
            gauge.set(number, attributes)

    def log(self, event: str, data: Mapping[str, Any], level: str = "info") -> None:
        trace.get_current_span().add_event(event, data)
        self._emit(event, level, event, data)

    def log_message(self, message: str, level: str = "info") -> None:
        trace.get_current_span().add_event("message", {"message": message, "level": level})
        self._emit("message", level, message, {})

    def log_dev_event(self, message: str, data: Mapping[str, Any]) -> None:
        self._emit("dev_event", "debug", message, data)

    def _emit(self, event: str, level: str, body: str, attributes: Mapping[str, Any]) -> None:
        self._logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_text=level,
                severity_number=_SEVERITY[level],
                body=body,
                attributes=attributes,
                event_name=event,
            )
        )

    def drain(self) -> None:
        """Wait until nothing is under way."""
        self._traces.force_flush(600_000)
        self._logs.force_flush(600_000)

    def close(self) -> None:
        """End it."""
        self._run.__exit__(None, None, None)
        self._traces.shutdown()
        self._logs.shutdown()
        self._metrics.shutdown()


def open_target(variant: str) -> Any:
    """Open it."""
    assert variant == "default"
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it says each time that its queue is full
    return ByHand(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])
