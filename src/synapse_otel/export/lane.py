"""Delivers one signal of one journal: batch, send, then move the cursor.

Each signal has its own lane, so that an endpoint that is away, or does not serve a signal, holds up only that one.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synapse_otel.export.dead_letters import bury, rejected
from synapse_otel.export.exporters import Exporter
from synapse_otel.export.notices import Notices
from synapse_otel.export.outcome import DELIVERED, Outcome, Verdict
from synapse_otel.export.settings import Signal
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.reader import START, Batch, Entry, Source
from synapse_otel.journal.records import Dropped
from synapse_otel.projection import Projection
from synapse_otel.projection.resource import Origin

MAX_RECORDS = 4096
MAX_BYTES = 512 * 1024
"""Bytes of journal in a batch: a record grows about fourfold in OTLP, so requests stay clear of 4 MiB."""

MAX_ITEMS = 50_000
"""Spans, log records or samples of a batch, about: a record may stand for very many."""

FIRST_BACK_OFF = 0.1
LONGEST_BACK_OFF = 30.0
LONGEST_WAIT = 3600.0
"""Seconds that a receiver can ask to wait; one that asks for more is tried again after these."""

_TRUST = 0.5
"""Seconds in which refusals are taken to be about content, once an empty request was taken."""

NO_GUARD: AbstractContextManager[None] = nullcontext()

MakeProjection = Callable[[Origin, bytes], Projection]


@dataclass(slots=True)
class Request:
    """A batch that was projected: what is sent, and where the journal and the projection stand after it.

    `broken` says why a batch could not be projected or encoded, which no record should ever bring about.
    """

    batch: Batch
    items: list[Any]
    body: bytes
    state: bytes
    broken: str = ""
    kinds: Counter[str] = field(default_factory=Counter)


class Lane:
    """One signal on its way from a journal to an exporter.

    Args:
        signal: Which one.
        source: The journal.
        origin: Who wrote it.
        projection: Makes the projection of the signal from a saved state.
        exporter: Where to.
        cursor: Where the progress is kept.
        dead_letters: Where refused requests are kept.
        notices: Tells a person what is wrong.
        guard: Held from the reading of a segment until the cursor says so; whoever rewrites segments holds it.
    """

    def __init__(  # the lane is where journal, projection and exporter meet
        self,
        signal: Signal,
        source: Source,
        origin: Origin,
        projection: MakeProjection,
        exporter: Exporter,
        cursor: CursorFile,
        notices: Notices,
        dead_letters: Path | None = None,
        guard: AbstractContextManager[Any] = NO_GUARD,
    ) -> None:
        self.signal = signal
        self._source = source
        self._origin = origin
        self._projection = projection
        self._exporter = exporter
        self._file = cursor
        self._notices = notices
        self._dead_letters = dead_letters
        self._guard = guard
        saved = cursor.load()
        self.position = saved.position
        self.passed = Counter(saved.passed)
        self.dead_lettered = Counter(saved.dead_lettered)
        self.dropped = Counter(saved.dropped)
        self.unserved = False
        self.tally = saved
        self._state = saved.state
        self._ends = list(saved.ends)
        # Of the record at `position`, which was refused as a whole: what became of it and its parts, in the order in
        # which they were sent; None where it was taken. So neither is ever sent in another form after an outage.
        self._answers = list(saved.answers)
        self._request: Request | None = None
        self._unsaved = False
        self._full = False
        self._served = False
        self._trusted_until = -math.inf
        self._failures = 0
        self._told_to_wait = False
        self.not_before = 0.0
        self._save()

    def step(self, now: float) -> bool:
        """Send the next request, if there is one and its time has come; return whether the cursor moved."""
        if self.unserved or now < self.not_before:
            return False
        with self._guard:
            request = self._request = self._request or self._next_request()
            if request is None:
                self.save()
                return False
            if request.broken:
                return self._narrow(request, Outcome(Verdict.REFUSED, request.broken))
            if not request.items:
                self._advance(request)
                return True
        refused = self._answers[0] if self._answers and len(request.batch.entries) == 1 else None
        outcome = Outcome(Verdict.REFUSED, refused) if refused is not None else self._exporter.send(request.body)
        return self._settle(request, outcome)

    @property
    def has_more(self) -> bool:
        """Whether the last request was a full one, or one of several that take the place of a refused one."""
        return self._full or bool(self._ends)

    def save(self) -> None:
        """Note how far the delivery has come, if that was not done yet."""
        if self._unsaved:
            self._save()

    def let_go(self) -> None:
        """Forget the request that is to be sent again: made anew it is the same, and meanwhile it takes no memory."""
        self._request = None

    def hurry(self) -> None:
        """Forget the back-off, though not what the receiver asked for: somebody waits for the delivery."""
        if self._failures and not self._told_to_wait:
            self.not_before = min(self.not_before, time.monotonic() + FIRST_BACK_OFF)

    def _next_request(self) -> Request | None:
        batch = self._read()
        self._full = len(batch.entries) >= MAX_RECORDS or batch.size >= MAX_BYTES
        if batch.after == self.position and not batch.entries:
            return None
        try:
            projection, kinds = self._begin(), Counter[str]()
            items: list[Any] = []
            for entry in batch.entries:
                projected = projection.project(entry.record, entry.seq)
                if not projected:
                    continue
                items += projected
                kinds[entry.record.kind] += 1
                if len(items) > MAX_ITEMS and entry is not batch.entries[-1]:
                    self._ends.append(entry.after)
                    self._save()
                    return self._next_request()
            body = self._exporter.encode(items, self._origin) if items else b""
        except Exception as error:  # noqa: BLE001  # whatever it is, it concerns one record and not its neighbours
            return Request(batch, [], b"", self._state, f"cannot be encoded: {error!r}")
        if items and (self._unsaved or self._ends[-1:] != [batch.after]):
            # Noted before it is sent: after a crash the same records make the same request, and no earlier one.
            if self._ends[-1:] != [batch.after]:
                self._ends.append(batch.after)
            self._save()
        return Request(batch, items, body, projection.snapshot(), kinds=kinds)

    def _begin(self) -> Projection:
        """Return the projection as it stands at the position; a state that cannot be read is made again."""
        try:
            return self._projection(self._origin, self._state)
        except Exception:  # noqa: BLE001  # another version of this package has saved it
            projection, position = self._projection(self._origin, b""), START
        while position.seq < self.position.seq:
            batch = self._source.read(position, MAX_RECORDS, MAX_BYTES, until=self.position.seq)
            if batch.after == position:
                break
            position = batch.after
            for entry in batch.entries:
                projection.project(entry.record, entry.seq)
        self._state = projection.snapshot()
        return projection

    def _read(self) -> Batch:
        if not self._ends:
            return self._source.read(self.position, MAX_RECORDS, MAX_BYTES)
        end = self._ends[-1]
        # Twice what was read when the end was noted: whatever the file says, it all fits into memory.
        batch = self._source.read(self.position, 2 * MAX_RECORDS, 2 * MAX_BYTES, until=end.seq)
        if batch.after.seq > end.seq:
            self._ends.clear()  # the quota or damage took what was between
        return batch

    def _settle(self, request: Request, outcome: Outcome) -> bool:
        match outcome.verdict:
            case Verdict.DELIVERED:
                self._note_success(request, outcome)
                self._advance(request)
                return True
            case Verdict.REFUSED:
                return self._narrow(request, outcome)
            case Verdict.UNSERVED if self._served:  # it was served before: somebody reloads the configuration
                self._back_off(outcome)
                return False
            case Verdict.UNSERVED:
                self.unserved = True
                self._notices.warn(f"unserved {self.signal}", f"{self.signal} are not sent", outcome.reason)
                self._save()
                return False
            case Verdict.RETRY:
                self._back_off(outcome)
                return False

    def _note_success(self, request: Request, outcome: Outcome) -> None:
        self._served = True
        self._notices.over(self._exporter.place, f"sending to {self._exporter.place} works again", self.signal)
        if outcome.rejected:
            lost = rejected(request.kinds, outcome.rejected)
            self.dead_lettered += lost
            reason = f"{outcome.rejected} rejected: {outcome.reason}"
            self._bury(request.batch.entries[-1], reason, request.body, lost)

    def _narrow(self, request: Request, outcome: Outcome) -> bool:
        """Halve a refused batch, down to the record that is refused; the others go on."""
        entries = request.batch.entries
        self._request = None
        if len(entries) > 1:
            self._ends.append(entries[len(entries) // 2 - 1].after)
            self._save()
            return True
        if not request.broken:
            outcome = self._confirmed(request, outcome)
            if outcome.verdict is not Verdict.REFUSED:
                self._request = request
                return self._settle(request, outcome)
        if not self._answers:
            self._note_answer(outcome)
        refused: list[tuple[str, bytes]] = []
        retry = self._deliver_parts(request.items, outcome, refused, iter(self._answers[1:]))
        if retry is not None:
            self._request = request
            self._back_off(retry)
            return False
        for reason, body in refused:
            self._bury(entries[0], reason, body)
        self.dead_lettered[entries[0].record.kind] += bool(refused)
        self._advance(request)
        return True

    def _confirmed(self, request: Request, refusal: Outcome) -> Outcome:
        """Return a refusal if it is about the record: an empty request is taken, or refused for another reason.

        Else nothing is buried, and it is tried again: a TLS port that gets plain HTTP, also one that spoke HTTP a
        moment ago, a wrong tenant or path may answer 400 to everything. One that takes the empty request may have begun
        to take them just now, so the record is sent once more.
        """
        if time.monotonic() < self._trusted_until:
            return refusal
        control = self._exporter.send(self._exporter.encode([], self._origin))
        if control.verdict is Verdict.DELIVERED:
            self._served = True
            if not self._answers and (again := self._exporter.send(request.body)).verdict is Verdict.DELIVERED:
                return again
            self._trusted_until = time.monotonic() + _TRUST
            return refusal
        if self._served and control.verdict is Verdict.REFUSED and control.reason != refusal.reason:
            return refusal
        return replace(control, verdict=Verdict.RETRY)

    def _deliver_parts(
        self, items: Sequence[Any], outcome: Outcome, refused: list[tuple[str, bytes]], known: Iterator[str | None]
    ) -> Outcome | None:
        """Send the refused items of one record in parts; return an outcome that asks to try again, if one does."""
        parts = _parts(items)
        if not parts:
            refused.append((outcome.reason, self._exporter.encode(items, self._origin) if items else b""))
        for part in parts:
            answer = self._answer(self._exporter.encode(part, self._origin), refused, known)
            if answer.verdict is Verdict.REFUSED:
                again = self._deliver_parts(part, answer, refused, known)
            else:
                again = None if answer.verdict is Verdict.DELIVERED else answer
            if again is not None:
                return again
        return None

    def _answer(self, body: bytes, refused: list[tuple[str, bytes]], known: Iterator[str | None]) -> Outcome:
        for reason in known:  # sent before an outage or a crash
            return DELIVERED if reason is None else Outcome(Verdict.REFUSED, reason)
        answer = self._exporter.send(body)
        if answer.verdict in {Verdict.DELIVERED, Verdict.REFUSED}:
            self._note_answer(answer)
        if answer.rejected:
            refused.append((f"{answer.rejected} rejected: {answer.reason}", body))
        return answer

    def _note_answer(self, outcome: Outcome) -> None:
        self._answers.append(outcome.reason if outcome.verdict is Verdict.REFUSED else None)
        self._save()

    def _bury(self, entry: Entry, reason: str, body: bytes, records: Mapping[str, int] | None = None) -> None:
        kind = entry.record.kind
        if bury(self._dead_letters, self.signal, entry.seq, kind, reason, body, records):
            self._notices.warn(f"refused {self.signal}", f"a refused record ({kind}) is kept as a dead letter", reason)
        else:
            what = f"a refused record ({kind}) is lost, as there is no room for a dead letter"
            self._notices.warn(f"lost {self.signal}", what, reason)

    def _advance(self, request: Request) -> None:
        self.position = request.batch.after
        self._state = request.state
        while self._ends and self._ends[-1].seq <= self.position.seq:
            self._ends.pop()
        records = [entry.record for entry in request.batch.entries]
        passed = Counter([record.kind for record in records])
        if passed.pop(Dropped.kind, 0):
            for tombstone in (record for record in records if isinstance(record, Dropped)):
                self.passed.update(tombstone.counts)
                self.dropped.update(tombstone.counts)
        self.passed.update(passed)
        if request.batch.missing:
            identity = self._origin.identity
            what = f"records of the run {identity.job_id} are damaged and cannot be sent"
            self._notices.warn(f"damaged {identity.journal_id}", what, f"{request.batch.missing} at once")
            self.passed["damaged"] += request.batch.missing
            self.dropped["damaged"] += request.batch.missing
        self._request, self._failures, self.not_before, self._answers = None, 0, 0.0, []
        if self._saved_segment != self.position.segment:
            self._save()
        else:
            self._unsaved = True
            self.tally = self._cursor()

    def _back_off(self, outcome: Outcome) -> None:
        self._notices.warn(
            self._exporter.place,
            f"sending to {self._exporter.place} does not work, all is kept and tried again",
            outcome.reason,
            self.signal,
        )
        longest = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        self._told_to_wait = outcome.retry_after is not None
        delay = random.uniform(longest / 2, longest)
        if outcome.retry_after is not None:
            delay = min(outcome.retry_after, LONGEST_WAIT)
        self.not_before = time.monotonic() + delay

    def _save(self) -> None:
        self._unsaved = False
        self._saved_segment = self.position.segment
        self.tally = self._cursor()
        self._file.save(self.tally)

    def _cursor(self) -> Cursor:
        return Cursor(
            position=self.position,
            state=self._state,
            ends=tuple(self._ends),
            passed=dict(self.passed),
            dead_lettered=dict(self.dead_lettered),
            dropped=dict(self.dropped),
            unserved=self.unserved,
            answers=tuple(self._answers),
        )


def _parts(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Return `items` in two or more smaller requests, none where it is one that cannot be divided."""
    if not items:
        return []
    if len(items) > 1:
        middle = len(items) // 2
        return [items[:middle], items[middle:]]
    from synapse_otel.projection.spans import split_span  # with the SDK's data model, which only who sends needs

    return [[span] for span in split_span(items[0])]


def behind(lane: Lane, seq: int) -> bool:
    """Return whether `lane` has not delivered the records before `seq` yet, and might."""
    return not lane.unserved and lane.position.seq < seq
