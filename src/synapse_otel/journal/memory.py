"""What stands in for segments where the disk cannot take them: a bounded queue in memory."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from synapse_otel.journal.reader import FOREVER, Batch, Entry, Position
from synapse_otel.journal.records import decode, is_dev_event

MEMORY_SEGMENT = 2**31
"""The segment number of positions in memory: behind every file."""


class MemoryTail:
    """The newest records of a journal that has no disk; when full, dev events go first, then the oldest.

    Not thread-safe: the journal calls it under its own lock. But a signal handler may append between any two calls
    of the methods here.

    Attributes:
        dropped: How many records had to go, by kind. A reader passes over them without a word.
    """

    def __init__(self, first_seq: int, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size = 0
        self._first_seq = self._next_seq = first_seq
        self._items: dict[int, bytes] = {}
        self.dropped: Counter[str] = Counter()

    @property
    def next_seq(self) -> int:
        """The sequence number of the next record."""
        return self._next_seq

    def append(self, payload: bytes) -> None:
        """Keep `payload`, at the cost of older records where there is no room."""
        size = len(payload)
        seq = self._next_seq
        self._items[seq] = payload
        self._next_seq = seq + 1
        self._size += size
        if self._size > self._max_bytes:
            self._make_room()

    def pending(self, seq: int) -> int:
        """Return how many records from `seq` on there are, those on the disk before this tail among them."""
        seqs = self._seqs()
        return max(0, self._first_seq - seq) + len(seqs) - bisect_left(seqs, seq)

    def release(self, seq: int) -> None:
        """Forget the records before `seq`: they were delivered."""
        for passed in self._seqs():
            if passed >= seq:
                return
            self._remove(passed)

    def give_up(self) -> int:
        """Drop all that is left; return how many records."""
        payloads = [payload for seq in self._seqs() if (payload := self._remove(seq)) is not None]
        self.dropped.update(decode(payload).kind for payload in payloads)
        return len(payloads)

    def read_into(self, batch: Batch, max_records: int, max_bytes: int, until: int = FOREVER) -> None:
        """Add the records behind the batch's end to it, as `reader.Source.read` does.

        Those between its end and the first of this tail were on the disk, and are there no more.
        """
        reached = min(self._first_seq, until)
        if batch.after.seq < reached:
            batch.missing += reached - batch.after.seq
            batch.after = Position(MEMORY_SEGMENT, 0, reached)
        seqs = self._seqs()
        for seq in seqs[bisect_left(seqs, batch.after.seq) :]:
            if seq >= until:
                break
            payload = self._items[seq]
            batch.after = Position(MEMORY_SEGMENT, 0, seq + 1)
            batch.entries.append(Entry(decode(payload), seq, MEMORY_SEGMENT, 0, seq + 1))
            batch.size += len(payload)
            if len(batch.entries) >= max_records or batch.size >= max_bytes:
                break

    def _seqs(self) -> list[int]:
        return list(self._items)

    def _make_room(self) -> None:
        target = self._max_bytes * 3 // 4
        seqs = self._seqs()
        for wanted in (is_dev_event, bool):
            for seq in seqs:
                if self._size <= target:
                    return
                payload = self._items.get(seq)
                if payload is not None and wanted(payload) and self._remove(seq):
                    self.dropped[decode(payload).kind] += 1

    def _remove(self, seq: int) -> bytes | None:
        payload = self._items.pop(seq, None)
        size = len(payload) if payload is not None else 0
        self._size -= size
        return payload
