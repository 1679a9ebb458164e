"""The journal of this process: append-only, memory-mapped, and still there when the process is not."""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import msgspec

from synapse_otel import left_behind
from synapse_otel.journal import format as fmt
from synapse_otel.journal.directory import JournalPath, create_journal, new_journal_id, run_name
from synapse_otel.journal.locks import FileLock, remove_file
from synapse_otel.journal.memory import MEMORY_SEGMENT, MemoryTail
from synapse_otel.journal.reader import FOREVER, START, Batch, JournalReader, Position
from synapse_otel.journal.records import Identity, Record, RunStarted, SegmentOpened, decode, encode
from synapse_otel.journal.segment import Segment

FIRST_SEGMENT = 128 * 1024
SEGMENT = 8 * 1024 * 1024
MEMORY = 16 * 1024 * 1024

_pack_frame = fmt._FRAME.pack  # the two call frames cost a fifth of an append
_MAX_RECORD = fmt.MAX_RECORD
_NOWHERE = Segment(Path())
_REMOVED, _CUT = "removed", "cut"


class RecordTooLargeError(ValueError):
    """A record over `format.MAX_RECORD` bytes."""


class Journal:
    """Appends records with plain memory stores.

    `append` returns when the record is in the map of the segment, so the kernel keeps it when the process dies.
    No system call is made on that way but to enter a new segment. A full or read-only disk turns the journal into a
    bounded one in memory (`degraded`), which is said once through `on_degraded`.

    Hazards, and where they are handled:

    - Threads: one re-entrant lock. Callbacks are called without it, since they may wait for locks of their own.
    - Signal handlers and finalizers that append run inside an `append` of the same thread, between any two calls of
      it. Where a frame is claimed and stored there is no call, and the claim comes first, since making a slice may
      collect garbage (Python 3.11). Everything slower (`_open`, `_enter_segment`, `_degrade`) prepares its work in
      local variables and publishes it with plain stores, unless it was overtaken; then it throws its work away.
    - Fork: the child only marks that it has no journal; it opens one of its own at its first append. The parent's
      map is never written by it.
    """

    def __init__(
        self,
        root: Path,
        identity: Identity,
        *,
        first_segment: int = FIRST_SEGMENT,
        segment: int = SEGMENT,
        memory: int = MEMORY,
        on_degraded: Callable[[OSError], None] | None = None,
        on_fork: Callable[[], None] | None = None,
    ) -> None:
        self._root = root
        self._sizes = (first_segment, segment)
        self._memory_bytes = memory
        self._on_degraded = on_degraded
        self._on_fork = on_fork
        self._lock = threading.RLock()
        self._unsaid: list[Callable[[], None]] = []
        self._spares = itertools.count(1)
        self._is_open = self._closed = False
        self.identity = identity
        self.path: JournalPath | None = None
        self.memory: MemoryTail | None = None
        self.degraded: OSError | None = None
        self._writer_lock: FileLock | None = None
        self._segment, self._seq = _NOWHERE, 0
        self._spare: Segment | None = None
        _journals.add(self)
        self._open(identity)
        self._say()

    @property
    def next_seq(self) -> int:
        """The sequence number of the next record, which is the number of records accepted."""
        return self.memory.next_seq if self.memory else self._seq

    def pending(self, seq: int) -> int:
        """Return how many records from `seq` on there are: all that were accepted, but those lost from memory."""
        if self.memory:
            with self._lock:
                return self.memory.pending(seq)
        return max(0, self._seq - seq)

    @property
    def lost(self) -> Counter[str]:
        """How many records were lost from memory, by kind."""
        return Counter(self.memory.dropped) if self.memory else Counter()

    def append(self, record: Record) -> None:
        """Write `record`; when this returns, it survives the process.

        Raises:
            RecordTooLargeError: If it has more than `format.MAX_RECORD` bytes.
            TypeError, ValueError, OverflowError: If a value in it cannot be encoded.
            RuntimeError: If the journal is closed.
        """
        payload = encode(record)
        size = len(payload)
        frame = _pack_frame(size, crc32(payload)) + payload
        while True:
            with self._lock:
                segment = self._segment
                start = segment.offset
                end = start + size + 8
                if end <= segment.capacity and size <= _MAX_RECORD:
                    segment.offset = end
                    segment.map[start:end] = frame  # type: ignore[index]  # with a capacity it has a map
                    self._seq += 1
                    return
            if self._append_elsewhere(payload):
                return

    def read(self, position: Position, max_records: int, max_bytes: int, until: int = FOREVER) -> Batch:
        """Return the records behind `position`, those in memory behind those on the disk."""
        memory = self.memory  # asked first: where there is one, what is on the disk is complete
        batch = Batch(after=position)
        if self.path and position.segment != MEMORY_SEGMENT:
            batch = JournalReader(self.path).read(position, max_records, max_bytes, until)
        if memory and not batch.entries and not batch.broken_off and batch.after.seq < until:
            with self._lock:
                memory.read_into(batch, max_records, max_bytes, until)
        return batch

    def prepare(self) -> None:
        """Allocate the next segment ahead of time, when the current one is half full; called off the hot path.

        Where somebody has removed or cut the file of the current one, the journal goes on in memory.
        """
        segment, path = self._segment, self.path
        if path is not None and segment.capacity and (harm := _harm(path.segment(segment.index), segment.capacity)):
            self._rescue(segment, harm)
        if path is None or self._spare is not None or not 0 < segment.capacity < 2 * segment.offset:
            return
        try:
            spare = Segment.allocate(self._spare_file(path), self._sizes[1])
        except OSError:
            return  # the writer meets the same error when it needs the room, and handles it
        with self._lock:
            if self._spare is None and not self._closed and self.memory is None:
                self._spare = spare
                return
        spare.discard()

    def current_segment(self) -> int:
        """Return the index of the segment that is being written."""
        return self._segment.index

    def release(self, seq: int) -> None:
        """Let the records in memory before `seq` go."""
        if self.memory:
            with self._lock:
                self.memory.release(seq)

    def seal(self) -> None:
        """Trim and leave the segment. Later appends are refused; the writer's lock is held until `close`."""
        with self._lock:
            self._closed = True
            segment, self._segment = self._segment, _NOWHERE
            if self.path and segment.capacity and not _harm(self.path.segment(segment.index), segment.capacity):
                segment.note(fmt.pack_frame(encode(SegmentOpened(time.time_ns(), self._seq))))
            segment.leave()
            self._spare = None
            if self._is_open and self.path:
                for spare in self.path.spares():  # also what an interrupted append has left
                    remove_file(spare)

    def close(self) -> None:
        """Seal the journal and give the writer's lock back."""
        self.seal()
        if self._writer_lock is not None:
            self._writer_lock.release()

    def _append_elsewhere(self, payload: bytes) -> bool:
        """Make room for a record that does not fit; return whether it is stored already."""
        if len(payload) > _MAX_RECORD:
            raise RecordTooLargeError(f"a record has {len(payload)} bytes, expected at most {_MAX_RECORD}")
        with self._lock:
            left = self._segment  # before what is asked below: a handler that closes or degrades in between replaces it
            closed = self._closed
            if not closed:
                if not self._is_open:
                    self._become_child()
                elif self.memory is None:
                    self._enter_segment(left, fmt.FRAME_OVERHEAD + len(payload))
            memory = None if closed else self.memory
            if memory is not None:
                memory.append(payload)
        if closed:
            left_behind.stay()  # without the lock
            raise RuntimeError("the journal is closed")
        self._say()
        return memory is not None

    def _say(self) -> None:
        unsaid, self._unsaid = self._unsaid, []
        for say in unsaid:
            say()

    def _open(self, identity: Identity, *records: Record) -> bool:
        """Begin a journal with `records`; return False where that was done already."""
        path, lock, segment, tail, failure = None, None, _NOWHERE, None, None
        content = _opening(identity, 0) + b"".join(fmt.pack_frame(encode(record)) for record in records)
        try:
            path, lock = create_journal(self._root, run_name(identity.job_id, identity.trace_id), identity.journal_id)
            segment = Segment.allocate(path.segment(1), max(self._sizes[0], len(content)))
            segment.begin(1, content)
        except OSError as error:
            failure, tail = error, MemoryTail(0, self._memory_bytes)
            for record in records:
                tail.append(encode(record))
        if self._is_open:
            if path:
                path.remove()
            return False
        self.identity, self.path, self._writer_lock = identity, path, lock
        self._segment, self._spare, self._seq = segment, None, len(records)
        self.memory, self.degraded = tail, failure
        self._is_open = True
        self._note_degraded()
        return True

    def _become_child(self) -> None:
        identity = _child_of(self.identity)
        if self._open(identity, RunStarted(identity.started)) and self._on_fork:
            self._unsaid.append(self._on_fork)

    def _enter_segment(self, left: Segment, room: int) -> None:
        path, entered = self.path, None
        if left.offset + room <= left.capacity:
            return
        left.capacity = 0  # nothing is appended here any more when a reader sees the next segment
        assert path is not None
        try:
            content = _opening(self.identity, self._seq)
            entered = self._allocate(path, len(content) + room)
            entered.begin(left.index + 1, content)
            source, target, rename = str(entered.file), str(path.segment(left.index + 1)), os.rename
            if self._segment is left:
                rename(source, target)
            if self._segment is left:
                self._segment = entered
        except OSError as error:
            self._degrade(left, error)
        finally:
            if self._segment is not entered and entered is not None and self._is_open and self.path is path:
                entered.discard()
        left.leave()

    def _allocate(self, path: JournalPath, size: int) -> Segment:
        spare, self._spare = self._spare, None
        if spare is not None and spare.capacity >= size:
            return spare
        if spare is not None:
            spare.discard()
        try:
            return Segment.allocate(self._spare_file(path), max(self._sizes[1], size))
        except OSError:  # on a disk, or in an address space, that is nearly full, there may be room for a small one
            return Segment.allocate(self._spare_file(path), max(self._sizes[0], size))

    def _spare_file(self, path: JournalPath) -> Path:
        return path.spare(next(self._spares))

    def _degrade(self, left: Segment, error: OSError) -> None:
        tail = MemoryTail(self._seq, self._memory_bytes)
        if self._segment is left:
            self._segment, self.memory, self.degraded = _NOWHERE, tail, error
            self._note_degraded()

    def _rescue(self, left: Segment, harm: str) -> None:
        """Go on in memory: with the records of a segment that was removed, not of one that was cut.

        To read the map behind a cut would be the end of the process; what is before it is still on the disk.
        """
        with self._lock:
            left.capacity = 0  # nothing is appended here any more
            if self._segment is not left:
                return
            content = left.content() if harm == _REMOVED else b""
            tail = MemoryTail(self._seq, self._memory_bytes) if not content else _tail_of(content, self._memory_bytes)
            if self._segment is left:
                error = OSError(errno.ESTALE, f"somebody has {harm} the journal", str(left.file))
                self._segment, self.memory, self.degraded = _NOWHERE, tail, error
                self._note_degraded()
        self._say()

    def give_up(self) -> int:
        """Drop what is in memory, since the process ends and it was not delivered; return how many records."""
        if self.memory is None:
            return 0
        with self._lock:
            return self.memory.give_up()

    def _note_degraded(self) -> None:
        error, say = self.degraded, self._on_degraded
        if error and say:
            self._unsaid.append(lambda: say(error))

    def _after_fork_in_child(self) -> None:
        # Only marks: the child may exec or never record anything. The lock may be held by a thread that is not here.
        self._lock = threading.RLock()
        self._is_open = False
        self._segment, self._spare, self._seq, self.memory = _NOWHERE, None, 0, None
        self._unsaid = []


