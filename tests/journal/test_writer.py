from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.kit import (
    SMALL,
    T,
    entries,
    exhaustive,
    identity,
    message,
    open_journal,
    read_all,
    read_texts,
    start,
    texts,
)
from synapse_otel.journal import format as fmt
from synapse_otel.journal.directory import JournalPath, journals
from synapse_otel.journal.reader import START, JournalReader
from synapse_otel.journal.records import DevEvent
from synapse_otel.journal.writer import Journal, RecordTooLargeError


def path_of(journal: Journal) -> JournalPath:
    assert journal.path
    return journal.path


def test_a_record_is_on_the_disk_when_append_returns(tmp_path: Path) -> None:
    """Whoever reads the files sees a record at once, while the journal is open and when it is closed."""
    who = identity()
    journal = open_journal(tmp_path, identity=who)
    for number in range(3):
        journal.append(message(number))
        assert read_texts(path_of(journal)) == [str(one) for one in range(number + 1)]
    assert (journal.next_seq, journal.current_segment(), journal.degraded, journal.memory) == (3, 1, None, None)
    assert (JournalReader(path_of(journal)).identity(), path_of(journal).is_live()) == (who, True)
    journal.close()
    assert (read_texts(path_of(journal)), path_of(journal).is_live()) == (["0", "1", "2"], False)


@given(st.lists(st.integers(0, 3000), max_size=40), st.integers(300, 5000), st.integers(300, 5000))
@exhaustive
def test_records_of_any_size_go_through_segments_of_any_size(
    tmp_path: Path, sizes: list[int], first: int, following: int
) -> None:
    """Whatever fits where, every record arrives once, in order, and the segments are cut to what is in them."""
    journal = open_journal(tmp_path, first_segment=first, segment=following)
    for number, size in enumerate(sizes):
        if size % 3 == 0:
            journal.prepare()
        journal.append(message(f"{number} " + "x" * size))
    journal.close()
    path = path_of(journal)
    found = read_all(path)
    assert [text.split()[0] for text in texts(found.entries)] == [str(number) for number in range(len(sizes))]
    assert (found.missing, path.segments(), path.spares()) == (0, list(range(1, len(path.segments()) + 1)), [])
    for index in path.segments():
        data = path.segment(index).read_bytes()
        start = fmt.unpack_header(data, "")[1]
        assert start + list(fmt.frames(data[start:]))[-1].end == len(data)
    path.remove()


def test_a_record_that_is_too_large_is_refused_and_costs_nothing_else(tmp_path: Path) -> None:
    """Over the limit is an error at the call, also where there is room; the journal goes on."""
    journal = open_journal(tmp_path)
    with pytest.raises(RecordTooLargeError) as caught:
        journal.append(message("x" * fmt.MAX_RECORD))
    assert str(caught.value) == "a record has 262179 bytes, expected at most 262144"
    for value, error in ((object(), TypeError), (2**70, OverflowError)):
        with pytest.raises(error):
            journal.append(DevEvent(T, b"", b"", "x", {"value": value}))
    journal.append(message("x" * (fmt.MAX_RECORD - 36)))
    journal.append(message("last"))
    journal.close()
    assert [len(text) for text in read_texts(path_of(journal))] == [fmt.MAX_RECORD - 36, 4]


def test_a_closed_journal_refuses(tmp_path: Path) -> None:
    """What is appended after closing is an error, and closing twice is none."""
    journal = open_journal(tmp_path)
    journal.close()
    journal.close()
    journal.prepare()
    with pytest.raises(RuntimeError, match=r"^the journal is closed$"):
        journal.append(message("late"))
    assert (read_texts(path_of(journal)), path_of(journal).spares()) == ([], [])


