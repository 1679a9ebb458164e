"""Nothing is lost of runs that are killed; `tests/benchmarks/kills.py` does the same many times over."""

from __future__ import annotations

from statistics import median

import pytest

from faults.kills import CLOSED_WITHIN, Victim, kill_one
from faults.kit import Place
from faults.table import FaultTable
from synapse_otel.testing import Collector

RUNS = 6


def kill(place: Place, table: FaultTable, victim: Victim, status: str, runs: int = RUNS) -> list[float]:
    """Kill runs, and return the seconds that each took until it had arrived."""
    seconds = []
    with Collector() as collector:
        for number in range(runs):
            killed = kill_one(place, collector, number, victim)
            assert (killed.ledger.statuses, killed.outcome.warnings) == ({"faulty": status}, [])
            table.add(f"SIGKILL: {victim}", place, killed.outcome, killed.ledger)
            seconds.append(killed.seconds)
    return seconds


def test_killed_plugins(place: Place, fault_table: FaultTable) -> None:
    """All that had returned arrives, and the run is closed as crashed; by the agent, within 5 seconds and by itself."""
    seconds = kill(place, fault_table, "plugin", "crashed")
    assert place.shipper == "thread" or median(seconds) < CLOSED_WITHIN


@pytest.mark.parametrize("shipper", ["agent"], indirect=True)
def test_killed_agents(place: Place, fault_table: FaultTable) -> None:
    """A plugin whose agent is killed goes on with another one, and all of the run arrives by itself."""
    kill(place, fault_table, "agent", "completed", RUNS // 2)


@pytest.mark.parametrize("shipper", ["agent"], indirect=True)
def test_an_agent_that_is_killed_at_the_very_end(place: Place, fault_table: FaultTable) -> None:
    """A run that ends without an agent, and does not wait, is given to another one."""
    with Collector() as collector:
        env = place.env(collector, SYNAPSE_OTEL_FINISH_TIMEOUT="0")
        outcome = place.start(env, pause=0.01, code="import victims; victims.kill_the_agent_at_the_end()").wait()
        collector.wait_for(lambda _: place.ledger(collector, outcome).is_settled, timeout=CLOSED_WITHIN)
        fault_table.add("SIGKILL: agent, at the end", place, outcome, place.ledger(collector, outcome))


@pytest.mark.parametrize("shipper", ["agent"], indirect=True)
def test_killed_plugins_with_their_agent(place: Place, fault_table: FaultTable) -> None:
    """What the dead have left is delivered by the next start."""
    kill(place, fault_table, "both", "crashed", RUNS // 2)
