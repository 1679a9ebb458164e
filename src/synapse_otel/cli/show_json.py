"""A run as one JSON document.

Times are ISO 8601 with microseconds and the local offset. Everything is redacted. NaN and the infinities, which JSON
has not, are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.

    {
      "job_id", "name", "action", "trace_id": str,
      "status": "running" | "completed" | "failed" | "cancelled" | "crashed"
                | "unknown",                 the journal went, or became unreadable, before its end was read
      "message": str,                        why it did not complete
      "started": time, "last": time,         the last record's
      "ended": time | null,
      "duration_seconds": float,
      "processes": [{"journal_id", "pid", "host", "worker", "status", "started", "last", "ended",
                     "records", "damaged", "removed", "sent"}],
      "spans": [{"name", "kind": "run" | "step" | "phase", "span_id", "parent_id", "started", "ended": time | null,
                 "duration_seconds", "status": "ok" | "error" | "unset", "message", "depth"}],   depth first
      "progress": [{"category", "current", "total", "status": "open" | "completed" | "failed", "started", "last"}],
      "metrics": [{"category", "key", "process", "samples": [[time, value], ...]}],
      "timeline": [{"time", "kind": "message" | "event" | "dev_event" | "exception" | "metrics" | "dropped",
                    "level", "text", "data": {}, "file", "step", "process"}],
      "lines": int,                          how long the timeline is
      "exceptions": [{"time", "type", "message", "stacktrace", "step"}],
      "delivery": {"sent": bool, "accepted", "delivered", "pending", "dropped", "dead_lettered": int,
                   "by_kind": {kind: the same five}},
      "problems": [str]                      why journals cannot be read
    }
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from synapse_otel.cli import units
from synapse_otel.cli.strings import in_strings
from synapse_otel.cli.view import ExceptionView, LineView, ProcessView, ProgressView, RunView, SeriesView, SpanView
from synapse_otel.models import DeliveryReport
from synapse_otel.projection.redaction import Redactor


def document(view: RunView, redactor: Redactor) -> str:
    """Return the document, see above, on one line; in ASCII, so that no terminal interprets anything in it."""
    found = portable(in_strings(redactor.text, _run(view)))
    for told, line in zip(found["timeline"], view.timeline, strict=True):
        told["data"] = portable(redactor.value(dict(line.data)))  # its keys are the run's, and may name secrets
    for named, series in zip(found["metrics"], view.metrics, strict=True):
        named["samples"] = _samples(series)  # numbers hold no secrets, and there may be a million of them
    return json.dumps(found, allow_nan=False)


def portable(value: Any) -> Any:
    """Return plain data with NaN and the infinities as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, Mapping):
        return {str(key): portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    return value


def _run(view: RunView) -> dict[str, Any]:
    return {
        "job_id": view.job_id,
        "name": view.name,
        "action": view.action,
        "trace_id": view.trace_id,
        "status": view.status,
        "message": view.message,
        "started": units.iso(view.started),
        "last": units.iso(view.last),
        "ended": _time(view.ended),
        "duration_seconds": _seconds(view.started, view.end),
        "processes": [_process(process) for process in view.processes],
        "spans": [_span(span) for span in view.spans],
        "progress": [_progress(progress) for progress in view.progress],
        "metrics": [
            {"category": series.category, "key": series.key, "process": series.process} for series in view.metrics
        ],
        "timeline": [_line(line) for line in view.timeline],
        "lines": view.lines,
        "exceptions": [_exception(found) for found in view.exceptions],
        "delivery": _delivery(view),
        "problems": list(view.problems),
    }


def _process(process: ProcessView) -> dict[str, Any]:
    shown = {name: getattr(process, name) for name in ("journal_id", "pid", "host", "worker", "status")}
    times = {"started": units.iso(process.started), "last": units.iso(process.last), "ended": _time(process.ended)}
    counts = {name: getattr(process, name) for name in ("records", "damaged", "removed", "sent")}
    return {**shown, **times, **counts}


def _span(span: SpanView) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": span.kind,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "started": units.iso(span.start),
        "ended": None if span.open else units.iso(span.end),
        "duration_seconds": _seconds(span.start, span.end),
        "status": span.status,
        "message": span.message,
        "depth": span.depth,
    }


def _progress(progress: ProgressView) -> dict[str, Any]:
    shown = {name: getattr(progress, name) for name in ("category", "current", "total", "status")}
    return {**shown, "started": units.iso(progress.started), "last": units.iso(progress.last)}


def _exception(found: ExceptionView) -> dict[str, Any]:
    return {
        "time": units.iso(found.t),
        "type": found.error_type,
        "message": found.message,
        "stacktrace": found.stacktrace,
        "step": found.step,
    }


def _samples(series: SeriesView) -> list[list[Any]]:
    return [
        [units.iso(t), portable(series.as_reported(value))]
        for t, value in zip(series.times, series.values, strict=True)
    ]


def _line(line: LineView) -> dict[str, Any]:
    return {
        "time": units.iso(line.t),
        "kind": line.kind,
        "level": line.level,
        "text": line.text,
        "data": {},
        "file": line.file,
        "step": line.step,
        "process": line.process,
    }


def _delivery(view: RunView) -> dict[str, Any]:
    report = view.report
    by_kind = {kind: asdict(counts) for kind, counts in report.by_kind.items()}
    return {"sent": any(process.sent for process in view.processes), **_totals(report), "by_kind": by_kind}


def _totals(report: DeliveryReport) -> dict[str, int]:
    names = ("accepted", "delivered", "pending", "dropped", "dead_lettered")
    return {name: getattr(report, name) for name in names}


def _time(t: int | None) -> str | None:
    return None if t is None else units.iso(t)


def _seconds(start: int, end: int) -> float:
    return round(max(0, end - start) / units.SECOND, 6)
