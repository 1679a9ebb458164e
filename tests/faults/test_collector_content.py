"""The collector refuses some of the content for good."""

from __future__ import annotations

from dataclasses import dataclass

from faults.kit import KINDS, Place
from faults.ledger import carried
from faults.side_by_side import BOTH, SideBySide, Tried, each
from faults.table import FaultTable
from synapse_otel.testing import Collector, Fault, Item, PartialSuccess, Refuse
from synapse_otel.testing.signals import Signal

CALLS = 400
PATIENT = 20.0
POISONED = frozenset(range(7, CALLS, 25))
"""Four numbers of each kind."""


def is_poisoned(item: Item) -> bool:
    """Whether an item carries one of them."""
    return bool(carried(item) & POISONED)


def of_kinds(*kinds: str) -> frozenset[int]:
    """The poisoned numbers that went to these kinds."""
    return frozenset(number for number in POISONED if KINDS[number % len(KINDS)] in kinds)


@dataclass(frozen=True)
class Case:
    """Content that is refused.

    Attributes:
        fault: What requests meet.
        dead: The numbers that are dead letters in the end.
        signal: Requests of which signal; None for all.
    """

    name: str
    fault: Fault
    dead: frozenset[int]
    signal: Signal | None = None
    protocols: tuple[str, ...] = BOTH
    long: bool = False


CASES = [
    Case("400 for some content", Refuse(is_poisoned, 400), POISONED),
    Case("413 for some content", Refuse(is_poisoned, 413, "Received message larger than max"), POISONED),
    Case("422 for some content", Refuse(is_poisoned, 422), POISONED, protocols=("http/protobuf",)),
    Case(
        "partial success, logs",
        PartialSuccess(is_poisoned, "too old"),
        of_kinds("message", "event", "dev_event"),
        "logs",
    ),
    Case("partial success, metrics", PartialSuccess(is_poisoned, "too old"), of_kinds("metrics"), "metrics"),
    Case("partial success that rejects nothing", PartialSuccess(0, "deprecated"), frozenset()),
]


def scenario(case: Case, place: Place, protocol: str) -> Tried:
    """Run a plugin to its end against a collector that refuses some of what it says."""
    with Collector() as collector:
        collector.fail(case.fault, signal=case.signal)
        env = place.env(collector, protocol, SYNAPSE_OTEL_FINISH_TIMEOUT=str(PATIENT))
        outcome = place.start(env, calls=CALLS, pause=0.002).wait()
        return Tried(place, outcome, place.ledger(collector, outcome))


@each(CASES)
def test_refused_content_is_kept_as_dead_letters_and_takes_nothing_along(
    side_by_side: SideBySide, fault_table: FaultTable, case: Case, protocol: str, shipper: str
) -> None:
    """Exactly what was refused is in the dead-letter file, counted and said; all the rest arrives with the run."""
    tried = side_by_side.tried(case, protocol, shipper)
    fault_table.add(case.name, tried.place, tried.outcome, tried.ledger)
    tried.outcome.check_unharmed(finish_timeout=PATIENT)
    assert tried.ledger.dead_lettered == case.dead
    assert tried.ledger.delivered == tried.ledger.accepted - case.dead
    report = tried.outcome.report
    assert report is not None
    assert report.pending == 0
    # Of a partial success nobody knows which points it means: those of progress were in the same request.
    assert sum(report.by_kind[kind].dead_lettered for kind in (*KINDS, "progress")) == len(case.dead)
    assert sum("dead letter" in text for text in tried.outcome.warnings) == len(tried.outcome.warnings)
    assert bool(tried.outcome.warnings) == bool(case.dead)
    assert tried.ledger.statuses == {"faulty": "completed"}
