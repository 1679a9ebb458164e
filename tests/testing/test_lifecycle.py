from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import grpc
import pytest
import requests

from synapse_otel.testing import BlackHole, Collector
from testing import senders

BODY = senders.spans_body("a")


def listening(endpoint: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(endpoint.rpartition(":")[2]))) == 0


def test_an_outage_comes_back_on_the_same_ports(collector: Collector) -> None:
    """While stopped, connections are refused; started again, the ports and what was received are the same."""
    endpoints = collector.http_endpoint, collector.grpc_endpoint
    for _ in range(3):
        assert senders.post(collector, BODY).status_code == 200
        assert senders.call(collector, BODY)[0] == grpc.StatusCode.OK
        collector.stop()
        assert [listening(endpoint) for endpoint in endpoints] == [False, False]
        with pytest.raises(requests.ConnectionError):
            senders.post(collector, BODY)
        assert senders.call(collector, BODY)[0] == grpc.StatusCode.UNAVAILABLE
        collector.start()
        assert (collector.http_endpoint, collector.grpc_endpoint) == endpoints
    assert collector.spans == [senders.decoded_span("a")] * 6


def test_a_client_reconnects_after_an_outage(collector: Collector) -> None:
    """Connections kept alive are closed by a stop, and clients that hold them get through again."""
    with (
        requests.Session() as session,
        grpc.insecure_channel(collector.grpc_endpoint.removeprefix("http://")) as channel,
    ):
        export = channel.unary_unary(senders.METHODS["traces"])
        headers = {"Content-Type": "application/x-protobuf"}
        for _ in range(2):
            collector.start()
            url = collector.http_endpoint + "/v1/traces"
            assert session.post(url, data=BODY, headers=headers, timeout=5).status_code == 200
            export(BODY, timeout=5, wait_for_ready=True)
            collector.stop()
    assert len(collector.spans) == 4


def test_stop_and_start_may_be_repeated() -> None:
    """Both do nothing the second time, and endpoints are known before the first start."""
    collector = Collector()
    endpoint = collector.http_endpoint
    collector.stop()
    collector.start()
    collector.start()
    assert senders.post(collector, BODY).status_code == 200
    collector.stop()
    collector.stop()
    collector.close()
    collector.close()
    assert collector.http_endpoint == endpoint


def test_nothing_is_left_after_the_end(collector: Collector) -> None:
    """Threads, ports and file descriptors are gone, connections that clients keep open included."""

    def ours() -> list[str]:
        return [thread.name for thread in threading.enumerate() if "otlp-collector" in thread.name]

    collector.stop()  # gRPC's own descriptors exist from the first server on
    before = len(os.listdir("/proc/self/fd"))
    with requests.Session() as session:
        with Collector() as other:
            senders.call(other, BODY)
            session.post(other.http_endpoint + "/v1/traces", data=BODY, timeout=5)
            assert len(ours()) >= 2
        assert ours() == []
    del other
    gc.collect()
    deadline = time.monotonic() + 5
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_forgotten_collector_does_not_keep_the_interpreter() -> None:
    """A process that never stops its collector ends, with a request in a black hole as well."""
    program = f"""
import threading, time, requests, grpc
from synapse_otel.testing import BlackHole, Collector
collector = Collector()
collector.start()
collector.fail(BlackHole())
url = collector.http_endpoint + "/v1/traces"
headers = {{"Content-Type": "application/x-protobuf"}}
threading.Thread(target=lambda: requests.post(url, data=b"", headers=headers), daemon=True).start()
channel = grpc.insecure_channel(collector.grpc_endpoint.removeprefix("http://"))
call = channel.unary_unary({senders.METHODS["traces"]!r}).future(b"")
collector.wait_for(lambda c: [r.items for r in c.requests] == [0, 0] and len(c.requests) == 2)
print("end")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, text=True)
    assert (ended.returncode, ended.stdout) == (0, "end\n")


def test_a_forked_child_may_leave_its_block() -> None:
    """A fork inside the `with` ends it without waiting for threads that it does not have; the parent serves on."""
    program = """
import os, sys, requests
from synapse_otel.testing import Collector
with Collector() as collector:
    child = os.fork()
    if not child:
        sys.exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    headers = {"Content-Type": "application/x-protobuf"}
    print(requests.post(collector.http_endpoint + "/v1/logs", data=b"", headers=headers, timeout=5).status_code)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, text=True)
    assert (ended.returncode, ended.stdout) == (0, "7\n200\n")


def test_a_port_that_somebody_took_fails_the_start(collector: Collector) -> None:
    """After `close`, the port may be another's: the start raises, and nothing is left running."""
    collector.close()
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", int(collector.grpc_endpoint.rpartition(":")[2])))
        thief.listen()
        with pytest.raises(OSError, match="Address already in use"):
            collector.start()
        assert not listening(collector.http_endpoint)
    collector.start()
    assert senders.post(collector, BODY).status_code == 200


def test_concurrent_senders_lose_nothing(collector: Collector) -> None:
    """Items of many senders at once arrive exactly once each, and may be read meanwhile."""

    def send(sender: int) -> None:
        send_one: Any = senders.post if sender % 2 else senders.call
        for number in range(5):
            send_one(collector, senders.spans_body(f"{sender}-{number}", f"{sender}+{number}"))
            _ = collector.spans

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    expected = sorted(f"{sender}{sign}{number}" for sender in range(8) for number in range(5) for sign in "-+")
    assert sorted(span.name for span in collector.spans) == expected
    assert [request.status for request in collector.requests] == [200] * 40


def test_two_collectors_do_not_share_anything(collector: Collector) -> None:
    """Each has its own ports, items and faults."""
    with Collector() as other:
        other.fail(BlackHole())
        assert len({c.http_endpoint for c in (collector, other)} | {c.grpc_endpoint for c in (collector, other)}) == 4
        assert senders.post(collector, BODY).status_code == 200
        assert (len(collector.spans), len(other.spans)) == (1, 0)
