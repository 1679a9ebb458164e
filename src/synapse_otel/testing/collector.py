"""The collector: a real OTLP receiver for tests, over HTTP and gRPC at once."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Condition, RLock
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from synapse_otel.testing.decoded import LogRecord, Point, Span
from synapse_otel.testing.faults import Fault
from synapse_otel.testing.grpc_front import GrpcFront
from synapse_otel.testing.http_front import HttpFront
from synapse_otel.testing.ports import HOST, ReservedPort
from synapse_otel.testing.receiver import Receiver
from synapse_otel.testing.request_log import Request, RequestLog
from synapse_otel.testing.schedule import FaultSchedule
from synapse_otel.testing.signals import SIGNALS, Protocol, Signal
from synapse_otel.testing.store import Store
from synapse_otel.testing.summary import summarize
from synapse_otel.testing.tls import ServerTLS
from synapse_otel.testing.waiting import wait_until

MESSAGE_EVENT = "synapse.message"


class Collector:
    """An OTLP receiver on 127.0.0.1 that keeps what it receives and misbehaves on demand.

    It serves OTLP over HTTP (protobuf) and over gRPC, each on an ephemeral port of its own. Nothing of it keeps the
    interpreter alive.

    >>> with Collector() as collector:  # doctest: +SKIP
    ...     collector.fail(Status(503, retry_after=1), times=2)
    ...     run_something(env=collector.env("grpc"))
    ...     assert collector.span("train").status == "ok"

    Args:
        tls: The certificate to serve with; plain text without.
        headers: What every request must carry, such as `{"authorization": "Bearer x"}`; others are answered 401 or
            UNAUTHENTICATED.
        signals: Which signals are served; requests for others are answered 404 or UNIMPLEMENTED, as Jaeger does.
        max_request_bytes: The most bytes of a decompressed request; larger ones are answered 413 or RESOURCE_EXHAUSTED.
        max_items: How many spans, log records and data points are kept; those beyond are accepted and counted in
            `overflow`.

    Attributes:
        faults: What goes wrong next; `fail`, `failing` and `heal` are the short ways to it.
        tls: The certificate to serve with from the next `start` on: one that expired is renewed so.
    """

    def __init__(
        self,
        *,
        tls: ServerTLS | None = None,
        headers: Mapping[str, str] | None = None,
        signals: Iterable[Signal] = SIGNALS,
        max_request_bytes: int = 4 * 2**20,
        max_items: int = 1_000_000,
    ) -> None:
        self.faults = FaultSchedule()
        self.tls = tls
        self._changed = Condition()
        self._store = Store(max_items, self._changed)
        self._log = RequestLog(self._changed)
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        self._limit = max_request_bytes
        self._receiver = Receiver(_known(signals), self._headers, self.faults, self._store, self._log)
        self._lifecycle = RLock()
        self._http_port, self._grpc_port = ReservedPort(), ReservedPort()
        self._pid = os.getpid()
        self._fronts: list[HttpFront | GrpcFront] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Begin to serve; after a `stop`, on the same ports. Does nothing while it serves."""
        with self._lifecycle:
            if self._fronts:
                return
            self._pid = os.getpid()
            self._http_port.reserve()
            self._grpc_port.reserve()
            try:
                self._fronts.append(HttpFront(self._receiver, self._http_port.number, self._limit, self.tls))
                self._fronts.append(GrpcFront(self._receiver, self._grpc_port.number, self._limit, self.tls))
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Close all connections and refuse new ones: an outage. What was received is kept. Stopping twice is fine."""
        with self._lifecycle:
            if os.getpid() != self._pid:  # a forked child has none of the threads that there would be to wait for
                self._fronts.clear()
            while self._fronts:
                self._fronts.pop().stop()

    def close(self) -> None:
        """Stop, and give the ports back, so that they may be somebody else's by the next `start`."""
        with self._lifecycle:
            self.stop()
            self._http_port.release()
            self._grpc_port.release()

    @property
    def http_endpoint(self) -> str:
        """The base URL for OTLP over HTTP, without a slash at its end."""
        return self._url(self._http_port)

    @property
    def grpc_endpoint(self) -> str:
        """The URL for OTLP over gRPC."""
        return self._url(self._grpc_port)

    def env(self, protocol: Protocol = "http/protobuf") -> dict[str, str]:
        """The environment variables that point an OpenTelemetry SDK here.

        The required headers are among them; certificates are not, as they would have to be files.
        """
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.grpc_endpoint if protocol == "grpc" else self.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        if self._headers:
            pairs = (f"{quote(name)}={quote(value)}" for name, value in self._headers.items())
            variables["OTEL_EXPORTER_OTLP_HEADERS"] = ",".join(pairs)
        return variables

    @property
    def spans(self) -> list[Span]:
        """All spans accepted, in order of arrival, duplicates included."""
        return self._store.items("traces")

    @property
    def logs(self) -> list[LogRecord]:
        """All log records accepted, in order of arrival, duplicates included."""
        return self._store.items("logs")

    @property
    def points(self) -> list[Point]:
        """All data points accepted, in order of arrival, duplicates included."""
        return self._store.items("metrics")

    @property
    def messages(self) -> list[Any]:
        """The bodies of the log records that are messages for the user."""
        return [record.body for record in self.logs if record.event_name == MESSAGE_EVENT]

    @property
    def requests(self) -> list[Request]:
        """The requests that arrived, in that order, refused and unanswered ones included; the last 100,000."""
        return self._log.snapshot()

    @property
    def accepted(self) -> dict[Signal, int]:
        """How many items were accepted of each signal; cheap, as nothing is decoded for it."""
        return self._store.accepted()

    @property
    def overflow(self) -> int:
        """How many items were accepted but not kept, because there were `max_items`."""
        return self._store.overflow

    def clear(self) -> None:
        """Forget what was received; the faults stay."""
        self._store.clear()
        self._log.clear()

    def fail(self, fault: Fault, times: int | None = None, signal: Signal | None = None) -> None:
        """Let requests meet a fault, after the faults that are scheduled before it.

        Args:
            fault: What happens.
            times: To how many requests; `None` for all until `heal`.
            signal: To requests of which signal; `None` for all.
        """
        self.faults.add(fault, times, signal)

    @contextmanager
    def failing(self, fault: Fault, signal: Signal | None = None) -> Iterator[None]:
        """Let all requests meet a fault while the block runs."""
        entry = self.faults.add(fault, signal=signal)
        try:
            yield
        finally:
            self.faults.remove(entry)

    def heal(self) -> None:
        """Take all faults away; requests that are meeting one go on to do so."""
        self.faults.clear()

    def span(self, name: str) -> Span:
        """The one span of a name.

        Raises:
            AssertionError: If there is none or more than one; it lists the names that there are.
        """
        spans = self.spans
        found = [span for span in spans if span.name == name]
        if len(found) != 1:
            names = dict(Counter(span.name for span in spans))
            raise AssertionError(f"expected exactly one span {name!r}, got {len(found)}; spans received: {names}")
        return found[0]

    def points_of(self, metric: str, /, **attributes: object) -> list[Point]:
        """The data points of a metric, in order of arrival.

        Args:
            metric: Its name.
            **attributes: What their attributes must be; `**{"synapse.category": "train"}` for names with a dot.
        """
        wanted = attributes.items()
        return [point for point in self.points if point.metric == metric and wanted <= point.attributes.items()]

    def wait_for(self, predicate: Callable[["Collector"], object], timeout: float = 10.0) -> bool:
        """Wait until something holds; it is looked at after each arrival and at least every 20 ms.

        Args:
            predicate: Gets this collector; an AssertionError in it counts as not yet.
            timeout: How long, in seconds.

        Returns:
            True.

        Raises:
            AssertionError: After the time-out; it says what arrived.
        """
        wait_until(lambda: predicate(self), self._changed, timeout, lambda: summarize(self))
        return True

    def _url(self, port: ReservedPort) -> str:
        return f"{'https' if self.tls else 'http'}://{HOST}:{port.number}"


def _known(signals: Iterable[Signal]) -> frozenset[Signal]:
    served = frozenset(signals)
    if not served <= SIGNALS:
        raise ValueError(f"signals must be among {sorted(SIGNALS)}, not {sorted(served - SIGNALS)}")
    return served
