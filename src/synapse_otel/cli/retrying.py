"""Sends again what the collector refused for good, run by run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from synapse_otel.cli import units
from synapse_otel.cli.find import job_of
from synapse_otel.cli.pushing import HeldNotices, Moved, Pushed, is_settled, why_live
from synapse_otel.export.dead_letters import Letter, read, rejected
from synapse_otel.export.lane import FIRST_BACK_OFF
from synapse_otel.export.outcome import Outcome, Verdict
from synapse_otel.export.plan import ShippingPlan
from synapse_otel.export.redelivery import Rest, retry, without_letter
from synapse_otel.export.settings import Signal
from synapse_otel.journal.cursor import saved_cursors
from synapse_otel.journal.directory import JournalPath, journals_of
from synapse_otel.journal.locks import FileLock

_LONGEST_PAUSE = 2.0


class Retrier:
    """Sends dead letters as they were, each to the endpoint of its signal, and waits for one that does not answer.

    Args:
        plan: Where to and how.
        patience: How many seconds to wait altogether.
    """

    noun = "dead letter"

    def __init__(self, plan: ShippingPlan, patience: float) -> None:
        self._plan = plan
        self._notices = HeldNotices()
        self._destination = plan.destination(self._notices)
        self._patience = patience
        self._given_up: dict[Signal, Outcome] = {}

    def push(self, run: Path, moved: Moved) -> Pushed:
        """Send the dead letters of a run."""
        pushed = Pushed(job_of(run))
        self._notices.current.clear()
        for path in journals_of(run):
            if not _has_refused(path):
                continue
            if path.is_live():
                pushed.note(why_live(path))
            else:
                self._retry_journal(path, pushed, moved)
        for reason in self._notices.reasons():
            pushed.note(reason)
        return pushed

    def close(self) -> None:
        """Let the connections go."""
        self._destination.close()

    def _retry_journal(self, path: JournalPath, pushed: Pushed, moved: Moved) -> None:
        lock = FileLock(path.shipping_lock)
        try:
            if not lock.acquire():
                pushed.note("another process is sending it")
                return
            rest = self._retry_letters(path, pushed, moved)
            self._clean_up(path)
        except OSError as error:
            pushed.left += 1
            pushed.note(f"{path.dead_letters.name}: {error.strerror or error}")
            return
        finally:
            lock.release()
        pushed.left += rest.letters + rest.damaged
        if rest.damaged:
            pushed.note(f"{units.count(rest.damaged, 'line')} of {path.dead_letters.name} cannot be read")
        if rest.lost:
            pushed.note(f"of {units.count(rest.lost, 'refused record')} no letter was kept")

    def _retry_letters(self, path: JournalPath, pushed: Pushed, moved: Moved) -> Rest:
        if not os.path.lexists(path.dead_letters):
            return Rest(lost=without_letter(path))
        of = sum(1 for _ in read(path.dead_letters))
        return retry(path, partial(self._resend, pushed, lambda reason: moved(pushed.job, pushed.sent, of, reason)))

    def _resend(self, pushed: Pushed, moved: Callable[[str], None], letter: Letter) -> Letter | None:
        """Send a letter; return what stays of it."""
        moved("")
        if not letter.request:
            self._notices.warn("broken", "what could not be encoded cannot be sent", letter.reason)
            return letter
        outcome = self._given_up.get(letter.signal) or self._send(letter, moved)
        match outcome.verdict:
            case Verdict.DELIVERED if not outcome.rejected:
                pushed.sent += 1
                return None
            case Verdict.DELIVERED:
                records = rejected(letter.counted, outcome.rejected)
                return self._refused(letter, f"{outcome.rejected} rejected: {outcome.reason}", dict(records))
            case Verdict.REFUSED:
                return self._refused(letter, outcome.reason, letter.records)
            case Verdict.RETRY | Verdict.UNSERVED:
                self._given_up[letter.signal] = outcome
                what = "tried again later" if outcome.verdict is Verdict.RETRY else f"{letter.signal} are not sent"
                self._notices.warn(f"unsent {letter.signal}", what, outcome.reason)
                return letter

    def _refused(self, letter: Letter, reason: str, records: dict[str, int]) -> Letter:
        self._notices.warn(f"refused {letter.signal}", f"{letter.signal} are refused again", reason)
        return msgspec.structs.replace(letter, reason=reason, records=records)

    def _send(self, letter: Letter, waiting: Callable[[str], None]) -> Outcome:
        if self._plan.signals[letter.signal].exporter != "otlp":
            return Outcome(Verdict.UNSERVED, "no endpoint is configured for them")
        exporter, pause = self._destination.exporters[letter.signal], FIRST_BACK_OFF
        while True:
            began = time.monotonic()
            outcome = exporter.send(letter.request)
            if outcome.verdict is not Verdict.RETRY or self._patience <= 0:
                return outcome
            waiting(outcome.reason)
            time.sleep(min(self._patience, outcome.retry_after or pause))
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._patience -= time.monotonic() - began

    def _clean_up(self, path: JournalPath) -> None:
        """Remove a journal of which nothing is left, or only what was delivered and nobody keeps."""
        if os.path.lexists(path.dead_letters):
            return
        is_unserved = any(cursor.unserved for cursor in saved_cursors(path))
        if not path.segments() or (not self._plan.keep and not is_unserved and is_settled(path)):
            path.remove()


def _has_refused(path: JournalPath) -> bool:
    return os.path.lexists(path.dead_letters) or any(cursor.dead_lettered for cursor in saved_cursors(path))
