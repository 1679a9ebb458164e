"""The thread that ships: this process's journal first, then what dead processes left."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from synapse_otel.export.delivery import Delivery, Destination
from synapse_otel.export.notices import logger
from synapse_otel.export.orphans import Orphan, orphans
from synapse_otel.export.plan import ShippingPlan
from synapse_otel.journal.locks import FileLock
from synapse_otel.journal.quota import enforce
from synapse_otel.journal.writer import Journal
from synapse_otel.models import DeliveryReport

TICK = 0.25
"""Seconds between two looks at the journal and two calls of the tick: nothing is woken per record."""

_ORPHANS_AT_ONCE = 4


class Shipper:
    """Ships a journal in a thread of this process, and keeps house in its directory.

    Args:
        journal: What this process writes.
        plan: Where to and how.
        tick: Called about four times a second, for what the logger does regularly.
    """

    def __init__(self, journal: Journal, plan: ShippingPlan, tick: Callable[[], None]) -> None:
        self._journal = journal
        self._plan = plan
        self._tick = tick
        self._wake = threading.Event()
        self._moved = threading.Condition()
        self._stopping = False
        self._own: Delivery | None = None
        self._thread = threading.Thread(target=self._run, name="synapse-otel-shipper", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def flush(self, timeout: float) -> bool:
        """Wait until what was recorded up to now is delivered, at most `timeout` seconds; return whether it is."""
        if not self._plan.sends:
            return False
        seq, deadline = self._journal.next_seq, time.monotonic() + timeout
        self._hurry()
        with self._moved:
            while not (self._own and self._own.delivered(seq)):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._thread.is_alive():
                    return False
                self._moved.wait(min(remaining, TICK))
        return True

    def stop(self, timeout: float) -> None:
        """End the thread, at most after `timeout` seconds: a request that hangs is left to itself."""
        self._stopping = True
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def report(self) -> DeliveryReport:
        """Return what became of the records, by kind."""
        lost = Counter(self._journal.memory.dropped) if self._journal.memory else None
        own = self._own or Delivery(self._journal, self._plan.origin(self._journal.identity), Destination(), None)
        return own.report(lost)

    def _hurry(self) -> None:
        if self._own:
            self._own.hurry()
        self._wake.set()

    def _run(self) -> None:
        try:
            self._ship()
        except Exception:  # noqa: BLE001
            # The one guard of this thread: whatever is wrong with it, the plugin goes on and the journal keeps all.
            logger.exception("the shipper stopped; the journal keeps what is not delivered")

    def _ship(self) -> None:
        path = self._journal.path
        lock = FileLock(path.shipping_lock) if path else None
        destination = self._plan.destination() if self._plan.sends else Destination()
        if not lock or not self._plan.sends or lock.acquire():
            self._own = Delivery(self._journal, self._plan.origin(self._journal.identity), destination, path)
            self._loop(self._own, Adoption(self._journal, self._plan, destination))
        if lock:
            lock.release()
        for exporter in destination.exporters.values():
            exporter.close()

    def _loop(self, own: Delivery, adoption: Adoption) -> None:
        next_tick, segment = 0.0, -1
        while True:
            stopping = self._stopping
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + TICK
                self._journal.prepare()
                if not stopping:
                    self._tick()
            moved = own.step(now)
            if moved:
                self._journal.release(own.low_water())
                own.trim()
                with self._moved:
                    self._moved.notify_all()
            if segment != self._journal.current_segment():
                segment = self._journal.current_segment()
                self._keep_within_quota()
            if stopping and (not moved or own.delivered(self._journal.next_seq)):
                break
            if not moved and not adoption.step(now):
                self._pause(min(own.waiting_until(), adoption.waiting_until()))
        adoption.stop()
        if own.delivered(self._journal.next_seq):
            own.clean_up()

    def _pause(self, until: float) -> None:
        self._wake.wait(max(0.001, min(TICK, until - time.monotonic())))
        self._wake.clear()

    def _keep_within_quota(self) -> None:
        path = self._journal.path
        if path is None:
            return
        dropped = enforce(path.run.parent, self._plan.quota, path)
        if dropped:
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(dropped.items()))
            logger.warning("the journal directory has reached its quota: %s records were dropped", counts)


class Adoption:
    """Ships the journals of dead processes beside this one's, a few at a time."""

    def __init__(self, journal: Journal, plan: ShippingPlan, destination: Destination) -> None:
        self._destination = destination
        self._active: list[Orphan] = []
        self._found: Iterator[Orphan] = iter(())
        if destination.exporters and journal.path:
            self._found = orphans(journal.path.run.parent, plan.origin, destination)

    def step(self, now: float) -> bool:
        """Ship something; return whether anything moved."""
        if len(self._active) < _ORPHANS_AT_ONCE and (found := next(self._found, None)):
            self._active.append(found)
            return True
        moved = False
        for orphan in list(self._active):
            moved = orphan.delivery.step(now) or moved
            if orphan.is_done():
                orphan.close()
                self._active.remove(orphan)
        return moved

    def waiting_until(self) -> float:
        """Return when the first orphan that backs off goes on."""
        return min((orphan.delivery.waiting_until() for orphan in self._active), default=float("inf"))

    def stop(self) -> None:
        """Leave the rest to the next start."""
        for orphan in self._active:
            orphan.close()
        self._active.clear()
