from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.kit import T, dev_event, exhaustive, message, open_journal, read_all, texts, written
from synapse_otel.journal import quota
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.directory import JournalPath, journals
from synapse_otel.journal.locks import FileLock
from synapse_otel.journal.quota import Quota, enforce
from synapse_otel.journal.reader import Entry, JournalReader, Position
from synapse_otel.journal.records import Dropped, Record, RunEnded

DAY = 86_400.0
SIZE = 16_384
END = RunEnded(T, "completed")


def records(count: int, dev: int = 3) -> list[Record]:
    """Return messages and dev events, one of `dev` a message."""
    return [(dev_event if number % dev else message)(f"{number:05} " + "x" * 100) for number in range(count)]


def journal(root: Path, *more: Record, count: int = 400, dev: int = 3, days_old: float = 0.0) -> JournalPath:
    path = written(root, [*records(count, dev), *more], first_segment=SIZE, segment=SIZE)
    aged(path, days_old)
    return path


def aged(path: JournalPath, days: float) -> None:
    for file in (*path.path.iterdir(), path.path):
        os.utime(file, (time.time() - days * DAY,) * 2)


def usage(root: Path) -> int:
    return sum(path.size() for path in journals(root))


def delivered(path: JournalPath, position: Position | None = None, *signals: str) -> None:
    for signal in signals or ("traces", "logs"):
        CursorFile(path.cursor(signal)).save(Cursor(position=position or JournalReader(path).end()))


def kinds(path: JournalPath) -> Counter[str]:
    """Return how many records there are or were, by kind, those that tombstones stand for among them."""
    counts: Counter[str] = Counter()
    for entry in JournalReader(path):
        counts.update(entry.record.counts if isinstance(entry.record, Dropped) else {entry.record.kind: 1})
    return counts


def content(path: JournalPath) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.path.iterdir() if file.name != "ship.lock"}


def test_what_fits_is_left_alone(tmp_path: Path) -> None:
    """Within bytes and age nothing changes."""
    path = journal(tmp_path, days_old=3)
    before = content(path)
    assert enforce(tmp_path, Quota(usage(tmp_path), 4 * DAY)) == Counter()
    assert content(path) == before
    assert enforce(tmp_path / "nowhere", Quota(0, 0)) == Counter()


