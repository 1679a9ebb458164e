"""Reads a journal from a position on, whether its writer lives or not."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Protocol, TypeAlias

import msgspec

from synapse_otel.journal import format as fmt
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import open_to_read
from synapse_otel.journal.records import Dropped, Identity, Record, SegmentOpened, decoded

_CHUNK = 1024 * 1024
_LARGEST = fmt.FRAME_OVERHEAD + fmt.MAX_RECORD
_MOST_DAMAGE = 16 * _CHUNK
_CLEAN = 16
"""Zero bytes after which there is nothing for now: more than any frame could begin with."""
_LONG = 4096
"""Bytes of a record that can have a longer name than ours have."""
FOREVER = 2**63
_LAST_SEQ = 2**62
"""A number that no record reaches; what leads there is damage."""
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE}
"""Errors of a moment: what cannot be read now is not gone."""


Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""A number that can be added to another one and still be saved."""


class Position(msgspec.Struct, frozen=True, array_like=True):
    """A place between two records: the segment, the offset in it and the number of records before it.

    An offset of zero is the beginning of the segment, before its header.
    """

    segment: Natural = 0
    offset: Natural = 0
    seq: Natural = 0


START = Position()


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A record, its sequence number, and the segment, offset and number of records behind it."""

    record: Record
    seq: int
    segment: int
    end: int
    next_seq: int

    @property
    def after(self) -> Position:
        """The position behind the record; made when it is asked for, which of few records it is."""
        return Position(self.segment, self.end, self.next_seq)


@dataclass(slots=True)
class Batch:
    """What one read gave: entries in order, and where they end.

    Attributes:
        after: The position behind them.
        entries: The records.
        missing: How many records were found damaged or gone.
        size: The bytes of the records.
        broken_off: Whether more could not be read just now, such as for want of file descriptors.
    """

    after: Position
    entries: list[Entry] = field(default_factory=list)
    missing: int = 0
    size: int = 0
    broken_off: bool = False


class Source(Protocol):
    """Something that records can be read from again and again."""

    def read(self, position: Position, max_records: int, max_bytes: int, until: int = FOREVER) -> Batch:
        """Return the records behind `position`: at least one if there is one, then as many as the limits allow.

        Args:
            position: Where to begin.
            max_records: How many at most.
            max_bytes: How many bytes of them, about.
            until: The sequence number of the first record that is not wanted.
        """


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
            NewerFormatError: If a newer version of this package wrote it.
            JournalError: If there is no segment whose header can be read.
        """
        error: fmt.JournalError = fmt.JournalError(f"{self.path.path}: the journal has no segment")
        for index in self.path.segments():
            try:
                with _opened(self.path.segment(index)) as fd:
                    return _header(fd, self.path.segment(index))[0]
            except fmt.NewerFormatError:
                raise
            except (fmt.JournalError, OSError) as failure:
                error = fmt.JournalError(str(failure))
        raise error

    def read(
        self, position: Position, max_records: int = 10_000, max_bytes: int = _CHUNK, until: int = FOREVER
    ) -> Batch:
        """Return the records behind `position`: at least one if there is one, then as many as both limits allow.

        Raises:
            NewerFormatError: If a newer version wrote the segment.
        """
        batch, ahead = Batch(after=position), list[int]()
        while len(batch.entries) < max_records and batch.size < max_bytes and batch.after.seq < until:
            # Looked up before the segment is read: what its writer appends until it goes on is then not missed.
            ahead = ahead or [index for index in reversed(self.path.segments()) if index > batch.after.segment]
            before = batch.after
            if not self._read_segment(batch, max_records, max_bytes, until, sealed=bool(ahead)):
                batch.broken_off = True
                break
            if batch.after != before:
                continue
            if not ahead:
                break
            batch.after = Position(ahead.pop(), 0, batch.after.seq)
        return batch

    def __iter__(self) -> Iterator[Entry]:
        """Yield every record there is now, in order."""
        return self.entries(START)

    def entries(self, position: Position) -> Iterator[Entry]:
        """Yield every record there is now behind `position`, in order."""
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

    def _read_segment(self, batch: Batch, max_records: int, max_bytes: int, until: int, *, sealed: bool) -> bool:
        """Add what the segment has to `batch`; return False where it cannot be read just now."""
        file = self.path.segment(batch.after.segment)
        try:
            with _opened(file) as fd:
                offset = batch.after.offset or _first_frame(fd, file)
                data = os.pread(fd, min(_CHUNK, max_bytes - batch.size + fmt.FRAME_OVERHEAD), offset)
                if len(data) < (size := fmt.frame_size(data)) <= _LARGEST:
                    data = os.pread(fd, size, offset)
                before = batch.after
                _take(batch, _frames(fd, data, offset, sealed=sealed), offset, max_records, until)
                if batch.after == before and (sealed or data[:_CLEAN].strip(b"\0")):
                    most = _MOST_DAMAGE if sealed else _CHUNK
                    data = os.pread(fd, min(most, os.fstat(fd).st_size - offset), offset)
                    _take(batch, islice(_frames(fd, data, offset, sealed=sealed), 1), offset, max_records, until)
        except OSError as error:
            return error.errno not in _PASSING
        return True


