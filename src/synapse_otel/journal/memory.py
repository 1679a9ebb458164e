"""What stands in for segments where the disk cannot take them: a bounded queue in memory."""

from __future__ import annotations

from collections import Counter, deque

from synapse_otel.journal.reader import Batch, Entry, Position
from synapse_otel.journal.records import DevEvent, decode

MEMORY_SEGMENT = 2**31
"""The segment number of positions in memory: behind every file."""


class MemoryTail:
    """The newest records of a journal that has no disk; when full, dev events go first, then the oldest.

    Not thread-safe: the journal calls it under its own lock.
    """

    def __init__(self, first_seq: int, max_bytes: int) -> None:
        self._first_seq = first_seq
        self._max_bytes = max_bytes
        self._size = 0
        self._next_seq = first_seq
        self._items: deque[tuple[int, bytes]] = deque()
        self.dropped: Counter[str] = Counter()

    @property
    def next_seq(self) -> int:
        """The sequence number of the next record."""
        return self._next_seq

    def append(self, payload: bytes) -> None:
        """Keep `payload`, at the cost of older records where there is no room."""
        self._items.append((self._next_seq, payload))
        self._next_seq += 1
        self._size += len(payload)
        if self._size > self._max_bytes:
            self._make_room()

    def release(self, seq: int) -> None:
        """Forget the records before `seq`: they were delivered."""
        while self._items and self._items[0][0] < seq:
            self._size -= len(self._items.popleft()[1])

    def read(self, position: Position, max_records: int, max_bytes: int) -> Batch:
        """Return the records behind `position`, as `reader.Source.read` does."""
        batch = Batch(after=position)
        for seq, payload in self._items:
            if seq < position.seq:
                continue
            batch.missing += seq - batch.after.seq
            batch.after = Position(MEMORY_SEGMENT, 0, seq + 1)
            batch.entries.append(Entry(decode(payload), seq, batch.after))
            batch.size += len(payload)
            if len(batch.entries) >= max_records or batch.size >= max_bytes:
                break
        return batch

    def _make_room(self) -> None:
        target = self._max_bytes * 3 // 4
        kept: deque[tuple[int, bytes]] = deque()
        for seq, payload in self._items:
            if self._size > target and isinstance(decode(payload), DevEvent):
                self._drop(payload)
            else:
                kept.append((seq, payload))
        while self._size > target and kept:
            self._drop(kept.popleft()[1])
        self._items = kept

    def _drop(self, payload: bytes) -> None:
        self._size -= len(payload)
        self.dropped[decode(payload).kind] += 1
