"""The journals that the agent ships: which come, which go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from synapse_otel.agent.notes import JournalNotices
from synapse_otel.agent.shipment import Shipment
from synapse_otel.export.delivery import Delivery, Destination
from synapse_otel.export.orphans import MakeOrigin, adopt, is_left
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.locks import FileLock
from synapse_otel.journal.reader import JournalReader

_LEFT_AT_ONCE = 16
"""Journals of dead processes that are shipped at a time, so that a thousand of them do not take the memory."""

_AGAIN = 30.0
"""Seconds until a journal that nobody took is tried again."""


class Fleet:
    """Keeps the journals that are shipped. The agent's first thread changes it, the others only ask for `ships`.

    Args:
        origin: Makes the origin of a journal's records.
        destination: Where to.
    """

    def __init__(self, origin: MakeOrigin, destination: Destination) -> None:
        self._origin = origin
        self._destination = destination
        self._again: dict[JournalPath, float] = {}
        self._settled: set[JournalPath] = set()  # of dead processes, and looked at: a thousand runs may be kept
        self._hopeless_until = 0.0
        self.ships: dict[JournalPath, Shipment] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is shipped, nor waits to be."""
        return not self.ships and not self._again

    @property
    def problems(self) -> list[str]:
        """What does not work at the moment, each thing once."""
        return sorted({text for ship in self.ships.values() for text in ship.notices.problems.values()})

    def attend(self, path: JournalPath) -> None:
        """Ship the journal of a living process, unless somebody does."""
        if path in self.ships:
            return
        notices, lock = JournalNotices(path), FileLock(path.shipping_lock)
        try:
            if lock.acquire():
                reader, destination = JournalReader(path), replace(self._destination, notices=notices)
                delivery = Delivery(reader, self._origin(reader.identity()), destination, path)
                self._ship(Shipment(path, delivery, lock, notices))
        except (JournalError, OSError) as error:
            lock.release()
            notices.warn("unreadable", "the journal is not sent", str(error))

    def release(self, path: JournalPath) -> None:
        """Give a journal back to its process, which goes on itself."""
        if ship := self.ships.get(path):
            self._close(ship)

    def adopt(self, among: Iterable[JournalPath]) -> None:
        """Take over from dead processes, as many as can be shipped at a time."""
        now = time.monotonic()
        room = _LEFT_AT_ONCE - sum(ship.orphan is not None for ship in self.ships.values())
        if room <= 0 or now < self._hopeless_until:
            return
        for path in among:
            if room <= 0:
                return
            if path not in self.ships and path not in self._settled and now >= self._again.get(path, 0.0):
                room -= self._adopt(path)

    def _adopt(self, path: JournalPath) -> bool:
        self._again.pop(path, None)
        notices = JournalNotices(path)
        if not is_left(path, notices):
            if not path.is_live():
                self._settled.add(path)
            return False
        orphan = adopt(path, self._origin, replace(self._destination, notices=notices))
        if orphan:
            self._ship(Shipment(path, orphan.delivery, orphan.lock, notices, orphan))
        return orphan is not None

    def look_after(self) -> None:
        """Look at every journal: take over from who died, let go what is done or stuck."""
        for ship in list(self.ships.values()):
            try:
                ship.look()
            except (JournalError, OSError) as error:
                ship.notices.warn("unreadable", "the journal is not sent", str(error))
                self._again[ship.path] = time.monotonic() + _AGAIN
                self._close(ship)
                continue
            if ship.is_finished():
                self._close(ship)
            elif ship.is_stuck() and self._close(ship):
                self._again[ship.path] = self._hopeless_until = time.monotonic() + _AGAIN

    def note_moved(self) -> None:
        """Note that something was taken: then what waits may be taken as well."""
        self._hopeless_until = 0.0

    def give_up(self) -> None:
        """Leave what waits to the next start."""
        self._settled |= set(self._again)
        self._again.clear()

    def close(self) -> None:
        """Give all journals back, but those with a request on its way."""
        for ship in list(self.ships.values()):
            self._close(ship)

    def _ship(self, ship: Shipment) -> None:
        self.ships = {**self.ships, ship.path: ship}

    def _close(self, ship: Shipment) -> bool:
        closed = ship.try_close()
        if closed:
            self.ships = {path: other for path, other in self.ships.items() if other is not ship}
        return closed
