"""Keeps the journal directory within bytes and age.

In this order, the oldest first, until it fits: runs that were delivered; dev events of segments that nobody writes
any more; whole such segments. Where undelivered records go, a `Dropped` record takes their place, which counts them
by kind, so that everybody who reads the journal afterwards knows.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from synapse_otel.journal import format as fmt
from synapse_otel.journal.cursor import CursorFile
from synapse_otel.journal.directory import JournalPath, journals
from synapse_otel.journal.locks import FileLock, open_private
from synapse_otel.journal.reader import START, JournalReader
from synapse_otel.journal.records import DevEvent, Dropped, Record, SegmentOpened, decode, encode

SIGNALS = ("traces", "metrics", "logs")

Keep = Callable[[Record], bool]


@dataclass(frozen=True, slots=True)
class Quota:
    """What the journal directory may hold: bytes on the disk, and seconds since a run was last written."""

    max_bytes: int
    max_age: float


def enforce(root: Path, quota: Quota, own: JournalPath | None = None) -> Counter[str]:
    """Make the journals under `root` fit into `quota`; return how many records were dropped, by kind.

    Journals that somebody else ships at this moment are left alone; `own` is the one that the caller ships.
    """
    dropped: Counter[str] = Counter()
    _remove_old(root, quota.max_age)
    if _usage(root) <= quota.max_bytes:
        return dropped
    for journal in _oldest_first(root):
        if _is_done(journal):
            _remove_dead(journal)
            if _usage(root) <= quota.max_bytes:
                return dropped
    for keep in (_all_but_dev_events, _only_tombstones):
        for journal in _oldest_first(root):
            with _shipping(journal, own) as allowed:
                for segment in _sealed_segments(journal) if allowed else ():
                    dropped += _compact(journal, segment, keep)
                    if _usage(root) <= quota.max_bytes:
                        return dropped
    return dropped


@contextmanager
def _shipping(journal: JournalPath, own: JournalPath | None) -> Iterator[bool]:
    lock = FileLock(journal.shipping_lock)
    try:
        allowed = journal == own or lock.acquire()
    except OSError:
        allowed = False
    try:
        yield allowed
    finally:
        lock.release()


def _usage(root: Path) -> int:
    return sum(journal.size() for journal in journals(root))


def _oldest_first(root: Path) -> list[JournalPath]:
    return sorted(journals(root), key=_written)


def _written(journal: JournalPath) -> float:
    files = [journal.segment(index) for index in journal.segments()]
    try:
        return max((file.stat().st_mtime for file in files), default=0.0)
    except OSError:
        return 0.0


def _remove_old(root: Path, max_age: float) -> None:
    limit = time.time() - max_age
    for journal in list(journals(root)):
        if _written(journal) < limit:
            _remove_dead(journal)


def _remove_dead(journal: JournalPath) -> None:
    lock, shipping = FileLock(journal.writer_lock), FileLock(journal.shipping_lock)
    try:
        if lock.acquire() and shipping.acquire():
            journal.remove()
    except OSError:
        return
    finally:
        lock.release()
        shipping.release()


def _is_done(journal: JournalPath) -> bool:
    """Return whether every signal that is served was delivered to the end."""
    cursors = [CursorFile(journal.cursor(signal)).load() for signal in SIGNALS]
    positions = [cursor.position for cursor in cursors if not cursor.unserved]
    if not positions or min(positions, key=lambda position: position.seq) == START:
        return False
    try:
        reader = JournalReader(journal)
        return all(reader.end(position).seq == position.seq for position in positions)
    except (fmt.JournalError, OSError):
        return False


def _sealed_segments(journal: JournalPath) -> Iterator[int]:
    """Yield the segments that nobody writes and that no delivery has reached, but not the last one."""
    cursors = [CursorFile(journal.cursor(signal)).load() for signal in SIGNALS]
    begun = max(place.segment for cursor in cursors for place in (cursor.position, *cursor.ends))
    yield from (index for index in journal.segments()[:-1] if index > begun)


def _all_but_dev_events(record: Record) -> bool:
    return not isinstance(record, DevEvent)


def _only_tombstones(record: Record) -> bool:
    return isinstance(record, (SegmentOpened, Dropped))


def _compact(journal: JournalPath, segment: int, keep: Keep) -> Counter[str]:
    """Rewrite a segment with only the records that `keep` accepts; return what went, by kind."""
    file = journal.segment(segment)
    try:
        data = file.read_bytes()
        identity, start = fmt.unpack_header(data, str(file))
    except (OSError, fmt.JournalError):
        return Counter()
    content, dropped, gone = bytearray(fmt.pack_header(identity)), Counter[str](), Counter[str]()
    last = identity.started
    for payload, record in _records(data[start:]):
        if record is None or not keep(record):
            gone[record.kind if record else "damaged"] += 1
            continue
        last = record.t
        dropped += gone
        content += _tombstone(last, gone) + fmt.pack_frame(payload)
        gone.clear()
    dropped += gone
    content += _tombstone(last, gone)
    return dropped if dropped and _replace(file, bytes(content)) else Counter()


def _records(data: bytes) -> Iterator[tuple[bytes, Record | None]]:
    for frame in fmt.frames(data):
        payload = frame.payload or b""
        try:
            yield payload, decode(payload)
        except msgspec.DecodeError:
            yield payload, None


def _tombstone(t: int, gone: Counter[str]) -> bytes:
    return fmt.pack_frame(encode(Dropped(t, dict(gone)))) if gone else b""


def _replace(file: Path, content: bytes) -> bool:
    temporary = file.with_suffix(".new")
    try:
        fd = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(fd, "wb") as target:
            target.write(content)
        temporary.replace(file)
    except OSError:
        return False
    return True
