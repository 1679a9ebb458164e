from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.kit import is_alive
from synapse_otel.agent.state import agents
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
    for agent in agents(root):
        if is_alive(agent.pid):
            os.kill(agent.pid, signal.SIGKILL)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment points to."""
    with Collector() as collector:
        for name, value in collector.env().items():
            monkeypatch.setenv(name, value)
        yield collector
