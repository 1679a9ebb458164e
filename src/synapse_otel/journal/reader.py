"""Reads a journal from a position on, whether its writer lives or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from synapse_otel.journal import format as fmt
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.records import Dropped, Identity, Record, SegmentOpened, decode

_HEADER_READ = 64 * 1024
_CHUNK = 1024 * 1024


class Position(msgspec.Struct, frozen=True, array_like=True):
    """A place between two records: the segment, the offset in it and the number of records before it.

    An offset of zero is the beginning of the segment, before its header.
    """

    segment: int = 0
    offset: int = 0
    seq: int = 0


START = Position()


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, its sequence number and the position behind it."""

    record: Record
    seq: int
    after: Position


@dataclass(slots=True)
class Batch:
    """What one read gave: entries in order, where they end, and how many records were found damaged or gone."""

    after: Position
    entries: list[Entry] = field(default_factory=list)
    missing: int = 0
    size: int = 0


class Source(Protocol):
    """Something that records can be read from again and again."""

    def read(self, position: Position, max_records: int, max_bytes: int) -> Batch:
        """Return the records behind `position`: at least one if there is one, then as many as both limits allow."""


class JournalReader:
    """Reads the segments of one journal.

    It reads with system calls, never through a memory map: a segment that is cut or removed under it is then the
    end of the data and not a signal that kills the process.
    """

    def __init__(self, path: JournalPath) -> None:
        self.path = path

    def identity(self) -> Identity:
        """Return who wrote the journal.

        Raises:
            JournalError: If there is no segment whose header can be read.
        """
        error: fmt.JournalError = fmt.JournalError(f"{self.path.path}: the journal has no segment")
        for index in self.path.segments():
            try:
                with self.path.segment(index).open("rb") as file:
                    return fmt.unpack_header(file.read(_HEADER_READ), str(self.path.segment(index)))[0]
            except fmt.NewerFormatError:
                raise
            except (fmt.JournalError, OSError) as failure:
                error = fmt.JournalError(str(failure))
        raise error

    def read(self, position: Position, max_records: int = 10_000, max_bytes: int = _CHUNK) -> Batch:
        """Return the records behind `position`: at least one if there is one, then as many as both limits allow.

        Raises:
            NewerFormatError: If a newer version wrote the segment.
        """
        batch = Batch(after=position)
        while len(batch.entries) < max_records and batch.size < max_bytes:
            # Looked up before the segment is read: what its writer appends until it goes on is then not missed.
            following = [index for index in self.path.segments() if index > batch.after.segment]
            before = batch.after
            self._read_segment(batch, max_records, max_bytes)
            if batch.after != before:
                continue
            if not following:
                break
            batch.after = Position(following[0], 0, batch.after.seq)
        return batch

    def __iter__(self) -> Iterator[Entry]:
        """Yield every record there is now, in order."""
        position = START
        while (batch := self.read(position)).entries:
            yield from batch.entries
            position = batch.after

    def end(self, position: Position = START) -> Position:
        """Return the position behind the last record there is now."""
        while True:
            batch = self.read(position)
            position = batch.after
            if not batch.entries:
                return position

    def _read_segment(self, batch: Batch, max_records: int, max_bytes: int) -> None:
        segment = self.path.segment(batch.after.segment)
        try:
            fd = os.open(segment, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            offset = batch.after.offset or self._first_frame(fd, str(segment))
            wanted = min(_CHUNK, max_bytes - batch.size + fmt.FRAME_OVERHEAD)
            data = os.pread(fd, wanted, offset)
            if (size := fmt.frame_size(data)) > len(data):
                data = os.pread(fd, min(size, fmt.MAX_RECORD + fmt.FRAME_OVERHEAD), offset)
        except fmt.DamagedHeaderError:
            return
        finally:
            os.close(fd)
        _take(batch, data, offset, max_records)

    @staticmethod
    def _first_frame(fd: int, name: str) -> int:
        return fmt.unpack_header(os.pread(fd, _HEADER_READ, 0), name)[1]


def _take(batch: Batch, data: bytes, base: int, max_records: int) -> None:
    segment, seq = batch.after.segment, batch.after.seq
    for frame in fmt.frames(data):
        record = _decoded(frame.payload)
        if isinstance(record, SegmentOpened):
            batch.missing += max(0, record.first_seq - seq)
            seq = max(seq, record.first_seq)
            batch.after = Position(segment, base + frame.end, seq)
            continue
        stands_for = sum(record.counts.values()) if isinstance(record, Dropped) else 1
        batch.after = Position(segment, base + frame.end, seq + stands_for)
        if record is None:
            batch.missing += 1
        else:
            batch.entries.append(Entry(record, seq, batch.after))
            batch.size += len(frame.payload or b"")
        seq += stands_for
        if len(batch.entries) >= max_records:
            return


def _decoded(payload: bytes | None) -> Record | None:
    if payload is None:
        return None
    try:
        return decode(payload)
    except msgspec.DecodeError:
        return None