def test_dev_events_go_first(tmp_path: Path) -> None:
    """While dev events are enough nothing else goes, and the last segment is whole; what went is counted in place."""
    path = journal(tmp_path)
    before, whole = kinds(path), usage(tmp_path)
    last = path.segment(path.segments()[-1]).read_bytes()
    dropped = enforce(tmp_path, Quota(whole * 3 // 4, DAY))
    found = read_all(path)
    assert set(dropped) == {"dev_event"}
    assert usage(tmp_path) <= whole * 3 // 4
    assert dropped == sum(
        (Counter(entry.record.counts) for entry in found.entries if isinstance(entry.record, Dropped)), Counter()
    )
    assert (kinds(path), found.missing, found.after.seq) == (before, 0, 400)
    messages = [text for text in texts(found.entries) if int(text.split()[0]) % 3 == 0]
    assert messages == texts(record for record in records(400) if record.kind == "message")
    assert path.segment(path.segments()[-1]).read_bytes() == last


def test_then_the_oldest_segments_go(tmp_path: Path) -> None:
    """When dev events are not enough, whole segments go, the oldest first, each leaving one tombstone."""
    path = journal(tmp_path, dev=2)
    before = kinds(path)
    small = usage(tmp_path) // 2
    dropped = enforce(tmp_path, Quota(small, DAY))
    found = read_all(path)
    assert usage(tmp_path) <= small
    assert dropped["dev_event"]
    assert dropped["message"]
    assert (kinds(path), found.missing, found.after.seq) == (before, 0, 400)
    gone = list(JournalReader(path).read(Position(1), 1).entries)
    assert isinstance(gone[0].record, Dropped)
    assert gone[0].after.segment == 1
    assert [entry.seq for entry in found.entries] == sorted({entry.seq for entry in found.entries})
    last = texts(found.entries)[-1]
    assert last.startswith("00399")


def test_everything_may_go_but_the_last_segment(tmp_path: Path) -> None:
    """A quota of nothing leaves the last segment and a tombstone for each other one; doing it again changes nothing."""
    path = journal(tmp_path)
    before, segments = kinds(path), path.segments()
    last = [entry.record for entry in JournalReader(path).read(Position(segments[-1]), 10**6).entries]
    dropped = enforce(tmp_path, Quota(0, DAY))
    found = read_all(path)
    assert [type(entry.record) for entry in found.entries[: len(segments) - 1]] == [Dropped] * (len(segments) - 1)
    assert [entry.record for entry in found.entries[len(segments) - 1 :]] == last
    assert kinds(path) == before == dropped + Counter(record.kind for record in last)
    after = content(path)
    assert (enforce(tmp_path, Quota(0, DAY)), content(path)) == (Counter(), after)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 300)), max_size=120),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
    st.integers(300, 3000),
)
@settings(exhaustive, max_examples=150)
def test_every_record_is_there_or_counted(
    tmp_path: Path, sizes: list[tuple[bool, int]], steps: list[float], segment: int
) -> None:
    """Over any journal and any tightening of the quota: what is left is unchanged, in place, and the rest counted."""
    wrote = [(dev_event if dev else message)(f"{n} " + "x" * size) for n, (dev, size) in enumerate(sizes)]
    path = written(tmp_path, wrote, first_segment=segment, segment=segment)
    dropped = Counter[str]()
    for step in sorted(steps, reverse=True):
        dropped += enforce(tmp_path, Quota(int(usage(tmp_path) * step), DAY))
        found = read_all(path)
        assert all(entry.record == wrote[entry.seq] for entry in found.entries if not isinstance(entry.record, Dropped))
        assert (kinds(path), found.missing) == (Counter(record.kind for record in wrote), 0)
        assert found.after.seq == len(wrote)
        tombstones = [Counter(e.record.counts) for e in found.entries if isinstance(e.record, Dropped)]
        assert sum(tombstones, Counter()) == dropped
    path.remove()


def test_delivered_runs_go_first(tmp_path: Path) -> None:
    """A run that ended and was delivered goes before any undelivered record, the oldest first, and is not counted."""
    oldest, done, newer = (journal(tmp_path, END, days_old=days) for days in (3, 2, 1))
    for path in (done, newer):
        delivered(path)
        aged(path, 2 if path == done else 1)
    assert enforce(tmp_path, Quota(usage(tmp_path) - 1, 10 * DAY)) == Counter()
    assert set(journals(tmp_path)) == {oldest, newer}
    assert enforce(tmp_path, Quota(oldest.size(), 10 * DAY)) == Counter()
    assert list(journals(tmp_path)) == [oldest]


def test_a_run_is_delivered_when_every_signal_that_is_served_is(tmp_path: Path) -> None:
    """A signal that is not served does not count; one that is behind, or a run that was not closed, does."""
    unserved, behind, crashed, never = (journal(tmp_path, *end) for end in ([END], [END], [], [END]))
    for path in (unserved, behind, crashed):
        delivered(path)
    CursorFile(unserved.cursor("metrics")).save(Cursor(unserved=True))
    CursorFile(behind.cursor("metrics")).save(Cursor(position=Position(behind.segments()[-1], 0, 390)))
    enforce(tmp_path, Quota(sum(path.size() for path in (behind, crashed, never)), DAY))
    assert set(journals(tmp_path)) == {behind, crashed, never}


def test_runs_that_ended_and_were_never_sent_go_last_and_are_counted(tmp_path: Path) -> None:
    """Where nothing is ever sent the quota holds as well; a run that crashed waits for somebody to close it."""
    ended, crashed = journal(tmp_path, END), journal(tmp_path)
    accepted = sum(1 for _ in JournalReader(ended))
    dropped = enforce(tmp_path, Quota(0, DAY))
    assert list(journals(tmp_path)) == [crashed]
    assert sum(dropped.values()) >= accepted


