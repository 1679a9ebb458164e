from __future__ import annotations

import time
from threading import Timer

import pytest

from synapse_otel import testing
from synapse_otel.testing import Collector
from testing import senders


def test_exported_names_are_all_there() -> None:
    """Every name in `__all__` can be imported, in order, and others give the usual error."""
    assert testing.__all__ == sorted(testing.__all__) == dir(testing)
    assert [getattr(testing, name).__name__ for name in testing.__all__ if name != "Item"] == [
        name for name in testing.__all__ if name != "Item"
    ]
    with pytest.raises(AttributeError, match=r"^module 'synapse_otel.testing' has no attribute 'Collectr'$"):
        _ = testing.Collectr


def test_span_finds_the_only_one(collector: Collector) -> None:
    """One span by name, or an error that says what there is."""
    senders.post(collector, senders.spans_body("a", "b", "b"))
    assert collector.span("a") == senders.decoded_span("a")
    with pytest.raises(
        AssertionError, match=r"^expected exactly one span 'b', got 2; spans received: {'a': 1, 'b': 2}$"
    ):
        collector.span("b")
    with pytest.raises(
        AssertionError, match=r"^expected exactly one span 'c', got 0; spans received: {'a': 1, 'b': 2}$"
    ):
        collector.span("c")


def test_points_of_a_metric_and_attributes(collector: Collector) -> None:
    """Points are found by metric, and by the attributes they must have."""
    senders.post(collector, senders.metrics_body(), "metrics")
    loss = senders.decoded_points()[:2]
    assert collector.points_of("loss") == loss
    assert collector.points_of("loss", **{"synapse.category": "train"}) == loss
    assert collector.points_of("loss", **{"synapse.category": "eval"}) == []


def test_messages_are_the_bodies_of_message_records(collector: Collector) -> None:
    """Log records of other events are no messages."""
    other = senders.encode_logs([senders.log("dev", event_name="synapse.dev_event")]).SerializeToString()
    senders.post(collector, senders.logs_body("one", {"two": [2]}), "logs")
    senders.post(collector, other, "logs")
    assert collector.messages == ["one", {"two": [2]}]


def test_snapshots_are_the_callers_own(collector: Collector) -> None:
    """Changing a list that was handed out changes nothing here."""
    senders.post(collector, senders.spans_body("a"))
    collector.spans.clear()
    collector.requests.clear()
    assert (len(collector.spans), len(collector.requests)) == (1, 1)


def test_clear_forgets_everything_received(collector: Collector) -> None:
    """After it, the collector is as new, faults apart."""
    collector.fail(testing.Status(503), signal="logs")
    for signal, body in {"traces": senders.spans_body("a"), "metrics": senders.metrics_body()}.items():
        senders.post(collector, body, signal)
    collector.clear()
    assert (collector.spans, collector.points, collector.logs, collector.requests) == ([], [], [], [])
    assert collector.accepted == {"traces": 0, "metrics": 0, "logs": 0}
    assert senders.post(collector, b"", "logs").status_code == 503


def test_requests_tell_how_they_came(collector: Collector) -> None:
    """A request keeps its protocol, path, headers, size, body, time and answer."""
    before = time.monotonic()
    body = senders.spans_body("a", "b")
    senders.post(collector, body, X_Scope_OrgID="tenant")
    senders.call(collector, body, metadata=(("x-scope-orgid", "tenant"), ("x-bin", b"\xff")))
    over_http, over_grpc = collector.requests
    assert [
        (r.signal, r.protocol, r.path, r.headers["x-scope-orgid"], r.size, r.items, r.status, r.body)
        for r in collector.requests
    ] == [
        ("traces", "http/protobuf", "/v1/traces", "tenant", len(body), 2, 200, body),
        ("traces", "grpc", senders.METHODS["traces"], "tenant", len(body), 2, 200, body),
    ]
    assert before < over_http.time < over_grpc.time < time.monotonic()
    assert over_grpc.headers["x-bin"] == "ff"


def test_wait_for_returns_once_it_holds(collector: Collector) -> None:
    """An arrival, or anything else, ends the wait; an assertion in the predicate counts as not yet."""
    seen: list[int] = []
    timers = [
        Timer(0.05, senders.post, (collector, senders.spans_body("a"))),
        Timer(0.1, seen.append, (1,)),
    ]
    for timer in timers:
        timer.start()
    started = time.monotonic()
    assert collector.wait_for(lambda c: c.span("a").status == "error") is True
    assert collector.wait_for(lambda _: seen) is True
    assert time.monotonic() - started < 5
    for timer in timers:
        timer.join()


def test_wait_for_says_what_arrived_instead(collector: Collector) -> None:
    """A time-out is an AssertionError with everything a reader needs to see why."""
    senders.post(collector, senders.spans_body("a", "b", "a"))
    senders.post(collector, senders.logs_body("x"), "logs")
    collector.fail(testing.Status(503))
    senders.post(collector, b"", "logs")
    with pytest.raises(AssertionError) as raised:
        collector.wait_for(lambda c: c.span("c"), timeout=0.05)
    assert str(raised.value) == (
        "not true within 0.05 s (expected exactly one span 'c', got 0; spans received: {'a': 2, 'b': 1}); received: "
        "3 spans (a x2, b x1); 1 log records (synapse.message x1); 0 points; 3 requests ("
        "http/protobuf /v1/traces -> 200 x1, http/protobuf /v1/logs -> 200 x1, http/protobuf /v1/logs -> 503 x1)"
    )
