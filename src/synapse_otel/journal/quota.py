"""Keeps the journal directory within bytes and age.

Too old runs go first. Then, the oldest first, until it fits: runs that were delivered; delivered segments of others;
dev events of segments that nobody writes any more; whole such segments; runs that ended and were not delivered. Where
undelivered records go from a journal that stays, a `Dropped` record takes their place, which counts them by kind, so
that everybody who reads the journal afterwards knows.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from synapse_otel.journal import format as fmt
from synapse_otel.journal.cursor import Cursor, saved_cursors
from synapse_otel.journal.directory import JournalPath, disk_size, journals, remove_abandoned
from synapse_otel.journal.locks import FileLock, open_private, open_to_read, remove_file, replace_file
from synapse_otel.journal.memory import MEMORY_SEGMENT
from synapse_otel.journal.reader import START, JournalReader, Position
from synapse_otel.journal.records import DevEvent, Dropped, Record, SegmentOpened, decoded, encode
from synapse_otel.journal.recovery import ending

_SWEPT = ".swept"
_SWEEP_INTERVAL = 600.0
_AGAIN = 2.0
"""Seconds until the next sweep where what has to go was just being delivered, each time twice as many."""

Keep = Callable[[Record], bool]

Own = Mapping[JournalPath, AbstractContextManager[Any]]
"""The journals that somebody ships, and what he holds while he reads a segment of one."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What the journal directory may hold: bytes on the disk, and seconds since a run was last written."""

    max_bytes: int
    max_age: float


class _Gone(NamedTuple):
    """What went: bytes on the disk, and undelivered records by kind."""

    freed: int
    dropped: Counter[str] = Counter()  # noqa: RUF012  (nobody changes it)


class Sweeps:
    """Sweeps a journal directory, again after a while where what has to go was just being delivered.

    Args:
        root: The journal directory.
        quota: What it may hold.
    """

    def __init__(self, root: Path, quota: Quota) -> None:
        self._root = root
        self._quota = quota
        self._pause = _AGAIN
        self._again = math.inf

    def is_due(self) -> bool:
        """Return whether it is time to repeat the last one."""
        return time.monotonic() >= self._again

    def sweep(self, own: Own) -> Counter[str]:
        """Do as `enforce` does; what is not the repetition of another sweep is repeated soon, should that be needed.

        A repetition drops no run that has ended meanwhile: what was under way then may be delivered now.
        """
        again = self.is_due()
        pause = self._pause if again else _AGAIN
        dropped = enforce(self._root, self._quota, own, ended=not again)
        fits = _excess(self._root, self._quota) <= 0
        self._again = math.inf if fits else time.monotonic() + pause
        self._pause = min(2 * pause, _SWEEP_INTERVAL)
        return dropped


def enforce(root: Path, quota: Quota, own: Own = MappingProxyType({}), *, ended: bool = True) -> Counter[str]:
    """Make the journals under `root` fit into `quota`; return how many undelivered records were dropped, by kind.

    Journals that somebody else ships at this moment are left alone.

    Args:
        root: The journal directory.
        quota: What it may hold.
        own: The journals that the caller ships.
        ended: Whether runs that ended and were not delivered may go as well, should nothing else be enough.
    """
    remove_abandoned(root)
    _note_sweep(root)
    dropped = _remove_old(root, quota.max_age)
    excess = _excess(root, quota)
    steps = (_remove_done, _remove_delivered_segments, _drop_dev_events, _drop_segments, _drop_ended)
    for step in steps if ended else steps[:-1]:
        for journal in _oldest_first(root) if excess > 0 else ():
            if journal in own and step in (_remove_done, _drop_ended):
                continue  # its end may be on its way
            with _shipping(journal, own) as allowed:
                for gone in step(journal) if allowed else ():
                    dropped += gone.dropped
                    excess -= gone.freed
                    if excess <= 0:
                        return dropped
    return dropped


def _excess(root: Path, quota: Quota) -> int:
    return sum(journal.size() for journal in journals(root)) - quota.max_bytes


def was_swept_lately(root: Path) -> bool:
    """Return whether `enforce` began in the last ten minutes: a thousand short runs need not look at one another."""
    try:
        return time.time() - (root / _SWEPT).stat().st_mtime < _SWEEP_INTERVAL
    except OSError:
        return False


def _note_sweep(root: Path) -> None:
    with suppress(OSError):
        os.close(open_private(root / _SWEPT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))


@contextmanager
def _shipping(journal: JournalPath, own: Own) -> Iterator[bool]:
    if journal in own:
        with own[journal]:
            yield True
    else:
        with _held(journal.shipping_lock) as allowed:
            yield allowed


@contextmanager
def _held(file: Path) -> Iterator[bool]:
    lock = FileLock(file)
    try:
        held = lock.acquire()
    except OSError:
        held = False
    try:
        yield held
    finally:
        lock.release()


def _oldest_first(root: Path) -> list[JournalPath]:
    return sorted(journals(root), key=JournalPath.written)


