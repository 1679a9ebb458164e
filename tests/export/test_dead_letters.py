"""Letters are lines that a death, a full disk or a planted file does no harm to, and that stand for their records."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from synapse_otel.export import dead_letters
from synapse_otel.export.dead_letters import MOST, Letter, bury, encoded, read, rejected
from synapse_otel.export.redelivery import Tally, retry
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.directory import JournalPath


@pytest.fixture
def path(tmp_path: Path) -> JournalPath:
    return JournalPath(tmp_path)


def found(path: JournalPath) -> list[Letter | None]:
    return [letter for _, letter in read(path.dead_letters)]


def letter(seq: int, records: dict[str, int] | None = None, *, kind: str = "message", body: bytes = b"x") -> Letter:
    return Letter(signal="logs", seq=seq, kind=kind, reason="no", request=body, records=records or {})


def test_what_is_buried_is_found(path: JournalPath) -> None:
    """A letter comes back as it was, any bytes and any reason; of one without a number, one record is meant."""
    assert bury(path.dead_letters, "traces", 7, "run", "why \ud800 \n\0", bytes(range(256)))
    assert bury(path.dead_letters, "logs", 8, "message", "", b"", {"message": 2, "event": 1})
    assert found(path) == [
        Letter(signal="traces", seq=7, kind="run", reason="why ? \n\0", request=bytes(range(256)), records={"run": 1}),
        Letter(signal="logs", seq=8, kind="message", reason="", records={"message": 2, "event": 1}),
    ]


def test_letters_of_before_are_understood(path: JournalPath) -> None:
    """A letter that does not say how many records it stands for stands for one of its kind."""
    path.dead_letters.write_text(
        '{"signal": "logs", "seq": 3, "kind": "event", "reason": "no", "request": "aGVsbG8="}\n'
    )
    (old,) = found(path)
    assert old
    assert (old.request, old.counted) == (b"hello", Counter(event=1))


def test_a_torn_line_costs_no_other(path: JournalPath) -> None:
    """The letter behind one whose writer died in the middle begins a line of its own."""
    assert bury(path.dead_letters, "logs", 1, "message", "no", b"first")
    os.truncate(path.dead_letters, path.dead_letters.stat().st_size - 5)
    assert bury(path.dead_letters, "logs", 2, "message", "no", b"second")
    assert [one and one.request for one in found(path)] == [None, b"second"]


def test_lanes_that_bury_at_once_do_not_mix_their_lines(path: JournalPath) -> None:
    """Every letter of three threads is whole, large ones too."""

    def work(number: int) -> None:
        for seq in range(20):
            bury(path.dead_letters, "logs", seq, str(number), "no", bytes([number]) * 100_000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    letters = found(path)
    assert Counter(one.kind for one in letters if one) == {"0": 20, "1": 20, "2": 20}
    assert all(one and one.request == bytes([int(one.kind)]) * 100_000 for one in letters)


def test_what_cannot_be_kept_is_said(path: JournalPath, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a disk, beyond the limit, and where something else is in the way, it is known that no letter is kept."""
    assert not bury(None, "logs", 1, "message", "no", b"x")
    os.mkfifo(path.dead_letters)
    assert not bury(path.dead_letters, "logs", 1, "message", "no", bytes(1024 * 1024))
    path.dead_letters.unlink()
    monkeypatch.setattr(dead_letters, "MOST", len(encoded(letter(1, {"message": 1}))))
    assert bury(path.dead_letters, "logs", 1, "message", "no", b"x")
    assert not bury(path.dead_letters, "logs", 2, "message", "no", b"x")
    assert len(found(path)) == 1


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ([], {}),
        ([letter(1), letter(2)], {"message": 2}),
        ([letter(1), letter(1), letter(1)], {"message": 1}),  # parts of one record, or a repetition after a crash
        ([letter(1, {"message": 3, "event": 1}), letter(1, {"message": 3, "event": 1})], {"message": 3, "event": 1}),
        ([letter(1), letter(1, {"message": 2, "event": 1})], {"message": 2, "event": 1}),
        ([letter(9, {"message": 2}), letter(10, kind="run")], {"message": 2, "run": 1}),
    ],
)
def test_letters_stand_for_records(letters: list[Letter], expected: dict[str, int]) -> None:
    """Those with one number stand for the same records."""
    tally = Tally()
    for one in letters:
        tally.add(one)
    assert tally.records == {"logs": Counter(expected), "traces": Counter(), "metrics": Counter()}


@pytest.mark.parametrize(
    ("items", "expected"),
    [(0, {}), (2, {"message": 2}), (5, {"message": 3, "event": 2}), (9, {"message": 3, "event": 2})],
)
def test_rejected_items_are_laid_to_the_most_frequent_kinds(items: int, expected: dict[str, int]) -> None:
    """Where a receiver says how many items it rejected but not which, no more are counted than there were."""
    assert rejected(Counter(event=2, message=3, run=0), items) == Counter(expected)


@pytest.mark.parametrize("taken", [set(), {1}, {1, 2}, {1, 2, 3, 4}])
@pytest.mark.parametrize("times", [1, 3])
def test_the_cursor_counts_what_is_left(path: JournalPath, taken: set[int], times: int) -> None:
    """What was taken is counted down once, however often it is told; what has no letter stays counted."""
    CursorFile(path.cursor("logs")).save(
        Cursor(state=b"kept", passed={"message": 9}, dead_lettered={"message": 3, "event": 4})
    )
    letters = [letter(1), letter(1), letter(2), letter(3, {"event": 2}), letter(4, kind="event")]
    content = b"".join(map(encoded, letters))
    for _ in range(times):
        path.dead_letters.write_bytes(content)  # as if its process had died before the file was replaced
        rest = retry(path, lambda one: None if one.seq in taken else one)
    kept = [one for one in letters if one.seq not in taken]
    assert (rest.letters, rest.damaged, path.dead_letters.exists()) == (len(kept), 0, bool(kept))
    left = Counter(message=1, event=1) + Counter(message=len({1, 2} - taken))
    left += Counter(event=2 * (3 not in taken) + (4 not in taken))
    cursor = CursorFile(path.cursor("logs")).load()
    counted = Counter(cursor.dead_lettered)
    if times == 1:
        assert (rest.lost, counted) == (2, left)
    else:  # what was taken may then hide that two others have no letter
        assert left - Counter(message=1, event=1) <= counted <= left
    assert (cursor.state, cursor.passed) == (b"kept", {"message": 9})


def test_a_large_file_takes_little_memory(path: JournalPath) -> None:
    """Letters are gone through one at a time: a full file takes the memory of its largest letter."""
    line = encoded(letter(1, body=bytes(200_000)))
    with path.dead_letters.open("wb") as file:
        for _ in range(MOST // len(line)):
            file.write(line)
    tracemalloc.start()
    rest = retry(path, lambda one: one)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (rest.letters, peak < 4 * 1024 * 1024) == (MOST // len(line), True)


def test_a_file_without_lines_takes_bounded_memory_and_stays(path: JournalPath) -> None:
    """What is no file of letters at all, such as zeros without end, is kept as it is."""
    with path.dead_letters.open("wb") as file:
        file.truncate(3 * MOST)
    rest = retry(path, lambda one: one)
    assert (rest.letters, rest.damaged) == (0, 2)
    assert path.dead_letters.read_bytes().replace(b"\n", b"") == bytes(3 * MOST)
