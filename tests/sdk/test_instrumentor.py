"""How the instrumentation is found, switched on and off."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from opentelemetry.sdk.resources import get_aggregated_resources
from synapse_sdk.loggers import NoOpLogger
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext

from sdk.arrived import records, roots
from synapse_otel.sdk import SynapseInstrumentor
from synapse_otel.testing import Collector


def context() -> RuntimeContext:
    return RuntimeContext(logger=NoOpLogger(), env=PluginEnvironment({}), job_id="job-1")


def test_it_is_found_by_its_entry_point() -> None:
    """As OpenTelemetry's command finds it; what it needs is what is tested."""
    (found,) = [point for point in entry_points(group="opentelemetry_instrumentor") if point.name == "synapse"]
    assert found.load() is SynapseInstrumentor
    assert SynapseInstrumentor().instrumentation_dependencies() == ("synapse-sdk >= 2026.1.50, < 2027",)


def test_twice_is_as_once(instrumented: None, collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    """A second call changes nothing, and is said by OpenTelemetry's base class."""
    SynapseInstrumentor().instrument()
    ctx = context()
    ctx.log_message("once")
    ctx.logger.finish()
    assert [record[2] for record in records(collector)] == ["once"]
    assert caplog.record_tuples == [
        (
            "opentelemetry.instrumentation.instrumentor",
            logging.WARNING,
            "Attempting to instrument while already instrumented",
        )
    ]


def test_off_and_on_again(collector: Collector) -> None:
    """What is said while it is off is not recorded; a run that a logger had opened ends with it."""
    instrumentor, ctx = SynapseInstrumentor(), context()
    for message in ("off", "on", "off again", "on again"):
        if message.startswith("on"):
            instrumentor.instrument()
        ctx.log_message(message)
        if message.startswith("on"):
            instrumentor.uninstrument()
    assert [record[2] for record in records(collector)] == ["on", "on again"]
    assert [status for *_, status in roots(collector)] == ["completed", "completed"]


def test_modules_are_instrumented_as_they_are_imported(collector: Collector, child_env: dict[str, str]) -> None:
    """Before the SDK is imported, in any order."""
    code = """
from synapse_otel.sdk import SynapseInstrumentor
SynapseInstrumentor().instrument()
import sys
assert "synapse_sdk" not in sys.modules
from synapse_sdk.loggers import ConsoleLogger
ConsoleLogger().info("at once")
"""
    result = subprocess.run([sys.executable, "-c", code], env=child_env, capture_output=True, text=True)
    assert (result.returncode, result.stderr.count("Traceback")) == (0, 0), result.stderr
    assert [record[2] for record in records(collector)] == ["at once"]


def test_the_resource_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other instrumentations send says which job and plugin it is of; nothing is made up."""
    (found,) = [point for point in entry_points(group="opentelemetry_resource_detector") if point.name == "synapse"]
    assert dict(get_aggregated_resources([found.load()()]).attributes).get("job_id") is None
    for name, value in {
        "RAY_JOB_ID": "job-9",
        "SYNAPSE_PLUGIN_RELEASE_CODE": "yolo@1.2.0",
        "SYNAPSE_PLUGIN_RELEASE_CHECKSUM": "abc",
        "SLURM_PROCID": "2",
        "SLURM_NTASKS": "4",
        "LOCAL_RANK": "not a number",
    }.items():
        monkeypatch.setenv(name, value)
    assert dict(found.load()().detect().attributes) == {
        "job_id": "job-9",
        "synapse.plugin.code": "yolo",
        "synapse.plugin.version": "1.2.0",
        "synapse.plugin.checksum": "abc",
        "synapse.rank": 2,
        "synapse.world_size": 4,
    }


def test_opentelemetry_uses_the_detector_by_its_name(child_env: dict[str, str]) -> None:
    """As its documentation has it."""
    variables = {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "synapse", "SYNAPSE_JOB_ID": "job-9"}
    code = "from opentelemetry.sdk.resources import Resource; print(Resource.create().attributes['job_id'])"
    result = subprocess.run([sys.executable, "-c", code], env=child_env | variables, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("job-9\n", "")
