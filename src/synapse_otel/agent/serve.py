"""What an agent does as long as it lives: it listens, looks around, and ships."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

import msgspec

from synapse_otel.agent.assignment import Assignment
from synapse_otel.agent.bell import Bell, Request
from synapse_otel.agent.fleet import Fleet
from synapse_otel.agent.notes import note_everywhere
from synapse_otel.agent.place import AgentPlace, clear_abandoned
from synapse_otel.agent.shipment import Step
from synapse_otel.agent.state import AgentState, save
from synapse_otel.export.exporters import import_what_sends
from synapse_otel.export.plan import ShippingPlan, shipping_plan
from synapse_otel.export.settings import Signal, TelemetrySettings
from synapse_otel.export.shipper import GATHER, quota_reached
from synapse_otel.journal.directory import JournalPath, journal_of, journals
from synapse_otel.journal.quota import Sweeps, was_swept_lately

TICK = 0.25
"""Seconds between two looks at the journals that are shipped."""

_LOOK_AROUND = 2.0
"""Seconds between two looks for what processes left that nobody shipped."""

_GIVE_UP = 3600.0
"""Seconds after which an agent without a living run leaves to the next start what nobody took."""

_LAST_REQUEST = 2.0
_NICE = 5


_decode = msgspec.json.Decoder(Assignment).decode


def serve(content: bytes, lock: int) -> None:
    """Serve as the agent, until there is nothing to do.

    Args:
        content: The assignment, encoded.
        lock: The descriptor that holds the lock of the place.
    """
    given = _decode(content)
    os.environ.update(given.environ)
    place = AgentPlace(given.root, given.fingerprint())
    os.nice(_NICE)
    try:
        agent = _agent(place, TelemetrySettings(**given.settings))
        signal.signal(signal.SIGTERM, lambda *_: agent.stop())
        agent.run(lock)
    except Exception as error:  # noqa: BLE001  # such as a certificate that cannot be read: the runs say it
        note_everywhere(place.root, f"the agent cannot ship: {error!r}")
    finally:
        place.clear()


def _agent(place: AgentPlace, settings: TelemetrySettings) -> Agent:
    plan = shipping_plan(settings)
    import_what_sends(plan.signals)  # now: the package may be replaced by another version while the agent lives
    return Agent(place, plan, settings.agent_idle)


class Agent:
    """Listens to the bell, looks after the journals, and has a thread for each signal, and one for the quota.

    Args:
        place: Where it is.
        plan: Where to and how.
        idle: Seconds without anything to do after which it ends.
    """

    def __init__(self, place: AgentPlace, plan: ShippingPlan, idle: float) -> None:
        self._place = place
        self._plan = plan
        self._idle = idle
        self._destination = plan.destination()
        self._fleet = Fleet(place, plan.origin, self._destination)
        self._wake = threading.Condition()
        self._rung = 0
        self._stopping = False
        self._moved = self._busy = time.monotonic()
        self._looked = -_LOOK_AROUND
        endpoints = sorted({exporter.place for exporter in self._destination.exporters.values()})
        self._state = AgentState(pid=os.getpid(), version=plan.version, started=time.time_ns(), endpoints=endpoints)

    def stop(self) -> None:
        """End soon."""
        self._stopping = True

    def run(self, lock: int) -> None:
        """Serve until there is nothing to do.

        Args:
            lock: The descriptor that holds the lock of the place.

        Raises:
            OSError: If the bell cannot be opened.
        """
        fd = self._place.open()
        clear_abandoned(self._place.root)
        save(self._place, self._state)
        lanes = [partial(self._drive, signal) for signal in self._destination.exporters]
        threads = [self._daemon(self._keep_within_quota), *map(self._daemon, lanes)]
        for thread in threads:
            thread.start()
        self._guarded(partial(self._listen, fd, lock))
        self._wake_all()
        deadline = time.monotonic() + _LAST_REQUEST
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._fleet.close()

    def _listen(self, fd: int, lock: int) -> None:
        bell = Bell(fd)
        while not self._stopping and self._is_in_place(lock):
            select.select([fd], [], [], TICK)
            for request, journal in bell.requests():
                self._answer(request, journal)
            self._look()

    def _is_in_place(self, lock: int) -> bool:
        """Return whether the lock is still where others find it: the journal directory may have been removed."""
        try:
            return os.path.samestat(os.fstat(lock), self._place.lock.lstat())
        except OSError:
            return False

    def _answer(self, request: Request, name: str) -> None:
        journal = journal_of(self._place.root, name)
        if request == "look":
            self._looked = -_LOOK_AROUND
        if journal is None:
            return
        if request == "ship":
            self._fleet.attend(journal)
        elif request == "release":
            self._fleet.release(journal)
        else:
            self._fleet.hurry(journal)
        self._wake_all()

    def _look(self) -> None:
        now = time.monotonic()
        self._fleet.look_after()
        if now - self._looked >= _LOOK_AROUND:
            self._looked = now
            self._fleet.adopt(journals(self._place.root))
            self._wake_all()
        live = [ship for ship in self._fleet.ships.values() if ship.orphan is None]
        if live:
            self._moved = now
        elif now - self._moved > _GIVE_UP:
            self._fleet.give_up()
        if not self._fleet.is_idle:
            self._busy = now
        elif now - self._busy >= self._idle:
            self._stopping = True
        self._say(len(live), len(self._fleet.ships) - len(live))

    def _say(self, live: int, left: int) -> None:
        state = msgspec.structs.replace(self._state, live=live, left=left, problems=self._fleet.problems)
        if state != self._state:
            self._state = state
            try:
                save(self._place, state)
            except OSError:
                return

    def _drive(self, signal: Signal) -> None:
        pace, turn = self._fleet.paces[signal], 0
        while not self._stopping:
            rung, more = self._rung, False
            ships = list(self._fleet.ships.values())
            for ship in ships[turn:] + ships[:turn]:
                step = ship.step(signal, pace)
                more = more or step is Step.MORE
                if step in {Step.MOVED, Step.MORE}:
                    self._moved = time.monotonic()
                    self._fleet.note_moved()
                elif step is Step.FAILED:  # the next one tries next time, lest one that nobody takes holds up all
                    turn = (turn + 1) % len(ships)
            if not more:
                delay = pace.until - time.monotonic()
                self._wait(rung, min(delay, GATHER) if delay > 0 else GATHER)

    def _keep_within_quota(self) -> None:
        """Sweep the journal directory when there are new segments, as the processes of the runs would without us."""
        sweeps, swept = Sweeps(self._place.root, self._plan.quota), was_swept_lately(self._place.root)
        known: dict[JournalPath, int] = {}
        while not self._stopping:
            rung = self._rung
            ships = dict(self._fleet.ships)
            segments = {path: max(path.segments(), default=0) for path in ships}
            begun = any(index > max(1, known.get(path, 0)) for path, index in segments.items())
            if begun or not swept or sweeps.is_due():
                if dropped := sweeps.sweep({path: ship.delivery.guard for path, ship in ships.items()}):
                    note_everywhere(self._place.root, quota_reached(dropped))
                swept = True
            known = segments
            self._wait(rung)

    def _wait(self, rung: int, longest: float = GATHER) -> None:
        """Wait until records were gathered, or somebody has rung since."""
        with self._wake:
            self._wake.wait_for(lambda: self._stopping or self._rung != rung, longest)

    def _wake_all(self) -> None:
        with self._wake:
            self._rung += 1
            self._wake.notify_all()

    def _daemon(self, work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._guarded, args=(work,), daemon=True)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Work; when that ends, whatever the reason, the agent does: the runs that need one start another."""
        try:
            work()
        except Exception as error:  # noqa: BLE001
            note_everywhere(self._place.root, f"the agent ends: {error!r}")
        self._stopping = True
