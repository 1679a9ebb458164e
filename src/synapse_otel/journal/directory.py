"""Where journals are: ``<root>/<run>/<journal>/``.

<root>/                         one journal directory, for all runs of a user
<job>~<trace>/                one run: the escaped job id and the beginning of the trace id
<journal id>/               one process
lock                      held by the writer while it lives
ship.lock                 held by whoever ships the journal
00000001.seg ...          segments
traces.cursor ...         what was delivered, one per signal
dropped                   what the quota removed, by kind
dead-letters.jsonl        what the collector refused for good
"""

from __future__ import annotations

import hashlib
import os
import shutil
import string
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synapse_otel.journal.format import SUFFIX
from synapse_otel.journal.locks import FileLock, is_locked

_PLAIN = frozenset(string.ascii_letters + string.digits + "._-")
_MAX_NAME = 100
_TRACE_DIGITS = 16


@dataclass(frozen=True, slots=True)
class JournalPath:
    """The files of one process of a run."""

    path: Path

    @property
    def run(self) -> Path:
        """The directory of the run that the journal belongs to."""
        return self.path.parent

    @property
    def journal_id(self) -> str:
        """The journal's id, 32 hexadecimal digits."""
        return self.path.name

    @property
    def writer_lock(self) -> Path:
        """What the writer holds while it lives."""
        return self.path / "lock"

    @property
    def shipping_lock(self) -> Path:
        """What the one who ships holds."""
        return self.path / "ship.lock"

    @property
    def dead_letters(self) -> Path:
        """Where refused requests are kept."""
        return self.path / "dead-letters.jsonl"

    def cursor(self, signal: str) -> Path:
        """Where the delivery of a signal is noted."""
        return self.path / f"{signal}.cursor"

    def segment(self, index: int) -> Path:
        """The file of the segment `index`, which counts from 1."""
        return self.path / f"{index:08d}{SUFFIX}"

    def segments(self) -> list[int]:
        """Return the indexes of the segments there are, ascending."""
        try:
            names = [file.name for file in self.path.iterdir()]
        except OSError:
            return []
        return sorted(int(name[: -len(SUFFIX)]) for name in names if name.endswith(SUFFIX) and name[:8].isdigit())

    def size(self) -> int:
        """Return the bytes that the journal occupies on the disk."""
        try:
            return sum(entry.stat().st_blocks * 512 for entry in os.scandir(self.path))
        except OSError:
            return 0

    def is_live(self) -> bool:
        """Return whether the process that writes it lives."""
        return is_locked(self.writer_lock)

    def remove(self) -> None:
        """Remove the journal, and its run's directory with the last of them."""
        shutil.rmtree(self.path, ignore_errors=True)
        try:
            self.run.rmdir()
        except OSError:
            return


def run_name(job_id: str, trace_id: bytes) -> str:
    """Return the name of a run's directory: safe on any file system, whatever the job id."""
    return f"{escape(job_id)}~{trace_id.hex()[:_TRACE_DIGITS]}"


def escape(name: str) -> str:
    """Return `name` with everything but letters, digits, ``_``, ``-`` and inner dots as ``%XX``, and not too long."""
    escaped = "".join(
        character if character in _PLAIN else "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
        for character in name
    )
    if escaped.startswith("."):
        escaped = "%2E" + escaped[1:]
    if len(escaped) <= _MAX_NAME:
        return escaped
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{escaped[: _MAX_NAME - 17]}-{digest}"


def create_journal(root: Path, run: str, journal_id: str) -> tuple[JournalPath, FileLock]:
    """Create the directory of a new journal, locked by this process before anybody can see it.

    Raises:
        OSError: If the directory cannot be created or written.
    """
    make_private(root)
    make_private(root / run)
    hidden = root / run / f".{journal_id}"
    hidden.mkdir(mode=0o700)
    hidden.chmod(0o700)
    lock = FileLock(hidden / "lock")
    lock.acquire(wait=True)
    path = root / run / journal_id
    hidden.rename(path)
    return JournalPath(path), lock


def make_private(path: Path) -> None:
    """Create a directory, with its parents, that only its owner can enter."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)


def journals(root: Path) -> Iterator[JournalPath]:
    """Yield the journals under `root`, run by run, in the order of their names."""
    for run in runs(root):
        yield from journals_of(run)


def runs(root: Path) -> list[Path]:
    """Return the directories of the runs under `root`."""
    return _directories(root)


def journals_of(run: Path) -> list[JournalPath]:
    """Return the journals of a run."""
    return [JournalPath(path) for path in _directories(run)]


def _directories(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(
                Path(entry.path)
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []


def new_journal_id() -> str:
    """Return a fresh id for a journal, 32 hexadecimal digits."""
    return uuid.uuid4().hex
