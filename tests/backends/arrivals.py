"""A run that reports something of every kind, and what of it arrives where."""

from __future__ import annotations

import base64
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cli.kit import program
from synapse_otel import RuntimeContext
from synapse_otel.testing import Collector, Item, LogRecord, Point, Span

_REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


@dataclass(frozen=True)
class Arrived:
    """What arrived of a run."""

    spans: list[Span]
    logs: list[LogRecord]
    points: list[Point]

    def of(self, job: str) -> Arrived:
        """Return what belongs to `job`."""
        return Arrived(
            [span for span in self.spans if span.resource["job_id"] == job],
            [log for log in self.logs if log.resource["job_id"] == job],
            [point for point in self.points if point.resource["job_id"] == job],
        )

    def written(self) -> tuple[list[str], list[str], list[str]]:
        """Return all of it as text, in an order that does not depend on the way."""
        return _written(self.spans), _written(self.logs), _written(self.points)

    def unique(self) -> tuple[list[str], list[str], list[str]]:
        """Return the same without identical repetitions."""
        spans, logs, points = self.written()
        return sorted(set(spans)), sorted(set(logs)), sorted(set(points))

    def count(self) -> int:
        """Return how many records these are."""
        return len(self.spans) + len(self.logs) + len(self.points)


def _written(items: Iterable[Item]) -> list[str]:
    return sorted(json.dumps(asdict(item), sort_keys=True, default=repr) for item in items)


def at(*collectors: Collector) -> Arrived:
    """Return what arrived at some far ends together."""
    return Arrived(
        [span for collector in collectors for span in collector.spans],
        [log for collector in collectors for log in collector.logs],
        [point for collector in collectors for point in collector.points],
    )


def in_files(folder: Path, *signals: str) -> Arrived:
    """Return what the Collector's files hold: each of their lines is a request, which is sent on to a far end."""
    with Collector() as collector:
        for signal in signals:
            for line in (folder / f"{signal}.jsonl").read_text().splitlines():
                request = ParseDict(_with_binary_ids(json.loads(line)), _REQUESTS[signal]())
                answer = requests.post(
                    f"{collector.http_endpoint}/v1/{signal}",
                    data=request.SerializeToString(),
                    headers={"Content-Type": "application/x-protobuf"},
                    timeout=10,
                )
                assert answer.status_code == 200
        return at(collector)


def _with_binary_ids(value: Any) -> Any:
    """OTLP's JSON has ids in hex, where protobuf's JSON has base64."""
    if isinstance(value, list):
        return [_with_binary_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode()
        if key in {"traceId", "spanId", "parentSpanId"}
        else _with_binary_ids(item)
        for key, item in value.items()
    }


def report_a_run(job: str) -> None:
    """Run, and fail, with something of every kind."""
    with pytest.raises(OSError, match="no space left"):
        _train(job)


def _train(job: str) -> None:
    with RuntimeContext.open(job, "train") as ctx:
        with ctx.step("fit"):
            for epoch in range(1, 4):
                ctx.set_progress(epoch, 3, "epochs")
                ctx.set_metrics({"loss": 1 / epoch, "lr": 0.1}, "training")
        ctx.set_metrics({"loss": math.nan, "best": math.inf}, "validation")
        ctx.log("saved", {"epoch": 3, "nested": {"shape": [1, 2]}}, file="model.pt")
        ctx.log_message("Trained, 학습 완료", "success")
        ctx.log_dev_event("cache", {"hits": 3})
        raise OSError("no space left")


def check_what_was_reported(arrived: Arrived) -> None:
    """Compare with what `report_a_run` has reported."""
    spans = {span.name: span for span in arrived.spans}
    run = spans["train"]
    assert {span.name: span.status for span in arrived.spans} == {
        "train": "error",
        "run started": "unset",
        "fit": "ok",
        "epochs": "ok",
    }
    assert {span.trace_id for span in arrived.spans} == {run.trace_id}
    assert spans["fit"].parent_span_id == run.span_id
    assert (run.status_message, run.attributes["synapse.run.status"]) == ("OSError: no space left", "failed")
    assert [event.name for event in run.events] == ["saved", "message", "exception"]
    logs = {log.event_name: log for log in arrived.logs}
    assert len(arrived.logs) == len(logs)
    assert set(logs) == {"exception", "saved", "synapse.dev_event", "synapse.message"}
    assert (logs["synapse.message"].body, logs["synapse.message"].severity_number) == ("Trained, 학습 완료", 10)
    assert logs["saved"].attributes["nested"] == {"shape": [1, 2]}
    assert logs["saved"].attributes["file.path"] == "model.pt"
    assert logs["synapse.dev_event"].attributes["hits"] == 3
    assert {log.trace_id for log in arrived.logs} == {run.trace_id}
    assert {key: _values(arrived, *key) for key in _SAMPLES} == _SAMPLES
    last = {point.metric: point.value for point in sorted(arrived.points, key=lambda point: point.time_ns)}
    assert (last["synapse.progress.current"], last["synapse.progress.total"], last["synapse.run.active"]) == (3, 3, 0)


_SAMPLES = {
    ("training", "loss"): ["1.0", "0.5", str(1 / 3)],
    ("training", "lr"): ["0.1", "0.1", "0.1"],
    ("validation", "loss"): ["nan"],
    ("validation", "best"): ["inf"],
}


def _values(arrived: Arrived, category: str, key: str) -> list[str]:
    wanted = {"synapse.category": category, "synapse.metric.key": key}.items()
    samples = [point for point in arrived.points if wanted <= point.attributes.items()]
    return [str(point.value) for point in sorted(samples, key=lambda point: point.time_ns)]


def sent_directly(journals: Path, folder: Path) -> Arrived:
    """Return what arrives when nothing stands between: the same journals, sent once more."""
    again = shutil.copytree(journals, folder, ignore=shutil.ignore_patterns("*.cursor", "*.lock"))
    with Collector() as collector:
        environ = {**os.environ, **collector.env(), "SYNAPSE_OTEL_JOURNAL_DIR": str(again)}
        subprocess.run([program(), "push"], env=environ, check=True, capture_output=True)
        return at(collector)


@contextmanager
def pointed(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Iterator[None]:
    """Set the variables of a run, which keeps its journal, until the block is left."""
    with monkeypatch.context() as patch:
        patch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "true")
        for name, value in environ.items():
            patch.setenv(name, value)
        yield
