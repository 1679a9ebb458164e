"""Closes the journal of a process that died."""

from __future__ import annotations

import os
from dataclasses import dataclass

from synapse_otel.journal import format as fmt
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import FileLock, open_private
from synapse_otel.journal.reader import JournalReader
from synapse_otel.journal.records import Identity, RunEnded, SegmentOpened, encode

CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a journal ends: its last known time and sequence number, and whether the run was ended."""

    last: int
    next_seq: int
    ended: bool


def ending(path: JournalPath, identity: Identity) -> Ending:
    """Read a journal through to its end."""
    last, next_seq, ended = identity.started, 0, False
    for entry in JournalReader(path):
        last = max(last, entry.record.t)
        next_seq = entry.after.seq
        ended = ended or isinstance(entry.record, RunEnded)
    return Ending(last, next_seq, ended)


def close_crashed(path: JournalPath) -> bool:
    """End the run of a dead process as crashed, at its last known time; return whether that was necessary.

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
        identity = JournalReader(path).identity()
        found = ending(path, identity)
        if found.ended:
            return False
        opened = fmt.pack_frame(encode(SegmentOpened(found.last, found.next_seq)))
        ended = fmt.pack_frame(encode(RunEnded(found.last, CRASHED, "the process died without ending the run")))
        _write_segment(path, fmt.pack_header(identity) + opened + ended)
        return True
    finally:
        lock.release()


def _write_segment(path: JournalPath, content: bytes) -> None:
    temporary = path.path / "recovered"
    fd = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    index = max(path.segments(), default=0) + 1
    temporary.rename(path.segment(index))
