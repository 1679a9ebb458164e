"""The journals that the agent ships: which come, which go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from synapse_otel.agent.mark import read_mark, write_mark
from synapse_otel.agent.notes import KnownProblems, journal_notices
from synapse_otel.agent.pace import Pace
from synapse_otel.agent.place import AgentPlace
from synapse_otel.agent.shipment import Shipment
from synapse_otel.agent.state import load
from synapse_otel.export.delivery import Delivery, Destination
from synapse_otel.export.orphans import MakeOrigin, adopt, is_left
from synapse_otel.export.settings import Signal
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.locks import FileLock
from synapse_otel.journal.reader import JournalReader

_LEFT_AT_ONCE = 16
"""Journals of dead processes that are shipped at a time, so that a thousand of them do not take the memory."""

_PAUSE = 2.0
_LONGEST_PAUSE = 30.0
"""Seconds until a journal that nobody took is tried again, at first and at most."""

_MOST_PROBLEMS = 20


class _Wait(NamedTuple):
    due: float
    pause: float


class Fleet:
    """Keeps the journals that are shipped. The agent's first thread changes it, the others only ask for `ships`.

    Args:
        place: Where the agent is.
        origin: Makes the origin of a journal's records.
        destination: Where to.
    """

    def __init__(self, place: AgentPlace, origin: MakeOrigin, destination: Destination) -> None:
        self._place = place
        self._origin = origin
        self._destination = destination
        self._endpoints = sorted({exporter.place for exporter in destination.exporters.values()})
        self._waiting: dict[JournalPath, _Wait] = {}
        self._left = KnownProblems()  # of what dead processes left; nothing is written beside what is not shipped
        self._settled: set[JournalPath] = set()  # of dead processes, and looked at: a thousand runs may be kept
        self._hopeless_until = 0.0
        self.paces: dict[Signal, Pace] = {signal: Pace() for signal in destination.exporters}
        self.ships: dict[JournalPath, Shipment] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is shipped, nor waits to be."""
        return not self.ships and not self._waiting

    @property
    def problems(self) -> list[str]:
        """What does not work at the moment, each thing once."""
        known = [self._left, *(ship.notices for ship in self.ships.values())]
        return sorted({text for notices in known for text in list(notices.problems.values())})[:_MOST_PROBLEMS]

    def attend(self, path: JournalPath) -> None:
        """Ship the journal of a living process, unless somebody does."""
        if path in self.ships:
            return
        notices, lock = journal_notices(path), FileLock(path.shipping_lock)
        try:
            if lock.acquire():
                reader, destination = JournalReader(path), replace(self._destination, notices=notices)
                delivery = Delivery(reader, self._origin(reader.identity()), destination, path)
                self._ship(Shipment(path, delivery, lock, notices))
        except (JournalError, OSError) as error:
            lock.release()
            notices.warn("unreadable", "the journal is not sent", str(error))

    def hurry(self, path: JournalPath) -> None:
        """Try soon what waits, since somebody waits for this journal."""
        if ship := self.ships.get(path):
            ship.delivery.hurry()
            for pace in self.paces.values():
                pace.hurry()

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
            if path not in self.ships and path not in self._settled and now >= self._due(path):
                room -= self._adopt(path)

    def _adopt(self, path: JournalPath) -> bool:
        orphan, notices = None, journal_notices(path)
        if self._is_of_another(path):
            return False
        if is_left(path, self._left):
            orphan = adopt(path, self._origin, replace(self._destination, notices=notices))
        elif not path.is_live():
            self._settled.add(path)
        if orphan:
            ship = Shipment(path, orphan.delivery, orphan.lock, notices, orphan)
            if path in self._waiting:
                ship.patience = 0.0
            self._ship(ship)
        else:
            self._waiting.pop(path, None)
        return orphan is not None

    def look_after(self) -> None:
        """Look at every journal: take over from who died, let go what is done or stuck."""
        for ship in list(self.ships.values()):
            try:
                ship.look()
            except (JournalError, OSError) as error:
                self._left.warn(f"unreadable {ship.path}", "a journal is not sent", str(error))
                self._let_wait(ship)
                continue
            if ship.is_finished():
                self._waiting.pop(ship.path, None)
                self._close(ship)
            elif ship.is_stuck(self.paces):
                self._let_wait(ship)

    def note_moved(self) -> None:
        """Note that something was taken: then what waits may be taken as well."""
        self._hopeless_until = 0.0

    def give_up(self) -> None:
        """Leave what waits to the next start."""
        self._settled |= set(self._waiting)
        self._waiting.clear()

    def close(self) -> None:
        """Give all journals back, but those with a request on its way."""
        for ship in list(self.ships.values()):
            self._close(ship)

    def _due(self, path: JournalPath) -> float:
        return self._waiting[path].due if path in self._waiting else 0.0

    def _let_wait(self, ship: Shipment) -> None:
        """Give a journal back for a while, each time for longer."""
        if self._close(ship):
            known = self._waiting.get(ship.path)
            pause = min(2 * known.pause, _LONGEST_PAUSE) if known else _PAUSE
            self._hopeless_until = time.monotonic() + pause
            self._waiting[ship.path] = _Wait(self._hopeless_until, pause)

    def _is_of_another(self, path: JournalPath) -> bool:
        """Return whether another agent that lives has the journal, though it may wait: it is not for our endpoint.

        One for our endpoint has what was wrong before, such as a token, and is not waited for.
        """
        marked = read_mark(path)
        other = AgentPlace(self._place.root, marked) if marked else self._place
        if other == self._place or not other.is_taken():
            return False
        state = load(other.state)
        return state is None or state.endpoints != self._endpoints

    def _ship(self, ship: Shipment) -> None:
        write_mark(ship.path, self._place.fingerprint)
        self.ships = {**self.ships, ship.path: ship}

    def _close(self, ship: Shipment) -> bool:
        closed = ship.try_close()
        if closed:
            self.ships = {path: other for path, other in self.ships.items() if other is not ship}
        return closed
