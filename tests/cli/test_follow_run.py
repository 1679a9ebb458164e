"""What is followed, and what is told of it, without a terminal or a process of its own: look by look."""

from __future__ import annotations

import shutil
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.kit import SECOND, START, a_run, identity
from synapse_otel.cli import find
from synapse_otel.cli.follow import exit_code
from synapse_otel.cli.follow_lines import Lines
from synapse_otel.cli.follow_run import FollowedRun
from synapse_otel.cli.show_text import ShowText
from synapse_otel.cli.terminal import Terminal
from synapse_otel.cli.view import RunView
from synapse_otel.journal import format as fmt
from synapse_otel.journal import records as rec
from synapse_otel.journal.cursor import SIGNALS, Cursor, CursorFile
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.reader import JournalReader
from synapse_otel.journal.writer import Journal
from synapse_otel.projection.redaction import Redactor

WORKER = {"worker": True, "journal_id": "f" * 32, "span_id": b"W" * 8, "parent_span_id": b"\1" * 8}


def at(seconds: float) -> int:
    return START + int(seconds * SECOND)


def message(seconds: float, text: str) -> rec.Message:
    return rec.Message(at(seconds), b"", b"", text, "info")


@pytest.fixture
def opened(journal_dir: Path) -> Iterator[Callable[..., Journal]]:
    """Opens journals that are being written."""
    journals: list[Journal] = []

    def begin(*records: rec.Record, **who: object) -> Journal:
        journals.append(Journal(journal_dir, identity(**who)))  # type: ignore[arg-type]  # values by name
        for record in records:
            journals[-1].append(record)
        return journals[-1]

    yield begin
    for journal in journals:
        journal.close()


Opened = Callable[..., Journal]


def path_of(journal: Journal) -> JournalPath:
    assert journal.path
    return journal.path


def followed(journal: Journal, most_lines: int | None = 50) -> FollowedRun:
    run = FollowedRun(path_of(journal).run, Redactor(), most_lines)
    while not run.read(0):
        pass
    return run


def seen_at_the_end(run: FollowedRun) -> RunView:
    run.read(1)
    assert run.is_over
    return run.view(50)


