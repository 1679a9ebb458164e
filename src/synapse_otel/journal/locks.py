"""Locks that the kernel releases when the process dies, so that an orphan is known without guessing from ids."""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from pathlib import Path

_HELD_ELSEWHERE = {errno.EWOULDBLOCK, errno.EACCES}


class FileLock:
    """An exclusive lock on a file, held from `acquire` until `release` or the death of the process.

    A file system without locks grants every lock: then two processes may ship the same journal, which costs
    duplicates and loses nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock; return whether it is held now. With `wait`, wait for it."""
        if self._fd is not None:
            return True
        fd = open_private(self._path, os.O_RDWR | os.O_CREAT)
        if not _flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)):
            os.close(fd)
            return False
        self._fd = fd
        _held.add(self)
        return True

    def release(self) -> None:
        """Give the lock back; a lock that is not held stays so."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    # A forked child shares the lock; were it to keep it, its parent's death would go unnoticed.
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_forget_in_child)


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock at `path`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        # Shared, so that two processes that look at the same time do not take one another for the owner.
        return not _flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.close(fd)


def open_private(path: Path, flags: int) -> int:
    """Open `path` for its owner only, whatever the umask, and never through a symbolic link."""
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if flags & os.O_CREAT:
        os.fchmod(fd, 0o600)
    return fd


def _flock(fd: int, operation: int) -> bool:
    try:
        fcntl.flock(fd, operation)
    except OSError as error:
        return error.errno not in _HELD_ELSEWHERE
    return True
