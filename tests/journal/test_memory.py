from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from journal.kit import dev_event, exhaustive, message, texts
from synapse_otel.journal.memory import MEMORY_SEGMENT, MemoryTail
from synapse_otel.journal.reader import Batch, Entry, Position
from synapse_otel.journal.records import Record, encode

SIZE = len(encode(message("m00")))


def filled(records: list[Record], max_bytes: int, first_seq: int = 0) -> MemoryTail:
    tail = MemoryTail(first_seq, max_bytes)
    for record in records:
        tail.append(encode(record))
    return tail


def read(tail: MemoryTail, seq: int = 0, max_records: int = 10**9, max_bytes: int = 2**62) -> Batch:
    batch = Batch(Position(MEMORY_SEGMENT, 0, seq))
    tail.read_into(batch, max_records, max_bytes)
    return batch


def test_what_is_kept_is_read_in_order() -> None:
    """Records come with their sequence numbers and positions, from any position on."""
    tail = filled([message("m00"), message("m01"), message("m02")], 10_000, first_seq=7)
    after = [Position(MEMORY_SEGMENT, 0, seq) for seq in (8, 9, 10)]
    whole = [Entry(message(f"m0{number}"), 7 + number, MEMORY_SEGMENT, 0, 8 + number) for number in range(3)]
    assert read(tail, 7) == Batch(after[2], whole, 0, 3 * SIZE)
    assert read(tail, 9) == Batch(after[2], whole[2:], 0, SIZE)
    assert read(tail, 10) == Batch(after[2])
    assert tail.next_seq == 10


def test_what_was_on_the_disk_before_and_is_gone_is_missing() -> None:
    """A reader that comes to the first of the records, and has not read those before it, counts them."""
    tail = filled([message("m00")], 10_000, first_seq=7)
    assert (read(tail, 4).missing, texts(read(tail, 4).entries)) == (3, ["m00"])
    batch = Batch(Position(1, 0, 4))
    tail.read_into(batch, 10, 10_000, until=6)
    assert batch == Batch(Position(MEMORY_SEGMENT, 0, 6), missing=2)


def test_one_read_gives_as_many_as_both_limits_allow() -> None:
    """A read ends at the limit of records or of bytes, and gives at least one record."""
    tail = filled([message(f"m{number:02}") for number in range(10)], 10_000)
    assert texts(read(tail, max_records=3).entries) == ["m00", "m01", "m02"]
    assert texts(read(tail, max_bytes=SIZE + 1).entries) == ["m00", "m01"]
    assert texts(read(tail, max_bytes=1).entries) == ["m00"]


def test_dev_events_go_first_then_the_oldest() -> None:
    """When memory is full, dev events go before anything else, the oldest first, and all are counted by kind."""
    records: list[Record] = [message("m00"), dev_event("d01"), message("m02"), dev_event("d03"), message("m04")]
    tail = filled(records, 4 * SIZE)
    assert (texts(read(tail).entries), tail.dropped) == (["m00", "m02", "m04"], Counter(dev_event=2))
    tail = filled([message(f"m{number:02}") for number in range(9)], 8 * SIZE)
    assert (texts(read(tail).entries), tail.dropped) == (["m03", "m04", "m05", "m06", "m07", "m08"], Counter(message=3))
    assert [entry.seq for entry in read(tail).entries] == [3, 4, 5, 6, 7, 8]


def test_what_was_delivered_makes_room() -> None:
    """Released records are forgotten and not counted as dropped."""
    tail = filled([message(f"m{number:02}") for number in range(6)], 8 * SIZE)
    tail.release(4)
    tail.release(2)
    for number in range(6, 10):
        tail.append(encode(message(f"m{number:02}")))
    assert (texts(read(tail).entries), tail.dropped) == ([f"m{number:02}" for number in range(4, 10)], Counter())
    tail.release(1000)
    assert (read(tail).entries, tail.next_seq) == ([], 10)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=120), st.integers(200, 2000))
@exhaustive
def test_memory_is_bounded_and_every_record_is_kept_or_counted(sizes: list[tuple[bool, int]], limit: int) -> None:
    """Whatever comes: no more bytes than allowed, the rest counted by kind, the order and the numbers kept."""
    records = [(dev_event if dev else message)(f"{number} " + "x" * size) for number, (dev, size) in enumerate(sizes)]
    tail = filled(records, limit)
    found = read(tail)
    kept = [entry.record for entry in found.entries]
    assert found.size <= limit
    assert [entry.record for entry in found.entries] == [records[entry.seq] for entry in found.entries]
    assert Counter(record.kind for record in records) == Counter(record.kind for record in kept) + tail.dropped
    assert [entry.seq for entry in found.entries] == sorted(entry.seq for entry in found.entries)
