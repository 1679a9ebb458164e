"""How far the delivery of one signal has come, kept beside the journal."""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path

import msgspec

from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import open_to_read, replace_file
from synapse_otel.journal.reader import START, Position

SIGNALS = ("traces", "metrics", "logs")
_MAX_BYTES = 64 * 1024 * 1024


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """What was delivered, and how to go on exactly as before.

    Attributes:
        position: Everything before it was delivered, dead-lettered or had nothing to deliver.
        state: The projection's state at `position`, as bytes.
        ends: Where the requests end that were being sent, the next one last: after a crash they are sent again with
            the same boundaries, so that the one whose answer was not seen is repeated as it was.
        passed: How many records before `position` there were, by kind.
        dead_lettered: How many of them the collector refused for good, by kind.
        dropped: How many records the quota removed or damage took before they were delivered, by kind.
        unserved: Whether the endpoint does not serve the signal.
    """

    position: Position = START
    state: bytes = b""
    ends: tuple[Position, ...] = ()
    passed: dict[str, int] = {}
    dead_lettered: dict[str, int] = {}
    dropped: dict[str, int] = {}
    unserved: bool = False
    answers: tuple[str | None, ...] = ()


class CursorFile:
    """A cursor on the disk, replaced as a whole; an absent or damaged one is a cursor at the start.

    Without a path, or where the disk cannot take it, it is kept in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept: Cursor | None = None

    def load(self) -> Cursor:
        """Return the cursor that was saved last."""
        return self._kept or self._read() or Cursor()

    def save(self, cursor: Cursor) -> None:
        """Replace the cursor. A disk that cannot take it costs a repetition after a crash, never the delivery."""
        self._kept = cursor
        if self._path is None:
            return
        body = msgspec.msgpack.encode(cursor)
        temporary = self._path.with_suffix(".cursor.new")
        with contextlib.suppress(OSError):
            replace_file(temporary, self._path, zlib.crc32(body).to_bytes(4, "little") + body)

    def _read(self) -> Cursor | None:
        if self._path is None:
            return None
        try:
            with os.fdopen(open_to_read(self._path), "rb") as file:
                data = file.read(_MAX_BYTES)
        except OSError:
            return None
        if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
            return None
        try:
            return msgspec.msgpack.decode(data[4:], type=Cursor)
        except (ValueError, RecursionError):
            return None


def saved_cursors(path: JournalPath) -> list[Cursor]:
    """Return the cursors of the signals whose delivery was begun."""
    files = (path.cursor(signal) for signal in SIGNALS)
    return [CursorFile(file).load() for file in files if file.exists()]