def _harm(file: Path, capacity: int) -> str:
    """Return what somebody has done to a segment's file, nothing where that cannot be told just now."""
    try:
        return _CUT if file.lstat().st_size < capacity else ""
    except FileNotFoundError:
        return _REMOVED
    except OSError:
        return ""


def _tail_of(content: bytes, max_bytes: int) -> MemoryTail:
    """Return the records of a segment as a journal in memory."""
    _, start = fmt.unpack_header(content, "the segment")
    opened, *payloads = [frame.payload for frame in fmt.frames(content[start:]) if frame.payload]
    first = decode(opened)
    tail = MemoryTail(first.first_seq if isinstance(first, SegmentOpened) else 0, max_bytes)
    for payload in payloads:
        tail.append(payload)
    return tail


def _opening(identity: Identity, seq: int) -> bytes:
    return fmt.pack_header(identity) + fmt.pack_frame(encode(SegmentOpened(time.time_ns(), seq)))


def _child_of(parent: Identity) -> Identity:
    journal_id = new_journal_id()
    return msgspec.structs.replace(
        parent,
        journal_id=journal_id,
        span_id=os.urandom(8),
        parent_span_id=parent.span_id,
        started=time.time_ns(),
        worker=True,
        resource={**parent.resource, "service.instance.id": journal_id, "process.pid": os.getpid()},
    )


_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for journal in list(_journals):
        journal._after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)

__all__ = ["START", "Journal", "RecordTooLargeError"]
