"""The threads that ship: one for each signal of this process's journal, one for what dead processes left.

A further one, the housekeeper, looks at the journal four times a second and wakes the others, so that a call of the
plugin wakes nobody. A request that hangs holds up its own signal and nothing else.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from functools import partial
from itertools import islice
from pathlib import Path

from synapse_otel.export.delivery import Delivery, Destination, counts
from synapse_otel.export.exporters import import_what_sends
from synapse_otel.export.farewell import see_off
from synapse_otel.export.lane import Lane
from synapse_otel.export.notices import Notices, logger
from synapse_otel.export.orphans import Orphan, orphans
from synapse_otel.export.plan import ShippingPlan
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.directory import JournalPath, journals, journals_of
from synapse_otel.journal.locks import FileLock
from synapse_otel.journal.quota import Sweeps, was_swept_lately
from synapse_otel.journal.writer import Journal
from synapse_otel.models import DeliveryReport

TICK = 0.25
"""Seconds between two looks of the housekeeper."""

_ORPHANS_AT_ONCE = 16

_LOOK_AROUND = 5.0
"""Seconds between two looks for processes of the same run that died."""

_LAST_LOOK = 1.0
"""Seconds that the end of a run gives to what such processes left."""

GATHER = 1.0
"""Seconds in which records are gathered for a request, unless there are more than it holds, or somebody waits."""


class Shipper:
    """Ships a journal in threads of this process, and keeps house in its directory.

    Args:
        journal: What this process writes.
        plan: Where to and how.
        tick: Called by the housekeeper, for what the logger does regularly.

    Attributes:
        farewell: Delivers what the workers of the run left, when the process ends.
    """

    def __init__(self, journal: Journal, plan: ShippingPlan, tick: Callable[[], None]) -> None:
        self._journal = journal
        self._plan = plan
        self._tick = tick
        self._notices = Notices()
        lock = threading.RLock()
        self._wake = threading.Condition(lock)  # there is something to do
        self._moved = threading.Condition(lock)  # something was delivered
        self._stopping = False
        self._own: Delivery | None = None
        self.farewell: Callable[[Path, Set[str], float], None] = partial(see_off, plan)
        import_what_sends(plan.signals)
        self._thread = self._daemon(self._run, "housekeeper")

    def start(self) -> None:
        """Begin to ship."""
        try:
            self._thread.start()
        except RuntimeError as error:
            logger.warning("no thread can be started (%s): nothing is sent, the journal keeps what is recorded", error)

    def flush(self, timeout: float) -> bool:
        """Wait until what was recorded up to now is delivered, at most `timeout` seconds; return whether it is."""
        if not self._plan.sends:
            return False
        if not self._thread.is_alive():  # in a forked child too, where the lock below may be held for ever
            return bool(self._own and self._own.delivered(self._journal.next_seq))
        seq, deadline = self._journal.next_seq, time.monotonic() + timeout
        if self._own:
            self._own.hurry()
        with self._wake:
            while not (self._own and self._own.delivered(seq)):
                remaining = deadline - time.monotonic()
                hopeless = self._own and all(lane.unserved for lane in self._own.lanes)
                if remaining <= 0 or hopeless or not self._thread.is_alive():
                    return False
                self._wake.notify_all()
                self._moved.wait(min(remaining, TICK))
        return True

    def stop(self, timeout: float) -> None:
        """End the threads, at most after `timeout` seconds: a request that hangs is left to itself."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def report(self) -> DeliveryReport:
        """Return what became of the records, by kind."""
        own = self._own or Delivery(self._journal, self._plan.origin(self._journal.identity), Destination(), None)
        return own.report(self._journal.lost)

    def counts(self) -> dict[str, int]:
        """Return what became of the records in total, as fast as it is to say."""
        return counts(self._journal, self._own.cursors() if self._own else [])

    def _run(self) -> None:
        path = self._journal.path
        if path and not path.path.exists():  # somebody has removed it, and it goes on in memory
            path = None
        lock = FileLock(path.shipping_lock) if path and self._plan.sends else None
        if lock and not lock.acquire():
            lock = None  # somebody ships it already
            destination = Destination()
        else:
            destination = self._destination()
        own = self._own = Delivery(self._journal, self._plan.origin(self._journal.identity), destination, path)
        threads = [self._daemon(partial(self._drive, lane), lane.signal) for lane in own.lanes]
        if path and self._plan.sends:
            threads.append(self._daemon(self._adopt, "orphans"))
        if path:
            threads.append(self._daemon(partial(self._keep_within_quota, own, path), "quota"))
        started = list(_started(threads))
        self._keep_house(own, own.lanes[len(started) :])
        for thread in started:  # `stop` waits for this one only so long; the lock is held while anything is sent
            thread.join()
        self._journal.release(own.low_water())
        if own.delivered(self._journal.next_seq):
            own.clean_up()
        if lock:
            lock.release()
        destination.close()

    def _destination(self) -> Destination:
        try:
            return self._plan.destination(self._notices)
        except Exception as error:  # noqa: BLE001  # such as a certificate that cannot be read
            self._notices.warn("exporters", "nothing is sent, the journal keeps all for the next start", repr(error))
            mark_to_be_sent(self._journal, self._plan)
            return Destination()

    def _keep_house(self, own: Delivery, alone: Sequence[Lane]) -> None:
        """Look after the journal until the end, and ship what is in the lanes that have no thread."""
        seq, gathered = -1, 0.0
        while not self._stopping:
            moved = [lane.step(time.monotonic()) for lane in alone]
            self._tick()
            self._journal.prepare()
            self._journal.release(own.low_water())
            self._say_dropped()
            own.trim()
            with self._wake:
                now = time.monotonic()
                if seq != self._journal.next_seq and now >= gathered:
                    seq, gathered = self._journal.next_seq, now + GATHER
                    self._wake.notify_all()
                if any(moved):
                    self._moved.notify_all()
                else:
                    self._wake.wait_for(lambda: self._stopping, TICK)
        self._say_dropped()
        for lane in alone:
            lane.save()

    def _say_dropped(self) -> None:
        """Say once that a journal in memory has begun to lose records."""
        if self._journal.memory and self._journal.memory.dropped:
            what = "the journal in memory is full, dev events and the oldest records are dropped"
            self._notices.warn("memory", what, str(self._journal.degraded))

    def _drive(self, lane: Lane) -> None:
        while not self._stopping:
            moved = lane.step(time.monotonic())
            if moved:
                with self._moved:
                    self._moved.notify_all()
            if not (moved and lane.has_more):
                self._pause(lane.not_before)
        lane.save()

    def _adopt(self) -> None:
        """Ship what dead processes left: at the start of any run, from then on of this one, once more at its end."""
        destination = self._destination()
        assert self._journal.path
        run = self._journal.path.run
        if not destination.exporters:
            return
        self._adopt_all(orphans(journals(run.parent), self._plan.origin, destination), 0.0)
        while not self._stopping:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping, _LOOK_AROUND)
            grace = time.monotonic() + _LAST_LOOK
            self._adopt_all(orphans(journals_of(run), self._plan.origin, destination), grace)
        destination.close()

    def _adopt_all(self, found: Iterator[Orphan], grace: float) -> None:
        """Ship `found`, until that is done, or the run has ended and the time `grace` has come."""
        active: list[Orphan] = []
        while not self._stopping or time.monotonic() < grace:
            # Several, so that one whose records are not taken just now does not keep the others waiting.
            active += islice(found, _ORPHANS_AT_ONCE - len(active))
            if not active:
                break
            moved = [orphan.delivery.step(time.monotonic()) for orphan in active]
            for orphan in [orphan for orphan in active if orphan.is_done()]:
                orphan.close()
                active.remove(orphan)
            if active and not any(moved):
                if self._stopping:
                    break
                self._pause(min(orphan.delivery.waiting_until() for orphan in active))
        for orphan in active:
            orphan.close()

    def _pause(self, until: float) -> None:
        """Wait for new records, or for the time at which a back-off ends."""
        delay = until - time.monotonic()
        with self._wake:
            if not self._stopping:
                self._wake.wait(min(delay, GATHER) if delay > 0 else GATHER)

    def _keep_within_quota(self, own: Delivery, path: JournalPath) -> None:
        """Sweep the journal directory: at the start, unless somebody has just done so, and with each new segment."""
        root = path.run.parent
        sweeps, swept = Sweeps(root, self._plan.quota), 1 if was_swept_lately(root) else 0
        while not self._stopping:
            current = self._journal.current_segment()  # none, that is 0, once the run has ended
            if current <= swept and not sweeps.is_due():
                self._pause(0)
                continue
            swept = current
            if dropped := sweeps.sweep({path: own.guard}):
                logger.warning(quota_reached(dropped))

    def _daemon(self, work: Callable[[], None], name: str) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except Exception:  # noqa: BLE001
                # The one guard of these threads: whatever is wrong, the plugin goes on and the journal keeps all.
                logger.exception("a thread of the shipper stopped; the journal keeps what is not delivered")

        return threading.Thread(target=guarded, name=f"synapse-otel {name}", daemon=True)


def mark_to_be_sent(journal: Journal, plan: ShippingPlan) -> None:
    """Begin the cursors of a journal, by which whoever finds it knows that it was to be sent."""
    for signal, wanted in plan.signals.items():
        if journal.path and wanted.exporter != "none":
            CursorFile(journal.path.cursor(signal)).save(Cursor())


def quota_reached(dropped: Counter[str]) -> str:
    """Return what is said of records that the quota dropped."""
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(dropped.items()))
    return f"the journal directory has reached its quota: {counts} records were dropped"


def _started(threads: Sequence[threading.Thread]) -> Iterator[threading.Thread]:
    """Start threads and yield them, until one cannot be: since Python 3.12, when the interpreter is about to end."""
    for thread in threads:
        try:
            thread.start()
        except RuntimeError:
            return
        yield thread
