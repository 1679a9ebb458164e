"""A run that is followed: its journals, those that appear meanwhile too, in bounded memory."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from synapse_otel.cli.follow_curve import Curve
from synapse_otel.cli.view import LineView, RunView
from synapse_otel.cli.view_builder import JournalFacts, JournalFold, run_view
from synapse_otel.cli.view_loader import problem, unreadable
from synapse_otel.cli.view_tail import JournalTail
from synapse_otel.journal.directory import journals_of
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.locks import is_locked
from synapse_otel.projection.redaction import Redactor

_MOST_SPANS = 1000
_LOOK_AGAIN = 0.05


@dataclass(slots=True)
class FollowedRun:
    """What is known so far of the run in a directory.

    Attributes:
        path: The run's directory.
        redactor: Takes credentials out of the names of spans.
        most_lines: How many lines of the timeline to keep for each process; None for all.
    """

    path: Path
    redactor: Redactor
    most_lines: int | None
    _tails: dict[Path, JournalTail] = field(default_factory=dict)
    _problems: dict[Path, str] = field(default_factory=dict)

    def read(self, seconds: float) -> bool:
        """Read what is new, for so long about; return whether that was all.

        Raises:
            CliError: There is nothing that can be read.
        """
        until = time.monotonic() + seconds
        living = self._look_for_journals()
        if not self._tails and not living:
            raise unreadable(self.path, list(self._problems.values()))
        behind = [tail for tail in self._tails.values() if not tail.is_over]
        while behind := [tail for tail in behind if tail.read()]:
            if time.monotonic() >= until:
                return False
        return True

    def wait_for_delivery(self, seconds: float) -> None:
        """Wait while those that have ended are still being sent, for so long at most."""
        until = time.monotonic() + seconds
        ended = [tail.path.shipping_lock for tail in self._tails.values() if tail.is_over]
        while any(map(is_locked, ended)) and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN)

    @property
    def is_readable(self) -> bool:
        """Whether anything is known of it yet."""
        return bool(self._tails)

    @property
    def is_over(self) -> bool:
        """Whether it has ended: a run is what its first process does; workers that outlive it do not count."""
        leading = [tail for tail in self._tails.values() if not tail.fold.identity.worker]
        return self.is_readable and all(tail.is_over for tail in leading or self._tails.values())

    @property
    def folds(self) -> list[JournalFold]:
        """What each process has reported."""
        return [tail.fold for tail in self._tails.values()]

    @property
    def records(self) -> int:
        """How many records were read."""
        return sum(fold.counts.total() for fold in self.folds)

    @property
    def state(self) -> tuple[object, ...]:
        """What is another one when there is something new to see, but for the time."""
        return (self.records, len(self._problems), *(tail.is_over for tail in self._tails.values()))

    def glimpse(self, most_lines: int) -> RunView:
        """Return the run without its spans and without what became of its records, which takes no time."""
        known = [(tail.fold, JournalFacts(live=not tail.is_over)) for tail in self._tails.values()]
        return run_view(known, most_lines, self._problems.values(), with_spans=False)

    def view(self, most_lines: int | None) -> RunView:
        """Return all that there is to see of it."""
        known = [(tail.fold, tail.facts()) for tail in self._tails.values()]
        return run_view(known, most_lines, self._problems.values())

    def current_steps(self) -> list[str]:
        """Return the steps in which the process that was there first is, the outermost first."""
        first = min(self.folds, key=lambda fold: (fold.identity.worker, fold.started))
        return list(first.open_steps.values())

    def close(self) -> None:
        """Let its journals go."""
        for tail in self._tails.values():
            tail.close()

    def _look_for_journals(self) -> bool:
        """Begin to read the journals that are new; return whether any that cannot be read yet is being written."""
        living = False
        for path in journals_of(self.path):
            if path.path in self._tails:
                continue
            living = path.is_live() or living  # asked before it is read: it is empty for a moment when it appears
            try:
                self._tails[path.path] = JournalTail(path, self.redactor, self.most_lines, _MOST_SPANS, Curve)
                self._problems.pop(path.path, None)
            except (JournalError, OSError) as error:
                self._problems[path.path] = problem(self.path, error)
        return living


class NewLines:
    """The lines of the timeline that were not seen yet, of all processes in order of time."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def skip(self, folds: list[JournalFold], most: int | None) -> None:
        """Pass over all but the last lines; None passes over none."""
        if most is None:
            return
        every = sorted((line.t, line.process) for fold in folds for line in fold.timeline.lines())
        last = Counter(process for _, process in every[-most:])
        self._seen = {fold.identity.journal_id: fold.timeline.total - last[fold.identity.journal_id] for fold in folds}

    def take(self, folds: list[JournalFold]) -> list[LineView]:
        """Return the lines that are new."""
        new = [line for fold in folds for line in fold.timeline.since(self._seen.get(fold.identity.journal_id, 0))]
        self._seen = {fold.identity.journal_id: fold.timeline.total for fold in folds}
        return sorted(new, key=lambda line: line.t)
