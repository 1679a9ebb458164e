"""Finds the journals of dead processes that still have something to deliver."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from synapse_otel.export.delivery import Delivery, Destination
from synapse_otel.export.notices import Notices
from synapse_otel.export.settings import SIGNALS
from synapse_otel.journal.cursor import CursorFile
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.locks import FileLock
from synapse_otel.journal.reader import JournalReader
from synapse_otel.journal.records import Identity
from synapse_otel.journal.recovery import close_crashed, ending
from synapse_otel.projection.resource import Origin

MakeOrigin = Callable[[Identity], Origin]


@dataclass(slots=True)
class Orphan:
    """A dead process's journal that this process ships, and the lock that makes it the only one."""

    path: JournalPath
    delivery: Delivery
    lock: FileLock
    last: int

    def is_done(self) -> bool:
        """Return whether nothing is left to do: all was delivered, or nobody takes it."""
        gone = not self.path.path.exists()
        return gone or all(lane.unserved for lane in self.delivery.lanes) or self.delivery.delivered(self.last)

    def close(self) -> None:
        """Give the journal back, removed if it was delivered and nobody keeps it."""
        self.delivery.save()
        if self.delivery.delivered(self.last):
            self.delivery.clean_up()
        self.lock.release()


def orphans(among: Iterable[JournalPath], origin: MakeOrigin, destination: Destination) -> Iterator[Orphan]:
    """Yield the journals of `among` that were left undelivered, each closed and locked for this process.

    A run that ended while no endpoint was configured is not among them: it is kept for `push`.
    """
    for path in among:
        if is_left(path, destination.notices):
            found = adopt(path, origin, destination)
            if found:
                yield found


def is_left(path: JournalPath, notices: Notices) -> bool:
    """Return whether a dead process has left the journal with something to deliver; one that cannot be read has not."""
    try:
        return not path.is_live() and _is_ours(path, notices) and (is_crashed(path) or _was_being_sent(path))
    except (JournalError, OSError) as error:
        _say_unreadable(path, notices, error)
        return False


def adopt(path: JournalPath, origin: MakeOrigin, destination: Destination) -> Orphan | None:
    """Take over a journal whose process is dead: close its run if it crashed, and lock it.

    Returns:
        None where somebody else ships it, or all was delivered, or it cannot be read, which is said once.
    """
    lock = FileLock(path.shipping_lock)
    if not _is_ours(path, destination.notices):
        return None
    try:
        if not lock.acquire():
            return None
        close_crashed(path)
        if path.is_live():
            lock.release()
            return None
        reader = JournalReader(path)
        orphan = orphaned(path, Delivery(reader, origin(reader.identity()), destination, path), lock)
    except (JournalError, OSError) as error:
        _say_unreadable(path, destination.notices, error)
        lock.release()
        return None
    if orphan.delivery.delivered(orphan.last):
        orphan.close()
        return None
    return orphan


def orphaned(path: JournalPath, delivery: Delivery, lock: FileLock) -> Orphan:
    """Return what is shipped as what a dead process has left, its run closed.

    Raises:
        JournalError: If the journal cannot be read.
        OSError: If the run cannot be closed.
    """
    close_crashed(path)
    slowest = min((lane.position for lane in delivery.lanes), key=lambda position: position.seq)
    return Orphan(path, delivery, lock, JournalReader(path).end(slowest).seq)


def is_crashed(path: JournalPath) -> bool:
    """Return whether the process that wrote the journal died without ending its run."""
    return bool(path.segments()) and not path.is_live() and not ending(path).ended


def _is_ours(path: JournalPath, notices: Notices) -> bool:
    """Return whether this user owns the journal: what somebody else put there is not sent in our name."""
    try:
        owner = path.path.lstat().st_uid
    except OSError:
        return False
    if owner != os.geteuid():
        notices.warn(f"foreign {path.path}", f"the journal {path.path} is not sent", f"the user {owner} owns it")
    return owner == os.geteuid()


def _say_unreadable(path: JournalPath, notices: Notices, error: Exception) -> None:
    if path.path.exists():  # else somebody else has delivered it meanwhile
        notices.warn(f"unreadable {path.path}", "a journal cannot be delivered", str(error))


def _was_being_sent(path: JournalPath) -> bool:
    saved = [CursorFile(path.cursor(signal)).load() for signal in SIGNALS if path.cursor(signal).exists()]
    slowest = min((cursor.position for cursor in saved if not cursor.unserved), key=lambda p: p.seq, default=None)
    if slowest is None:
        return False
    try:
        return JournalReader(path).end(slowest).seq > slowest.seq
    except JournalError:
        return True
