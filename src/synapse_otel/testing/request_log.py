"""Which requests reached the collector, and what they were answered."""

from collections import deque
from dataclasses import dataclass, replace
from itertools import count
from threading import Condition
from typing import Any

from synapse_otel.testing.signals import Protocol, Signal

MAX_REQUESTS = 100_000
MAX_BODIES = 1000
MAX_BODY_BYTES = 64 * 2**20
MAX_HEAD_BYTES = 256 * 2**20
"""Bytes of the paths and headers of the requests that are remembered."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that reached the collector, accepted or not.

    Attributes:
        signal: What it carries; `None` for a path that is none of OTLP's.
        protocol: `http/protobuf` or `grpc`.
        path: The path it was posted to, or the gRPC method.
        headers: Its headers (gRPC: its metadata), names in lower case.
        time: When it arrived, seconds of `time.monotonic()`.
        size: Bytes of its decompressed body; 0 where the body was not read.
        items: How many spans, log records or data points it carries; 0 where they were not read.
        status: The HTTP status of the answer, for gRPC the one that corresponds; `None` without an answer, be it that
            there is none yet or that there will be none.
        body: The decompressed protobuf. Kept for the last 1000 requests and 64 MiB, empty before that.
    """

    signal: Signal | None
    protocol: Protocol
    path: str
    headers: dict[str, str]
    time: float
    size: int = 0
    items: int = 0
    status: int | None = None
    body: bytes = b""


class RequestLog:
    """The last 100,000 requests, fewer where they have long headers, in order of arrival; safe to use from any thread.

    Args:
        changed: Guards the state, and is notified of every change of it.
    """

    def __init__(self, changed: Condition) -> None:
        self._changed = changed
        self._numbers = count()
        self._requests: dict[int, Request] = {}
        self._bodies: deque[tuple[int, int]] = deque()
        self._body_bytes = self._head_bytes = 0

    def clear(self) -> None:
        """Forget everything."""
        with self._changed:
            self._requests.clear()
            self._bodies.clear()
            self._body_bytes = self._head_bytes = 0

    def snapshot(self) -> list[Request]:
        """The requests as they are known now."""
        with self._changed:
            return list(self._requests.values())

    def arrived(self, request: Request) -> int:
        """Note a request; the number it gets is what it is updated by."""
        with self._changed:
            number = next(self._numbers)
            self._requests[number] = request
            self._head_bytes += _head_size(request)
            while len(self._requests) > MAX_REQUESTS or self._head_bytes > MAX_HEAD_BYTES:
                self._head_bytes -= _head_size(self._requests.pop(next(iter(self._requests))))
            self._changed.notify_all()
            return number

    def read(self, number: int, body: bytes) -> None:
        """Note the body of a request."""
        with self._changed:
            self._update(number, body=body, size=len(body))
            self._bodies.append((number, len(body)))
            self._body_bytes += len(body)
            while len(self._bodies) > MAX_BODIES or self._body_bytes > MAX_BODY_BYTES:
                oldest, size = self._bodies.popleft()
                self._body_bytes -= size
                self._update(oldest, body=b"")

    def decoded(self, number: int, items: int) -> None:
        """Note how many items a request carries."""
        with self._changed:
            self._update(number, items=items)

    def answered(self, number: int, status: int | None) -> None:
        """Note what a request was answered."""
        with self._changed:
            self._update(number, status=status)

    def _update(self, number: int, **changes: Any) -> None:
        if number in self._requests:  # it may have been forgotten since
            self._requests[number] = replace(self._requests[number], **changes)
            self._changed.notify_all()


def _head_size(request: Request) -> int:
    return len(request.path) + sum(len(name) + len(value) for name, value in request.headers.items())
