"""What arrived at a collector, in a form that a test can compare."""

from __future__ import annotations

from typing import Any

from synapse_otel.testing import Collector, LogRecord, Span

OURS = ("log.record.uid", "synapse.level")


def roots(collector: Collector) -> list[tuple[str, str, Any, Any, Any]]:
    """Name, status, action, category of the action and status of every run, as they began."""
    spans = sorted(
        (span for span in collector.spans if "synapse.run.status" in span.attributes), key=lambda s: s.start_ns
    )
    keys = ("synapse.action", "synapse.action.category", "synapse.run.status")
    return [(span.name, span.status, *(span.attributes.get(key) for key in keys)) for span in spans]


def run_of(collector: Collector, name: str) -> Span:
    """The run's span, of which there is one."""
    (found,) = [span for span in collector.spans if span.name == name and "synapse.run.status" in span.attributes]
    return found


def tree(collector: Collector) -> list[tuple[str, str]]:
    """Every span and its parent by their names, in order; without the markers of runs that began."""
    names = {span.span_id: span.name for span in collector.spans}
    spans = sorted(
        (span for span in collector.spans if span.name != "run started"), key=lambda span: (span.start_ns, span.name)
    )
    return [(span.name, names.get(span.parent_span_id, "")) for span in spans]


def records(collector: Collector) -> list[tuple[str, str, Any, dict[str, Any]]]:
    """Event name, level, body and attributes of every log record, in order."""
    return [_record(record) for record in sorted(collector.logs, key=lambda record: record.time_ns)]


def _record(record: LogRecord) -> tuple[str, str, Any, dict[str, Any]]:
    attributes = {key: value for key, value in record.attributes.items() if key not in OURS}
    return record.event_name, record.severity_text, record.body, attributes


def samples(collector: Collector) -> list[tuple[str, str, float]]:
    """Key, category and value of every sample of a metric, in the order of their times."""
    points = [point for point in collector.points if point.metric.startswith("synapse.metric.")]
    points.sort(key=lambda point: point.time_ns)
    return [(p.attributes["synapse.metric.key"], p.attributes["synapse.category"], p.value) for p in points]


def progress(collector: Collector) -> dict[str, tuple[float, float]]:
    """How far every category came, by the final numbers of its phases."""
    return {
        span.attributes["synapse.category"]: (
            span.attributes["synapse.progress.current"],
            span.attributes["synapse.progress.total"],
        )
        for span in collector.spans
        if "synapse.progress.total" in span.attributes
    }
