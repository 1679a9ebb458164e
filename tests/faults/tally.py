"""A collector in a process of its own that counts what arrives and keeps nothing else: as flat as what it measures."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from faults.elsewhere import served_elsewhere
from synapse_otel.testing import Answer, Call, Collector, Item, LogRecord, Point, Span


class Numbers:
    """How often each number came; a byte for each."""

    def __init__(self) -> None:
        self._counts = bytearray()

    def add(self, number: int) -> None:
        """Count a number."""
        if number >= len(self._counts):
            self._counts.extend(bytes(max(1024, number + 1 - len(self._counts))))
        self._counts[number] = min(255, self._counts[number] + 1)

    @property
    def distinct(self) -> int:
        """How many numbers came at all."""
        return len(self._counts) - self._counts.count(0)

    @property
    def repeated(self) -> int:
        """How many came beyond those."""
        return sum(self._counts) - self.distinct


@dataclass(frozen=True)
class Arrived:
    """What arrived of a run that reports numbers.

    Attributes:
        in_logs: Distinct messages in log records.
        on_spans: Distinct messages in the events of spans.
        samples: Distinct samples of the metric.
        repeated: All of these that came again.
        progress: The highest progress.
        statuses: `synapse.run.status` of the spans that have one, in the order of their arrival.
    """

    in_logs: int
    on_spans: int
    samples: int
    repeated: int
    progress: float
    statuses: list[str] = field(default_factory=list)


class Tally:
    """What happens to a request: its numbers are counted, then it is accepted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_logs, self._on_spans, self._samples = Numbers(), Numbers(), Numbers()
        self._progress = 0.0
        self._statuses: list[str] = []

    def apply(self, call: Call) -> Answer:
        """Count and accept."""
        with self._lock:
            for item in call.items:
                self._count(item)
        return call.accept()

    def arrived(self) -> Arrived:
        """What arrived up to now."""
        with self._lock:
            numbers = (self._in_logs, self._on_spans, self._samples)
            return Arrived(
                *(counted.distinct for counted in numbers),
                repeated=sum(counted.repeated for counted in numbers),
                progress=self._progress,
                statuses=list(self._statuses),
            )

    def _count(self, item: Item) -> None:
        match item:
            case LogRecord():
                _count_message(self._in_logs, item.body)
            case Span():
                for event in item.events:
                    _count_message(self._on_spans, event.attributes.get("message"))
                if status := item.attributes.get("synapse.run.status"):
                    self._statuses.append(status)
            case Point(metric="synapse.metric.number"):
                self._samples.add(int(item.value))
            case Point(metric="synapse.progress.current"):
                self._progress = max(self._progress, item.value)


def _count_message(numbers: Numbers, text: Any) -> None:
    if isinstance(text, str) and text.startswith("message "):
        numbers.add(int(text.split(maxsplit=2)[1]))


class TallyingCollector:
    """The collector, asked through a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.endpoint: str = pipe.recv()

    def arrived(self) -> Arrived:
        """What arrived up to now."""
        self._pipe.send(None)
        return self._pipe.recv()


@contextlib.contextmanager
def tallying_collector() -> Iterator[TallyingCollector]:
    """Run the collector."""
    with served_elsewhere(_serve) as pipe:
        yield TallyingCollector(pipe)


def _serve(pipe: Connection) -> None:
    tally = Tally()
    with Collector(max_items=0) as collector:
        collector.fail(tally)
        pipe.send(collector.http_endpoint)
        with contextlib.suppress(EOFError):
            while True:
                pipe.recv()
                pipe.send(tally.arrived())