def test_the_next_segment_is_allocated_ahead(tmp_path: Path) -> None:
    """When a segment is half full the next one is allocated, once; it is entered later, and removed if it is not."""
    journal = open_journal(tmp_path, first_segment=SMALL, segment=SMALL)
    journal.prepare()
    assert path_of(journal).spares() == []
    while journal._segment.offset <= SMALL // 2:
        journal.append(message("x" * 100))
    journal.prepare()
    journal.prepare()
    assert [spare.name for spare in path_of(journal).spares()] == ["spare-1"]
    while journal.current_segment() == 1:
        journal.append(message("x" * 100))
    assert path_of(journal).spares() == []
    while journal._segment.offset <= SMALL // 2:
        journal.append(message("x" * 100))
    journal.prepare()
    assert [spare.name for spare in path_of(journal).spares()] == ["spare-2"]
    journal.close()
    assert path_of(journal).spares() == []


def test_segments_are_really_allocated(tmp_path: Path) -> None:
    """The blocks of a segment are there before it is written, so that a store can never meet a full disk."""
    journal = open_journal(tmp_path)
    segment = path_of(journal).segment(1)
    assert segment.stat().st_blocks * 512 >= segment.stat().st_size == 128 * 1024
    journal.close()
    assert segment.stat().st_blocks * 512 <= 8192


@given(st.lists(st.integers(1, 120), min_size=2, max_size=5), st.integers(400, 4000))
@settings(exhaustive, max_examples=40)
def test_threads_write_each_record_once_in_their_order(tmp_path: Path, counts: list[int], segment: int) -> None:
    """However threads interleave: each one's records arrive once, in its order, and the sequence has no gap."""
    journal = open_journal(tmp_path, first_segment=segment, segment=segment)
    barrier = threading.Barrier(len(counts) + 1)

    def write(name: int) -> None:
        barrier.wait()
        for number in range(counts[name]):
            journal.append(message(f"{name} {number}"))

    def prepare() -> None:
        barrier.wait()
        for _ in range(10):
            journal.prepare()

    threads = [threading.Thread(target=write, args=(name,)) for name in range(len(counts))]
    threads.append(threading.Thread(target=prepare))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    found = read_all(path_of(journal))
    assert ([entry.seq for entry in found.entries], found.missing) == (list(range(sum(counts))), 0)
    for name, count in enumerate(counts):
        own = [text for text in texts(found.entries) if text.split()[0] == str(name)]
        assert own == [f"{name} {number}" for number in range(count)]
    path_of(journal).remove()


def test_a_killed_process_has_lost_nothing(tmp_path: Path) -> None:
    """After SIGKILL at any moment every record whose append had returned is there, in order; at most one more is."""
    for attempt in range(20):
        process = start(
            """
            journal = open_journal(Path(sys.argv[1]), first_segment=SMALL, segment=SMALL)
            threading.Thread(target=lambda: [journal.prepare() for _ in iter(int, 1)], daemon=True).start()
            for number in range(10**9):
                journal.append(message(number))
                os.write(1, b"%d\\n" % number)
            """,
            tmp_path / str(attempt),
        )
        assert process.stdout
        acknowledged = process.stdout.readline()
        time.sleep(0.0007 * attempt)
        process.kill()
        acknowledged += process.stdout.read()
        process.communicate()
        (path,) = journals(tmp_path / str(attempt))
        found = read_all(path)
        read = [int(text) for text in texts(found.entries)]
        assert read == list(range(len(read)))
        assert 0 <= len(read) - acknowledged.count("\n") <= 1
        assert (found.missing, path.is_live()) == (0, False)


@contextmanager
def alarms(handler: Callable[[], None]) -> Iterator[None]:
    """Have the signals of `alarm` handled by `handler`."""
    old = signal.signal(signal.SIGALRM, lambda number, frame: handler())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def alarm(after: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, after)


