from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends import programs
from backends.jaeger import Jaeger, running_jaeger
from backends.prometheus import Prometheus, running_prometheus


def _found(program: programs.Program) -> Path:
    try:
        return program.find()
    except programs.MissingProgramError as error:
        pytest.skip(f"{program.name}: {error}")


@pytest.fixture(scope="session")
def otelcol() -> Path:
    """The OpenTelemetry Collector."""
    return _found(programs.OTELCOL)


@pytest.fixture(scope="session")
def jaeger() -> Path:
    """Jaeger v2."""
    return _found(programs.JAEGER)


@pytest.fixture(scope="session")
def prometheus() -> Path:
    """Prometheus 3."""
    return _found(programs.PROMETHEUS)


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The tool of Prometheus that checks configurations and rules."""
    return _found(programs.PROMTOOL)


@pytest.fixture(scope="session")
def victoria_logs() -> Path:
    """VictoriaLogs, a store of logs."""
    return _found(programs.VICTORIA_LOGS)


@pytest.fixture(scope="module")
def own_jaeger(jaeger: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A Jaeger for the tests of a file."""
    with running_jaeger(jaeger, tmp_path_factory.mktemp("jaeger")) as started:
        yield started


@pytest.fixture
def jaeger_backend(own_jaeger: Jaeger, monkeypatch: pytest.MonkeyPatch) -> Jaeger:
    """Jaeger, where every signal is sent to."""
    for name, value in own_jaeger.env().items():
        monkeypatch.setenv(name, value)
    return own_jaeger


@pytest.fixture(scope="module")
def own_prometheus(prometheus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus for the tests of a file."""
    with running_prometheus(prometheus, tmp_path_factory.mktemp("prometheus")) as started:
        yield started


@pytest.fixture
def prometheus_backend(own_prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch) -> Prometheus:
    """Prometheus, where metrics are sent to; the journals of what was delivered are kept, to compare."""
    for name, value in own_prometheus.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "true")
    return own_prometheus
