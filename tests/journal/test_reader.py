from __future__ import annotations

import os
import shutil
import struct
import threading
import zlib
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.kit import SMALL, exhaustive, identity, message, open_journal, read_all, read_texts, start, texts, written
from synapse_otel.journal import format as fmt
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.reader import START, Batch, Entry, JournalReader, Position
from synapse_otel.journal.records import Dropped, SegmentOpened, encode

TEXTS = [f"{number} " + "x" * (number * 37 % 200) for number in range(40)]
IDENTITY = identity("0123456789abcdef" * 2)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> JournalPath:
    """A journal of several segments."""
    path = written(
        tmp_path_factory.mktemp("original"),
        [message(text) for text in TEXTS],
        identity=IDENTITY,
        first_segment=2000,
        segment=2000,
    )
    assert len(path.segments()) >= 4
    return path


def copy(original: JournalPath, tmp_path: Path) -> JournalPath:
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    return JournalPath(Path(shutil.copytree(original.path, tmp_path / "copy")))


@cache
def texts_of_segment(file: Path) -> list[str]:
    data = file.read_bytes()
    from synapse_otel.journal.records import decoded

    found = [decoded(frame.payload or b"") for frame in fmt.frames(data[fmt.unpack_header(data, "")[1] :])]
    return texts([record for record in found if record])


def test_a_journal_is_read_through_all_its_segments(original: JournalPath) -> None:
    """Every record comes once, in order, with its sequence number, and who wrote them is known."""
    reader = JournalReader(original)
    found = list(reader)
    assert texts(found) == TEXTS
    assert [entry.seq for entry in found] == [entry.after.seq - 1 for entry in found] == list(range(40))
    assert (reader.identity(), reader.end().seq, read_all(original).missing) == (IDENTITY, 40, 0)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 600)), min_size=1, max_size=5))
@exhaustive
def test_any_limits_give_every_record_once(original: JournalPath, limits: list[tuple[int, int]]) -> None:
    """Reading on from where a batch ends gives the next record, whatever the limits: at least one if there is one."""
    reader, position, found = JournalReader(original), START, list[Entry]()
    while (batch := reader.read(position, *limits[len(found) % len(limits)])).entries:
        position = batch.after
        found += batch.entries
    assert texts(found) == TEXTS
    assert len(JournalReader(original).read(START, 7).entries) == 7


@given(st.data())
@exhaustive
def test_a_journal_cut_anywhere_is_read_up_to_there(original: JournalPath, tmp_path: Path, data: st.DataObject) -> None:
    """Truncated at any byte of any segment: what is before is read, nothing invented, and later segments are read."""
    path = copy(original, tmp_path)
    index = data.draw(st.sampled_from(path.segments()))
    content = path.segment(index).read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    os.truncate(path.segment(index), cut)
    before = [text for number in range(1, index) for text in texts_of_segment(original.segment(number))]
    behind = [text for number in path.segments()[index:] for text in texts_of_segment(original.segment(number))]
    inside = texts_of_segment(original.segment(index))
    found = read_all(path)
    kept = len(found.entries) - len(before) - len(behind)
    assert texts(found.entries) == [*before, *inside[:kept], *behind]
    assert all(content.find(text.encode()) + len(text) <= cut for text in inside[:kept])
    if behind:
        assert found.missing == len(inside) - kept
        assert [entry.seq for entry in found.entries] == [TEXTS.index(text) for text in texts(found.entries)]


