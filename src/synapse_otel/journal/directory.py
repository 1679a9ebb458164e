"""Where journals are: ``<root>/<run>/<journal>/``.

    <root>/                       one journal directory, for all runs of a user
      <job>~<trace>/              one run: the escaped job id and the beginning of the trace id
        <journal id>/             one process
          lock                    held by the writer while it lives
          ship.lock               held by whoever ships the journal
          00000001.seg ...        segments
          spare-1 ...             the next segment, allocated ahead of time
          traces.cursor ...       what was delivered, one per signal
          dead-letters.jsonl      what the collector refused for good
          agent, notes            which agent ships the journal, and what it has to say

A journal that is being created or removed is hidden (``.<journal id>``): whoever lists journals sees only whole ones.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import string
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synapse_otel.journal.format import SUFFIX
from synapse_otel.journal.locks import FileLock, is_locked

_PLAIN = frozenset((string.ascii_letters + string.digits + "._-").encode())
_MAX_NAME = 100
_TRACE_DIGITS = 16
_PRIVATE = 0o700
_SEGMENT = re.compile(rf"(?!0{{8}})([0-9]{{8}}|[1-9][0-9]{{8,9}}){re.escape(SUFFIX)}")
_SPARE = "spare-"
_TRIES = 100
_ABANDONED = 3600.0
"""Seconds after which a hidden directory is nobody's any more."""


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

    @property
    def agent(self) -> Path:
        """Where it is noted which agent ships the journal."""
        return self.path / "agent"

    def cursor(self, signal: str) -> Path:
        """Where the delivery of a signal is noted."""
        return self.path / f"{signal}.cursor"

    def segment(self, index: int) -> Path:
        """The file of the segment `index`, which counts from 1."""
        return self.path / f"{index:08d}{SUFFIX}"

    def segments(self) -> list[int]:
        """Return the indexes of the segments there are, ascending."""
        return sorted(int(match[1]) for name in _names(self.path) if (match := _SEGMENT.fullmatch(name)))

    def spare(self, number: int) -> Path:
        """The file of a segment that is not entered yet."""
        return self.path / f"{_SPARE}{number}"

    def spares(self) -> list[Path]:
        """Return the segments that were never entered."""
        return [self.path / name for name in _names(self.path) if name.startswith(_SPARE)]

    def size(self) -> int:
        """Return the bytes that the journal occupies on the disk."""
        return sum(disk_size(self.path / name) for name in _names(self.path))

    def written(self) -> float:
        """Return when the run last wrote to the journal, in seconds since the Unix epoch; not who tries to ship it."""
        segments = [self.segment(index) for index in self.segments()]
        content = segments or [self.dead_letters if self.dead_letters.exists() else self.path]
        return max(map(_changed, content))

    def is_live(self) -> bool:
        """Return whether the process that writes it lives."""
        return is_locked(self.writer_lock)

    def remove(self) -> None:
        """Remove the journal, and its run's directory with the last of them."""
        hidden = _hidden(self.path)
        with contextlib.suppress(OSError):
            self.path.rename(hidden)  # at once, so that nobody sees a part of it
        shutil.rmtree(hidden, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.run.rmdir()


def run_name(job_id: str, trace_id: bytes) -> str:
    """Return the name of a run's directory: safe on any file system, whatever the job id."""
    return f"{escape(job_id)}~{trace_id.hex()[:_TRACE_DIGITS]}"


def escape(name: str) -> str:
    """Return `name` with everything but letters, digits, ``_``, ``-`` and inner dots as ``%XX``, and not too long."""
    data = name.encode("utf-8", "surrogatepass")
    escaped = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in data)
    if escaped.startswith("."):
        escaped = "%2E" + escaped[1:]
    if len(escaped) <= _MAX_NAME:
        return escaped
    return f"{escaped[: _MAX_NAME - 17]}~{hashlib.sha256(data).hexdigest()[:16]}"


def create_journal(root: Path, run: str, journal_id: str) -> tuple[JournalPath, FileLock]:
    """Create the directory of a new journal, locked by this process before anybody can see it.

    Raises:
        OSError: If the directory cannot be created or written.
    """
    path = root / run / journal_id
    hidden = _hidden(path)
    _make_hidden(hidden)
    lock = FileLock(hidden / "lock")
    try:
        lock.acquire()
        hidden.rename(path)
        lock.moved_to(path / "lock")
    except BaseException:
        lock.release()
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return JournalPath(path), lock


def remove_abandoned(root: Path) -> None:
    """Remove what processes that died while they created or removed a journal have left."""
    for run in runs(root):
        for name in _names(run):
            if name.startswith(".") and time.time() - _changed(run / name) > _ABANDONED:
                shutil.rmtree(run / name, ignore_errors=True)


def _make_hidden(hidden: Path) -> None:
    run = hidden.parent
    for tried in range(_TRIES):
        try:
            make_private(run)
            _check_ours(run)
            return _mkdir(hidden)
        except FileNotFoundError:  # the last journal of the run was removed meanwhile, and the run's directory with it
            time.sleep(tried / 10_000)  # out of step with whoever removes it: half a second in all
    raise FileNotFoundError(errno.ENOENT, "the directory of a run is removed again and again", str(run))


def _check_ours(run: Path) -> None:
    found = run.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "a symbolic link is in the place of a run", str(run))
    if found.st_uid != os.geteuid():  # who could replace what is written there
        raise PermissionError(errno.EPERM, f"the user {found.st_uid} owns the directory of the run", str(run))


def make_private(path: Path) -> None:
    """Create a directory, and those above it that are not there, for its owner only.

    Raises:
        OSError: If it cannot be created.
    """
    if path.is_dir():
        return
    make_private(path.parent)
    with contextlib.suppress(FileExistsError):
        _mkdir(path)


def _mkdir(path: Path) -> None:
    """Create a directory that only its owner can enter, whatever the umask."""
    path.mkdir(mode=_PRIVATE)
    if stat.S_IMODE(path.lstat().st_mode) != _PRIVATE:
        path.chmod(_PRIVATE)


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}")


def journals(root: Path) -> Iterator[JournalPath]:
    """Yield the journals under `root`, run by run, in the order of their names."""
    for run in runs(root):
        yield from journals_of(run)


def runs(root: Path) -> list[Path]:
    """Return the directories of the runs under `root`."""
    return _directories(root)


def journal_of(root: Path, name: str) -> JournalPath | None:
    """Return the journal ``<run>/<journal id>`` under `root`; None where there is none."""
    parts = name.split("/")
    path = root.joinpath(*parts)
    if len(parts) != 2 or any(part.startswith(".") or not part for part in parts):
        return None
    return JournalPath(path) if path in _directories(path.parent) and path.parent in _directories(root) else None


def journals_of(run: Path) -> list[JournalPath]:
    """Return the journals of a run."""
    return [JournalPath(path) for path in _directories(run)]


def new_journal_id() -> str:
    """Return a fresh id for a journal, 32 hexadecimal digits."""
    return uuid.uuid4().hex


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


def _names(path: Path) -> list[str]:
    try:
        return [file.name for file in path.iterdir()]
    except OSError:
        return []


def disk_size(path: Path) -> int:
    """Return the bytes that a file occupies on the disk; none if there is none."""
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return time.time()
