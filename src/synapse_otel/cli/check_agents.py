"""The doctor looks at the agents that ship the runs of a journal directory."""

from __future__ import annotations

import time
from importlib.metadata import version

from synapse_otel.agent.state import AgentState, agents
from synapse_otel.cli import units
from synapse_otel.cli.findings import Findings
from synapse_otel.export.settings import TelemetrySettings


def check_agents(settings: TelemetrySettings, findings: Findings) -> None:
    """Say which agents live, and what does not work for them."""
    found = agents(settings.journal_dir)
    for agent in found:
        findings.good("agent", _told(agent))
        if agent.version != version("synapse-otel"):
            findings.warn("agent", f"pid {agent.pid} is of version {agent.version}: the runs of others do not use it")
        for problem in agent.problems:
            findings.warn("agent", problem)
    if not found and settings.shipper == "agent":
        findings.skipped("agent", "none is there: the next run starts one")


def _told(agent: AgentState) -> str:
    age = units.between(agent.started, time.time_ns())
    ships = f"{units.count(agent.live, 'live run')} and {units.count(agent.left, 'journal')} of dead processes"
    return f"pid {agent.pid} for {age}, ships {ships} to {', '.join(agent.endpoints)}"
