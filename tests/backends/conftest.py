from __future__ import annotations

from pathlib import Path

import pytest

from backends import programs


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
