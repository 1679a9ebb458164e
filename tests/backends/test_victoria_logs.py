"""The log records of a run in a real store of logs, VictoriaLogs, which takes OTLP as Loki does."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from backends.servers import Server, free_address, running, wait_for
from synapse_otel import RuntimeContext


@pytest.fixture
def store(victoria_logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a store that runs send their logs to, and nothing else."""
    address = free_address()
    command = [victoria_logs, f"-httpListenAddr={address}", f"-storageDataPath={tmp_path / 'logs'}"]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"http://{address}/insert/opentelemetry/v1/logs")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    with running(Server(command, tmp_path / "victoria-logs", f"http://{address}/health")):
        yield address


def query(address: str, logsql: str) -> list[dict[str, Any]]:
    """Return the records that a query finds, the oldest first."""
    answer = requests.get(f"http://{address}/select/logsql/query", {"query": f"{logsql} | sort by (_time)"}, timeout=10)
    answer.raise_for_status()
    return [json.loads(line) for line in answer.text.splitlines()]


def found(address: str, logsql: str, count: int) -> list[dict[str, Any]]:
    """Return what a query finds when there are `count` records of it."""
    return wait_for(
        lambda: records if len(records := query(address, logsql)) >= count else None, f"{count} of {logsql}"
    )


def test_every_log_record_is_found_by_its_job_and_by_what_it_says(store: str) -> None:
    """Events, messages, dev events and exceptions are there with body, severity, names, attributes, trace and job."""
    with contextlib.suppress(OSError), RuntimeContext.open("job-1", "train") as ctx:
        ctx.log("saved", {"epoch": 1, "size": {"mb": 2.5}}, file="model.pt")
        with ctx.step("fit"):
            ctx.log_message("memory is low", "warning")
        ctx.log_dev_event("built", {"layers": 12})
        ctx.set_metrics({"best": "epoch 3", "nan": math.nan}, "training")
        raise OSError("disk")
    with RuntimeContext.open("job-2", "train") as other:
        other.log_message("of another job")
    records = found(store, 'job_id:="job-1"', 5)
    assert [(record["event_name"], record["severity_number"], record["_msg"]) for record in records] == [
        ("saved", "9", "saved"),
        ("synapse.message", "13", "memory is low"),
        ("synapse.dev_event", "5", "built"),
        ("synapse.metrics", "9", "metrics that are no numbers"),
        ("exception", "17", "OSError: disk"),
    ]
    saved, message, *_, error = records
    assert (saved["epoch"], saved["size.mb"], saved["file.path"]) == ("1", "2.5", "model.pt")
    assert (message["synapse.level"], message["synapse.step"]) == ("warning", "fit")
    assert (error["exception.type"], "Traceback" in error["exception.stacktrace"]) == ("OSError", True)
    assert {record["trace_id"] for record in records} == {ctx.trace_id}
    assert message["span_id"] != saved["span_id"]
    assert {(record["service.name"], record["service.namespace"]) for record in records} == {
        ("synapse-plugin", "synapse")
    }


def test_a_burst_of_messages_is_there_once_each(store: str) -> None:
    """Ten thousand messages in a tight loop are stored, each once, in their order."""
    with RuntimeContext.open("job-1", "train") as ctx:
        for number in range(10_000):
            ctx.log_message(f"message {number:05}")
        assert ctx.flush(30)
    records = found(store, 'job_id:="job-1" event_name:="synapse.message" | fields _time, _msg, log.record.uid', 10_000)
    assert [record["_msg"] for record in records] == [f"message {number:05}" for number in range(10_000)]
    assert len({record["log.record.uid"] for record in records}) == 10_000
