"""A quota that is reached with nothing delivered, and a file system that has no locks."""

from __future__ import annotations

import re

from faults.kit import Place
from faults.ledger import Ledger
from faults.process_kit import start
from faults.table import FaultTable
from journal.test_locks import NO_LOCKS
from synapse_otel.testing import Collector, Status

ENOUGH = 1000
"""What a segment of long messages holds at least."""
QUOTA = 9 * 2**20
WITHOUT_LOCKS = NO_LOCKS + "\nfrom disk_limits import main; main('nothing')"


def test_a_quota_that_is_reached(place: Place, fault_table: FaultTable) -> None:
    """What has to go is reported as dropped, to the record, and said; what is left arrives."""
    with Collector() as collector:
        env = place.env(collector, SYNAPSE_OTEL_QUOTA_BYTES=str(QUOTA))
        with collector.failing(Status(503)):
            outcome = start(place, env, "disk_quota.main", calls=4500, pause=0.05, kinds=("message",)).wait()
        outcome.check_unharmed()
        assert outcome.report
        dropped = outcome.report.by_kind["message"].dropped
        said = [int(count) for line in outcome.warnings for count in re.findall(r"quota: (\d+) message", line)]
        assert (dropped > ENOUGH, sum(said)) == (True, dropped)

        def found() -> Ledger:
            return place.ledger(collector, outcome, kinds=("message",))

        place.next_start(env, lambda: found().is_settled, timeout=60)
        fault_table.add("quota reached", place, outcome, found())


def test_a_file_system_without_locks(place: Place, fault_table: FaultTable) -> None:
    """Where nobody can tell who lives, a run delivers itself as anywhere."""
    with Collector() as collector:
        env = place.env(collector)
        outcome = place.start(env, calls=1000, pause=0.0005, code=WITHOUT_LOCKS).wait()
        outcome.check_unharmed()
        assert outcome.warnings == []
        place.next_start(env, lambda: place.ledger(collector, outcome).is_settled)
        fault_table.add("no locks", place, outcome, place.ledger(collector, outcome))


def test_a_run_that_ended_where_there_are_no_locks(place: Place, fault_table: FaultTable) -> None:
    """What a run could not deliver is delivered by the next start, to which the run's lock says that it has ended."""
    with Collector() as collector:
        env = place.env(collector)
        with collector.failing(Status(503)):
            outcome = place.start(env, calls=100, code=WITHOUT_LOCKS).wait()
        outcome.check_unharmed()
        place.start(env, job="next", calls=100, pause=0.01, code=WITHOUT_LOCKS).wait()
        fault_table.add("no locks, next start", place, outcome, place.ledger(collector, outcome))
