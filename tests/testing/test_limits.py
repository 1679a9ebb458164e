from __future__ import annotations

import gzip
import zlib
from typing import Any

import grpc
import pytest
import requests

from synapse_otel.testing import Collector, request_log
from testing import senders

BODY = senders.spans_body("a")


def test_requests_without_the_required_headers_are_unauthenticated() -> None:
    """Every request needs the headers, with their values; names are compared without case."""
    with Collector(headers={"Authorization": "Bearer x"}) as collector:
        assert senders.post(collector, BODY).status_code == 401
        assert senders.post(collector, BODY, authorization="Bearer y").status_code == 401
        assert senders.post(collector, BODY, AUTHORIZATION="Bearer x").status_code == 200
        assert senders.call(collector, BODY)[0] == grpc.StatusCode.UNAUTHENTICATED
        metadata = (("authorization", "Bearer x"),)
        assert senders.call(collector, BODY, metadata=metadata)[0] == grpc.StatusCode.OK
        assert collector.spans == [senders.decoded_span("a")] * 2


def test_signals_that_are_not_served_do_not_exist() -> None:
    """A collector of traces alone answers the rest as Jaeger does: 404 and UNIMPLEMENTED."""
    with Collector(signals={"traces"}) as collector:
        assert [senders.post(collector, b"", signal).status_code for signal in senders.PATHS] == [200, 404, 404]
        codes = [senders.call(collector, b"", signal)[0].name for signal in senders.METHODS]
        assert codes == ["OK", "UNIMPLEMENTED", "UNIMPLEMENTED"]
        assert [request.signal for request in collector.requests] == ["traces", "metrics", "logs"] * 2
    with pytest.raises(ValueError, match=r"^signals must be among \['logs', 'metrics', 'traces'\], not \['spans'\]$"):
        Collector(signals={"spans"})  # type: ignore[arg-type]  # what is refused


def test_other_paths_and_verbs_are_noted_and_refused(collector: Collector) -> None:
    """A wrong path is 404, a GET 405, and a gRPC method unknown; the paths can be looked up."""
    assert requests.post(collector.http_endpoint + "/v1/trace", data=b"x" * 100, timeout=5).status_code == 404
    assert requests.get(collector.http_endpoint + "/v1/traces", timeout=5).status_code == 405
    assert senders.call(collector, b"", method="/no.Service/Export")[0] == grpc.StatusCode.UNIMPLEMENTED
    noted = [(request.signal, request.path, request.status) for request in collector.requests]
    assert noted == [(None, "/v1/trace", 404), (None, "/no.Service/Export", 404)]


def bomb(size: int) -> bytes:
    squeeze = zlib.compressobj(wbits=31)
    return b"".join([*(squeeze.compress(bytes(2**20)) for _ in range(size // 2**20)), squeeze.flush()])


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(BODY.ljust(1001, b"\0"), ""), (gzip.compress(bytes(1001)), "gzip"), (bytes(300_000), ""), (bomb(2**28), "gzip")],
)
def test_large_http_requests_are_refused(body: bytes, encoding: str) -> None:
    """What is larger than the limit after decompression gets 413, a zip bomb without being unpacked."""
    with Collector(max_request_bytes=1000) as collector, requests.Session() as session:
        url = collector.http_endpoint + "/v1/traces"
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": encoding}
        answer = session.post(url, data=body, headers=headers, timeout=10)
        assert (answer.status_code, b"larger than max" in answer.content) == (413, True)
        headers = {"Content-Type": "application/x-protobuf"}
        assert session.post(url, data=BODY.ljust(0), headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("size", "noted"), [(1001, 1), (5000, 0)], ids=["refused by the collector", "refused by gRPC itself"]
)
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_large_grpc_requests_are_refused(size: int, noted: int, compression: Any) -> None:
    """What is larger than the limit after decompression gets RESOURCE_EXHAUSTED with gRPC's text."""
    with Collector(max_request_bytes=1000) as collector:
        code, details, _, _ = senders.call(collector, bytes(size), compression=compression)
        assert (code.name, "larger than max" in details) == ("RESOURCE_EXHAUSTED", True)
        assert len(collector.requests) == noted
        assert senders.call(collector, BODY)[0] == grpc.StatusCode.OK


def test_items_beyond_the_bound_are_counted(collector: Collector) -> None:
    """With `max_items` kept, more are accepted and counted; clearing makes room."""
    with Collector(max_items=3) as collector:
        for names in ("ab", "cde", "f"):
            assert senders.post(collector, senders.spans_body(*names)).status_code == 200
        assert ([span.name for span in collector.spans], collector.overflow) == (["a", "b", "c"], 3)
        assert collector.accepted == {"traces": 6, "metrics": 0, "logs": 0}
        collector.clear()
        senders.post(collector, BODY)
        assert ([span.name for span in collector.spans], collector.overflow) == (["a"], 0)


def test_old_bodies_and_requests_are_let_go(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies are kept up to a number and to a sum of bytes, requests up to a number."""
    monkeypatch.setattr(request_log, "MAX_BODIES", 3)
    monkeypatch.setattr(request_log, "MAX_REQUESTS", 5)
    for _ in range(6):
        senders.post(collector, BODY)
    monkeypatch.setattr(request_log, "MAX_BODY_BYTES", 2 * len(BODY))
    senders.post(collector, BODY)
    assert [request.body for request in collector.requests] == [b"", b"", b"", BODY, BODY]
    assert [request.size for request in collector.requests] == [len(BODY)] * 5
