"""A plugin that has no memory left, and one that the kernel kills for it."""

from __future__ import annotations

import signal

import pytest

from faults.kit import Place
from faults.process_cgroup import memory_limit
from faults.process_kit import start
from faults.table import FaultTable
from synapse_otel.testing import Collector

PATIENCE = 5.0
"""Seconds: what is in memory goes with the process, so its end waits for the delivery."""


def test_no_address_space_left(place: Place, fault_table: FaultTable) -> None:
    """Where there is no room for a usual segment, no call notices, and nothing is lost."""
    with Collector() as collector:
        env = place.env(collector, SYNAPSE_OTEL_FINISH_TIMEOUT=str(PATIENCE))
        outcome = start(place, env, "process_memory.no_address_space_left", calls=2000).wait()
        outcome.check_unharmed(finish_timeout=PATIENCE)
        place.next_start(env, lambda: place.ledger(collector, outcome).is_settled)
        fault_table.add("no address space", place, outcome, place.ledger(collector, outcome))


def test_killed_for_its_memory(place: Place, fault_table: FaultTable) -> None:
    """Of a process that the kernel kills for its memory everything arrives that it reported, to the last call."""
    with Collector() as collector, memory_limit(160 * 2**20) as group:
        if group is None:
            pytest.skip("NOT TESTED HERE: the out-of-memory killer, for want of a control group of memory")
        env = place.env(collector)
        plugin = start(place, env, "process_memory.until_killed")
        group.write_text(str(plugin.process.pid))
        outcome = plugin.wait()
        outcome.check_unharmed(exit_code=-signal.SIGKILL)
        place.next_start(env, lambda: place.ledger(collector, outcome).is_settled)
        found = place.ledger(collector, outcome)
        assert found.statuses == {"faulty": "crashed"}
        fault_table.add("killed for its memory", place, outcome, found)
        place.close()  # an agent may be in the group
