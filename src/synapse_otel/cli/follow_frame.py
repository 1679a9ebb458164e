"""What a terminal shows of a run while it is followed: lines that fit into it, whatever its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from synapse_otel.cli import units
from synapse_otel.cli.looks import status_text
from synapse_otel.cli.show_rows import Rows
from synapse_otel.cli.terminal import Terminal, columns, fit
from synapse_otel.cli.view import ProgressView, RunView
from synapse_otel.projection.progress import remaining

_WIDE, _MEDIUM = 100, 60
_SHORTEST_BAR, _LONGEST_BAR = 6, 40
_LONGEST_NAME = 24
_HEADS = ("", "first", "last", "min", "max", "samples", "")
_ALL, _SOME, _FEW = (0, 1, 2, 3, 4, 5, 6, 7), (0, 1, 3, 4, 5), (0, 1, 3)
"""The cells of a metric that there is room for."""

_SILENT = 5 * units.SECOND
"""How long a category may say nothing, without a rate that tells when it should, before that is said."""


@dataclass(frozen=True, slots=True)
class _Section:
    """Rows with a title; where there is no room for all, the first or the last of them, and how many there are."""

    title: Text
    rows: list[Text]
    last: bool = False
    counted: bool = True

    def lines(self, share: int) -> list[Text]:
        """Return as many of the rows as it is given."""
        if not share:
            return []
        title = self.title.copy()
        if self.counted and share < len(self.rows):
            title.append(f"  {share} of {len(self.rows)}", "not bold dim")
        return [Text(), title, *(self.rows[-share:] if self.last else self.rows[:share])]


@dataclass(frozen=True, slots=True)
class Frame:
    """Lays a run out.

    Args:
        terminal: Cleans what comes from the run.
        width: The columns there are.
        height: The lines there are.
        now: The current time in nanoseconds.
    """

    terminal: Terminal
    width: int
    height: int
    now: int

    def lines(self, view: RunView, steps: Sequence[str], footer: str) -> list[Text]:
        """Return the lines: who it is, how far it came, its curves, and the newest of what it said."""
        shown = self._head(view, steps)
        sections = [one for one in (self._progress(view), self._metrics(view), self._messages(view)) if one.rows]
        room = self.height - len(shown) - 2 * len(sections) - 2  # blank lines and titles
        for section, share in zip(sections, fair_shares(room, [len(one.rows) for one in sections]), strict=True):
            shown += section.lines(share)
        return [fit(line, self.width) for line in [*shown[: self.height - 2], Text(), Text(footer, "dim")]]

    # -- who it is

    def _head(self, view: RunView, steps: Sequence[str]) -> list[Text]:
        clean = self.terminal.clean
        took = seconds((self.now if view.ended is None else view.end) - view.started)
        return [
            Text.assemble((clean(view.name), "bold"), "  ", status_text(view.status), f"  {took}"),
            Text.assemble((f"  job {clean(view.job_id)}  ", "dim"), self._processes(view)),
            *([Text.assemble(("  step ", "dim"), " › ".join(map(clean, steps)))] if steps else []),
            *(Text(f"⚠ {clean(problem)}", "yellow") for problem in view.problems),
        ]

    def _processes(self, view: RunView) -> Text:
        if len(view.processes) == 1:
            (only,) = view.processes
            return Text(self.terminal.clean(f"pid {only.pid} on {only.host}"), "dim")
        counts = Counter(process.status for process in view.processes)
        each = [Text(f"{count} ").append_text(status_text(status)) for status, count in counts.most_common()]
        return Text(f"{len(view.processes)} processes  ", "dim").append_text(Text(", ").join(each))

    # -- how far it came

    def _progress(self, view: RunView) -> _Section:
        """Return the categories, those that go on last."""
        apart = view.told_apart(view.progress)
        ordered = sorted(view.progress, key=lambda one: one.status == "open")
        going_on = [view.goes_on(one) for one in ordered]
        told = [self._told(one, goes_on=goes_on) for one, goes_on in zip(ordered, going_on, strict=True)]
        names = max((cell_len(self.terminal.clean(one.category)) for one in ordered), default=0)
        behind = sum(max(cell.cell_len for cell in cells) + 2 for cells in zip(*told, strict=True))
        room = self.width - behind - max(map(len, apart.values())) - 4
        bar = max(_SHORTEST_BAR, min(_LONGEST_BAR, room - min(_LONGEST_NAME, names)))
        rows = [
            Rows(self.terminal).progress(one, apart[one.process], goes_on=goes_on, bar=bar, longest=max(2, room - bar))[
                :2
            ]
            + cells
            for one, goes_on, cells in zip(ordered, going_on, told, strict=True)
        ]
        numbers = range(2, 1 + max(map(len, told), default=0))
        return _Section(Text("Progress", "bold"), columns(rows, right=numbers), last=True)

    def _told(self, one: ProgressView, *, goes_on: bool) -> list[Text]:
        """Return what is said behind the bar, as far as there is room for it."""
        share, count = Rows(self.terminal).progress(one, goes_on=goes_on, bar=0)[2:]
        elapsed = Text(seconds((self.now if goes_on else one.last) - one.started), "dim")
        cells = [share, count, elapsed] if self.width >= _WIDE else [share, count] if self.width >= _MEDIUM else [share]
        return [*cells, prospect(one, self.now) if goes_on else outcome(one)]

    # -- its curves

    def _metrics(self, view: RunView) -> _Section:
        apart = view.told_apart(view.metrics)
        spark = max(10, min(40, self.width // 3 - 4))
        heads = [Text("Metrics", "bold"), *(Text(head, "dim") for head in _HEADS)]
        rows = [Rows(self.terminal).series(series, apart[series.process], spark) for series in view.metrics]
        shown = _ALL if self.width >= _WIDE else _SOME if self.width >= _MEDIUM else _FEW
        cells = [[row[at] for at in shown] for row in (heads, *rows)]
        title, *curves = columns(cells, right=range(2, len(shown)), width=self.width, flexible=0)
        return _Section(title, curves)

    # -- what it said

    def _messages(self, view: RunView) -> _Section:
        digits = len("HH:MM:SS.mmm" if self.width >= _MEDIUM else "HH:MM:SS")
        lines = [Rows(self.terminal).line(line, units.clock(line.t)[:digits], lines=False) for line in view.timeline]
        return _Section(Text("Messages", "bold"), lines, last=True, counted=False)


def prospect(one: ProgressView, now: int) -> Text:
    """Return how long a category that goes on still takes; where that is over or unknown, how long it is silent."""
    left = remaining(one.current - one.first, one.last - one.started, one.total - one.current)
    silent = max(0, now - one.last)
    due = 0 if left is None else round(min(left, 2 * units.LONGEST) * units.SECOND)
    if due > silent:
        return Text(f"eta {seconds(due - silent)}", "cyan")
    return Text(f"silent {seconds(silent)}", "yellow") if silent > _SILENT else Text()


def outcome(one: ProgressView) -> Text:
    """Return what became of a category that does not go on."""
    return {"failed": Text("failed", "red"), "completed": Text("done", "green")}.get(one.status, Text())


def seconds(nanoseconds: int) -> str:
    """Return a time span that goes on, to the second."""
    whole = max(0, nanoseconds) // units.SECOND
    return f"{whole} s" if whole < 60 else units.duration(whole)


def fair_shares(room: int, wanted: Sequence[int]) -> list[int]:
    """Return how many of `room` lines each gets that has so many: what one does not need is for the others."""
    shares = [0] * len(wanted)
    for already, at in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[at] = max(0, min(wanted[at], (room - sum(shares)) // (len(wanted) - already)))
    return shares
