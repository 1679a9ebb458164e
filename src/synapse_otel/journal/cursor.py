"""How far the delivery of one signal has come, kept beside the journal."""

from __future__ import annotations

import contextlib
import os
import stat
import zlib
from pathlib import Path
from typing import Annotated

import msgspec

from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import open_to_read, replace_file
from synapse_otel.journal.reader import START, Natural, Position

SIGNALS = ("traces", "metrics", "logs")
_MAX_BYTES = 64 * 1024 * 1024
_MOST_ENDS = 1024
"""Far more than a request is halved: each half is half as long."""


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
    ends: Annotated[tuple[Position, ...], msgspec.Meta(max_length=_MOST_ENDS)] = ()
    passed: dict[str, Natural] = {}
    dead_lettered: dict[str, Natural] = {}
    dropped: dict[str, Natural] = {}
    unserved: bool = False
    answers: tuple[str | None, ...] = ()


# Made at import: msgspec describes a type in steps, and a fork, or another thread, that comes in between crashes.
_decode = msgspec.msgpack.Decoder(Cursor).decode


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
            data = _content(self._path)
        except OSError:
            return None
        if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
            return None
        try:
            return _decode(data[4:])
        except (ValueError, RecursionError):
            return None


def _content(file: Path) -> bytes:
    """Return what is in a file; of what is none, such as a pipe or a directory, nothing."""
    fd = open_to_read(file)
    try:
        found = os.fstat(fd)
        return os.pread(fd, min(found.st_size, _MAX_BYTES), 0) if stat.S_ISREG(found.st_mode) else b""
    finally:
        os.close(fd)


def saved_cursors(path: JournalPath) -> list[Cursor]:
    """Return the cursors of the signals whose delivery was begun."""
    files = (path.cursor(signal) for signal in SIGNALS)
    return [CursorFile(file).load() for file in files if file.exists()]
