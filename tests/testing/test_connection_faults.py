from __future__ import annotations

import socket
import time
from threading import Thread
from typing import Any

import grpc
import pytest
import requests

from synapse_otel.testing import BlackHole, Collector, DropConnection, Garbage, Redirect, Slow
from testing import senders

BODY = senders.spans_body("a")


def test_slow_answers_late_and_accepts(collector: Collector) -> None:
    """The answer takes its time; what a client gave up on is stored all the same."""
    collector.fail(Slow(0.3))
    started = time.monotonic()
    assert senders.post(collector, BODY).status_code == 200
    assert time.monotonic() - started >= 0.3
    with pytest.raises(requests.ReadTimeout):
        senders.post(collector, BODY, timeout=0.05)
    assert senders.call(collector, BODY, timeout=0.05)[0].name == "DEADLINE_EXCEEDED"
    assert collector.wait_for(lambda c: len(c.spans) == 3)


@pytest.mark.parametrize("after", ["headers", "body", "half_response"])
def test_a_dropped_connection_has_no_answer(collector: Collector, after: Any) -> None:
    """The connection ends at the moment asked for, nothing is stored, and the next request is served."""
    collector.fail(DropConnection(after), times=2)
    error = requests.exceptions.ChunkedEncodingError if after == "half_response" else requests.ConnectionError
    with pytest.raises(error):
        senders.post(collector, BODY)
    assert senders.call(collector, BODY)[:2] == (grpc.StatusCode.UNAVAILABLE, "Socket closed")
    size = 0 if after == "headers" else len(BODY)
    assert [(request.status, request.size) for request in collector.requests] == [(None, size)] * 2
    assert senders.post(collector, BODY).status_code == 200
    assert len(collector.spans) == 1


def test_headers_are_enough_to_drop_a_connection(collector: Collector) -> None:
    """A drop after the headers does not wait for the body."""
    collector.fail(DropConnection("headers"))
    with socket.create_connection(("127.0.0.1", int(collector.http_endpoint.rpartition(":")[2])), timeout=5) as client:
        client.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert client.recv(1000) == b""


def test_an_answer_may_be_lost_after_the_request_was_stored(collector: Collector) -> None:
    """The case that makes delivery at least once: a client that repeats makes a duplicate."""
    collector.fail(DropConnection("body", accept=True), times=1)
    with pytest.raises(requests.ConnectionError):
        senders.post(collector, BODY)
    assert senders.post(collector, BODY).status_code == 200
    assert collector.spans == [senders.decoded_span("a")] * 2


def test_a_black_hole_holds_requests_until_the_collector_stops(collector: Collector) -> None:
    """Requests arrive and get no answer; stopping ends them at once."""
    collector.fail(BlackHole())
    errors: list[str] = []

    def over_http() -> None:
        try:
            senders.post(collector, BODY)
        except requests.ConnectionError as error:
            errors.append(type(error).__name__)

    clients = [
        Thread(target=over_http),
        Thread(target=lambda: errors.append(senders.call(collector, BODY)[0].name)),
    ]
    for client in clients:
        client.start()
    collector.wait_for(lambda c: [request.items for request in c.requests] == [1, 1])
    time.sleep(0.1)
    assert ([request.status for request in collector.requests], errors) == ([None, None], [])
    started = time.monotonic()
    collector.stop()
    for client in clients:
        client.join(5)
    assert time.monotonic() - started < 2
    assert sorted(errors) in (["ConnectionError", "UNAVAILABLE"], ["CANCELLED", "ConnectionError"])
    assert collector.spans == []


def test_garbage_is_no_protobuf(collector: Collector) -> None:
    """The answer is a success that no client can decode, and nothing is stored."""
    collector.fail(Garbage())
    answer = senders.post(collector, BODY)
    assert (answer.status_code, answer.content) == (200, b"<html>\xff\xfe</html>")
    assert senders.call(collector, BODY)[3] == b"<html>\xff\xfe</html>"
    assert collector.spans == []


def test_a_redirect_names_its_target(collector: Collector) -> None:
    """Over HTTP the location is given, over gRPC the call fails."""
    with Collector() as elsewhere:
        collector.fail(Redirect(elsewhere.http_endpoint + "/v1/traces"))
        answer = senders.post(collector, BODY)
        assert (answer.status_code, answer.headers["Location"]) == (307, elsewhere.http_endpoint + "/v1/traces")
        requests.post(
            collector.http_endpoint + "/v1/traces",
            data=BODY,
            headers={"Content-Type": "application/x-protobuf"},
            timeout=5,
        )
        assert (elsewhere.spans, collector.spans) == ([senders.decoded_span("a")], [])
        assert senders.call(collector, BODY)[0].name == "UNKNOWN"
