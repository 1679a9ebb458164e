from __future__ import annotations

from pathlib import Path

import pytest

from journal.kit import (
    SMALL,
    T,
    entries,
    identity,
    message,
    only,
    open_journal,
    read_all,
    read_texts,
    start,
    texts,
    written,
)
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.memory import MEMORY_SEGMENT
from synapse_otel.journal.reader import JournalReader, Position
from synapse_otel.journal.records import Heartbeat, Record, Rested, RunEnded, RunStarted
from synapse_otel.journal.recovery import CRASHED, Ending, close_crashed, ending

MESSAGE = "the process died without ending the run"


def killed(root: Path, segment: int = 1024 * 1024, count: int = 50) -> JournalPath:
    """Return the journal of a process that recorded and was killed."""
    process = start(
        """
        journal = open_journal(Path(sys.argv[1]), first_segment=int(sys.argv[2]), segment=int(sys.argv[2]))
        for number in range(int(sys.argv[3])):
            journal.append(message(number, T + number))
            journal.prepare()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        root,
        segment,
        count,
    )
    process.communicate()
    return only(root)


@pytest.mark.parametrize("segment", [1200, SMALL, 1024 * 1024])
def test_a_crashed_run_is_ended_once_at_its_last_known_time(tmp_path: Path, segment: int) -> None:
    """The end of a killed run is written behind its records, by whoever comes first, and only once."""
    path = killed(tmp_path, segment)
    before = [entry.record for entry in entries(path)]
    assert [close_crashed(path), close_crashed(path)] == [True, False]
    found = read_all(path)
    *records, end = (entry.record for entry in found.entries)
    assert (records, end) == (before, RunEnded(T + 49, CRASHED, MESSAGE))
    assert ([entry.seq for entry in found.entries], found.missing) == (list(range(51)), 0)
    assert not path.is_live()


def test_the_last_known_time_is_that_of_the_last_record(tmp_path: Path) -> None:
    """A heartbeat, or any later record, moves the end; of a run that recorded nothing it is the start."""
    path = written(tmp_path / "a", [message(0), Heartbeat(T + 9), message(1)])
    assert close_crashed(path)
    assert entries(path)[-1].record == RunEnded(T + 9, CRASHED, MESSAGE)
    path = written(tmp_path / "b", [])
    assert close_crashed(path)
    assert [entry.record for entry in entries(path)] == [RunEnded(T, CRASHED, MESSAGE)]


@pytest.mark.parametrize(
    ("after", "end"),
    [
        ([], RunEnded(T + 5, "completed")),
        ([Heartbeat(T + 9)], RunEnded(T + 5, "completed")),
        ([message(1, T + 9)], RunEnded(T + 9, CRASHED, MESSAGE)),
        ([message(1, T + 9), Rested(T + 12, "failed", "why")], RunEnded(T + 12, "failed", "why")),
    ],
)
def test_a_process_that_rested_has_not_crashed(tmp_path: Path, after: list[Record], end: RunEnded) -> None:
    """It had done what it was given, at the time when it rested; unless it had begun something since."""
    path = written(tmp_path, [message(0), Rested(T + 5), *after])
    assert close_crashed(path)
    assert entries(path)[-1].record == end


def test_a_living_journal_is_not_closed(tmp_path: Path) -> None:
    """Nothing happens to the journal of a process that lives."""
    journal = open_journal(tmp_path)
    assert journal.path
    assert not close_crashed(journal.path)
    journal.append(message("on"))
    journal.close()
    assert read_texts(journal.path) == ["on"]


@pytest.mark.parametrize("behind", [0, 3, 30])
def test_a_run_that_ended_is_not_closed(tmp_path: Path, behind: int) -> None:
    """Nothing happens to the journal of a run that ended, even where something was recorded after its end."""
    records = [RunStarted(T), RunEnded(T, "completed"), *(message(number) for number in range(behind))]
    path = written(tmp_path, records, first_segment=1500, segment=1500)
    before = path.segments()
    assert (close_crashed(path), path.segments(), ending(path).ended) == (False, before, True)


def test_two_processes_close_a_journal_once(tmp_path: Path) -> None:
    """Of several that race to close a journal one does."""
    path = killed(tmp_path)
    code = """
        sys.stdin.readline()
        print(close_crashed(only(Path(sys.argv[1]))))
    """
    processes = [start(code, tmp_path) for _ in range(4)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = sorted(process.communicate(timeout=30)[0] for process in processes)
    assert outputs == ["False\n"] * 3 + ["True\n"]
    assert [type(entry.record) for entry in entries(path)][-2:] == [type(message("")), RunEnded]


def test_what_a_dead_process_had_allocated_is_given_back(tmp_path: Path) -> None:
    """Closing cuts the last segment to what is in it, and removes the next one; a torn tail stays as it is."""
    path = killed(tmp_path, SMALL, 70)
    assert path.spares()
    last = path.segments()[-1]
    torn = b"\x40\x00\x00\x00torn\x97\x08\xcf"
    end = JournalReader(path).end()
    assert end.segment == last
    with path.segment(last).open("r+b") as file:
        file.seek(end.offset)
        file.write(torn)
    before = read_texts(path)
    assert close_crashed(path)
    assert (read_texts(path), path.spares()) == (before, [])
    content = path.segment(last).read_bytes()
    assert content[end.offset :] == torn
    assert {file.name for file in path.path.iterdir()} == {"lock", "00000001.seg", "00000002.seg"}


def test_the_end_is_behind_what_was_delivered_from_memory(tmp_path: Path) -> None:
    """Where a journal went on in memory, and that was delivered, the end comes after it, with a number of its own."""
    path = written(tmp_path, [message(number) for number in range(5)])
    reached = Position(MEMORY_SEGMENT, 0, 40)
    CursorFile(path.cursor("logs")).save(Cursor(position=reached, ends=(Position(MEMORY_SEGMENT, 0, 50),)))
    assert close_crashed(path)
    (entry,) = JournalReader(path).read(reached).entries
    assert (entry.record, entry.seq) == (RunEnded(T, CRASHED, MESSAGE), 50)
    assert not close_crashed(path)


@pytest.mark.parametrize("damage", ["last segment", "all headers but one", "everything"])
def test_a_damaged_journal_is_closed_as_far_as_it_can_be_read(tmp_path: Path, damage: str) -> None:
    """Damage is no obstacle as long as anything says who wrote the journal."""
    path = written(tmp_path, [message(number) for number in range(60)], first_segment=1500, segment=1500)
    *others, last = path.segments()
    hit = {"last segment": [last], "all headers but one": others, "everything": [*others, last]}[damage]
    for file in map(path.segment, hit):
        content = file.read_bytes()
        kept = content[40:] if damage == "all headers but one" else b""
        file.write_bytes(b"\xff" * (len(content) - len(kept)) + kept)
    if damage == "everything":
        with pytest.raises(JournalError):
            close_crashed(path)
        return
    before = texts(entries(path))
    assert [close_crashed(path), close_crashed(path)] == [True, False]
    assert texts(entries(path)) == before
    assert isinstance(entries(path)[-1].record, RunEnded)


def test_only_the_end_of_a_long_journal_is_read(tmp_path: Path) -> None:
    """How a journal ends is known from its last segments, with the right position."""
    path = written(tmp_path, [message(number) for number in range(200)], first_segment=1500, segment=1500)
    end = list(JournalReader(path))[-1].after
    for index in path.segments()[:-2]:
        path.segment(index).write_bytes(b"unread")
    assert ending(path) == Ending(T, end, ended=False)
    assert JournalReader(path).identity() == identity(JournalReader(path).identity().journal_id)


def test_a_journal_without_segments_cannot_be_closed(tmp_path: Path) -> None:
    """Where nothing says whose journal it is, that is an error, and the lock is given back."""
    (tmp_path / "journal").mkdir()
    path = JournalPath(tmp_path / "journal")
    for _ in range(2):
        with pytest.raises(JournalError, match=r"the journal has no segment$"):
            close_crashed(path)
    assert not path.is_live()
