"""The collector for tests is bounded, whatever is sent to it, and nobody from elsewhere can send anything."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
import requests

from synapse_otel.testing import Collector, request_log, store
from testing import senders

LIMIT = 4 * 2**20
MEMORY = 64 * 2**20
"""Bytes that a request of four megabytes may cost."""


def _squeezed(bits: int) -> bytes:
    """A quarter of a gigabyte, in a quarter of a megabyte."""
    squeeze = zlib.compressobj(wbits=bits)
    return b"".join([*(squeeze.compress(bytes(2**20)) for _ in range(256)), squeeze.flush()])


BOMBS = {
    "gzip": ("gzip", _squeezed(31), 413),
    "deflate": ("deflate", _squeezed(15), 413),
    "raw deflate": ("deflate", _squeezed(-15), 413),
    "gzip in a row": ("gzip", gzip.compress(bytes(2**20), mtime=0) * 256, 413),
    "many empty gzip streams": ("gzip", gzip.compress(b"", mtime=0) * (LIMIT // 20), 200),
    "zstd": ("zstd", b"\x28\xb5\x2f\xfd" + bytes(1000), 415),
    "brotli": ("br", bytes(1000), 415),
    "twice": ("gzip, gzip", gzip.compress(gzip.compress(bytes(2**20))), 415),
}


@pytest.mark.parametrize(("encoding", "body", "status"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_neither_memory_nor_time(encoding: str, body: bytes, status: int) -> None:
    """What would expand to hundreds of megabytes, or has very many streams, costs little of both."""
    with Collector() as collector:
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": encoding}
        url = collector.http_endpoint + "/v1/traces"
        tracemalloc.start()
        try:
            began = time.process_time()
            answer = requests.post(url, data=body, headers=headers, timeout=60)
            took, (_, most) = time.process_time() - began, tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert answer.status_code == status
        assert took < 10
        assert most < MEMORY


def test_what_is_kept_of_requests_has_a_bound_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of too many bytes are counted and no longer kept, and long headers push out older requests."""
    body = senders.spans_body("a" * 1000)
    monkeypatch.setattr(store, "MAX_BYTES", 3 * len(body))
    monkeypatch.setattr(request_log, "MAX_HEAD_BYTES", 4500)
    with Collector() as collector:
        for _ in range(5):
            assert senders.post(collector, body).status_code == 200
        assert (len(collector.spans), collector.overflow, collector.accepted["traces"]) == (3, 2, 5)
        assert senders.post(collector, body, filler="x" * 4000).status_code == 200
        assert len(collector.requests) < 5
        collector.clear()
        senders.post(collector, body)
        assert (len(collector.spans), len(collector.requests)) == (1, 1)


def test_only_this_machine_can_reach_it() -> None:
    """Both ports are listened on at addresses of this machine, and at no other."""
    with Collector() as collector:
        ports = {int(url.rpartition(":")[2]) for url in (collector.http_endpoint, collector.grpc_endpoint)}
        listening = [(address, port) for address, port in _listening() if port in ports]
        assert {port for _, port in listening} == ports
        assert {address.removeprefix("::ffff:") for address, _ in listening} == {"127.0.0.1"}


def _listening() -> list[tuple[str, int]]:
    """The addresses and ports that are listened on, as the kernel knows them."""
    found = []
    for file, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path("/proc/net", file).read_text().splitlines()[1:] if Path("/proc/net", file).exists() else ():
            (address, port), state = line.split()[1].split(":"), line.split()[3]
            if state == "0A":
                words = bytes.fromhex(address)
                raw = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                found.append((socket.inet_ntop(family, raw), int(port, 16)))
    return found