def printed(view: RunView, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    ShowText(Terminal(Redactor()), view.last).print(view)
    return capsys.readouterr().out.splitlines()


# -- which run


@pytest.mark.parametrize("wanted", [None, "job-1"])
def test_a_worker_that_is_left_over_does_not_keep_its_run_going(
    wanted: str | None, opened: Opened, journal_dir: Path
) -> None:
    """The run that is followed is one whose first process lives, though a worker of a later one does too."""
    running = opened(number=1)
    over = a_run(journal_dir, number=2, started=START + SECOND)
    opened(number=2, started=START + 2 * SECOND, **WORKER)

    chosen, others = find.one(journal_dir, wanted, prefer_running=True)

    assert chosen == path_of(running).run
    assert others == ([] if wanted is None else [over])
    assert (find.is_running(chosen), find.is_running(over)) == (True, False)


def test_a_run_of_workers_alone_goes_on_with_any_of_them(opened: Opened) -> None:
    """Where the first process is on another machine, a run is what its workers do."""
    journal = opened(**WORKER)

    assert find.is_running(path_of(journal).run)
    journal.close()
    assert not find.is_running(path_of(journal).run)


# -- in the order of time


def test_a_start_is_told_before_what_was_said_and_an_end_after_it(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes at once is printed in the order in which it was reported."""
    journal = opened(message(1, "first"), rec.Progress(at(2), b"", b"", "epochs", 1, 4), message(3, "second"))
    run = followed(journal)
    lines = Lines(Terminal(Redactor()), run, None)
    lines.update(is_behind=False)
    for record in (
        message(4, "third"),
        rec.Progress(at(5), b"", b"", "epochs", 4, 4),
        rec.RunEnded(at(6), "completed"),
    ):
        journal.append(record)
    run.read(1)
    lines.update(is_behind=False)

    assert [line.split("  ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "[run] train  · running  pid 101 on box",
        "ℹ first",
        "[progress] epochs  25 %  1/4",
        "ℹ second",
        "ℹ third",
        "[progress] epochs  100 %  4/4  done",
        "[run] train  ✔ completed  pid 101 on box",
    ]


def test_of_steps_side_by_side_the_one_that_began_last_is_shown_with_those_around_it(opened: Opened) -> None:
    """Steps of two threads are not said to be inside of one another; one that ends gives way to one that is open."""
    outer, left, right, inner = (bytes([number]) * 8 for number in range(10, 14))
    journal = opened(
        rec.StepStarted(at(0), outer, b"", "outer"),
        rec.StepStarted(at(1), left, outer, "left"),
        rec.StepStarted(at(2), right, outer, "right"),
        rec.StepStarted(at(3), inner, right, "inner"),
    )
    run = followed(journal)

    shown = [run.current_steps()]
    for span in (inner, right, left, outer):
        journal.append(rec.StepEnded(at(4), span, "completed"))
        run.read(1)
        shown.append(run.current_steps())

    assert shown == [["outer", "right", "inner"], ["outer", "right"], ["outer", "left"], ["outer"], []]


# -- as little as is needed


def test_lines_that_were_printed_are_kept_no_longer(opened: Opened) -> None:
    """In a pipe a line is handed out once and forgotten; how many there were is known."""
    journal = opened(*(message(number, f"message {number}") for number in range(100)))
    run = followed(journal, None)
    run.skip_lines(3)

    first = [line.text for line in run.take_lines()]
    journal.append(message(100, "message 100"))
    run.read(1)
    second = [line.text for line in run.take_lines()]

    assert (first, second) == (["message 97", "message 98", "message 99"], ["message 100"])
    assert (run.view(None).timeline, run.view(None).lines) == ((), 101)


@pytest.mark.parametrize(("most_lines", "left_out"), [(50, True), (None, False)])
def test_only_where_all_is_wanted_all_spans_are_kept(most_lines: int | None, left_out: bool, opened: Opened) -> None:
    """With --all the waterfall is whole at the end; else there is an end to it, and steps that failed are kept."""
    records: list[rec.Record] = []
    for number in range(1, 2_501):
        span, failed = number.to_bytes(8, "big"), number == 7
        records.append(rec.StepStarted(at(number), span, b"", f"step {number}"))
        took = 0.001 if failed else 0.5
        records.append(rec.StepEnded(at(number + took), span, "failed" if failed else "completed"))
    view = followed(opened(*records), most_lines).view(most_lines)

    assert bool(view.more_spans) is left_out
    assert len(view.spans) + view.more_spans == 2_501
    assert [span.name for span in view.spans if span.status == "error"] == ["step 7"]


# -- journals that go, or cannot be read any more


def deliver(path: JournalPath, records: int) -> None:
    position = JournalReader(path).read(Cursor().position, records).after
    for signal in SIGNALS:
        CursorFile(path.cursor(signal)).save(Cursor(position=position, passed={"message": records}))


def test_a_journal_that_disappears_is_not_said_to_be_delivered(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the journal of a run that goes on is deleted, neither its end nor its delivery is made up."""
    journal = opened(message(1, "one"), message(2, "two"), message(3, "three"))
    run = followed(journal)
    shutil.rmtree(path_of(journal).run)
    view = seen_at_the_end(run)

    assert (view.status, view.message) == ("unknown", "the journal was removed before its end was read")
    assert (view.processes[0].records, view.processes[0].sent, exit_code(view)) == (3, False, 1)
    lines = printed(view, capsys)
    assert lines[0] == "train  ? unknown  3.0 s"
    assert lines[-2] == "Delivery  3 records, 3 gone with the journal, delivered or not"


def test_of_a_journal_that_disappears_that_much_is_delivered_as_was_seen(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the cursors had passed when they were last there counts as delivered, and nothing else."""
    journal = opened(message(1, "one"), message(2, "two"), message(3, "three"))
    deliver(path_of(journal), 2)
    run = followed(journal)
    shutil.rmtree(path_of(journal).run)

    lines = printed(seen_at_the_end(run), capsys)

    assert lines[-2] == "Delivery  2 of 3 records delivered, 1 gone with the journal, delivered or not"


def test_a_journal_that_goes_behind_its_end_when_it_was_being_sent_is_delivered(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who delivers a run removes it at its end: then all of it has arrived."""
    journal = opened(message(1, "one"))
    deliver(path_of(journal), 1)
    run = followed(journal)
    journal.append(rec.RunEnded(at(2), "completed"))
    shutil.rmtree(path_of(journal).run)
    view = seen_at_the_end(run)

    assert view.status == "completed"
    assert printed(view, capsys)[-2] == "Delivery  2 of 2 records delivered"


def test_a_journal_that_becomes_unreadable_ends_the_view_of_its_process_only(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    """A segment that a newer version has written is a problem that is shown; other processes are followed on."""
    journal = opened(message(1, "one"))
    worker = opened(message(2, "from the worker"), started=START + SECOND, **WORKER)
    run = followed(journal)
    write_newer_segment(path_of(worker))
    run.read(1)
    journal.append(message(3, "two"))
    run.read(1)

    assert not run.is_over
    assert [process.status for process in run.glimpse(0).processes] == ["running", "unknown"]
    assert [line.text for line in run.glimpse(50).timeline] == ["one", "from the worker", "two"]
    (said,) = run.glimpse(0).problems
    assert said.startswith(f"{'f' * 32}/00000002.seg: the journal has format version 2")
    write_newer_segment(path_of(journal))
    view = seen_at_the_end(run)
    assert (view.status, view.message) == ("unknown", "the journal became unreadable before its end was read")
    assert printed(view, capsys)[-2] == "Delivery  3 records kept here, nothing was sent: synapse-otel push job-1"


def write_newer_segment(path: JournalPath) -> None:
    content = path.segment(1).read_bytes()
    prefix = content[:8] + struct.pack("<H", fmt.VERSION + 1) + content[10:16]
    body = content[20 : fmt.header_size(content)]
    path.segment(2).write_bytes(prefix + struct.pack("<I", zlib.crc32(prefix + body)) + content[20:])


def test_a_run_that_says_nothing_costs_nothing(opened: Opened) -> None:
    """However much is kept of a run, a look at what has not changed takes no longer than one at a short run."""
    journal = opened(*(message(number / 1000, f"message {number}") for number in range(20_000)))
    run = followed(journal, None)
    began = time.process_time()
    for _ in range(100):
        run.glimpse(0)

    assert time.process_time() - began < 1  # a tenth of a second each, when all lines were made again
