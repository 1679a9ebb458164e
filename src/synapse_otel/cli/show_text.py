"""A run on the terminal: who it is, its waterfall, how far it came, its curves, what it said, what became of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from synapse_otel.cli import units
from synapse_otel.cli.looks import status_text
from synapse_otel.cli.show_rows import Rows
from synapse_otel.cli.terminal import Terminal, columns, fit
from synapse_otel.cli.timeline import distinct_errors
from synapse_otel.cli.view import ProcessView, ProgressView, RunView, SpanView

_SPARK = 24
_MOST_SPANS = 60
_DEEPEST = 12
_NARROWEST = 10
_DURATION = 16
_NUMBERS = 72
_BAR = 24


@dataclass(frozen=True, slots=True)
class ShowText:
    """Prints a run.

    Args:
        terminal: Where to.
        now: The current time in nanoseconds.
        everything: Whether to print all spans, however many there are.
    """

    terminal: Terminal
    now: int
    everything: bool = False

    def print(self, view: RunView) -> None:
        """Print all that there is of a run; what there is nothing of is left out."""
        sections = (
            self._header(view),
            self._problems(view),
            self._spans(view),
            self._progress(view),
            self._metrics(view),
            self._timeline(view),
            self._exceptions(view),
            self._delivery(view),
        )
        for lines in map(list, sections):
            for line in lines:
                self.terminal.line(line)
            if lines:
                self.terminal.line()

    # -- who it is

    def _header(self, view: RunView) -> Iterator[Text]:
        clean = self.terminal.clean
        running = view.ended is None
        took = units.between(view.started, self.now if running else view.end)
        yield Text.assemble((clean(view.name), "bold"), "  ", status_text(view.status), "  ", took)
        facts = [("job", clean(view.job_id))]
        if view.action and view.action != view.name:
            facts.append(("action", clean(view.action)))
        facts.append(("started", units.moment(view.started)))
        if running:
            facts.append(("last record", f"{units.between(view.last, self.now)} ago"))
        facts.append(("trace", view.trace_id))
        if len(view.processes) == 1:
            facts.append(("process", self._process(view.processes[0])))
        yield from columns([[Text(f"  {name}", "dim"), Text(value)] for name, value in facts])
        if len(view.processes) > 1:
            yield Text("  processes", "dim")
            rows = [
                [Text(f"    {self._process(one)}"), status_text(one.status), Text(self._lifetime(one), "dim")]
                for one in view.processes
            ]
            yield from columns(rows, right=(2,))

    def _process(self, process: ProcessView) -> str:
        kind = "worker " if process.worker else ""
        return self.terminal.clean(f"{kind}pid {process.pid} on {process.host}")

    def _lifetime(self, process: ProcessView) -> str:
        return units.between(process.started, self.now if process.ended is None else process.ended)

    def _problems(self, view: RunView) -> Iterator[Text]:
        for problem in view.problems:
            yield Text(f"⚠ {self.terminal.clean(problem)}", "yellow")
        for process in view.processes:
            if process.damaged:
                found = units.count(process.damaged, "record")
                yield Text(f"⚠ {found} of process {process.pid} could not be read", "yellow")
            if process.removed:
                found = units.count(process.removed, "earlier record")
                yield Text(f"{found} of process {process.pid} went when they had been delivered", "dim")

    # -- the waterfall

    def _spans(self, view: RunView) -> Iterator[Text]:
        shown = view.spans if self.everything else _first_and_failed(view.spans)
        if not shown:
            return
        yield Text("Spans", "bold")
        names = [self._span_name(span) for span in shown]
        innermost = _innermost(shown)
        outcomes = [self._outcome(span, innermost) for span in shown]
        taken = [min(most, max(cell.cell_len for cell in cells)) for most, cells in ((48, names), (40, outcomes))]
        width = max(_NARROWEST, self.terminal.width - sum(taken) - _DURATION)
        scale = _Scale(view.started, max(view.end, *(span.end for span in shown)), width)
        rows = [
            [fit(name, taken[0]), scale.bar(span), Text(units.between(span.start, span.end)), fit(outcome, taken[1])]
            for name, span, outcome in zip(names, shown, outcomes, strict=True)
        ]
        yield from columns(rows, right=(2,), width=self.terminal.width, flexible=3)
        more = len(view.spans) - len(shown) + view.more_spans
        if more:
            yield Text(f"  … and {more:,} more: --all", "dim")

    def _span_name(self, span: SpanView) -> Text:
        style = "" if span.kind != "phase" else "dim"
        return Text(f"{'  ' * min(span.depth + 1, _DEEPEST)}{self.terminal.clean(span.name)}", style)

    def _outcome(self, span: SpanView, innermost: Mapping[str, int]) -> Text:
        if span.status == "error":
            depth = innermost.get(span.message, -1)
            is_repeated = depth >= 0 if span.kind == "phase" else depth > span.depth
            message = "" if is_repeated else self.terminal.clean(span.message)
            return Text(f"✖ {message}".rstrip(), "red")
        if span.open:
            return Text("…", "cyan")
        if span.message:
            return Text(f"✔ {self.terminal.clean(span.message)}", "dim")
        return Text("✔" if span.status == "ok" else "·", "green" if span.status == "ok" else "dim")

    # -- how far it came

    def _progress(self, view: RunView) -> Iterator[Text]:
        if not view.progress:
            return
        yield Text("Progress", "bold")
        apart = view.told_apart(view.progress)
        rows = [self._category(one, apart[one.process], goes_on=view.goes_on(one)) for one in view.progress]
        yield from columns(rows, right=(2, 3, 4))

    def _category(self, one: ProgressView, suffix: str, *, goes_on: bool) -> list[Text]:
        return [
            *Rows(self.terminal).progress(one, suffix, goes_on=goes_on, bar=_BAR),
            Text(units.between(one.started, one.last), "dim"),
            Text("failed" if one.failed else "", "red"),
        ]

    # -- its curves

    def _metrics(self, view: RunView) -> Iterator[Text]:
        if not view.metrics:
            return
        yield Text("Metrics", "bold")
        apart = view.told_apart(view.metrics)
        rows = [[Text(head, "dim") for head in ("", "", "first", "last", "min", "max", "samples", "")]]
        spark = min(_SPARK, max(_NARROWEST, self.terminal.width - _NUMBERS))
        rows += [Rows(self.terminal).series(series, apart[series.process], spark) for series in view.metrics]
        yield from columns(rows, right=(2, 3, 4, 5, 6), width=self.terminal.width, flexible=0)

    # -- what it said

    def _timeline(self, view: RunView) -> Iterator[Text]:
        if not view.timeline:
            return
        hidden = view.lines - len(view.timeline)
        title = Text("Timeline", "bold")
        if hidden:
            title.append(f"  the last {len(view.timeline):,} of {view.lines:,}, the others with --all", "not bold dim")
        yield title
        day = not units.same_day(view.timeline[0].t, view.timeline[-1].t)
        for line in view.timeline:
            yield Rows(self.terminal).line(line, units.clock(line.t, day=day))

    def _exceptions(self, view: RunView) -> Iterator[Text]:
        for found in distinct_errors(view.exceptions):
            yield Text("Exception", "bold")
            *frames, last = self.terminal.clean(found.stacktrace.rstrip(), lines=True).split("\n")
            for frame in frames:
                yield Text(f"  {frame}", "dim")
            yield Text(f"  {last}", "red")

    # -- what became of it

    def _delivery(self, view: RunView) -> Iterator[Text]:
        report = view.report
        line = Text.assemble(("Delivery", "bold"), "  ")
        gone = report.accepted - report.delivered - report.pending - report.dropped - report.dead_lettered
        if any(process.sent for process in view.processes):
            line.append(f"{report.delivered:,} of {units.count(report.accepted, 'record')} delivered")
            line.append(f", {report.pending:,} pending" if report.pending else "", "yellow")
        elif report.pending or not gone:
            line.append(f"{units.count(report.pending, 'record')} kept here, nothing was sent")
        else:
            line.append(units.count(report.accepted, "record"))
        line.append(f", {gone:,} gone with the journal, delivered or not" if gone else "", "yellow")
        lost = units.lost(report.dead_lettered, report.dropped)
        line.append(f", {lost}" if lost else "", "red")
        job = shlex.quote(self.terminal.clean(view.job_id))
        if report.pending and view.ended is not None:
            line.append(f": synapse-otel push {job}", "dim")
        yield line
        if report.dead_lettered and view.ended is not None:
            yield Text(f"  what was refused can be sent again: synapse-otel push --dead-letters {job}", "dim")


@dataclass(frozen=True, slots=True)
class _Scale:
    """The time of a run over so many columns."""

    start: int
    end: int
    width: int

    def bar(self, span: SpanView) -> Text:
        """Return the bar of a span: at least one column wide."""
        extent = max(1, self.end - self.start)
        first = min(self.width - 1, max(0, (span.start - self.start) * self.width // extent))
        last = min(self.width, max(first + 1, round((span.end - self.start) * self.width / extent)))
        style = "red" if span.status == "error" else {"run": "bright_blue", "step": "blue", "phase": "cyan"}[span.kind]
        return Text.assemble(" " * first, ("━" * (last - first), style), " " * (self.width - last))


def _first_and_failed(spans: Sequence[SpanView]) -> Sequence[SpanView]:
    """Return the first spans, and behind them as many of those that failed."""
    failed = [span for span in spans[_MOST_SPANS:] if span.status == "error"]
    return [*spans[:_MOST_SPANS], *failed[:_MOST_SPANS]]


def _innermost(spans: Sequence[SpanView]) -> dict[str, int]:
    """Return by message the depth of the innermost step, or run, that has it: there it belongs."""
    depths: dict[str, int] = {}
    for span in spans:
        if span.kind != "phase":
            depths[span.message] = max(span.depth, depths.get(span.message, 0))
    return depths
