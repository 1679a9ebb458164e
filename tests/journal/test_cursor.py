from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.kit import exhaustive
from synapse_otel.journal.cursor import Cursor, CursorFile, saved_cursors
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.reader import START, Position

CURSOR = Cursor(
    position=Position(3, 4711, 99),
    state=b"\x00state",
    ends=(Position(3, 9000, 120), Position(3, 5000, 110)),
    passed={"message": 90, "dev_event": 9},
    dead_lettered={"message": 1},
    dropped={"dev_event": 2},
    unserved=True,
)
VERSION_1 = bytes.fromhex(
    "400d341b87a8706f736974696f6e9303cd126763a57374617465c406007374617465a4656e6473929303cd2328789303cd13886e"
    "a670617373656482a76d6573736167655aa96465765f6576656e7409ad646561645f6c6574746572656481a76d65737361676501"
    "a764726f7070656481a96465765f6576656e7402a8756e736572766564c3"
)
"""The file of `CURSOR`. Never change it: every later version reads it."""


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A cursor is read by the next process as it was saved, and saving replaces the one before."""
    file = CursorFile(tmp_path / "logs.cursor")
    file.save(Cursor(position=Position(1, 2, 3)))
    file.save(CURSOR)
    assert (file.load(), CursorFile(tmp_path / "logs.cursor").load()) == (CURSOR, CURSOR)
    assert [path.name for path in tmp_path.iterdir()] == ["logs.cursor"]
    assert (tmp_path / "logs.cursor").stat().st_mode & 0o777 == 0o600


def test_what_version_1_saved_is_loaded(tmp_path: Path) -> None:
    """A delivery that an earlier version began is gone on with where it was."""
    (tmp_path / "logs.cursor").write_bytes(VERSION_1)
    assert CursorFile(tmp_path / "logs.cursor").load() == CURSOR


def test_without_a_cursor_delivery_begins_at_the_start(tmp_path: Path) -> None:
    """An absent cursor is one at the start, with and without a file."""
    assert CursorFile(tmp_path / "logs.cursor").load() == CursorFile(None).load() == Cursor(position=START)


def test_a_journal_without_disk_keeps_its_cursor_in_memory() -> None:
    """Without a path the cursor lives as long as the object."""
    file = CursorFile(None)
    file.save(CURSOR)
    assert file.load() == CURSOR


@given(st.data())
@exhaustive
def test_a_damaged_cursor_is_one_at_the_start(tmp_path: Path, data: st.DataObject) -> None:
    """Cut at any byte or with any byte flipped: the delivery starts over, which costs a repetition, and never fails."""
    path = tmp_path / "logs.cursor"
    CursorFile(path).save(CURSOR)
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    assert CursorFile(path).load() == Cursor()


@given(st.binary(max_size=40))
@exhaustive
def test_any_file_is_a_cursor_at_the_start(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in the file, also with the right checksum, loading never raises."""
    import zlib

    path = tmp_path / "logs.cursor"
    for data in (content, zlib.crc32(content).to_bytes(4, "little") + content):
        path.write_bytes(data)
        assert CursorFile(path).load() == Cursor()


@pytest.mark.parametrize("obstacle", ["no directory", "a directory", "a link", "a link in the way"])
def test_a_disk_that_takes_no_cursor_costs_nothing_while_the_process_lives(tmp_path: Path, obstacle: str) -> None:
    """Where the cursor cannot be written it is kept in memory; nothing is written through a link."""
    (tmp_path / "target").write_bytes(b"precious")
    path = tmp_path / "place" / "logs.cursor"
    if obstacle != "no directory":
        path.parent.mkdir()
    if obstacle == "a directory":
        (path / "file").mkdir(parents=True)
    if obstacle == "a link in the way":
        path.with_name("logs.cursor.new").symlink_to(tmp_path / "target")
    if obstacle == "a link":
        path.symlink_to(tmp_path / "target")
    file = CursorFile(path)
    assert file.load() == Cursor()
    file.save(CURSOR)
    assert file.load() == CURSOR
    assert CursorFile(path).load() == (CURSOR if obstacle == "a link" else Cursor())
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_the_cursors_of_a_journal_are_those_that_were_saved(tmp_path: Path) -> None:
    """A signal that was never sent has no cursor, rather than one at the start."""
    path = JournalPath(tmp_path)
    assert saved_cursors(path) == []
    CursorFile(path.cursor("traces")).save(CURSOR)
    CursorFile(path.cursor("metrics")).save(Cursor())
    assert saved_cursors(path) == [CURSOR, Cursor()]