def test_delivered_segments_go_before_undelivered_ones(tmp_path: Path) -> None:
    """Of a run that is being delivered and kept, the segments that every signal has passed go without being counted."""
    path = journal(tmp_path)
    *_, reached, last = path.segments()
    delivered(path, Position(reached, 200, 300))
    CursorFile(path.cursor("metrics")).save(Cursor(position=Position(last, 200, 380)))
    assert enforce(tmp_path, Quota(0, DAY)) == Counter()
    assert path.segments() == [reached, last]


def test_segments_whose_delivery_began_are_untouched(tmp_path: Path) -> None:
    """Up to the furthest position of any signal, and of the requests under way, segments stay byte for byte."""
    path = journal(tmp_path, count=800)
    first, second, third, *_ = path.segments()
    CursorFile(path.cursor("traces")).save(Cursor(position=Position(first, 300, 2)))
    CursorFile(path.cursor("logs")).save(Cursor(position=Position(second, 300, 2), ends=(Position(third, 500, 3),)))
    before = {index: path.segment(index).read_bytes() for index in (first, second, third)}
    before_all = kinds(path)
    dropped = enforce(tmp_path, Quota(0, DAY))
    assert {index: path.segment(index).read_bytes() for index in (first, second, third)} == before
    assert dropped
    assert kinds(path) == before_all


def test_the_segment_of_a_living_writer_is_untouched(tmp_path: Path) -> None:
    """A quota that is reached while the journal is written costs only its earlier segments; the writer goes on."""
    living = open_journal(tmp_path, first_segment=SIZE, segment=SIZE)
    assert living.path
    for record in records(400):
        living.append(record)
    found = list[Entry]()
    dropped = enforce(tmp_path, Quota(0, DAY), {living.path: nullcontext()})
    for record in records(50):
        living.append(record)
    dropped += enforce(tmp_path, Quota(0, -DAY), {living.path: nullcontext()})
    living.close()
    found = list(JournalReader(living.path))
    assert Counter(record.kind for record in [*records(400), *records(50)]) == kinds(living.path)
    assert dropped == sum((Counter(e.record.counts) for e in found if isinstance(e.record, Dropped)), Counter())
    assert found[-1].after.seq == 450
    assert texts(found)[-1].startswith("00049")


def test_a_journal_that_somebody_ships_is_left_alone(tmp_path: Path) -> None:
    """Only the caller's own journal, and those that nobody ships, are made smaller or removed."""
    shipped, own, old = journal(tmp_path), journal(tmp_path), journal(tmp_path, days_old=9)
    locks = [FileLock(path.shipping_lock) for path in (shipped, own, old)]
    assert all(lock.acquire() for lock in locks)
    aged(old, 9)
    before, before_own, before_old = content(shipped), content(own), content(old)
    assert set(enforce(tmp_path, Quota(0, 5 * DAY), {own: nullcontext()})) == {"dev_event", "message"}
    assert (content(shipped), content(old)) == (before, before_old)
    assert content(own) != before_own
    for lock in locks:
        lock.release()


def test_what_is_too_old_goes_and_is_counted_unless_it_was_delivered(tmp_path: Path) -> None:
    """Age removes whole runs; what nobody had delivered is told by kind, what was delivered is not."""
    old, part, young = (journal(tmp_path, END, days_old=days) for days in (9, 9, 1))
    halfway = list(JournalReader(part))[199].after
    delivered(part, halfway)
    aged(part, 9)
    left = Counter(entry.record.kind for entry in JournalReader(part).entries(halfway))
    assert enforce(tmp_path, Quota(10**9, 5 * DAY)) == kinds(young) + left
    assert list(journals(tmp_path)) == [young]
    assert not old.path.exists()


def test_an_old_run_stays_old_when_it_is_made_smaller(tmp_path: Path) -> None:
    """Dropping records does not make a run look as if it had just been written."""
    path = journal(tmp_path, days_old=4)
    enforce(tmp_path, Quota(0, 5 * DAY))
    assert time.time() - path.written() == pytest.approx(4 * DAY, abs=60)


def test_the_oldest_runs_go_first(tmp_path: Path) -> None:
    """Undelivered records go from the run that was written longest ago."""
    newer, older = journal(tmp_path, days_old=1), journal(tmp_path, days_old=2)
    before = content(newer)
    assert enforce(tmp_path, Quota(usage(tmp_path) - 20_000, 5 * DAY))
    assert (content(newer), any(isinstance(entry.record, Dropped) for entry in JournalReader(older))) == (before, True)