def read_segment(file: Path) -> bytes:
    """Return the content of a segment; of one that is larger than any of ours, only the beginning.

    Raises:
        OSError: If it cannot be read, or is no file.
    """
    with _opened(file) as fd:
        return os.pread(fd, min(os.fstat(fd).st_size, fmt.MAX_SEGMENT), 0)


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    fd = open_to_read(file)
    try:
        yield fd
    finally:
        os.close(fd)


def _header(fd: int, file: Path) -> tuple[Identity, int]:
    data = os.pread(fd, fmt.HEADER_PREFIX, 0)
    if (size := fmt.header_size(data)) <= os.fstat(fd).st_size:
        data = os.pread(fd, size, 0)
    return fmt.unpack_header(data, str(file))


def _first_frame(fd: int, file: Path) -> int:
    try:
        return _header(fd, file)[1]
    except fmt.DamagedHeaderError:
        return 0


def _frames(fd: int, data: bytes, base: int, *, sealed: bool) -> Iterator[fmt.Frame]:
    """Yield the frames of `data`, which was read at `base`, those that are damaged too where an intact one follows."""
    end = 0
    while True:
        end = yield from fmt.intact_frames(data, end)
        following = fmt.next_intact(data, end) if sealed or data[end : end + _CLEAN].strip(b"\0") else None
        if following is None:
            return
        # Looked at once more: what was being written then is whole now, as its writer has gone on behind it.
        again = os.pread(fd, following - end, base + end)
        payload, size = next(fmt.intact_frames(again), None) or (fmt.salvage(again), following - end)
        end += size
        yield fmt.Frame(payload, end)


def _take(batch: Batch, frames: Iterable[fmt.Frame], base: int, max_records: int, until: int) -> None:
    """Add what is in `frames`, which were read at `base`, to `batch`."""
    entries, segment, size = batch.entries, batch.after.segment, 0
    offset, seq = batch.after.offset, batch.after.seq
    try:
        for payload, end in frames:
            if len(entries) >= max_records or seq >= until:
                break
            content = payload or b""
            record: Record | None = decoded(content)
            kind, following = type(record), seq + 1  # by identity, which costs less than `isinstance` of a union
            if record is None or kind is SegmentOpened or kind is Dropped:
                record, following = _look_closer(batch, record, offset, seq)
            elif len(content) > _LONG:
                record = _with_short_names(record)
            offset = base + end
            if record is not None and kind is not SegmentOpened:
                entries.append(Entry(record, seq, segment, offset, following))
                size += len(content)
            seq = following
    finally:  # also where the file cannot be read any further
        batch.after, batch.size = Position(segment, offset, seq), batch.size + size


def _look_closer(batch: Batch, record: Record | None, offset: int, seq: int) -> tuple[Record | None, int]:
    """Return what is damaged, or says what number comes next, as far as it is to be believed, and that number."""
    if isinstance(record, SegmentOpened | Dropped):
        record = _plausible(record, seq)
    if isinstance(record, SegmentOpened):
        following = max(seq, record.first_seq)
        batch.missing += following - seq
        return record, following
    if isinstance(record, Dropped):
        return record, seq + sum(record.counts.values())
    if offset == 0:
        return None, seq  # what is damaged here is the header or the segment's opening, no record
    batch.missing += 1
    return None, seq + 1


def _plausible(record: SegmentOpened | Dropped, seq: int) -> Record | None:
    """Return the record number `seq`, None where it leads to numbers that no record reaches."""
    if isinstance(record, SegmentOpened):
        return record if record.first_seq < _LAST_SEQ else None
    counts = {kind: count for kind, count in record.counts.items() if count > 0}
    return Dropped(record.t, counts) if seq + sum(counts.values()) < _LAST_SEQ else None


def _with_short_names(record: Record) -> Record:
    """Return a record with names that can stand on each of the records and samples that they name."""
    names = {name: getattr(record, name, None) for name in ("category", "name", "step")}
    long = {name: text[: fmt.MAX_NAME] for name, text in names.items() if text is not None and len(text) > fmt.MAX_NAME}
    return msgspec.structs.replace(record, **long) if long else record
