from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.agents import end_agents
from synapse_otel.testing import Collector


@pytest.fixture
def root(journal_dir: Path) -> Path:
    """The journal directory."""
    return journal_dir


@pytest.fixture(autouse=True)
def agent_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs are shipped by an agent, which does not outlive the test."""
    monkeypatch.setenv("SYNAPSE_OTEL_SHIPPER", "agent")
    monkeypatch.setenv("SYNAPSE_OTEL_AGENT_IDLE", "0.5")
    yield
    end_agents(root, wait=False)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment points to."""
    with Collector() as collector:
        for name, value in collector.env().items():
            monkeypatch.setenv(name, value)
        yield collector