def _remove_old(root: Path, max_age: float) -> Counter[str]:
    limit, dropped = time.time() - max_age, Counter[str]()
    for journal in list(journals(root)):
        if journal.written() < limit:
            with _held(journal.writer_lock) as dead, _held(journal.shipping_lock) as idle:
                if dead and idle:
                    dropped += _undelivered(journal)
                    journal.remove()
    return dropped


def _undelivered(journal: JournalPath) -> Counter[str]:
    slowest = min(_positions(journal), key=_seq, default=START)
    counts: Counter[str] = Counter()
    with suppress(fmt.JournalError):
        for entry in JournalReader(journal).entries(slowest):
            counts[entry.record.kind] += not isinstance(entry.record, Dropped)
    return +counts


def _positions(journal: JournalPath) -> list[Position]:
    """Return how far the signals have come that are served."""
    return [cursor.position for cursor in saved_cursors(journal) if not cursor.unserved]


def _seq(position: Position) -> int:
    return position.seq


def _remove_done(journal: JournalPath) -> Iterator[_Gone]:
    """Remove a journal that ended and that every signal has delivered."""
    positions, reader = _positions(journal), JournalReader(journal)
    with suppress(fmt.JournalError), _held(journal.writer_lock) as dead:
        begun = dead and positions and START not in positions and ending(journal).ended
        if begun and all(reader.end(position).seq == position.seq for position in positions):
            size = journal.size()
            journal.remove()
            yield _Gone(size)


def _remove_delivered_segments(journal: JournalPath) -> Iterator[_Gone]:
    reached = min((position.segment for position in _positions(journal)), default=0)
    for index in journal.segments()[:-1]:
        if index < reached:
            size = disk_size(journal.segment(index))
            remove_file(journal.segment(index))
            yield _Gone(size)


def _drop_dev_events(journal: JournalPath) -> Iterator[_Gone]:
    for segment in _waiting_segments(journal):
        yield _compact(journal, segment, lambda record: not isinstance(record, DevEvent))


def _drop_segments(journal: JournalPath) -> Iterator[_Gone]:
    for segment in _waiting_segments(journal):
        yield _compact(journal, segment, lambda record: isinstance(record, SegmentOpened))


def _drop_ended(journal: JournalPath) -> Iterator[_Gone]:
    """Remove a journal that ended and was not delivered, as where no endpoint is configured."""
    with suppress(fmt.JournalError), _held(journal.writer_lock) as dead:
        if dead and ending(journal).ended:
            size, dropped = journal.size(), _undelivered(journal)
            journal.remove()
            yield _Gone(size, dropped)


def _waiting_segments(journal: JournalPath) -> list[int]:
    """Return the segments that nobody writes and nobody delivers just now, though some signal has yet to.

    Never the last one. A signal that has left a segment behind does not read it again, whatever becomes of it.
    """
    cursors = saved_cursors(journal)
    reached = min((position.segment for position in _positions(journal)), default=0)
    busy = [_under_way(cursor) for cursor in cursors]
    waiting = (index for index in journal.segments()[:-1] if index > reached)
    return [index for index in waiting if not any(index in span for span in busy)]


def _under_way(cursor: Cursor) -> range:
    last = max(place.segment for place in (cursor.position, *cursor.ends))
    return range(cursor.position.segment, last + 1 if last < MEMORY_SEGMENT else cursor.position.segment + 1)


def _compact(journal: JournalPath, segment: int, keep: Keep) -> _Gone:
    """Rewrite a segment with only the records that `keep` accepts; return what went."""
    file = journal.segment(segment)
    size = disk_size(file)
    try:
        with os.fdopen(open_to_read(file), "rb") as source:
            written = os.fstat(source.fileno()).st_mtime_ns
            data = source.read(fmt.MAX_SEGMENT + 1)
        if len(data) > fmt.MAX_SEGMENT:
            return _Gone(0)  # none of ours
        identity, start = fmt.unpack_header(data, str(file))
        content, dropped = _compacted(data[start:], keep, identity.started)
        if dropped:
            replace_file(file.with_suffix(".new"), file, fmt.pack_header(identity) + content)
            os.utime(file, ns=(written, written))  # it counts from when the run was written
    except (OSError, fmt.JournalError):
        return _Gone(0)
    return _Gone(size - disk_size(file), dropped)


def _compacted(data: bytes, keep: Keep, started: int) -> tuple[bytes, Counter[str]]:
    content, dropped, gone, last = bytearray(), Counter[str](), Counter[str](), started
    for number, frame in enumerate(fmt.frames(data)):
        record = decoded(frame.payload) if frame.payload else None
        if record is not None and keep(record):
            last = record.t
            content += _tombstone(last, gone) + fmt.pack_frame(frame.payload or b"")
            gone = Counter()
        elif isinstance(record, Dropped):
            gone.update(record.counts)
        elif number or record is not None:  # at the beginning it was no record that is damaged
            kind = record.kind if record is not None else "damaged"
            gone[kind] += 1
            dropped[kind] += 1
    return bytes(content) + _tombstone(last, gone), dropped


def _tombstone(t: int, gone: Counter[str]) -> bytes:
    return fmt.pack_frame(encode(Dropped(t, dict(gone)))) if gone else b""
