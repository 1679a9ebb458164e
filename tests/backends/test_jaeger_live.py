"""Runs that a real Jaeger shows before they have ended, or after they were killed; and what it does not serve."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest

from backends.jaeger import Jaeger, Span, named, tree
from backends.servers import wait_for
from cli.kit import program
from synapse_otel import RuntimeContext

CRASHING = """
    import sys
    from synapse_otel import RuntimeContext
    ctx = RuntimeContext.open(sys.argv[1], "train")
    with ctx.step("fit"):
        ctx.set_progress(3, 10, "epochs")
        ctx.log_message("third epoch")
        print("ready", flush=True)
        sys.stdin.read()
"""


def crash(job: str) -> None:
    """Kill a run in the middle of a step."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CRASHING), job],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},  # so that Jaeger first hears of it from who recovers it
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.communicate()


def test_a_run_under_way_is_found_at_once_with_its_messages(jaeger_backend: Jaeger) -> None:
    """A run that has not ended is found by its job within seconds, and what it says arrives in parts meanwhile."""
    began = time.monotonic()
    with RuntimeContext.open("unfinished", "train") as ctx:
        wait_for(lambda: jaeger_backend.find(job_id="unfinished"), "a run under way is found", 60)
        assert time.monotonic() - began < 60
        started = named(jaeger_backend.run("unfinished"), "run started")
        assert (started.trace_id, started.tags["synapse.run.name"]) == (ctx.trace_id, "train")
        with ctx.step("fit"):
            for number in range(250):
                ctx.log_message(f"message {number}")
            parts = wait_for(lambda: _parts(jaeger_backend, "unfinished", 2), "two parts of a hundred messages", 10)
            assert [part.name for part in parts] == ["fit part 1", "fit part 2"]
            assert [event.fields["message"] for part in parts for event in part.events] == [
                f"message {number}" for number in range(200)
            ]
            assert {span.name for span in jaeger_backend.run("unfinished")} == {
                "run started",
                "fit part 1",
                "fit part 2",
            }
    spans = jaeger_backend.run("unfinished")
    assert tree(spans) == [
        ("", "train", "OK"),
        ("fit", "fit part 1", ""),
        ("fit", "fit part 2", ""),
        ("train", "fit", "OK"),
        ("train", "run started", ""),
    ]
    assert [event.fields["message"] for event in named(spans, "fit").events] == [
        f"message {number}" for number in range(200, 250)
    ]


def _parts(jaeger: Jaeger, job: str, number: int) -> list[Span]:
    parts = [span for span in jaeger.run(job) if "synapse.part" in span.tags]
    return parts if len(parts) == number else []


@pytest.mark.parametrize("recovery", ["push", "next start"])
def test_a_killed_run_is_shown_as_crashed(jaeger_backend: Jaeger, recovery: str) -> None:
    """A run that was killed with SIGKILL is closed, with all that it said, by `push` or by the next run."""
    job = f"killed, then {recovery}"
    crash(job)
    if recovery == "push":
        subprocess.run([program(), "push"], check=True, timeout=30, stdout=subprocess.DEVNULL)
    else:
        with RuntimeContext.open("next"):
            wait_for(lambda: jaeger_backend.find(job_id=job), "the next run has recovered the killed one", 20)
    wait_for(lambda: len(jaeger_backend.find(job_id=job)[0]) == 4, "all spans of the killed run")
    spans = jaeger_backend.run(job)
    assert tree(spans) == [
        ("", "train", "ERROR"),
        ("fit", "epochs", "ERROR"),
        ("train", "fit", "ERROR"),
        ("train", "run started", ""),
    ]
    assert named(spans, "train").tags["synapse.run.status"] == "crashed"
    assert [event.fields["message"] for event in named(spans, "fit").events] == ["third epoch"]
    assert named(spans, "epochs").tags["synapse.progress.ratio"] == 0.3


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_metrics_and_logs_are_set_aside_and_traces_go_on(
    jaeger_backend: Jaeger, protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What Jaeger does not serve is said once for each signal; nothing waits for it, and the traces are whole."""
    endpoint = jaeger_backend.otlp_grpc_endpoint if protocol == "grpc" else jaeger_backend.otlp_endpoint
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    caplog.set_level(logging.WARNING, "synapse_otel")
    job = f"traces only by {protocol}"
    began = time.monotonic()
    with RuntimeContext.open(job, "train") as ctx:
        for number in range(300):
            ctx.set_metrics({"loss": 1 / (number + 1)}, "training")
            ctx.log_message(f"message {number}")
            if number % 100 == 99:
                assert ctx.flush(10)
        report = ctx.report()
    assert time.monotonic() - began < 30  # nothing waits for what is not served, which would be tried for ever
    assert (report.pending, report.dropped, report.dead_lettered) == (0, 0, 0)
    said = sorted(record.getMessage().split(":")[0] for record in caplog.records)
    assert said == ["logs are not sent", "metrics are not sent"]
    events = [event for span in jaeger_backend.run(job) for event in span.events]
    assert Counter(event.fields["message"] for event in events) == Counter(f"message {n}" for n in range(300))
