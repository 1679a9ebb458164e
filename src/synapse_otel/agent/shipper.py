"""The plugin's side: has the agent ship this process's journal, and ships it itself where that cannot be."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from functools import partial
from pathlib import Path

from synapse_otel.agent.assignment import Assignment
from synapse_otel.agent.bell import Request, ring
from synapse_otel.agent.farewell import see_off
from synapse_otel.agent.mark import write_mark
from synapse_otel.agent.notes import Notes
from synapse_otel.agent.place import AgentPlace
from synapse_otel.agent.starting import can_start, start
from synapse_otel.export.delivery import counts, report
from synapse_otel.export.notices import logger
from synapse_otel.export.plan import ShippingPlan
from synapse_otel.export.shipper import TICK, Shipper, mark_to_be_sent
from synapse_otel.journal import forks
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import has_locks, is_locked
from synapse_otel.journal.writer import Journal
from synapse_otel.models import Counts, DeliveryReport

_PATIENCE = 10.0
"""Seconds without an agent that takes the journal, after which this process ships it itself."""

_MOST_STARTS = 3
_A_WHILE = 60.0
"""Seconds in which no more agents than that are started: one that ends again and again does not work here."""

_QUICKLY_COUNTED = 200_000
"""Records by kind that the end of a run takes the time to count, half a second of it, so that it can report later."""

_DETACHED = 2.0
"""Seconds in which a process that was started has detached the agent, as long as nothing is very wrong."""

_DYING = 0.02
"""Seconds for which a process that was killed just now may hold its locks still."""

_GLANCE = 0.005
_LONGEST_GLANCE = 0.1
_ASK_AGAIN = 1.0


def agent_can_ship(journal: Journal, plan: ShippingPlan) -> bool:
    """Return whether an agent can ship a journal: not one in memory, nor to this process's standard output."""
    exporters = {wanted.exporter for wanted in plan.signals.values()}
    return (
        "otlp" in exporters
        and "console" not in exporters
        and journal.path is not None
        and has_locks(journal.path.writer_lock)
        and can_start()
    )


