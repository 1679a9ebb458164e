"""The collector does not take anything for a part of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from faults.courses import Course, at_first, away, flapping, for_a_while, healthy
from faults.kit import CALL_BUDGET, Place
from faults.side_by_side import BOTH, SideBySide, Tried, each
from faults.table import FaultTable
from synapse_otel.testing import BlackHole, Collector, Status

ENOUGH = 400
"""How many calls a run makes at least."""
PATIENT = 20.0
"""Seconds that the end of a run may wait for its delivery: far more than it needs."""
SOON = 8.0
"""Seconds after which all is delivered at the end of a run whose collector is there again."""


@dataclass(frozen=True)
class Case:
    """A fault that comes and goes.

    Attributes:
        course: Brings it about.
        env: What else is in the plugin's environment.
        warnings: How often the plugin's log says something: once that the fault began, once that it is over.
    """

    name: str
    course: Course
    protocols: tuple[str, ...] = BOTH
    env: Mapping[str, str] = field(default_factory=dict)
    warnings: int = 2
    long: bool = False


CASES = [
    Case("healthy", healthy, warnings=0),
    Case("away for a while", away(2.0)),
    Case("flapping", flapping(2.0)),
    Case("black hole for a while", for_a_while(BlackHole()), env={"OTEL_EXPORTER_OTLP_TIMEOUT": "0.5"}),
    Case("503 for a while", for_a_while(Status(503))),
    Case("401 for a while", for_a_while(Status(401))),
    Case("429 once, Retry-After 2", at_first(Status(429, retry_after=2))),
    Case("away for a minute", away(60.0), long=True),
    Case("flapping for a minute", flapping(60.0), long=True),
]


def scenario(case: Case, place: Place, protocol: str) -> Tried:
    """Run a plugin while the fault comes and goes, and for a moment longer."""
    with Collector() as collector:
        env = place.env(collector, protocol, **case.env, SYNAPSE_OTEL_FINISH_TIMEOUT=str(PATIENT))
        plugin = place.start(env, pause=0.002)
        case.course(collector, plugin)
        plugin.wait_warned(case.warnings)
        plugin.wait_returned(ENOUGH)
        plugin.end()
        outcome = plugin.wait()
        return Tried(place, outcome, place.ledger(collector, outcome))


@each(CASES)
def test_a_run_delivers_all_by_itself_when_the_collector_is_there_again(
    side_by_side: SideBySide, fault_table: FaultTable, case: Case, protocol: str, shipper: str
) -> None:
    """The fault and its end are said once, and what came meanwhile is delivered before the run has ended."""
    tried = side_by_side.tried(case, protocol, shipper)
    fault_table.add(case.name, tried.place, tried.outcome, tried.ledger)
    # In a minute of many thousand calls, a busy machine takes the processor away once for longer.
    tried.outcome.check_unharmed(finish_timeout=SOON, call_budget=4 * CALL_BUDGET if case.long else CALL_BUDGET)
    assert tried.outcome.report is not None
    assert tried.outcome.report.delivered == tried.outcome.report.accepted
    assert len(tried.outcome.warnings) == case.warnings, tried.outcome.warnings
    assert tried.ledger.progress == {"worker 0": tried.outcome.calls}
    assert tried.ledger.statuses == {"faulty": "completed"}
    assert list(tried.place.journal_dir.glob("[!.]*")) == [], "a delivered journal is removed"
