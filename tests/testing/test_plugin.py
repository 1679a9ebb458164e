from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from synapse_otel.testing import Telemetry

PROGRAM = """
import json, sys
import pytest, synapse_otel
before = set(sys.modules)
import synapse_otel.testing.plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""

TESTS = """
import os
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from synapse_otel.testing import Collector, Telemetry

endpoints = []

def test_collector(otlp_collector):
    assert isinstance(otlp_collector, Collector)
    assert otlp_collector.http_endpoint.startswith("http://127.0.0.1:")

def test_telemetry(telemetry, otlp_collector, tmp_path):
    assert isinstance(telemetry, Telemetry)
    assert telemetry.collector is otlp_collector
    assert telemetry.journal_dir.is_dir()
    assert telemetry.journal_dir != tmp_path
    names = ("OTEL_", "SYNAPSE_", "RAY_", "TRACE")
    found = {name: value for name, value in os.environ.items() if name.startswith(names)}
    assert found == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_collector.http_endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "SYNAPSE_OTEL_JOURNAL_DIR": str(telemetry.journal_dir),
            "SYNAPSE_OTEL_SHIPPER": "thread",
    }
    endpoints.append((otlp_collector.http_endpoint, telemetry.journal_dir))

def test_capture(telemetry):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    provider.get_tracer("t").start_span("work").end()
    provider.shutdown()
    assert [span.name for span in telemetry.spans] == ["work"]
    assert (telemetry.logs, telemetry.points, telemetry.messages) == ([], [], [])
    endpoints.append((telemetry.collector.http_endpoint, telemetry.journal_dir))

def test_each_test_has_its_own():
    assert len({journal for _, journal in endpoints}) == 2
    assert os.environ["OTEL_SERVICE_NAME"] == "of the developer"
"""

DEVELOPERS_OWN = {
    "OTEL_SERVICE_NAME": "of the developer",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://192.0.2.1",
    "SYNAPSE_JOB_ID": "job",
    "RAY_JOB_ID": "ray",
    "TRACEPARENT": "00-1-2-01",
    "TRACESTATE": "a=b",
    "HTTP_PROXY": "http://192.0.2.1:9",
    "http_proxy": "http://192.0.2.1:9",
}


def test_the_plugin_is_cheap_to_load() -> None:
    """Every pytest run loads it, so it brings in nothing but itself."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
    assert json.loads(ran.stdout) == ["synapse_otel.testing", "synapse_otel.testing.plugin"]


def test_the_fixtures_capture_and_isolate(tmp_path: Path) -> None:
    """In a run of pytest with the plugin found by its entry point, a test sees a collector and nothing else."""
    (tmp_path / "test_it.py").write_text(TESTS)
    environment = {**os.environ, **DEVELOPERS_OWN}
    arguments = ["-W", "error", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, "4 passed" in ran.stdout) == (0, True), ran.stdout + ran.stderr


def test_a_run_opened_by_the_fixture_arrives(telemetry: Telemetry) -> None:
    """What is reported to a context from `telemetry.open` is in the collector, under the job that was named."""
    with telemetry.open(job_id="job-7", name="fit") as context:
        context.log_message("hello")
    telemetry.collector.wait_for(lambda c: c.messages == ["hello"] and c.span("fit"))
    assert telemetry.collector.span("fit").resource["job_id"] == "job-7"


def test_the_fixtures_are_listed(pytestconfig: pytest.Config) -> None:
    """The plugin is loaded under its name."""
    assert pytestconfig.pluginmanager.has_plugin("synapse_otel")
