"""Sends the journals of runs that nobody else sends, one after another."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from synapse_otel.cli.delivery_state import cursors, state
from synapse_otel.cli.find import job_of
from synapse_otel.export.notices import Notices
from synapse_otel.export.orphans import Orphan, adopt
from synapse_otel.export.plan import ShippingPlan
from synapse_otel.journal.directory import JournalPath, journals_of
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.locks import is_locked
from synapse_otel.journal.reader import START, JournalReader
from synapse_otel.journal.recovery import ending
from synapse_otel.models import DeliveryReport

Moved: TypeAlias = Callable[[str, int, int, str], None]
"""Is told the job, how many of how many records were sent, and what is waited for."""

_LONGEST_PAUSE = 0.2
_SOON = 2.0
_PER_SIGNAL = re.compile(r"/v1/(?:traces|metrics|logs)(?=: )")


@dataclass(slots=True)
class Pushed:
    """What became of a run.

    Attributes:
        job: Its job.
        sent: How many records were sent.
        left: How many were not: pending, or refused by the collector.
        notes: What a person should know.
    """

    job: str
    sent: int = 0
    left: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do and there is nothing to say."""
        return not (self.sent or self.left or self.notes)

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)


class HeldNotices(Notices):
    """Keeps what is wrong, to be said beside the run that it concerns."""

    def __init__(self) -> None:
        super().__init__()
        self.current: dict[str, str] = {}

    def warn(self, subject: str, what: str, reason: str, by: str = "") -> None:  # noqa: ARG002  # as `Notices` has it
        """Remember what is wrong."""
        self.current[subject] = reason if "tried again" in what else f"{what}: {reason}"

    def over(self, subject: str, text: str, by: str = "") -> None:  # noqa: ARG002  # as `Notices` has it
        """Forget it."""
        self.current.pop(subject, None)

    def reasons(self) -> list[str]:
        """Return what is wrong, once where it is the same for several signals."""
        return list(dict.fromkeys(_PER_SIGNAL.sub("", text) for text in self.current.values()))


class Pusher:
    """Sends runs, and waits for a collector that does not take them, but not for ever.

    Args:
        plan: Where to and how.
        patience: How many seconds to wait altogether.
    """

    noun = "record"

    def __init__(self, plan: ShippingPlan, patience: float) -> None:
        self._plan = plan
        self._notices = HeldNotices()
        self._destination = plan.destination(self._notices)
        self._patience = patience
        self._hopeless = ""

    def push(self, run: Path, moved: Moved) -> Pushed:
        """Send what is undelivered of a run."""
        pushed = Pushed(job_of(run))
        for path in journals_of(run):
            self._notices.current.clear()
            if is_settled(path):
                continue
            if path.is_live():
                pushed.note(why_live(path))
            elif not _becomes_free(path):
                pushed.note("another process is sending it")
            elif path.path.exists():
                self._push_journal(path, pushed, moved)
        return pushed

    def close(self) -> None:
        """Let the connections go."""
        self._destination.close()

    def _push_journal(self, path: JournalPath, pushed: Pushed, moved: Moved) -> None:
        orphan = adopt(path, self._plan.origin, self._destination)
        if orphan is None:
            for problem in self._notices.reasons():
                pushed.left += 1
                pushed.note(problem)
            return
        try:
            self._deliver(orphan, pushed, moved)
        finally:
            orphan.close()

    def _deliver(self, orphan: Orphan, pushed: Pushed, moved: Moved) -> None:
        before = orphan.delivery.report()
        while not orphan.is_done() and not self._hopeless:
            began = time.monotonic()
            if orphan.delivery.step(began):
                moved(pushed.job, orphan.delivery.low_water(), orphan.last, "")
                continue
            if orphan.is_done():
                break
            moved(pushed.job, orphan.delivery.low_water(), orphan.last, self._reason())
            if self._patience <= 0:
                self._hopeless = self._reason()
                break
            self._wait(orphan)
            self._patience -= time.monotonic() - began
        self._settle(orphan, pushed, before)

    def _wait(self, orphan: Orphan) -> None:
        pause = orphan.delivery.waiting_until() - time.monotonic()
        time.sleep(max(0.001, min(pause, _LONGEST_PAUSE, self._patience)))

    def _reason(self) -> str:
        return next(iter(self._notices.reasons()), "the collector takes nothing")

    def _settle(self, orphan: Orphan, pushed: Pushed, before: DeliveryReport) -> None:
        for lane in orphan.delivery.lanes:
            lane.save()
        report = orphan.delivery.report()
        pushed.sent += max(0, report.delivered - before.delivered)
        refused = max(0, report.dead_lettered - before.dead_lettered)
        pushed.left += report.pending + refused
        for reason in self._notices.reasons():
            pushed.note(reason)
        if refused:
            pushed.note("when that is mended: synapse-otel push --dead-letters")
        if report.pending and self._hopeless and not self._notices.current:
            pushed.note("not tried any more")


def is_settled(path: JournalPath) -> bool:
    """Return whether a journal was delivered to its end; what is kept beyond that is kept to be shown."""
    saved = cursors(path)
    if not path.segments():
        return bool(saved)  # all but dead letters was removed
    try:
        end = JournalReader(path).end(min((cursor.position for cursor in saved), key=lambda at: at.seq, default=START))
        return state(saved, end.seq).is_settled and (path.is_live() or ending(path).ended)
    except JournalError:
        return False


def _becomes_free(path: JournalPath) -> bool:
    """Return whether nobody ships the journal, or is done with it soon, as the agent of a run that has just ended."""
    deadline = time.monotonic() + _SOON
    while is_locked(path.shipping_lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LONGEST_PAUSE / 4)
    return True


def why_live(path: JournalPath) -> str:
    """Return why the journal of a process that lives is not sent."""
    if is_locked(path.shipping_lock):
        return "it is still running and ships itself"
    return "it is still running and keeps its records: push it when it has ended"
