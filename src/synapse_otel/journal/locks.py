"""Private files, and locks that the kernel releases when the process dies: an orphan is known without guessing."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import weakref
from pathlib import Path

from synapse_otel.journal import forks

_HELD_ELSEWHERE = {errno.EWOULDBLOCK, errno.EACCES}
_PROBES = 20
_PROBE_PAUSE = 0.001


class FileLock:
    """An exclusive lock on a file, held from `acquire` until `release` or the death of the process.

    Hazards, and where they are handled:

    - A forked child shares every lock of its parent, so that the parent's death would go unnoticed: the child closes
      what is in `_held`, and no fork comes between opening a lock's file and noting it there (`forks`).
    - `is_locked` takes the lock for an instant, shared: whoever is refused looks whether it was only that.
    - A file system may have no locks (Lustre and NFS can be mounted so): there the file itself is the lock, created
      by who takes it and removed by who gives it back. What a process that died has left is held for ever, so that
      no living process's journal is taken for an orphan.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._is_the_file = False

    def acquire(self) -> bool:
        """Take the lock; return whether it is held now.

        Raises:
            OSError: If the file cannot be opened.
        """
        if self._fd is not None:
            return True
        with forks.held_off():
            fd, created = _open_or_create(self._path)
            self._fd = fd
            _held.add(self)
        try:
            taken = _take(fd)
        except OSError:
            taken = self._is_the_file = created
        if not taken:
            self.release()
        return taken

    @property
    def fd(self) -> int:
        """The descriptor that holds the lock; who inherits it holds the lock too.

        Raises:
            ValueError: If the lock is not held.
        """
        if self._fd is None:
            raise ValueError(f"the lock {self._path} is not held")
        return self._fd

    def moved_to(self, path: Path) -> None:
        """Note that the file, which is locked, is at `path` now."""
        self._path = path

    def is_in_place(self) -> bool:
        """Return whether the file that is locked is the one that others find: it may have been removed before."""
        try:
            return os.path.samestat(os.fstat(self.fd), self._path.lstat())
        except OSError:
            return False

    def release(self) -> None:
        """Give the lock back; a lock that is not held stays so."""
        fd, self._fd = self._fd, None
        if fd is not None:
            if self._is_the_file:
                self._is_the_file = False
                remove_file(self._path)
            _unlock(fd)
            os.close(fd)

    def forget(self) -> None:
        """Let go of a lock that another process goes on holding: the one that forked this one, or that inherited it."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for lock in list(_held):
        lock.forget()


os.register_at_fork(after_in_child=_after_fork_in_child)


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock at `path`, or might."""
    with forks.held_off():
        try:
            fd = open_to_read(path)
        except OSError:
            return False
        try:
            # Shared, so that two processes that look at the same time do not take one another for the owner.
            return not _flock(fd, fcntl.LOCK_SH)
        except OSError:
            return True
        finally:
            _unlock(fd)
            os.close(fd)


def has_locks(held: Path) -> bool:
    """Return whether the file system of `held`, which this process has locked, has locks."""
    try:
        fd = open_to_read(held)
    except OSError:
        return False
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    except OSError:
        return False
    finally:
        os.close(fd)


def open_private(path: Path, flags: int) -> int:
    """Open `path` for its owner only, whatever the umask, never through a symbolic link, nor waiting for a pipe."""
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if flags & os.O_CREAT:
        try:
            os.fchmod(fd, 0o600)
        except OSError:
            os.close(fd)
            raise
    return fd


def open_to_read(path: Path) -> int:
    """Open `path` to be read, never through a symbolic link, and without waiting where it is a pipe."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def replace_file(temporary: Path, path: Path, content: bytes) -> None:
    """Write `content` to `path` as a whole, by way of `temporary`.

    Raises:
        OSError: If that cannot be; then `path` is what it was.
    """
    try:
        with os.fdopen(open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError:
        remove_file(temporary)
        raise


def remove_file(path: Path) -> None:
    """Remove a file, if that is possible."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def _open_or_create(path: Path) -> tuple[int, bool]:
    while True:
        with contextlib.suppress(FileExistsError):
            return open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL), True
        with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
            return open_private(path, os.O_RDWR), False


def _take(fd: int) -> bool:
    for _ in range(_PROBES):
        if _flock(fd, fcntl.LOCK_EX):
            return True
        if not _flock(fd, fcntl.LOCK_SH):
            return False  # whoever refuses a shared lock is no probe but the owner
        _unlock(fd)
        time.sleep(_PROBE_PAUSE)
    return False


def _unlock(fd: int) -> None:
    # Closing is not enough: a child that was forked just now has the same lock until it has closed its copy.
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)


def _flock(fd: int, operation: int) -> bool:
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_ELSEWHERE:
            return False
        raise
    return True