class AgentShipper:
    """Has an agent ship a journal; with the interface of `export.shipper.Shipper`, which stands in where need be.

    A thread of this process looks after the journal and the agent four times a second. No call of the plugin waits
    for either, but `flush`. The agent is started at once, so that it is there should this process be killed.

    Args:
        journal: What this process writes.
        plan: Where to and how.
        tick: Called by the thread, for what the logger does regularly.
        given: What an agent needs to know.

    Attributes:
        farewell: Waits until what the workers of the run left is delivered, when the process ends.
    """

    def __init__(self, journal: Journal, plan: ShippingPlan, tick: Callable[[], None], given: Assignment) -> None:
        assert journal.path is not None
        self._journal = journal
        self._path: JournalPath = journal.path
        self._plan = plan
        self._tick = tick
        self._given = given
        self._place = AgentPlace(given.root, given.fingerprint())
        self._notes = Notes(self._path)
        self.farewell: Callable[[Path, Set[str], float], None] = partial(see_off, self._place, plan)
        self._stopping = threading.Event()
        self._taking_over = threading.Lock()  # nobody takes over from an agent when the run has ended
        self._alone_since = time.monotonic()
        self._starts: deque[float] = deque(maxlen=_MOST_STARTS)
        self._starting: subprocess.Popen[bytes] | None = None
        self._instead: Shipper | None = None
        self._last: dict[str, Cursor] = {}
        self._reported = DeliveryReport.empty()
        self._thread = threading.Thread(target=self._run, name="synapse-otel housekeeper", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        # By these an agent knows that the journal is to be sent, and whether by it, should the run end before.
        write_mark(self._path, self._place.fingerprint)
        mark_to_be_sent(self._journal, self._plan)
        try:
            if not self._ask("ship"):
                self._start_agent()
            self._thread.start()
        except RuntimeError as error:
            logger.warning("no thread can be started (%s): nobody looks after the agent and the journal", error)

    def flush(self, timeout: float) -> bool:
        """Wait until what was recorded up to now is delivered, at most `timeout` seconds; return whether it is."""
        seq, deadline = self._journal.next_seq, time.monotonic() + timeout
        asked, glance = 0.0, _GLANCE
        while not self._instead:
            if self._is_delivered(seq):
                return True
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self._is_hopeless():
                return False
            if time.monotonic() - asked > _ASK_AGAIN:
                asked = time.monotonic() if self._ask("flush") else 0.0
            time.sleep(min(glance, remaining))
            glance = min(glance * 1.5, _LONGEST_GLANCE)
        return self._instead.flush(max(0.0, deadline - time.monotonic()))

    def stop(self, timeout: float) -> None:
        """End the thread, at most after `timeout` seconds; the agent goes on with what is left."""
        with self._taking_over:
            self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._is_left_alone():
            self._start_agent()
        self._wait_for_start()
        if self._instead:
            self._instead.stop(timeout)
        if self.counts()["pending"] < _QUICKLY_COUNTED:
            self.report()

    def report(self) -> DeliveryReport:
        """Return what became of the records, by kind."""
        if self._instead:
            return self._instead.report()
        found = report(self._journal, self._cursors(), self._journal.lost)
        if self._stopping.is_set() and not self._path.path.exists():  # the agent removed what it has delivered
            return _all_delivered(self._reported) if self._reported.accepted else self._in_total()
        self._reported = found
        return found

    def counts(self) -> dict[str, int]:
        """Return what became of the records in total, as fast as it is to say."""
        return self._instead.counts() if self._instead else counts(self._journal, self._cursors())

    def _in_total(self) -> DeliveryReport:
        count = self._journal.next_seq
        return DeliveryReport({"record": Counts(accepted=count, delivered=count)})

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and not self._instead and self._keep_house():
                self._stopping.wait(TICK)
            self._relay()
        except Exception:  # noqa: BLE001
            # The one guard of this thread: whatever is wrong, the plugin goes on and the journal keeps all.
            logger.exception("the thread that looks after the journal stopped; the journal keeps what is not delivered")

    def _is_left_alone(self) -> bool:
        """Return whether at the end of the run something is left that no agent has, nor is told of."""
        if self._instead or self._is_delivered(self._journal.next_seq):
            return False
        time.sleep(_DYING)
        return not is_locked(self._path.shipping_lock) and not self._ask("look")

    def _keep_house(self) -> bool:
        """Look after journal and agent; return whether to go on with that."""
        self._tick()
        self._journal.prepare()
        self._relay()
        self._wait_for_start()
        if self._journal.memory is not None:
            return not self._go_on_alone("the journal is in memory")
        if is_locked(self._path.shipping_lock):
            self._alone_since = time.monotonic()
            return True
        if self._ask("ship"):
            return self._has_patience("the agent does not take the journal")
        return self._start_agent()

    def _start_agent(self) -> bool:
        now = time.monotonic()
        if len(self._starts) == _MOST_STARTS and now - self._starts[0] < _A_WHILE:
            return self._has_patience("the agent ends again and again")
        try:
            lock = self._place.take()
            if lock is None:  # another process starts one
                return self._has_patience("the agent does not answer")
            try:
                self._starting = start(self._given, lock)
            except OSError:
                self._place.clear()
                raise
            finally:
                lock.release()
        except OSError as error:
            return not self._go_on_alone(str(error))
        self._starts.append(now)
        return True

    def _wait_for_start(self) -> None:
        """Wait for the child that the agent detaches from, so that nobody who waits for his children finds it."""
        if self._starting:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._starting.wait(_DETACHED)
                self._starting = None

    def _has_patience(self, reason: str) -> bool:
        if time.monotonic() - self._alone_since < _PATIENCE:
            return True
        return not self._go_on_alone(reason)

    def _go_on_alone(self, reason: str) -> bool:
        """Ship in threads of this process; return False where the agent has the journal still, or the run has ended."""
        if is_locked(self._path.shipping_lock):
            self._ask("release")
            return False
        with self._taking_over:
            if self._stopping.is_set():
                return False
            logger.info("no agent ships the run (%s): threads of this process do", reason)
            # A fork while a thread imports would leave the child with a lock on a module that nobody gives back.
            with forks.held_off():
                instead = Shipper(self._journal, self._plan, self._tick)
            instead.start()
            self._instead = instead
        return True

    def _ask(self, request: Request) -> bool:
        path = self._path
        return ring(self._place.bell, request, f"{path.run.name}/{path.journal_id}")

    def _relay(self) -> None:
        for line in self._notes.new():
            logger.warning(line)

    def _cursors(self) -> list[Cursor]:
        """Return how far the signals have come, those that the endpoint serves if there are any."""
        for signal in self._signals():
            file = self._path.cursor(signal)
            if file.exists():
                self._last[signal] = CursorFile(file).load()
        known = list(self._last.values())
        return [cursor for cursor in known if not cursor.unserved] or known

    def _signals(self) -> Iterator[str]:
        return (signal for signal, wanted in self._plan.signals.items() if wanted.exporter != "none")

    def _is_delivered(self, seq: int) -> bool:
        cursors = self._cursors()
        begun = len(self._last) == len(list(self._signals()))
        return begun and not self._is_hopeless() and all(cursor.position.seq >= seq for cursor in cursors)

    def _is_hopeless(self) -> bool:
        return bool(self._last) and all(cursor.unserved for cursor in self._last.values())


def _all_delivered(known: DeliveryReport) -> DeliveryReport:
    """Return what became of the records when all that was pending was delivered."""
    return DeliveryReport(
        {
            kind: replace(counts, delivered=counts.delivered + counts.pending, pending=0)
            for kind, counts in known.by_kind.items()
        }
    )
