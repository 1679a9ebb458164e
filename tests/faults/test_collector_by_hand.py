"""The same faults for the obvious mapping with the OpenTelemetry SDK: what is lost, for the table.

Only what becomes log records is counted: of a gauge the SDK keeps the last value of each interval, and of a span 128
events, without any fault.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from faults.courses import LONGEST, Course, absent, all_along, at_first, away, flapping, for_a_while, healthy
from faults.kit import Place
from faults.ledger import carried
from faults.side_by_side import SideBySide, Tried, each
from faults.table import FaultTable
from synapse_otel.testing import BlackHole, Collector, Garbage, Item, Redirect, Refuse, Slow, Status

KINDS = ("message", "event", "dev_event")


def is_poisoned(item: Item) -> bool:
    """Whether an item carries one number in 25."""
    return any(number % 25 == 7 for number in carried(item))


@dataclass(frozen=True)
class Case:
    """A fault, called as it is where our own runs meet it."""

    name: str
    course: Course
    protocols: tuple[str, ...] = ("http/protobuf",)
    long: bool = True


CASES = [
    Case("healthy", healthy),
    Case("absent", absent),
    Case("away for a while", away(2.0)),
    Case("away for a minute", away(60.0)),
    Case("flapping", flapping(2.0)),
    Case("black hole for a while", for_a_while(BlackHole())),
    Case("black hole, default time-outs", all_along(BlackHole())),
    Case("answers after 20 s", all_along(Slow(20.0))),
    *(Case(f"HTTP {code}", all_along(Status(code))) for code in (401, 429, 500, 503)),
    Case("503 for a while", for_a_while(Status(503))),
    Case("429 once, Retry-After 2", at_first(Status(429, retry_after=2))),
    Case("400 for some content", all_along(Refuse(is_poisoned))),
    Case("web page", all_along(Garbage())),
    Case("redirect 307", all_along(Redirect("/elsewhere"))),
]


def scenario(case: Case, place: Place, protocol: str) -> Tried:
    """Run a plugin by hand to its end while the fault comes and goes."""
    with Collector() as collector:
        env = place.env(collector, protocol)
        plugin = place.start(env, pause=0.002, kinds=KINDS, by_hand=True)
        case.course(collector, plugin)
        plugin.end()
        outcome = plugin.wait(LONGEST)
        return Tried(place, outcome, place.ledger(collector, outcome, job="benchmark", kinds=KINDS, signals=["logs"]))


@each(CASES)
@pytest.mark.parametrize("shipper", ["by hand"])
def test_what_is_lost_by_hand(
    side_by_side: SideBySide, fault_table: FaultTable, case: Case, protocol: str, shipper: str
) -> None:
    """The plugin is measured to its end, and nothing of it is lost without a fault."""
    tried = side_by_side.tried(case, protocol, shipper)
    fault_table.add_unchecked(case.name, tried.place, tried.outcome, tried.ledger)
    assert (tried.outcome.exit_code, bool(tried.outcome.calls)) == (0, True)
    assert not tried.ledger.missing or case.course is not healthy
