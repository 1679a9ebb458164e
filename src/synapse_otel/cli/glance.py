"""A run at a glance: what its first and its last records say, without reading what lies between.

The records of the last segment are counted, but only its last ones are decoded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synapse_otel.cli.delivery_state import DeliveryState, cursors, state, total
from synapse_otel.cli.find import job_of
from synapse_otel.journal import format as fmt
from synapse_otel.journal import records as rec
from synapse_otel.journal.directory import JournalPath, journals_of
from synapse_otel.journal.reader import read_segment

_HEAD = 64 * 1024
_MOST_DECODED = 5000


@dataclass(slots=True)
class JournalGlance:
    """One process of a run at a glance.

    Attributes:
        identity: Who wrote it; None where that cannot be read.
        problem: Why it cannot be read.
        action: The action that the run executes.
        status: The run's status.
        last: The time of the last record.
        progress: The last report of any category.
        records: How many records were written.
        delivery: How far their delivery has come.
    """

    identity: rec.Identity | None = None
    problem: str = ""
    action: str = ""
    status: str = ""
    last: int = 0
    progress: rec.Progress | None = None
    records: int = 0
    delivery: DeliveryState = field(default_factory=DeliveryState)


@dataclass(frozen=True, slots=True)
class RunGlance:
    """A run at a glance: its first process says what it is, all of them say how much there is of it."""

    path: Path
    job_id: str
    journals: list[JournalGlance]

    @property
    def first(self) -> JournalGlance:
        """The process that the run began with; a worker only continues it."""
        readable = [journal for journal in self.journals if journal.identity] or self.journals
        return min(readable, key=_seniority, default=JournalGlance(problem="the run has no journal"))

    @property
    def records(self) -> int:
        """How many records all processes have written."""
        return sum(journal.records for journal in self.journals)

    @property
    def delivery(self) -> DeliveryState:
        """How far the delivery of all of them has come."""
        return total(journal.delivery for journal in self.journals)

    @property
    def problems(self) -> list[str]:
        """Why journals cannot be read."""
        return [journal.problem for journal in self.journals if journal.problem]


def glance(run: Path) -> RunGlance:
    """Return what can be said of a run quickly; journals that cannot be read say why."""
    found = [_journal(path) for path in journals_of(run)]
    job = next((one.identity.job_id for one in found if one.identity), job_of(run))
    return RunGlance(run, job, found)


def _seniority(journal: JournalGlance) -> tuple[bool, int]:
    return (journal.identity.worker, journal.identity.started) if journal.identity else (True, 0)


def _journal(path: JournalPath) -> JournalGlance:
    found = JournalGlance()
    saved = cursors(path)
    live = path.is_live()  # asked before it is read: a run that ends meanwhile has ended
    try:
        _read(path, found)
    except (fmt.JournalError, OSError) as error:
        found.problem = _reason(path, error)
    if not found.status:
        found.status = "running" if live else "crashed" if found.identity else ""
    if found.identity or saved:
        found.delivery = state(saved, found.records)
    if not path.segments() and saved:
        found.problem = ""  # delivered and removed, but for its dead letters
    return found


def _read(path: JournalPath, found: JournalGlance) -> None:
    segments = path.segments()
    if not segments:
        raise fmt.JournalError("the journal is empty")
    error: fmt.JournalError | None = None
    for index in reversed(segments):
        try:
            segment = _Segment(path.segment(index))
        except fmt.NewerFormatError:
            raise
        except fmt.JournalError as failure:
            error = failure
            continue
        found.identity = segment.identity
        found.last = max(found.last, segment.identity.started)
        found.records = found.records or segment.end()
        _look_back(segment, found)
        if found.progress or index < segments[-1]:
            break
    if found.identity is None:
        raise error or fmt.JournalError("the journal is empty")
    found.action = _action(path.segment(segments[0]))


def _look_back(segment: _Segment, found: JournalGlance) -> None:
    for record in segment.backwards():
        if isinstance(record, rec.SegmentOpened):  # no record of the run
            continue
        found.last = max(found.last, record.t)
        if isinstance(record, rec.RunEnded):
            found.status = record.status
        if isinstance(record, rec.Progress):
            found.progress = found.progress or record
            return


class _Segment:
    """The frames of one segment, undecoded."""

    def __init__(self, file: Path) -> None:
        data = read_segment(file)
        self.identity, start = fmt.unpack_header(data, str(file))
        self._frames = [frame.payload or b"" for frame in fmt.frames(data[start:])]

    def end(self) -> int:
        """Return the sequence number behind the segment's last record."""
        last = next(_decoded(self._frames[-1:]), None)
        if isinstance(last, rec.SegmentOpened):  # the journal was closed in order, and says so
            return last.first_seq
        first = next(_decoded(self._frames[:1]), None)
        begin = first.first_seq if isinstance(first, rec.SegmentOpened) else 0
        return begin + max(0, len(self._frames) - 1)

    def backwards(self) -> Iterator[rec.Record]:
        """Yield the last records, the last one first."""
        return _decoded(self._frames[: -_MOST_DECODED - 1 : -1])


def _decoded(payloads: Iterable[bytes]) -> Iterator[rec.Record]:
    for payload in payloads:
        if (record := rec.decoded(payload)) is not None:
            yield record


def _action(first_segment: Path) -> str:
    try:
        data = read_segment(first_segment)[:_HEAD]
        start = fmt.unpack_header(data, str(first_segment))[1]
    except (fmt.JournalError, OSError):
        return ""
    records = _decoded(frame.payload or b"" for frame in fmt.intact_frames(data[start:]))
    return next((record.name for record in records if isinstance(record, rec.ActionNamed)), "")


def _reason(path: JournalPath, error: Exception) -> str:
    """Return what is wrong with a journal, without the directories that the person sees anyway."""
    return str(error).replace(f"{path.run}{os.sep}", "")