@given(st.data())
@exhaustive
def test_a_flipped_byte_costs_at_most_one_record(original: JournalPath, tmp_path: Path, data: st.DataObject) -> None:
    """Any byte of any segment flipped, also of a header: at most that record is lost, and it is counted as missing."""
    path = copy(original, tmp_path)
    index = data.draw(st.sampled_from(path.segments()))
    content = bytearray(path.segment(index).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.segment(index).write_bytes(content)
    found = read_all(path)
    read = texts(found.entries)
    lost = [text for text in TEXTS if text not in read]
    assert read == [text for text in TEXTS if text in read]
    assert len(lost) <= 1
    assert found.missing == len(lost) or lost == [TEXTS[-1]]  # behind the last one nothing tells
    assert [entry.seq for entry in found.entries] == [TEXTS.index(text) for text in read]
    try:
        assert JournalReader(path).identity() == IDENTITY
    except fmt.JournalError:
        pytest.fail("any other segment tells who wrote the journal")


@given(st.data())
@exhaustive
def test_a_damaged_stretch_is_counted_truly(original: JournalPath, tmp_path: Path, data: st.DataObject) -> None:
    """Any bytes over any stretch of a segment: the next one tells how many records it cost, and the numbers fit."""
    path = copy(original, tmp_path)
    index = data.draw(st.sampled_from(path.segments()[:-1]))
    content = bytearray(path.segment(index).read_bytes())
    place = data.draw(st.integers(0, len(content)))
    garbage = data.draw(st.binary(max_size=900) | st.integers(1, 900).map(bytes))
    content[place : place + len(garbage)] = garbage[: len(content) - place]
    path.segment(index).write_bytes(content)
    found = read_all(path)
    read = texts(found.entries)
    assert read == [text for text in TEXTS if text in read]
    assert found.missing == len(TEXTS) - len(read)
    assert found.entries[-1].seq == len(TEXTS) - 1
    for number in path.segments():
        assert number == index or set(texts_of_segment(original.segment(number))) <= set(read)


def test_a_missing_segment_is_counted(original: JournalPath, tmp_path: Path) -> None:
    """Where segments were removed, the records in them are missing, and the numbers behind them are right."""
    path = copy(original, tmp_path)
    gone = [*texts_of_segment(original.segment(1)), *texts_of_segment(original.segment(3))]
    path.segment(1).unlink()
    path.segment(3).unlink()
    found = read_all(path)
    assert texts(found.entries) == [text for text in TEXTS if text not in gone]
    assert found.missing == len(gone)
    assert [entry.seq for entry in found.entries] == [TEXTS.index(text) for text in texts(found.entries)]


def hostile(path: JournalPath, index: int, name: str) -> None:
    file, header = path.segment(index), fmt.pack_header(IDENTITY)
    match name:
        case "empty":
            file.touch()
        case "zeros":
            file.write_bytes(bytes(5000))
        case "text":
            file.write_bytes(b"not a segment\n" * 1000)
        case "length bomb":
            file.write_bytes(header + struct.pack("<II", 2**32 - 1, 0) + b"x" * 100)
        case "header bomb":
            file.write_bytes(struct.pack("<8sHHII", fmt.MAGIC, 1, 0, 2**32 - 1, 0))
        case "sparse":
            file.write_bytes(header)
            os.truncate(file, 2**40)
        case "no record":
            payload = b"\x92\x63\x00"
            file.write_bytes(header + struct.pack("<II", len(payload), zlib.crc32(payload)) + payload)
        case "directory":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "link":
            file.symlink_to(path.segment(1))
        case "dangling link":
            file.symlink_to(path.path / "nowhere")


HOSTILE = [
    "empty",
    "zeros",
    "text",
    "length bomb",
    "header bomb",
    "sparse",
    "no record",
    "directory",
    "pipe",
    "link",
    "dangling link",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_segment_is_passed_over(original: JournalPath, tmp_path: Path, name: str) -> None:
    """A file of any kind among the segments stops nobody: what is before and behind it is read."""
    path = copy(original, tmp_path)
    segments = path.segments()
    for index in (segments[-1], 1000):
        if index != 1000:
            path.segment(index).rename(path.segment(index + 10))
        hostile(path, index, name)
    found = read_all(path)
    assert (texts(found.entries), found.missing) == (TEXTS, 0)
    assert JournalReader(path).read(found.after) == Batch(found.after)


@pytest.mark.parametrize("name", HOSTILE)
def test_who_wrote_a_journal_without_a_readable_segment_is_an_error(tmp_path: Path, name: str) -> None:
    """The one error of a damaged journal says what is wrong with it; reading it gives nothing."""
    path = JournalPath(tmp_path)
    assert JournalReader(path).end() == START
    with pytest.raises(fmt.JournalError, match=f"^{tmp_path}: the journal has no segment$"):
        JournalReader(path).identity()
    hostile(path, 1, name)
    assert list(JournalReader(path)) == []
    if name in {"sparse", "length bomb", "no record"}:
        assert JournalReader(path).identity() == IDENTITY
    else:
        with pytest.raises(fmt.JournalError):
            JournalReader(path).identity()


def test_a_newer_journal_is_refused(original: JournalPath, tmp_path: Path) -> None:
    """A segment of a newer version is no damage that is passed over: whoever reads it is told to upgrade."""
    path = copy(original, tmp_path)
    content = path.segment(1).read_bytes()
    prefix = content[:8] + struct.pack("<H", 2) + content[10:16]
    body = content[20 : fmt.header_size(content)]
    path.segment(1).write_bytes(prefix + struct.pack("<I", zlib.crc32(prefix + body)) + content[20:])
    reason = (
        f"{path.segment(1)}: the journal has format version 2, this synapse-otel reads up to 1: "
        "upgrade synapse-otel to read it"
    )
    for attempt in (JournalReader(path).identity, JournalReader(path).end, lambda: list(JournalReader(path))):
        with pytest.raises(fmt.NewerFormatError) as caught:
            attempt()
        assert str(caught.value) == reason


def test_a_large_header_and_a_large_record_are_read(tmp_path: Path) -> None:
    """Neither the identity nor a record of the largest size is too large for a reader, or for a small segment."""
    whole = identity(resource={"note": "x" * 300_000})
    large = "x" * (fmt.MAX_RECORD - 40)
    path = written(
        tmp_path, [message(1), message(large), message(2)], identity=whole, first_segment=SMALL, segment=SMALL
    )
    assert JournalReader(path).identity() == whole
    assert read_texts(path) == ["1", large, "2"]
    assert texts(JournalReader(path).read(START, 2, 1).entries) == ["1"]


def test_dropped_records_count_as_those_that_they_stand_for(tmp_path: Path) -> None:
    """Behind a tombstone the sequence numbers go on as if the records were there; no counts lead backwards."""
    records = [
        SegmentOpened(1, 10),
        Dropped(2, {"message": 3, "event": 2}),
        message("a"),
        Dropped(3, {"x": -7}),
        message("b"),
    ]
    path = JournalPath(tmp_path)
    path.segment(4).write_bytes(
        fmt.pack_header(IDENTITY) + b"".join(fmt.pack_frame(encode(record)) for record in records)
    )
    found = read_all(path)
    assert ([entry.seq for entry in found.entries], found.missing, found.after.seq) == ([10, 15, 16, 16], 10, 17)


def test_a_reader_polls_a_writer_in_its_own_process(tmp_path: Path) -> None:
    """A thread that reads while another one writes through many segments gets every record once, in order."""
    journal = open_journal(tmp_path, first_segment=SMALL, segment=SMALL)
    count, found, position = 5000, list[Entry](), START

    def write() -> None:
        for number in range(count):
            journal.append(message(number))

    writer = threading.Thread(target=write)
    writer.start()
    missing, done = 0, False
    while not done:
        done = not writer.is_alive()
        while (batch := journal.read(position, 50, 10_000)).entries:
            position, missing = batch.after, missing + batch.missing
            found += batch.entries
    writer.join()
    journal.close()
    assert texts(found) == [str(number) for number in range(count)]
    assert ([entry.seq for entry in found], missing) == (list(range(count)), 0)
    assert position.segment > 20


@pytest.mark.parametrize("segment", [SMALL, 300_000])
def test_a_reader_polls_a_writer_in_another_process(tmp_path: Path, segment: int) -> None:
    """A process that reads while another one writes gets every record once, in order, and none half."""
    count = 12_000
    process = start(
        """
        journal = open_journal(Path(sys.argv[1]), first_segment=int(sys.argv[2]), segment=int(sys.argv[2]))
        print(journal.path.path, flush=True)
        sys.stdin.readline()
        for number in range(int(sys.argv[3])): journal.append(message(f"{number} " + "x" * (number * 37 % 500)))
        """,
        tmp_path,
        segment,
        count,
    )
    assert process.stdout
    assert process.stdin
    reader, position, found, missing = JournalReader(JournalPath(Path(process.stdout.readline().strip()))), START, [], 0
    process.stdin.write("go\n")
    process.stdin.close()
    done = False
    while not done:
        done = process.poll() is not None
        while (batch := reader.read(position, 10**9, 50_000)).entries:
            position, missing = batch.after, missing + batch.missing
            found += batch.entries
    process.stdout.close()
    assert [text.split()[0] for text in texts(found)] == [str(number) for number in range(count)]
    assert (process.returncode, [entry.seq for entry in found], missing) == (0, list(range(count)), 0)


def test_a_frame_that_is_being_written_is_looked_at_again_later(tmp_path: Path) -> None:
    """An incomplete frame at the end is neither read nor passed over, whichever part of it is there."""
    journal = open_journal(tmp_path)
    journal.append(message("first"))
    assert journal.path
    segment, end = journal._segment, journal._segment.offset
    position = JournalReader(journal.path).end()
    frame = fmt.pack_frame(encode(message("second")))
    assert segment.map is not None
    for written_part in range(len(frame)):
        segment.map[end : end + len(frame)] = frame[:written_part] + bytes(len(frame) - written_part)
        assert JournalReader(journal.path).read(position) == Batch(position)
        segment.map[end : end + len(frame)] = bytes(written_part) + frame[written_part:]
        assert written_part == 0 or JournalReader(journal.path).read(position).missing == 0
    segment.map[end : end + len(frame)] = frame
    assert texts(JournalReader(journal.path).read(position).entries) == ["second"]
    journal.close()


def test_a_position_is_where_reading_goes_on(original: JournalPath) -> None:
    """Every entry's position, also after it was stored, leads to the record behind it."""
    found = list(JournalReader(original))
    for number, entry in enumerate(found[:-1]):
        assert JournalReader(original).read(entry.after, 1).entries == [found[number + 1]]
    assert JournalReader(original).read(Position(999, 0, 40)) == Batch(Position(999, 0, 40))
