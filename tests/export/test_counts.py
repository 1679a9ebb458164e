"""What a run says of its own delivery is true, and quick to say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cli.kit import SECOND, START, identity
from synapse_otel import RuntimeContext
from synapse_otel.export.delivery import counts, report
from synapse_otel.journal import format as fmt
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.quota import Quota, enforce
from synapse_otel.journal.reader import START as BEGIN
from synapse_otel.journal.reader import JournalReader
from synapse_otel.journal.records import Message
from synapse_otel.journal.writer import Journal
from synapse_otel.models import Counts, DeliveryReport
from synapse_otel.testing import Collector, Status

SMALL = 4096


def message(number: int) -> Message:
    return Message(START + number * SECOND, b"", b"", f"{number} {'x' * 50}", "info")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of 100 messages, one a second, in segments of about 40."""
    journal = Journal(tmp_path, identity(), first_segment=SMALL, segment=SMALL)
    for number in range(100):
        journal.append(message(number))
    yield journal
    journal.close()


def cursor(journal: Journal, passed: int, **more: dict[str, int]) -> Cursor:
    assert journal.path
    return Cursor(position=JournalReader(journal.path).read(BEGIN, passed).after if passed else BEGIN, **more)


@pytest.mark.parametrize("passed", [0, 1, 39, 50, 99])
def test_the_slowest_signal_tells_what_is_pending_and_since_when(journal: Journal, passed: int) -> None:
    """The oldest record that is pending is the first one that the slowest signal has not passed."""
    assert journal.path
    cursors = [cursor(journal, 100), cursor(journal, passed, dead_lettered={"message": min(1, passed)})]
    assert counts(journal, cursors) == {
        "accepted": 100,
        "delivered": max(0, passed - 1),
        "pending": 100 - passed,
        "dropped": 0,
        "dead_lettered": min(1, passed),
        "size": journal.path.size(),
        "oldest": START + passed * SECOND,
    }
    assert journal.path.size() >= 3 * SMALL


def test_nothing_is_old_where_nothing_is_pending(journal: Journal) -> None:
    """When all is delivered there is no oldest record; where nothing is sent, it is the first one."""
    found = counts(journal, [cursor(journal, 100)])
    assert (found["pending"], found["oldest"]) == (0, 0)
    found = counts(journal, [])
    assert (found["pending"], found["oldest"]) == (100, START)


def test_segments_that_were_removed_are_passed_over(journal: Journal) -> None:
    """A journal whose cursor was seen before its segment was removed is asked for what is there."""
    assert journal.path
    seen = [cursor(journal, 5)]
    journal.path.segment(1).unlink()
    (first, *_) = JournalReader(journal.path).read(BEGIN).entries
    assert counts(journal, seen)["oldest"] == first.record.t > START + 5 * SECOND


def test_a_journal_in_memory_takes_no_disk_and_has_an_oldest_record(tmp_path: Path) -> None:
    """Where there is no disk, the size is zero, and what is pending is in memory."""
    (tmp_path / "root").write_bytes(b"in the way")
    journal = Journal(tmp_path / "root", identity())
    journal.append(message(3))
    found = counts(journal, [])
    assert (found["pending"], found["size"], found["oldest"]) == (1, 0, START + 3 * SECOND)


@pytest.mark.parametrize("passed", [None, 0, 45])
def test_what_the_quota_dropped_is_no_longer_pending(journal: Journal, passed: int | None) -> None:
    """A report tells what went as dropped as soon as it went, and not only when the delivery gets there."""
    assert journal.path
    cursors = [] if passed is None else [msgspec.structs.replace(cursor(journal, passed), passed={"message": passed})]
    for saved in cursors:
        CursorFile(journal.path.cursor("logs")).save(saved)
    (gone,) = enforce(journal.path.run.parent, Quota(1, 1e9)).values()
    assert 10 < gone <= 90
    assert report(journal, cursors) == DeliveryReport(
        {"message": Counts(100, passed or 0, 100 - gone - (passed or 0), dropped=gone)}
    )


def test_damaged_records_are_dropped_ones(journal: Journal) -> None:
    """A record that was scribbled over is not pending: it is counted as dropped at once."""
    assert journal.path
    content = journal.path.segment(1).read_bytes()
    with journal.path.segment(1).open("rb+") as file:
        file.seek(content.index(b"xxx"))
        file.write(b"y")
    assert report(journal, []) == DeliveryReport(
        {"damaged": Counts(1, dropped=1), "message": Counts(99, 0, 99)},
    )


@pytest.mark.parametrize("content", ["newer", "garbage", "zeros", "nothing"])
def test_a_journal_that_cannot_be_read_harms_nobody(
    journal: Journal, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever somebody has written into the segments, a heartbeat can be made."""
    monkeypatch.setattr(fmt, "VERSION", 99)
    newer = fmt.pack_header(journal.identity)
    monkeypatch.undo()
    written = {"newer": newer, "garbage": b"garbage" * 100, "zeros": bytes(SMALL), "nothing": b""}[content]
    assert journal.path
    for index in journal.path.segments():
        journal.path.segment(index).write_bytes(written)
    found = counts(journal, [])
    assert (found["pending"], found["oldest"]) == (100, 0)


def test_the_lag_grows_while_a_signal_does_not_arrive_and_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While logs are not taken, the metrics that arrive say for how long, and afterwards that it is over."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "250")
    with Collector() as collector:
        for name, value in collector.env().items():
            monkeypatch.setenv(name, value)
        with RuntimeContext.open("job-1", "train") as ctx:
            assert ctx.flush(10)
            began = time.monotonic()
            with collector.failing(Status(503), signal="logs"):
                ctx.log_message("late")
                assert collector.wait_for(lambda found: max(lags(found), default=0) > 1, timeout=20)
                assert max(lags(collector)) < time.monotonic() - began + 0.5
            assert ctx.flush(20)
            known = len(lags(collector))
            assert collector.wait_for(lambda found: any(lag < 1 for lag in lags(found)[known:]), timeout=20)
        sizes = {point.value for point in collector.points_of("synapse_otel.journal.size")}
    assert min(sizes) >= 128 * 1024


def lags(collector: Collector) -> list[float]:
    return [float(point.value) for point in collector.points_of("synapse_otel.delivery.lag")]
