"""The readers of journals and cursors alone: what is forged costs little, and leads to no number that is too large."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import msgspec
import pytest

from faults.hostile_journals import FORGED, PLANTED
from journal.kit import T, identity, message
from synapse_otel.journal import format as fmt
from synapse_otel.journal import records as rec
from synapse_otel.journal.cursor import SIGNALS, CursorFile
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.reader import START, JournalReader, read_segment

SECONDS = 5.0
"""Of the processor, for one journal: what looks like frames took minutes."""
MEMORY = 128 * 2**20
"""Bytes, for one journal."""


def test_forged_journals_are_read_to_their_end_in_little_time_and_memory(tmp_path: Path) -> None:
    """Each comes to an end, with numbers that a cursor can hold, names that are short, and its memory given back."""
    slow, large = {}, {}
    for number, (what, write) in enumerate((FORGED | PLANTED).items()):
        path = JournalPath(tmp_path / f"{number}")
        path.path.mkdir()
        write(path)
        tracemalloc.start()
        began, reader = time.process_time(), JournalReader(path)
        try:
            who = reader.identity()
            assert max(len(who.job_id), len(who.name)) <= fmt.MAX_NAME
        except fmt.JournalError:
            pass
        batch = reader.read(START, 10**9, 2**62)
        named = [len(name) for entry in batch.entries for name in names_of(entry.record)]
        assert max(named, default=0) <= fmt.MAX_NAME, what
        assert reader.end().seq == batch.after.seq < 2**62, what
        assert msgspec.msgpack.encode(batch.after), what
        if (took := time.process_time() - began) > SECONDS:
            slow[what] = took
        if (most := tracemalloc.get_traced_memory()[1]) > MEMORY:
            large[what] = most
        tracemalloc.stop()
    assert (slow, large) == ({}, {})


def names_of(record: rec.Record) -> list[str]:
    return [name for field in ("category", "name", "step") if (name := getattr(record, field, None))]


def test_forged_cursors_are_cursors_at_the_start_or_can_be_gone_on_with(tmp_path: Path) -> None:
    """Whatever a cursor's file holds, it is loaded as one that can be read from, counted on, and saved again."""
    for number, write in enumerate((FORGED | PLANTED).values()):
        path = JournalPath(tmp_path / f"{number}")
        path.path.mkdir()
        write(path)
        for signal in SIGNALS:
            cursor = CursorFile(path.cursor(signal)).load()
            counts = [*cursor.passed.values(), *cursor.dead_lettered.values(), *cursor.dropped.values()]
            assert all(0 <= count <= 2**62 for count in counts)
            assert len(cursor.ends) <= 1024
            JournalReader(path).read(cursor.position)
            CursorFile(path.cursor(signal)).save(msgspec.structs.replace(cursor, passed={"message": 2**62 + 2**62}))


def test_a_segment_larger_than_any_of_ours_is_read_at_its_beginning(tmp_path: Path) -> None:
    """Of ten sparse gigabytes the first megabytes are read, and of what is no file, nothing."""
    path = JournalPath(tmp_path)
    PLANTED["00000001.seg that is sparse"](path)
    assert len(read_segment(path.segment(1))) == fmt.MAX_SEGMENT
    path.segment(1).unlink()
    PLANTED["00000001.seg that is a pipe"](path)
    with pytest.raises(OSError, match="seek"):
        read_segment(path.segment(1))


def test_damage_costs_no_record_where_nobody_forges(tmp_path: Path) -> None:
    """Between records that are damaged again and again, every whole one is found, in one reading as in many."""
    path = JournalPath(tmp_path)
    pieces = [b"\xff" * (number % 50) + fmt.pack_frame(rec.encode(message(number, t=T))) for number in range(2000)]
    opening = fmt.pack_header(identity()) + fmt.pack_frame(rec.encode(rec.SegmentOpened(T, 0)))
    path.segment(1).write_bytes(opening + b"".join(pieces))
    for batch_size in (7, 10**6):
        found, position = [], START
        while (batch := JournalReader(path).read(position, batch_size)).entries:
            found += [entry.record.text for entry in batch.entries if isinstance(entry.record, rec.Message)]
            position = batch.after
        assert found == [str(number) for number in range(2000)]
