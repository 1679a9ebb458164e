"""Closes the journal of a process that died."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from synapse_otel.journal import format as fmt
from synapse_otel.journal.cursor import saved_cursors
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import FileLock, open_private, remove_file, replace_file
from synapse_otel.journal.reader import START, JournalReader, Position
from synapse_otel.journal.records import Heartbeat, Identity, Rested, RunEnded, SegmentOpened, encode

CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a journal ends.

    Attributes:
        last: Its last known time.
        position: Behind its last record.
        ended: Whether the run was ended.
        rested: Where the process had done all that it was given: how that ended.
    """

    last: int
    position: Position
    ended: bool
    rested: Rested | None = None


def ending(path: JournalPath) -> Ending:
    """Return how a journal ends; of a long one only the end is read.

    Raises:
        JournalError: If the journal cannot be read.
    """
    reader = JournalReader(path)
    started = reader.identity().started
    # The last two segments: when the end of the run is recorded, another thread may fill up the one it is in.
    before = Position(min(path.segments()[-2:], default=0))
    return _ending(reader, before, started) or _ending(reader, START, started) or Ending(started, START, ended=False)


def close_crashed(path: JournalPath) -> bool:
    """End the run of a dead process at its last known time; return whether that was necessary.

    It has crashed, unless the process had done all that it was given.

    The record goes into a segment of its own, so that a torn tail stays as it is and the same record is read by
    everybody who ships or shows the run. Nothing happens to the journal of a living process, nor to one that ended.

    Raises:
        JournalError: If the journal cannot be read.
        OSError: If the record cannot be written.
    """
    lock = FileLock(path.writer_lock)
    if not lock.acquire():
        return False
    try:
        identity, found = JournalReader(path).identity(), ending(path)
        if found.ended:
            return False
        _tidy(path, found.position)
        _write_end(path, identity, found)
        return True
    finally:
        lock.release()


def _ending(reader: JournalReader, begin: Position, started: int) -> Ending | None:
    last, position, ended = started, begin, False
    rested: Rested | None = None
    for entry in reader.entries(begin):
        position = entry.after
        if rested and isinstance(entry.record, Heartbeat):
            continue  # the run has ended when there was nothing left to do
        last = max(last, entry.record.t)
        ended = ended or isinstance(entry.record, RunEnded)
        rested = entry.record if isinstance(entry.record, Rested) else None
    return Ending(last, position, ended, rested) if position != begin else None


def _write_end(path: JournalPath, identity: Identity, found: Ending) -> None:
    # Behind everything that was delivered, also from memory, which is not in the segments.
    reached = [place for cursor in saved_cursors(path) for place in (cursor.position, *cursor.ends)]
    index = 1 + max(place.segment for place in (found.position, *reached, *map(Position, path.segments())))
    seq = max(place.seq for place in (found.position, *reached))
    end = RunEnded(found.last, CRASHED, "the process died without ending the run")
    if found.rested is not None:
        end = RunEnded(found.last, found.rested.status, found.rested.message)
    records = (SegmentOpened(found.last, seq), end)
    content = fmt.pack_header(identity) + b"".join(fmt.pack_frame(encode(record)) for record in records)
    replace_file(path.path / "recovered", path.segment(index), content)


def _tidy(path: JournalPath, end: Position) -> None:
    """Give back what the dead process had allocated and not written."""
    for spare in path.spares():
        remove_file(spare)
    last = max(path.segments())
    _cut_zeros(path.segment(last), end.offset if end.segment == last else 0)


def _cut_zeros(file: Path, least: int) -> None:
    try:
        with os.fdopen(open_private(file, os.O_RDWR), "r+b") as segment:
            content = segment.read(fmt.MAX_SEGMENT + 1)
            if len(content) <= fmt.MAX_SEGMENT:  # else it is none of ours
                segment.truncate(max(least, len(content.rstrip(b"\0"))))
    except OSError:
        return
