"""Processes that fork and spawn others in the middle of their calls: each goes on in the run, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from faults.kit import Place
from faults.outcome import Outcome
from faults.process_kit import start
from faults.table import FaultTable
from synapse_otel.testing import Collector

CHILDREN = 50
CALLS = 20
CALL_BUDGET = 4.0
"""Seconds: that many processes open a journal at once, on perhaps two cores."""


def workers(collector: Collector) -> Counter[str]:
    """How the processes ended that went on with a run."""
    ended = {
        span.span_id: span.attributes["synapse.run.status"]
        for span in collector.spans
        if span.name == "faulty worker" and "synapse.run.status" in span.attributes
    }
    return Counter(ended.values())


def run(place: Place, env: dict[str, str], program: str, workers: int) -> Outcome:
    """Run a program to its end: it was not harmed, nor were its children; what it reports is about its own calls."""
    outcome = start(place, env, f"process_forks.{program}", workers=workers, calls=CALLS).wait()
    # gRPC, where it is used in this process and not by the agent, notes on the terminal that there are threads.
    said = "".join(line for line in outcome.stderr.splitlines(keepends=True) if "fork_posix.cc" not in line)
    replace(outcome, report=None, stderr=said).check_unharmed(call_budget=CALL_BUDGET)
    assert outcome.warnings == []
    return outcome


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_fifty_children_forked_while_threads_write(protocol: str, place: Place, fault_table: FaultTable) -> None:
    """Forked in the middle of the writes of others, each records its own, however it ends, and none is harmed."""
    with Collector() as collector:
        env = place.env(collector, protocol)
        outcome = run(place, env, "fork_while_threads_write", CHILDREN)
        assert outcome.returned[1 : CHILDREN + 1] == (CALLS,) * CHILDREN
        place.next_start(
            env, lambda: workers(collector).total() == CHILDREN and place.ledger(collector, outcome).is_settled
        )
        assert workers(collector) == {"crashed": 33, "completed": 17}
        fault_table.add(f"50 forks, {protocol}", place, outcome, place.ledger(collector, outcome))


def test_a_child_forked_in_the_middle_of_a_request(place: Place) -> None:
    """A child ends as any process, although its parent was just using what holds its connections."""
    with Collector() as collector:
        run(place, place.env(collector), "fork_in_the_middle_of_a_request", 1)


@pytest.mark.parametrize("method", ["spawned_pool", "forked_pool"])
def test_the_processes_of_a_pool(method: str, place: Place, fault_table: FaultTable) -> None:
    """What a pool's processes report, in a context that was carried to them, arrives in the same run."""
    with Collector() as collector:
        env = place.env(collector)
        outcome = run(place, env, method, 20)
        assert outcome.returned[1:] == (CALLS,) * 20
        place.next_start(env, lambda: workers(collector) and place.ledger(collector, outcome).is_settled)
        assert set(workers(collector)) == {"completed"}
        fault_table.add(method.replace("_", " "), place, outcome, place.ledger(collector, outcome))
