"""Where an agent is: ``<journal directory>/.agents/<fingerprint>/``.

There are its ``lock``, held while it lives and from before it was started, the ``bell``, a pipe by which it is asked,
and ``state.json``, what it does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synapse_otel.journal.directory import make_private
from synapse_otel.journal.locks import FileLock, is_locked, remove_file

_AGENTS = ".agents"
_TRIES = 10


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """The files of the agent that serves one journal directory and one export configuration."""

    root: Path
    fingerprint: str

    @property
    def path(self) -> Path:
        """The directory of these files."""
        return self.root / _AGENTS / self.fingerprint

    @property
    def lock(self) -> Path:
        """What the agent holds while it lives."""
        return self.path / "lock"

    @property
    def bell(self) -> Path:
        """The pipe by which it is asked."""
        return self.path / "bell"

    @property
    def state(self) -> Path:
        """What it does."""
        return self.path / "state.json"

    def is_taken(self) -> bool:
        """Return whether an agent lives here, or is about to."""
        return is_locked(self.lock)

    def take(self) -> FileLock | None:
        """Lock the place for an agent that is to be started; None where there is one.

        Raises:
            OSError: If the place cannot be created.
        """
        for _ in range(_TRIES):
            lock = FileLock(self.lock)
            try:
                self._create()
                if not lock.acquire():
                    return None
            except FileNotFoundError:  # an agent that ends has removed the directory just now
                continue
            if lock.is_in_place():
                return lock
            lock.release()
        return None

    def open(self) -> int:
        """Open the bell to listen; called by the agent that holds the lock."""
        remove_file(self.bell)
        os.mkfifo(self.bell, 0o600)
        self.bell.chmod(0o600)  # whatever the umask
        # Also for writing: so it never ends, however often those who ring come and go.
        return os.open(self.bell, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)

    def clear(self) -> None:
        """Remove the files, the lock last; called by the agent that holds it."""
        for file in sorted(self.path.glob("*"), key=lambda file: file == self.lock):
            remove_file(file)
        for directory in (self.path, self.path.parent):
            try:
                directory.rmdir()
            except OSError:
                return

    def _create(self) -> None:
        for directory in (self.path.parent, self.path):
            make_private(directory)
            if directory.is_symlink():
                raise NotADirectoryError(errno.ENOTDIR, "a symbolic link is in the place of an agent", str(directory))


def clear_abandoned(root: Path) -> None:
    """Remove what agents that were killed have left."""
    for place in places(root):
        lock = place.take()
        if lock is not None:
            place.clear()
            lock.release()


def places(root: Path) -> Iterator[AgentPlace]:
    """Yield the places of agents in a journal directory, of those that are gone too."""
    try:
        names = sorted(entry.name for entry in os.scandir(root / _AGENTS) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    for name in names:
        yield AgentPlace(root, name)
