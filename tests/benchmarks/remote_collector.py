"""The collector of the test kit in a process of its own, told through a pipe what goes wrong and asked what arrived."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from synapse_otel.testing import Answer, Call, Collector, DropConnection, Item


@dataclass(frozen=True)
class Arrived:
    """The numbered messages of a job that arrived.

    Attributes:
        numbers: In log records; a number is there as often as records with different ids carry it.
        on_spans: In the events of spans, as often as different events carry it.
        repeated: Log records that came more than once with the same id: harmless, backends drop them.
        differing: How many of those were not the same in every field.
        status: `synapse.run.status` of the root span, once it is there.
    """

    numbers: Counter[int] = field(default_factory=Counter)
    on_spans: Counter[int] = field(default_factory=Counter)
    repeated: int = 0
    differing: int = 0
    status: str | None = None


class RemoteCollector:
    """Calls the methods of a `Collector` in another process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.endpoint: str = pipe.recv()

    def call(self, method: str, *arguments: Any, after: float = 0.0) -> None:
        """Call a method of the collector, now or in so many seconds."""
        self._ask("call", method, arguments, after)

    def arrived(self, job_id: str | None = None) -> Arrived:
        """What arrived of a job, or of everybody."""
        return self._ask("arrived", job_id)

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextlib.contextmanager
def remote_collector() -> Iterator[RemoteCollector]:
    """Run a collector in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that a child that could not start is an EOFError here and no endless wait
    try:
        yield RemoteCollector(ours)
    finally:
        process.kill()
        process.join()


class DropEveryThird:
    """A fault: every third request meets a closed connection, the others are accepted."""

    def __init__(self) -> None:
        self._count = 0

    def apply(self, call: Call) -> Answer:
        """Accept or hang up."""
        self._count += 1
        return DropConnection("body").apply(call) if self._count % 3 == 0 else call.accept()


@dataclass(frozen=True)
class Says:
    """A predicate: whether an item, or an event on it, is the message `text`."""

    text: str

    def __call__(self, item: Item) -> bool:
        events = getattr(item, "events", ())
        return getattr(item, "body", None) == self.text or any(e.attributes.get("message") == self.text for e in events)


def _serve(pipe: Connection) -> None:
    with Collector(max_items=10_000_000) as collector:
        pipe.send(collector.http_endpoint)
        while True:
            try:
                question = pipe.recv()
            except EOFError:
                return
            try:
                pipe.send(_answer(collector, *question))
            except Exception as error:
                pipe.send(error)


def _answer(collector: Collector, kind: str, *arguments: Any) -> Any:
    if kind == "arrived":
        return _arrived(collector, *arguments)
    method, rest, after = arguments
    if not after:
        getattr(collector, method)(*rest)
        return None
    timer = threading.Timer(after, getattr(collector, method), rest)
    timer.daemon = True
    timer.start()
    return None


def _arrived(collector: Collector, job_id: str | None) -> Arrived:
    records: defaultdict[str, list[Any]] = defaultdict(list)
    for index, record in enumerate(collector.logs):
        if str(record.body).startswith("message ") and job_id in (None, record.resource["job_id"]):
            records[str(record.attributes.get("log.record.uid", index))].append(record)
    spans = [span for span in collector.spans if job_id in (None, span.resource["job_id"])]
    events = {
        (span.span_id, event.time_ns, str(event.attributes.get("message", "")))
        for span in spans
        for event in span.events
    }
    statuses = [status for span in spans if (status := span.attributes.get("synapse.run.status"))]
    return Arrived(
        numbers=Counter(_number(same[0].body) for same in records.values()),
        on_spans=Counter(_number(message) for _, _, message in events if message.startswith("message ")),
        repeated=sum(len(same) - 1 for same in records.values()),
        differing=sum(any(other != same[0] for other in same[1:]) for same in records.values()),
        status=statuses[0] if statuses else None,
    )


def _number(message: str) -> int:
    return int(message.split()[1])
