"""The pytest plugin: the fixtures `otlp_collector` and `telemetry`.

Loaded in every pytest run on a machine where synapse-otel is installed, so it imports nothing before a fixture is used.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from synapse_otel.testing import Collector, Telemetry

_PREFIXES = ("OTEL_", "SYNAPSE_")
_NAMES = ("RAY_JOB_ID", "TRACEPARENT", "TRACESTATE")


@pytest.fixture
def otlp_collector() -> "Iterator[Collector]":
    """A started `synapse_otel.testing.Collector`, stopped after the test."""
    from synapse_otel.testing import Collector

    with Collector() as collector:
        yield collector


@pytest.fixture
def telemetry(
    otlp_collector: "Collector", monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> "Telemetry":
    """The environment points at a collector and at nothing else, so that what a plugin reports is captured."""
    from synapse_otel.testing import Telemetry

    journal_dir = tmp_path_factory.mktemp("synapse-journal")
    _forget_environment(monkeypatch)
    for name, value in otlp_collector.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(journal_dir))
    monkeypatch.setenv("SYNAPSE_OTEL_SHIPPER", "thread")  # so that nothing outlives the test
    return Telemetry(otlp_collector, journal_dir)


def _forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_PREFIXES) or name in _NAMES:
            monkeypatch.delenv(name)
    for name in (
        "NO_PROXY",
        "no_proxy",
    ):  # else a proxy of the developer's network gets what is meant for the collector
        monkeypatch.setenv(name, "127.0.0.1,localhost")
