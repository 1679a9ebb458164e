"""The journal of this process: append-only, memory-mapped, and still there when the process is not."""

from __future__ import annotations

import mmap
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import msgspec

from synapse_otel.journal import format as fmt
from synapse_otel.journal.directory import JournalPath, create_journal, new_journal_id, run_name
from synapse_otel.journal.locks import FileLock, open_private
from synapse_otel.journal.memory import MEMORY_SEGMENT, MemoryTail
from synapse_otel.journal.reader import START, Batch, JournalReader, Position
from synapse_otel.journal.records import Identity, Record, RunStarted, SegmentOpened, encode

FIRST_SEGMENT = 1024 * 1024
SEGMENT = 8 * 1024 * 1024
MEMORY = 16 * 1024 * 1024

_pack_frame = fmt._FRAME.pack  # the two call frames cost a fifth of an append


class RecordTooLargeError(ValueError):
    """A record over `format.MAX_RECORD` bytes."""


class Journal:
    """Appends records with plain memory stores.

    `append` returns when the record is in the map of the segment, so the kernel keeps it when the process dies.
    No system call is made on that way but to enter a new segment. A full or read-only disk turns the journal into a
    bounded one in memory (`degraded`), which is said once through `on_degraded`.

    Hazards, and where they are handled:

    - Threads: one re-entrant lock. A signal handler that logs runs inside `append` of the thread it interrupted;
      between reading the offset and moving it there is no call, so nothing can come between.
    - Fork: the child gets a journal of its own at its first append; the parent's map is never touched by it.
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
        _open_journals.add(self)
        self._open(identity)

    def _open(self, identity: Identity) -> None:
        self.identity = identity
        self.path: JournalPath | None = None
        self.memory: MemoryTail | None = None
        self.degraded: OSError | None = None
        self._forked = False
        self._closed = False
        self._writer_lock: FileLock | None = None
        self._spare: int | None = None
        self._index = 0
        self._fd = -1
        self._map: mmap.mmap | None = None
        self._offset = self._capacity = self._seq = 0
        try:
            run = run_name(identity.job_id, identity.trace_id)
            self.path, self._writer_lock = create_journal(self._root, run, identity.journal_id)
            self._enter_segment()
        except OSError as error:
            self._degrade(error)

    @property
    def next_seq(self) -> int:
        """The sequence number of the next record, which is the number of records accepted."""
        return self.memory.next_seq if self.memory else self._seq

    def append(self, record: Record) -> None:
        """Write `record`; when this returns, it survives the process.

        Raises:
            RecordTooLargeError: If it has more than `format.MAX_RECORD` bytes.
            TypeError, ValueError: If a value in it cannot be encoded.
        """
        payload = encode(record)
        size = len(payload)
        frame = _pack_frame(size, crc32(payload)) + payload
        with self._lock:
            start = self._offset
            end = start + size + 8
            if end <= self._capacity:
                self._map[start:end] = frame  # type: ignore[index]
                self._offset = end
                self._seq += 1
                return
            self._append_slowly(payload, frame)

    def read(self, position: Position, max_records: int, max_bytes: int) -> Batch:
        """Return the records behind `position`, those in memory behind those on the disk."""
        batch = Batch(after=position)
        if self.path and position.segment != MEMORY_SEGMENT:
            batch = JournalReader(self.path).read(position, max_records, max_bytes)
        if not batch.entries and self.memory:
            with self._lock:
                return self.memory.read(batch.after, max_records, max_bytes)
        return batch

    def end(self) -> Position:
        """Return the position behind the last record, as far as `read` is concerned."""
        return Position(self._index, self._offset, self.next_seq)

    def prepare(self) -> None:
        """Allocate the next segment ahead of time, when the current one is half full; called off the hot path."""
        if self._spare is not None or self._offset <= self._capacity // 2 or self._forked:
            return
        try:
            spare = self._allocate(self._spare_file(), self._sizes[1])
        except OSError:
            return  # the writer meets the same error when it needs the room, and handles it
        with self._lock:
            if not self._closed and self.memory is None:
                self._spare = spare
                return
        os.close(spare)
        self._spare_file().unlink(missing_ok=True)

    def current_segment(self) -> int:
        """Return the index of the segment that is being written."""
        return self._index

    def release(self, seq: int) -> None:
        """Let the records in memory before `seq` go."""
        if self.memory:
            with self._lock:
                self.memory.release(seq)

    def close(self) -> None:
        """Trim and leave the segment, and give the writer's lock back. Later appends are refused."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._leave_segment()
            if self._spare is not None:
                os.close(self._spare)
                self._spare_file().unlink(missing_ok=True)
            if self._writer_lock:
                self._writer_lock.release()

    def _append_slowly(self, payload: bytes, frame: bytes) -> None:
        if len(payload) > fmt.MAX_RECORD:
            raise RecordTooLargeError(f"a record has {len(payload)} bytes, expected at most {fmt.MAX_RECORD}")
        if self._forked:
            self._become_child()
        if self._closed:
            raise RuntimeError("the journal is closed")
        try:
            while self.memory is None and self._offset + len(frame) > self._capacity:
                self._leave_segment()
                self._enter_segment()
        except OSError as error:
            self._degrade(error)
        if self.memory is not None:
            self.memory.append(payload)
            return
        start, end = self._offset, self._offset + len(frame)
        self._map[start:end] = frame  # type: ignore[index]
        self._offset = end
        self._seq += 1

    def _enter_segment(self) -> None:
        assert self.path is not None
        self._index += 1
        file = self.path.segment(self._index)
        spare, self._spare = self._spare, None
        if spare is None:
            fd = self._allocate(file, self._sizes[min(self._index, 2) - 1])
        else:
            self._spare_file().rename(file)
            fd = spare
        capacity = os.fstat(fd).st_size
        opened = fmt.pack_frame(encode(SegmentOpened(time.time_ns(), self._seq)))
        header = fmt.pack_header(self.identity) + opened
        self._fd, self._map = fd, mmap.mmap(fd, capacity)
        self._map[: len(header)] = header
        self._offset, self._capacity = len(header), capacity

    def _leave_segment(self) -> None:
        self._capacity = 0
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.ftruncate(fd, self._offset)
            finally:
                os.close(fd)

    def _spare_file(self) -> Path:
        assert self.path is not None
        return self.path.path / "spare"

    @staticmethod
    def _allocate(file: Path, size: int) -> int:
        fd = open_private(file, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            # Really allocated, so that a full disk is an error here and not a SIGBUS at a store into the map.
            os.posix_fallocate(fd, 0, size)
        except OSError:
            os.close(fd)
            file.unlink(missing_ok=True)
            raise
        return fd

    def _degrade(self, error: OSError) -> None:
        self._map, self._capacity = None, 0
        self.degraded = error
        self.memory = MemoryTail(self._seq, self._memory_bytes)
        if self._on_degraded:
            self._on_degraded(error)

    def _become_child(self) -> None:
        parent = self.identity
        journal_id = new_journal_id()
        identity = msgspec.structs.replace(
            parent,
            journal_id=journal_id,
            span_id=os.urandom(8),
            parent_span_id=parent.span_id,
            started=time.time_ns(),
            worker=True,
            resource={**parent.resource, "service.instance.id": journal_id, "process.pid": os.getpid()},
        )
        self._open(identity)
        self.append(RunStarted(identity.started))
        if self._on_fork:
            self._on_fork()

    def _after_fork_in_child(self) -> None:
        # Only marks: the child may exec or never record anything. The lock may be held by a thread that is not here.
        self._lock = threading.RLock()
        self._forked, self._capacity, self._spare, self.memory = True, 0, None, None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


_open_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for journal in list(_open_journals):
        journal._after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)

__all__ = ["START", "Journal", "RecordTooLargeError"]