def test_damage_is_counted_where_it_is_dropped(tmp_path: Path) -> None:
    """A damaged record in a segment that is rewritten goes as damaged, and the numbers behind it stay right."""
    path = journal(tmp_path)
    data = bytearray(path.segment(1).read_bytes())
    data[data.index(b"00007 x") + 3] ^= 1
    path.segment(1).write_bytes(data)
    dropped = enforce(tmp_path, Quota(0, DAY))
    found = read_all(path)
    assert (dropped["damaged"], found.missing, found.after.seq) == (1, 0, 400)
    assert kinds(path) == Counter(record.kind for record in records(400)) - Counter(dev_event=1) + Counter(damaged=1)


@pytest.mark.parametrize("what", ["garbage", "newer", "nothing"])
def test_what_cannot_be_read_stops_nobody(tmp_path: Path, what: str) -> None:
    """A journal that cannot be read is left until it is too old, and the others are brought within the quota."""
    odd, good = journal(tmp_path, days_old=2), journal(tmp_path)
    for index in odd.segments():
        file = odd.segment(index)
        if what == "nothing":
            file.unlink()
        else:
            file.write_bytes(
                b"\xff" * 5000 if what == "garbage" else file.read_bytes().replace(b"\n\1\0", b"\n\2\0", 1)
            )
    assert set(enforce(tmp_path, Quota(0, 5 * DAY))) == {"dev_event", "message"}
    assert odd.path.exists()
    aged(odd, 9)
    enforce(tmp_path, Quota(10**9, 5 * DAY))
    assert list(journals(tmp_path)) == [good]


def test_what_one_signal_has_delivered_and_another_has_not_can_be_dropped(tmp_path: Path) -> None:
    """While one signal is away for long, the quota holds: what only it has yet to deliver is dropped and counted."""
    path = journal(tmp_path, END, count=400, dev=1)
    assert len(path.segments()) > 3
    CursorFile(path.cursor("logs")).save(Cursor(position=Position(1, 0, 0)))
    CursorFile(path.cursor("traces")).save(Cursor(position=Position(path.segments()[-1], 0, 390)))
    dropped = enforce(tmp_path, Quota(3 * SIZE, DAY))
    assert dropped["message"] > 100
    assert usage(tmp_path) <= 3 * SIZE


def test_what_is_being_delivered_goes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While all that would have to go is under way nothing goes, and a sweep is due again until the quota holds."""
    monkeypatch.setattr(quota, "_AGAIN", 0.1)
    path = journal(tmp_path, count=400, dev=1)
    last = path.segments()[-1]
    CursorFile(path.cursor("logs")).save(Cursor(position=Position(1, 0, 0), ends=(Position(last, 0, 390),)))
    sweeps = quota.Sweeps(tmp_path, Quota(3 * SIZE, DAY))
    for _ in range(3):  # as with segments that begin one soon after another: the wait is that after the last one
        assert (sweeps.is_due(), sweeps.sweep({})) == (False, Counter())
    time.sleep(0.15)
    assert sweeps.is_due()
    CursorFile(path.cursor("logs")).save(Cursor(position=Position(1, 0, 0)))
    assert sweeps.sweep({})["message"] > 100
    assert usage(tmp_path) <= 3 * SIZE
    time.sleep(0.25)
    assert not sweeps.is_due()


def test_a_repeated_sweep_drops_no_run_that_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still too much when a run has ended is delivered in a moment, or goes when there is more to come."""
    monkeypatch.setattr(quota, "_AGAIN", 0.05)
    path = journal(tmp_path, END, count=400, dev=1)
    CursorFile(path.cursor("logs")).save(Cursor(position=Position(1, 0, 0)))
    sweeps, shipped = quota.Sweeps(tmp_path, Quota(1, DAY)), {path: nullcontext()}
    assert sweeps.sweep(shipped)["message"] > 100
    time.sleep(0.1)
    assert (sweeps.is_due(), sweeps.sweep({}), path.path.exists()) == (True, Counter(), True)
    assert sweeps.sweep({})["message"]
    assert not path.path.exists()
