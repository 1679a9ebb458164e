"""The accounting of the fault suite finds what it is there to find."""

from __future__ import annotations

from dataclasses import replace

import pytest

from faults.kit import Ledger, Place
from faults.ledger import differing, numbers
from synapse_otel.testing import Answer, Call, Collector, LogRecord, Point, Span, SpanEvent


class Forgetful:
    """A fault: what it says that it took is nowhere."""

    def apply(self, call: Call) -> Answer:
        """Say so."""
        return Answer(body=b"")


@pytest.mark.parametrize("shipper", ["thread"])
def test_a_record_that_is_said_to_be_delivered_and_is_not_there_is_missing(place: Place) -> None:
    """What counts is what arrived, whatever the report says."""
    with Collector() as collector:
        collector.fail(Forgetful(), signal="logs")
        outcome = place.start(place.env(collector), calls=8).wait()
        outcome.check_unharmed()
        assert outcome.report is not None
        assert outcome.report.delivered == outcome.report.accepted
        found = place.ledger(collector, outcome)
        assert (found.missing, found.delivered) == ({0, 1, 2, 4, 5, 6}, {3, 7})
        with pytest.raises(AssertionError, match=r"6 of 8 lost: \[0, 1, 2, 4, 5, 6\]"):
            found.check()


def test_only_as_many_are_dropped_as_are_reported() -> None:
    """What nobody knows of is dropped if so many are reported as dropped, and lost if there are more."""
    known = Ledger(accepted=frozenset({0, 1, 2}), delivered=frozenset({1}), dropped=2)
    known.check()
    with pytest.raises(AssertionError, match="2 of 3 lost"):
        replace(known, dropped=1).check()
    with pytest.raises(AssertionError):
        replace(known, delivered=frozenset({1, 2})).check()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"arrived": frozenset({9})}, "nobody logged"), ({"doubled": 1}, "different ids"), ({"differing": 1}, "same id")],
)
def test_nothing_may_be_there_that_was_not_logged_so(wrong: dict[str, object], message: str) -> None:
    """Records that nobody logged, that came under two ids, or changed on the way, are found."""
    with pytest.raises(AssertionError, match=message):
        replace(Ledger(frozenset({0}), frozenset({0})), **wrong).check()


LOG = LogRecord(1, 1, 9, "info", "synapse.message", "message 7", {"log.record.uid": "j-1"}, "", "", {}, "")
EVENT = SpanEvent("message", 1, {"message": "message 7"})
SPAN = Span("t", "s", "", "train", "internal", 1, 2, {}, (EVENT,), (), "ok", "", {}, "")

POINT = Point("synapse.metric.number", "", 7, 1, {"synapse.category": "faults"}, {}, "")


def test_an_item_that_comes_again_is_the_same_one() -> None:
    """The same request twice counts once; the same record under another id twice; another content is seen."""
    again = replace(LOG, attributes={"log.record.uid": "j-2"})
    assert numbers([LOG, LOG, SPAN], "logs") == {7: 1}
    assert numbers([LOG, again], "logs") == {7: 2}
    assert numbers([SPAN, replace(SPAN, span_id="part")], "traces") == {7: 1}
    assert differing([LOG, LOG, again, SPAN, SPAN, POINT, replace(POINT, resource={})]) == 0
    assert differing([LOG, replace(LOG, body="message 8")]) == 1
    assert differing([SPAN, replace(SPAN, end_ns=3)]) == 1
    assert differing([POINT, replace(POINT, value=8, resource={})]) == 1
