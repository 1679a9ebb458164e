"""A lane narrows what is refused down to the record, and nothing that one record does stops it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from synapse_otel.export.delivery import report
from synapse_otel.export.lane import Lane
from synapse_otel.export.notices import Notices
from synapse_otel.export.outcome import DELIVERED, Outcome, Verdict
from synapse_otel.journal.cursor import CursorFile
from synapse_otel.journal.records import Identity, Message, Record
from synapse_otel.journal.writer import Journal
from synapse_otel.projection.resource import Origin


class Plain:
    """A projection that shows each message as its text, and stumbles over some."""

    def __init__(self, origin: Origin, state: bytes) -> None:
        self.count = int(state or b"0")

    def project(self, record: Record, seq: int) -> Sequence[str]:
        assert isinstance(record, Message)
        if record.text == "broken":
            raise OverflowError("a made-up error")
        self.count += 1
        return [f"{self.count}:{record.text}"]

    def snapshot(self) -> bytes:
        return str(self.count).encode()


class Shelf:
    """An exporter that keeps what it gets, unless something in it is poisoned."""

    place = "a shelf"

    def __init__(self, poison: str = "poison") -> None:
        self.kept: list[str] = []
        self.requests = 0
        self._poison = poison

    def encode(self, items: Sequence[Any], origin: Origin) -> bytes:
        return "\n".join(items).encode()

    def send(self, body: bytes) -> Outcome:
        self.requests += 1
        texts = body.decode().split("\n") if body else []
        if any(text.endswith(self._poison) for text in texts):
            return Outcome(Verdict.REFUSED, "poisoned")
        self.kept += texts
        return DELIVERED

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    identity = Identity(
        journal_id="a" * 32,
        job_id="job-1",
        name="run",
        trace_id=os.urandom(16),
        span_id=os.urandom(8),
        parent_span_id=b"",
        started=time.time_ns(),
        resource={},
    )
    return Journal(tmp_path, identity)


def lane_of(journal: Journal, exporter: Shelf) -> Lane:
    assert journal.path
    return Lane(
        "logs",
        journal,
        Origin(journal.identity, "0"),
        Plain,
        exporter,
        CursorFile(journal.path.cursor("logs")),
        Notices(),
        journal.path.dead_letters,
    )


def run(lane: Lane) -> None:
    while lane.step(time.monotonic()):
        pass


@pytest.mark.parametrize("bad", ["poison", "broken"])
@pytest.mark.parametrize("places", [[0], [500], [999], [0, 1, 999], [10, 11, 12, 13], []])
def test_bad_records_do_not_take_their_neighbours_along(journal: Journal, bad: str, places: list[int]) -> None:
    """Refused or unencodable records are dead letters, the others are delivered in order, each once."""
    for number in range(1000):
        journal.append(Message(1, b"", b"", bad if number in places else str(number), "info"))
    exporter = Shelf()
    lane = lane_of(journal, exporter)
    run(lane)
    texts = [kept.split(":")[1] for kept in exporter.kept]
    assert texts == [str(number) for number in range(1000) if number not in places]
    counts = report(journal, [lane.tally]).by_kind["message"]
    assert (counts.accepted, counts.delivered, counts.dead_lettered) == (1000, 1000 - len(places), len(places))
    assert exporter.requests <= 2 + 22 * max(1, len(places))


def test_another_process_goes_on_in_the_middle_of_the_narrowing(journal: Journal) -> None:
    """After any number of requests the lane can be taken over, and in the end all is delivered once."""
    for number in range(100):
        journal.append(Message(1, b"", b"", "poison" if number == 42 else str(number), "info"))
    exporter = Shelf()
    while (lane := lane_of(journal, exporter)).step(time.monotonic()):
        lane.save()
    texts = [kept.split(":")[1] for kept in exporter.kept]
    assert texts == [str(number) for number in range(100) if number != 42]
    assert report(journal, [lane.tally]).dead_lettered == 1


class Divided(Plain):
    """A projection that makes eight items of each message."""

    def project(self, record: Record, seq: int) -> Sequence[str]:
        assert isinstance(record, Message)
        return [f"{part}:{record.text}{'-poison' if part in (2, 5) else ''}" for part in range(8)]


class Flapping(Shelf):
    """A shelf that is away for every third request."""

    def send(self, body: bytes) -> Outcome:
        if self.requests % 3 == 2:
            self.requests += 1
            return Outcome(Verdict.RETRY, "away")
        return super().send(body)


def test_the_parts_of_a_refused_record_are_sent_once_whatever_happens_between(journal: Journal) -> None:
    """Outages and crashes in the middle of the dividing repeat no part that was taken, nor the whole."""
    for number in range(3):
        journal.append(Message(1, b"", b"", str(number), "info"))
    assert journal.path
    exporter = Flapping("-poison")
    for _ in range(200):
        lane = lane_of(journal, exporter)
        lane._projection = Divided
        lane.step(time.monotonic() + 1000)
        lane.save()
    expected = [f"{part}:{number}" for number in range(3) for part in range(8) if part not in (2, 5)]
    assert exporter.kept == expected
    counts = report(journal, [lane.tally])
    assert (counts.accepted, counts.dead_lettered, counts.pending) == (3, 3, 0)
