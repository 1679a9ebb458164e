"""The collector of the test kit in a process of its own, told through a pipe what goes wrong and asked what arrived."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from faults.elsewhere import served_elsewhere
from synapse_otel.testing import Answer, Call, Collector, DropConnection, Item


@dataclass(frozen=True)
class Arrived:
    """How many of the numbered messages arrived.

    Attributes:
        in_logs: Distinct ones, in log records.
        on_spans: Distinct ones, in the events of spans.
        anywhere: Distinct ones, in either or as the name of a span.
        repeated: Log records that came more than once with the same id: harmless, backends drop them.
    """

    in_logs: int
    on_spans: int
    anywhere: int
    repeated: int


class RemoteCollector:
    """Calls the methods of a `Collector` in another process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.endpoint: str = pipe.recv()

    def call(self, method: str, *arguments: Any, after: float = 0.0) -> None:
        """Call a method of the collector, now or in so many seconds."""
        self._ask("call", method, arguments, after)

    def arrived(self) -> Arrived:
        """What arrived up to now."""
        return self._ask("arrived")

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextlib.contextmanager
def remote_collector() -> Iterator[RemoteCollector]:
    """Run a collector in a process of its own."""
    with served_elsewhere(_serve) as pipe:
        yield RemoteCollector(pipe)


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
        return _arrived(collector)
    method, rest, after = arguments
    if not after:
        getattr(collector, method)(*rest)
        return None
    timer = threading.Timer(after, getattr(collector, method), rest)
    timer.daemon = True
    timer.start()
    return None


def _arrived(collector: Collector) -> Arrived:
    logs = [record for record in collector.logs if str(record.body).startswith("message ")]
    ids = Counter(record.attributes.get("log.record.uid", index) for index, record in enumerate(logs))
    in_logs = {record.body for record in logs}
    spans = collector.spans
    on_spans = {event.attributes["message"] for span in spans for event in span.events if event.name == "message"}
    named = {span.name for span in spans if span.name.startswith("message ")}
    return Arrived(len(in_logs), len(on_spans), len(in_logs | on_spans | named), repeated=ids.total() - len(ids))
