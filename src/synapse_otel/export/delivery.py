"""The delivery of one journal: a lane for each signal that is sent, and what may be removed afterwards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from synapse_otel.export.exporters import Exporter
from synapse_otel.export.lane import Lane, MakeProjection, behind
from synapse_otel.export.notices import Notices
from synapse_otel.export.settings import Signal
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.reader import START, Position, Source
from synapse_otel.journal.records import Dropped
from synapse_otel.journal.writer import Journal
from synapse_otel.models import Counts, DeliveryReport
from synapse_otel.projection.resource import Origin


@dataclass(frozen=True, slots=True)
class Destination:
    """Where journals are delivered to, and how.

    Attributes:
        exporters: One for each signal that is sent; without any, nothing is.
        notices: Tells a person what is wrong.
        interval: Seconds between two repetitions of the progress gauges.
        keep: Whether a delivered journal is kept.
    """

    exporters: Mapping[Signal, Exporter] = field(default_factory=dict)
    notices: Notices = field(default_factory=Notices)
    interval: float = 60.0
    keep: bool = False

    def close(self) -> None:
        """Let the connections go."""
        for exporter in self.exporters.values():
            exporter.close()

    def projection(self, signal: Signal) -> MakeProjection:
        """Return what makes the projection of `signal`."""
        # With them comes the SDK's data model, which a process that has an agent send does without.
        match signal:
            case "traces":
                from synapse_otel.projection.spans import SpanProjection

                return SpanProjection
            case "logs":
                from synapse_otel.projection.logs import LogProjection

                return LogProjection
            case "metrics":
                from synapse_otel.projection.metrics import MetricProjection

                return partial(MetricProjection, interval=int(self.interval * 1e9))


class Delivery:
    """Delivers one journal, signal by signal.

    Args:
        source: The journal.
        origin: Who wrote it.
        destination: Where to.
        path: Where the journal's files are, None where it has none.
    """

    def __init__(self, source: Source, origin: Origin, destination: Destination, path: JournalPath | None) -> None:
        self._source = source
        self._destination = destination
        self._path = path
        self._trimmed = 0
        self.guard = threading.Lock()
        self.lanes = [
            Lane(
                signal,
                source,
                origin,
                destination.projection(signal),
                exporter,
                CursorFile(path.cursor(signal) if path else None),
                destination.notices,
                path.dead_letters if path else None,
                self.guard,
            )
            for signal, exporter in destination.exporters.items()
        ]

    def step(self, now: float) -> bool:
        """Let every lane send what it can; return whether one has moved."""
        moved = [lane.step(now) for lane in self.lanes]
        return any(moved)

    def delivered(self, seq: int) -> bool:
        """Return whether the records before `seq` were delivered to every endpoint that serves its signal."""
        return any(not lane.unserved for lane in self.lanes) and not any(behind(lane, seq) for lane in self.lanes)

    def waiting_until(self) -> float:
        """Return when, on the monotonic clock, a lane that backs off goes on; infinity where none does."""
        return min(
            (lane.not_before for lane in self.lanes if lane.not_before and not lane.unserved), default=float("inf")
        )

    def hurry(self) -> None:
        """Let lanes that back off try again now."""
        for lane in self.lanes:
            lane.hurry()

    def save(self) -> None:
        """Note how far every signal has come."""
        for lane in self.lanes:
            lane.save()

    def low_water(self) -> int:
        """Return the number of records that every lane has left behind."""
        return min((lane.position.seq for lane in self.lanes if not lane.unserved), default=0)

    def trim(self) -> None:
        """Remove the segments that every signal has left behind, unless delivered journals are kept."""
        if self._destination.keep or not self._path or not self.lanes or any(lane.unserved for lane in self.lanes):
            return
        reached = min(lane.position.segment for lane in self.lanes)
        if reached <= self._trimmed:
            return
        self._trimmed = reached
        for index in self._path.segments():
            if index < reached:
                self._path.segment(index).unlink(missing_ok=True)

    def clean_up(self) -> None:
        """Remove a journal that was delivered as a whole, unless it is kept or something in it was refused."""
        if self._destination.keep or not self._path or any(lane.unserved for lane in self.lanes):
            return
        if self._path.dead_letters.exists():
            for index in self._path.segments():
                self._path.segment(index).unlink(missing_ok=True)
        else:
            self._path.remove()

    def report(self, lost: Counter[str] | None = None) -> DeliveryReport:
        """Return what became of the records, with those that were `lost` from memory, by kind."""
        return report(self._source, self.cursors(), lost)

    def cursors(self) -> list[Cursor]:
        """Return how far the signals have come, those that the endpoint serves if there are any."""
        return [lane.tally for lane in self.lanes if not lane.unserved] or [lane.tally for lane in self.lanes]


def counts(journal: Journal, cursors: list[Cursor]) -> dict[str, int]:
    """Return what became of the records of a journal that is being written, see `Heartbeat`; of it one record is read.

    Args:
        journal: The journal.
        cursors: How far the signals have come, those that the endpoint serves if there are any.
    """
    slowest = _slowest(cursors)
    accepted, pending = journal.next_seq, journal.pending(slowest.position.seq)
    dropped = sum(slowest.dropped.values()) + (journal.memory.dropped.total() if journal.memory else 0)
    refused = Counter[str]()
    for cursor in cursors:
        refused |= Counter(cursor.dead_lettered)
    taken = max(0, accepted - pending - dropped)
    dead_lettered = min(refused.total(), taken)
    return {
        "accepted": accepted,
        "delivered": taken - dead_lettered,
        "pending": pending,
        "dropped": dropped,
        "dead_lettered": dead_lettered,
        "size": journal.path.size() if journal.path else 0,
        "oldest": oldest_pending(journal, cursors) if pending else 0,
    }


def oldest_pending(source: Source, cursors: list[Cursor]) -> int:
    """Return the time of the oldest record of a journal that is still to be sent; 0 where there is none."""
    slowest = min((cursor.position for cursor in cursors), key=lambda position: position.seq, default=START)
    with suppress(JournalError):
        for entry in source.read(slowest, 1, 1).entries:
            return entry.record.t
    return 0


def _slowest(cursors: list[Cursor]) -> Cursor:
    """Return the cursor that tells what was delivered; of several the one that found most records gone."""
    return min(cursors, key=lambda at: (at.position.seq, -sum(at.dropped.values())), default=Cursor())


def report(source: Source, cursors: list[Cursor], lost: Counter[str] | None = None) -> DeliveryReport:
    """Return what became of the records of a journal, given how far the signals have come.

    A record counts as delivered when every signal has passed it.
    """
    slowest = _slowest(cursors)
    pending, gone = _count(source, slowest.position)
    gone += lost or Counter()
    passed, dropped = Counter(slowest.passed) + gone, Counter(slowest.dropped) + gone
    refused = Counter[str]()
    for cursor in cursors:
        refused |= Counter(cursor.dead_lettered)
    kinds = sorted({*passed, *pending, *dropped})
    return DeliveryReport({kind: _counts(passed[kind], pending[kind], dropped[kind], refused[kind]) for kind in kinds})


def _counts(passed: int, pending: int, dropped: int, refused: int) -> Counts:
    passed = max(passed, dropped)
    refused = min(refused, passed - dropped)
    return Counts(passed + pending, passed - dropped - refused, pending, dropped, refused)


def _count(source: Source, position: Position) -> tuple[Counter[str], Counter[str]]:
    """Return how many records there are behind a position, and how many that were there went or are damaged."""
    counts, gone = Counter[str](), Counter[str]()
    while (batch := source.read(position, 10_000, 1024 * 1024)).after != position:
        position = batch.after
        gone["damaged"] += batch.missing
        for entry in batch.entries:
            if isinstance(entry.record, Dropped):
                gone.update(entry.record.counts)
            else:
                counts[entry.record.kind] += 1
    return counts, +gone


__all__ = ["Delivery", "Destination", "counts", "oldest_pending", "report"]
