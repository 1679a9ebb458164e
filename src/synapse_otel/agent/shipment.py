"""A journal that the agent ships: first while its process lives, then what that has left."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from synapse_otel.agent.notes import KnownProblems
from synapse_otel.agent.pace import Pace
from synapse_otel.export.delivery import Delivery
from synapse_otel.export.lane import Lane
from synapse_otel.export.orphans import Orphan, orphaned
from synapse_otel.export.settings import Signal
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import FileLock


class Step(Enum):
    """What came of a step of a lane."""

    NOTHING = auto()
    MOVED = auto()
    MORE = auto()
    FAILED = auto()


@dataclass(slots=True, eq=False)
class Shipment:
    """A journal, its lanes, and who may touch them: the thread of a signal its lane, the agent's first thread the rest.

    Attributes:
        path: The journal.
        delivery: Its lanes.
        lock: The shipping lock, held.
        notices: What is said of it.
        orphan: The same when its process is dead.
        patience: Seconds that a lane may wait before a dead process's journal is given back: `push` can have it then.
    """

    path: JournalPath
    delivery: Delivery
    lock: FileLock
    notices: KnownProblems
    orphan: Orphan | None = None
    patience: float = 1.0
    _busy: dict[Signal, threading.Lock] = field(default_factory=dict)
    _closed: bool = False

    def __post_init__(self) -> None:
        """Give each lane a lock."""
        self._busy = {lane.signal: threading.Lock() for lane in self.delivery.lanes}

    def step(self, signal: Signal, pace: Pace) -> Step:
        """Let the lane of `signal` send what it can, and say what came of it."""
        lane = next((lane for lane in self.delivery.lanes if lane.signal == signal), None)
        if lane is None or pace.is_waiting():
            return Step.NOTHING
        with self._busy[signal]:
            if self._closed or _is_waiting(lane, 0.0):
                return Step.NOTHING
            if lane.step(time.monotonic()):
                pace.took()
                if lane.has_more:
                    return Step.MORE
                lane.save()  # at once: whoever flushes looks for it
                return Step.MOVED
            if _is_waiting(lane, 0.0):
                pace.failed(lane.not_before)
                lane.let_go()
                return Step.FAILED
            return Step.NOTHING

    def look(self) -> None:
        """Remove what was delivered; end the run of a process that died.

        Raises:
            JournalError: If the journal of a dead process cannot be read.
            OSError: If its run cannot be ended.
        """
        if self.orphan is None and not self.path.is_live():
            self.orphan = orphaned(self.path, self.delivery, self.lock)
        elif self.orphan is None:
            self.delivery.trim()

    def is_finished(self) -> bool:
        """Return whether nothing is left to do here."""
        return self.orphan.is_done() if self.orphan else not self.path.path.exists()

    def is_stuck(self, paces: Mapping[Signal, Pace]) -> bool:
        """Return whether a dead process's journal waits long, on all ways that it has."""
        lanes = [lane for lane in self.delivery.lanes if not lane.unserved]
        long = self.patience
        return self.orphan is not None and all(
            _is_waiting(lane, long) or paces[lane.signal].is_waiting(long) for lane in lanes
        )

    def try_close(self) -> bool:
        """Give the journal back, unless a request is on its way; return whether that was done."""
        held = [busy for busy in self._busy.values() if busy.acquire(blocking=False)]
        try:
            if len(held) < len(self._busy):
                return False
            self._closed = True
            if self.orphan:
                self.orphan.close()
            else:
                self.delivery.save()
                self.lock.release()
            return True
        finally:
            for busy in held:
                busy.release()


def _is_waiting(lane: Lane, long: float) -> bool:
    return lane.not_before > time.monotonic() + long