@pytest.mark.parametrize("segment", [1000, SMALL, 1024 * 1024])
def test_a_signal_handler_may_append(tmp_path: Path, segment: int) -> None:
    """A handler that appends, also in the middle of entering a segment, loses, tears and doubles nothing."""
    journal = open_journal(tmp_path, first_segment=segment, segment=segment)
    handled = 0

    def handle() -> None:
        nonlocal handled
        journal.append(message(f"handler {handled}"))
        handled += 1
        alarm(0.0001 + handled % 50 * 1e-5)

    count = 0
    with alarms(handle):
        alarm(0.0001)
        while handled < 100 and journal.current_segment() < 300:
            journal.append(message(f"main {count}"))
            count += 1
            if count % 7 == 0:
                journal.prepare()
    journal.close()
    found = read_all(path_of(journal))
    for name, expected in (("main", count), ("handler", handled)):
        assert [text for text in texts(found.entries) if name in text] == [f"{name} {n}" for n in range(expected)]
    assert ([entry.seq for entry in found.entries], found.missing) == (list(range(count + handled)), 0)
    assert handled >= 50
    assert (path_of(journal).segments(), path_of(journal).spares()) == (list(range(1, journal_end(journal) + 1)), [])


def journal_end(journal: Journal) -> int:
    return max(path_of(journal).segments())


@pytest.mark.parametrize("segment", [1000, 1024 * 1024])
def test_a_keyboard_interrupt_may_come_at_any_moment(tmp_path: Path, segment: int) -> None:
    """An append that is interrupted has written its record or has not; every other one is there once, in order."""
    journal = open_journal(tmp_path, first_segment=segment, segment=segment)
    returned, count, interrupts = set[int](), 0, 0
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    while interrupts < 100 and journal.current_segment() < 300:
        try:
            alarm(0.0001 + count % 50 * 1e-5)
            while True:
                count += 1
                journal.append(message(count))
                returned.add(count)
        except KeyboardInterrupt:
            interrupts += 1
    signal.signal(signal.SIGALRM, old)
    journal.append(message(count + 1))
    journal.close()
    found = read_all(path_of(journal))
    read = [int(text) for text in texts(found.entries)]
    assert read == sorted(set(read))
    assert {*returned, count + 1} <= set(read) <= set(range(1, count + 2))
    assert ([entry.seq for entry in found.entries], found.missing) == (list(range(len(read))), 0)
    assert interrupts >= 20
    assert path_of(journal).spares() == []


def test_a_handler_may_close_the_journal(tmp_path: Path) -> None:
    """Where a handler closes the journal in the middle of an append, everything returned is there, nothing after it."""
    for attempt in range(25):
        journal = open_journal(tmp_path / str(attempt), first_segment=400, segment=400)
        count = 0

        def close(journal: Journal = journal) -> None:
            journal.append(message("end"))
            journal.close()

        with alarms(close), pytest.raises(RuntimeError, match="closed"):  # noqa: PT012  # the alarm comes in the middle
            alarm(0.001 + attempt * 7e-5)
            while True:
                journal.append(message(count))
                count += 1
        found = read_all(path_of(journal))
        assert texts(found.entries) == [*(str(number) for number in range(count)), "end"]
        assert (found.missing, path_of(journal).is_live(), path_of(journal).spares()) == (0, False, [])


def test_a_finalizer_may_append(tmp_path: Path) -> None:
    """Garbage that is collected in the middle of an append, and records its end, overwrites nothing."""
    journal = open_journal(tmp_path)

    class Mourned:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            journal.append(message("gone"))

    thresholds = gc.get_threshold()
    gc.collect()
    try:
        for number in range(500):
            record = message(number)
            gc.set_threshold(1 + number % 20)
            gc.disable()
            Mourned()
            gc.enable()
            journal.append(record)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    journal.close()
    found = [text for text in read_texts(path_of(journal)) if text != "gone"]
    assert found == [str(number) for number in range(500)]
    assert read_texts(path_of(journal)).count("gone") == 500


def test_positions_behind_the_end_give_nothing(tmp_path: Path) -> None:
    """Reading on at the end is empty until there is more."""
    journal = open_journal(tmp_path)
    journal.append(message("one"))
    first = journal.read(START, 10, 10**6)
    assert journal.read(first.after, 10, 10**6).entries == []
    journal.append(message("two"))
    assert texts(journal.read(first.after, 10, 10**6).entries) == ["two"]
    assert [entry.seq for entry in entries(path_of(journal))] == [0, 1]
    journal.close()
