"""A run that is followed in a pipe or a file: plain lines, one after another."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from rich.text import Text

from synapse_otel.cli import units
from synapse_otel.cli.follow_frame import outcome, prospect
from synapse_otel.cli.follow_run import FollowedRun
from synapse_otel.cli.looks import status_text
from synapse_otel.cli.show_rows import Rows
from synapse_otel.cli.terminal import Terminal
from synapse_otel.cli.view import ProcessView, RunView, SeriesView

_Line: TypeAlias = tuple[int, Text]
"""A line, and the time that it tells of."""

_EVERY = 10.0
"""Seconds after which a category that has not come a tenth further, and a metric, get another line."""


class _Told(NamedTuple):
    """What the last line of a category or a metric has told, and when the next one is due."""

    what: tuple[object, ...]
    current: float
    due: float


@dataclass(slots=True)
class Lines:
    """Prints what is new in a run: what it says, what becomes of it, a category at each tenth of its way.

    Args:
        terminal: Where to.
        run: The run.
        history: How many lines from before to begin with; None for all.
        reading_seconds: How long to read before what is new is printed: no longer than it takes to read something.
    """

    terminal: Terminal
    run: FollowedRun
    history: int | None
    reading_seconds: float = 0.0
    _begun: bool = False
    _told: dict[tuple[str, ...], _Told] = field(default_factory=dict)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to restore."""

    def wait(self, seconds: float) -> None:
        """Wait for something new; that nobody reads the pipe any more is the end, also when there is nothing new."""
        pipe = select.poll()
        pipe.register(self.terminal.out.file.fileno(), 0)
        if pipe.poll(seconds * 1000):
            raise BrokenPipeError

    def update(self, *, is_behind: bool) -> None:
        """Print what is new; of what was there before, once that was read, the last lines."""
        if not self.run.is_readable or (is_behind and not self._begun and self.history is not None):
            return
        if not self._begun:
            self._begun = True
            if self.history is not None:
                self.run.skip_lines(self.history)
        view = self.run.glimpse(0)
        starts = list(self._starts(view))
        # What ends comes last here, and stays behind what was reported at the same time.
        new = chain(
            self._said(),
            self._step(view),
            self._progress(view),
            self._metrics(view),
            self._lost(view),
            self._ends(view),
        )
        for _, line in [*starts, *sorted(new, key=itemgetter(0))]:
            self.terminal.line(line)
        self.terminal.out.file.flush()

    def leave(self) -> None:
        """Print nothing more: it stands there already."""

    def at_the_end(self, view: RunView) -> RunView:
        """Return what to show when the run has ended: all but the timeline, which stands there already."""
        self.terminal.line()
        return replace(view, timeline=())

    def _starts(self, view: RunView) -> Iterator[_Line]:
        for process in view.processes:
            if process.status == "running":
                yield from self._status(view, process, process.started)

    def _ends(self, view: RunView) -> Iterator[_Line]:
        for process in view.processes:
            if process.status != "running":
                yield from self._status(view, process, process.last)

    def _status(self, view: RunView, process: ProcessView, t: int) -> Iterator[_Line]:
        if self._is_due(("process", process.journal_id), (process.status,), 0.0):
            kind, name = ("worker", "") if process.worker else ("run", f"{view.name}  ")
            yield self._line(t, kind, name, status_text(process.status), f"  pid {process.pid} on {process.host}")

    def _step(self, view: RunView) -> Iterator[_Line]:
        if (steps := self.run.current_steps()) and self._is_due(("steps",), tuple(steps), 0.0):
            yield self._line(view.last, "step", " › ".join(steps))

    def _said(self) -> Iterator[_Line]:
        for line in self.run.take_lines():
            yield line.t, Rows(self.terminal).line(line, units.clock(line.t))[2:]

    def _lost(self, view: RunView) -> Iterator[_Line]:
        if self.run.lost and self._is_due(("lost",), (self.run.lost,), 0.0):
            yield self._line(view.last, "delivery", Text(self.run.lost, "red"))

    def _progress(self, view: RunView) -> Iterator[_Line]:
        apart = view.told_apart(view.progress)
        for one in view.progress:
            tenth = int(10 * one.current / one.total) if one.total else 0
            if self._is_due(("progress", one.process, one.category), (tenth, one.status, one.started), one.current):
                share, count = Rows(self.terminal).progress(one, goes_on=True, bar=0)[2:]
                last = prospect(one, one.last) if view.goes_on(one) else outcome(one)
                name = f"{one.category}{apart[one.process]}"
                yield self._line(one.last, "progress", f"{name}  ", share, "  ", count, "  ", last)

    def _metrics(self, view: RunView) -> Iterator[_Line]:
        apart = view.told_apart(view.metrics)
        of_category: dict[tuple[str, str], list[SeriesView]] = {}
        for one in view.metrics:
            of_category.setdefault((one.process, one.category), []).append(one)
        for (process, category), found in of_category.items():
            if self._is_due(("metrics", process, category), (), sum(one.samples for one in found)):
                values = " ".join(f"{one.key}={units.number(one.as_reported(one.last))}" for one in found)
                yield self._line(view.last, "metrics", f"{category}{apart[process]}  {values}")

    def _is_due(self, key: tuple[str, ...], what: tuple[object, ...], current: float) -> bool:
        """Return whether there is something new to tell of a thing, and note that it is told."""
        told, now = self._told.get(key), time.monotonic()
        if told and told.what == what and (now < told.due or told.current == current):
            return False
        self._told[key] = _Told(what, current, now + _EVERY)
        return True

    def _line(self, t: int, kind: str, *parts: str | Text) -> _Line:
        shown = [part if isinstance(part, Text) else self.terminal.clean(part) for part in parts]
        line = Text.assemble((units.clock(t), "dim"), "  ", (f"[{kind}] ", "dim"), *shown)
        line.rstrip()
        return t, line
