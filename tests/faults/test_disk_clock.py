"""A clock that jumps back an hour in the middle of a run."""

from __future__ import annotations

from faults.kit import Place
from faults.process_kit import start
from faults.table import FaultTable
from synapse_otel.testing import Collector

BEATS = 7
"""Of a run of three seconds; in the first third of it there are three, and one at its end."""


def test_a_clock_that_jumps_back_an_hour(place: Place, fault_table: FaultTable) -> None:
    """Everything arrives, once, nothing ends before it began, and progress goes on."""
    with Collector() as collector:
        env = place.env(collector)
        outcome = start(place, env, "disk_clock.main", calls=300, pause=0.003).wait()
        outcome.check_unharmed()
        place.next_start(env, lambda: place.ledger(collector, outcome).is_settled)
        found = place.ledger(collector, outcome)
        assert (found.progress, found.statuses) == ({"worker 0": 100, "worker 1": 200}, {"faulty": "completed"})
        assert [span.name for span in collector.spans if span.end_ns < span.start_ns] == []
        fault_table.add("clock an hour back", place, outcome, found)


def test_a_run_is_seen_to_live_when_its_clock_has_jumped_back(place: Place) -> None:
    """A run goes on saying that it lives, as often as before."""
    with Collector() as collector:
        env = place.env(collector, OTEL_METRIC_EXPORT_INTERVAL="300")
        outcome = start(place, env, "disk_clock.main", calls=900, pause=0.003).wait()
        outcome.check_unharmed()
        place.next_start(env, lambda: place.ledger(collector, outcome).is_settled)
        active = collector.points_of("synapse.run.active")
        assert sum(point.resource["job_id"] == "job-1" for point in active) >= BEATS
