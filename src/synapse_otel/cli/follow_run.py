"""A run that is followed: its journals, those that appear meanwhile too, in bounded memory unless all is wanted."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from synapse_otel.cli import units
from synapse_otel.cli.delivery_state import total
from synapse_otel.cli.find import goes_on
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
        most_lines: How many lines of the timeline to keep for each process; None for all, and all spans.
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
        while behind := [tail for tail in behind if self._read(tail)]:
            if time.monotonic() >= until:
                return False
        return True

    def wait_for_delivery(self, seconds: float) -> None:
        """Wait while those that have ended are still being sent, for so long at most."""
        until = time.monotonic() + seconds
        ended = [tail for tail in self._tails.values() if tail.is_over]
        while any(is_locked(tail.path.shipping_lock) for tail in ended) and time.monotonic() < until:
            for tail in ended:
                tail.delivery.look()
            time.sleep(_LOOK_AGAIN)

    @property
    def is_readable(self) -> bool:
        """Whether anything is known of it yet."""
        return bool(self._tails)

    @property
    def is_over(self) -> bool:
        """Whether it does not go on any more."""
        processes = ((tail.fold.identity.worker, not tail.is_over) for tail in self._tails.values())
        return self.is_readable and not goes_on(processes)

    @property
    def folds(self) -> list[JournalFold]:
        """What each process has reported."""
        return [tail.fold for tail in self._tails.values()]

    @property
    def records(self) -> int:
        """How many records were read."""
        return sum(fold.counts.total() for fold in self.folds)

    @property
    def lost(self) -> str:
        """How many records the collector refused and how many were dropped; empty where none were."""
        known = total(tail.delivery.state for tail in self._tails.values())
        return units.lost(known.dead_letters, known.dropped)

    @property
    def state(self) -> tuple[object, ...]:
        """What is another one when there is something new to see, but for the time."""
        return (self.records, len(self._problems), *(tail.is_over for tail in self._tails.values()))

    def glimpse(self, most_lines: int) -> RunView:
        """Return the run without what takes long: its spans, exceptions, and what became of its records."""
        known = [(tail.fold, JournalFacts(live=not tail.is_over)) for tail in self._tails.values()]
        problems = [*self._problems.values(), *([self.lost] if self.lost else [])]
        return run_view(known, most_lines, problems, at_a_glance=True)

    def view(self, most_lines: int | None) -> RunView:
        """Return all that there is to see of it."""
        known = [(tail.fold, tail.facts()) for tail in self._tails.values()]
        return run_view(known, most_lines, self._problems.values())

    def current_steps(self) -> list[str]:
        """Return the steps in which the first process is, the outermost first."""
        first = min(self.folds, key=lambda fold: (fold.identity.worker, fold.started))
        return first.steps.current()

    def skip_lines(self, most: int) -> None:
        """Pass over all lines of the timeline that were read, but the last ones, so many of all processes."""
        every = sorted((line.t, line.process) for fold in self.folds for line in fold.timeline.lines())
        last = Counter(process for _, process in every[max(0, len(every) - most) :])
        for fold in self.folds:
            fold.timeline.forget(last[fold.identity.journal_id])

    def take_lines(self) -> list[LineView]:
        """Return the lines of the timeline that were read since the last time, and keep them no longer."""
        new = [line for fold in self.folds for line in fold.timeline.lines()]
        for fold in self.folds:
            fold.timeline.forget()
        return new

    def close(self) -> None:
        """Let its journals go."""
        for tail in self._tails.values():
            tail.close()

    def _read(self, tail: JournalTail) -> bool:
        try:
            return tail.read()
        except (JournalError, OSError) as error:
            self._problems[tail.path.path] = problem(self.path, error)
            tail.give_up()
            return False

    def _look_for_journals(self) -> bool:
        """Begin to read the journals that are new; return whether any that cannot be read yet is being written."""
        living = False
        most_spans = None if self.most_lines is None else _MOST_SPANS
        for path in journals_of(self.path):
            if path.path in self._tails:
                continue
            living = path.is_live() or living  # asked before it is read: it is empty for a moment when it appears
            try:
                self._tails[path.path] = JournalTail(path, self.redactor, self.most_lines, most_spans, Curve)
                self._problems.pop(path.path, None)
            except (JournalError, OSError) as error:
                self._problems[path.path] = problem(self.path, error)
        return living
