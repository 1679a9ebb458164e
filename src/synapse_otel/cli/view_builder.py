"""Folds the records of a run's journals into a `RunView`: no files, no clocks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import merge

from synapse_otel.cli.step_names import StepNames
from synapse_otel.cli.timeline import Timeline
from synapse_otel.cli.view import (
    ExceptionView,
    LineView,
    ProcessView,
    ProgressView,
    RunView,
    SeriesView,
    SpanView,
)
from synapse_otel.cli.waterfall import Waterfall, in_tree_order
from synapse_otel.journal import records as rec
from synapse_otel.models import DeliveryReport
from synapse_otel.projection.metrics import not_numbers, numbers
from synapse_otel.projection.progress import starts_over
from synapse_otel.projection.resource import Origin

_OF_REST = {rec.Heartbeat, rec.Rested}
_MOST_EXCEPTIONS = 50
"""Exceptions that are kept, with their stack traces, where not all lines are."""


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """What is known of a journal beside its records.

    Attributes:
        live: Whether its process lives.
        sent: Whether anybody has tried to send it.
        report: What became of its records.
        damaged: How many records could not be read.
        removed: How many records were delivered, and removed since.
    """

    live: bool = False
    sent: bool = False
    report: DeliveryReport = field(default_factory=DeliveryReport.empty)
    damaged: int = 0
    removed: int = 0


class JournalFold:
    """Takes the records of one journal, in order.

    Args:
        origin: Who wrote it.
        most_lines: How many lines of the timeline to keep, the last ones; None for all, and all exceptions.
        most_spans: How many spans to keep, about; None for all.
        new_series: Makes the series of a category, a key and a journal.
    """

    def __init__(
        self,
        origin: Origin,
        most_lines: int | None = None,
        most_spans: int | None = None,
        new_series: Callable[[str, str, str], SeriesView] = SeriesView,
    ) -> None:
        self._origin = origin
        self.identity = origin.identity
        self.started = origin.identity.started
        self.last = origin.identity.started
        self.ended: rec.RunEnded | None = None
        self.action = ""
        self.name = origin.identity.name
        self.counts: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.progress: dict[str, ProgressView] = {}
        self.metrics: dict[tuple[str, str], SeriesView] = {}
        self.timeline = Timeline(origin.identity.journal_id, most_lines)
        self.exceptions: deque[ExceptionView] = deque(maxlen=None if most_lines is None else _MOST_EXCEPTIONS)
        self.waterfall = Waterfall(origin, most_spans)
        self.steps = StepNames()
        self._new_series = new_series
        self._rested: rec.Rested | None = None

    def take(self, record: rec.Record, seq: int) -> None:
        """Take the record number `seq`."""
        self.last = max(self.last, record.t)
        self.counts[record.kind] += 1
        if type(record) not in _OF_REST:
            self._rested = None
        if type(record) is rec.Metrics:  # of which there may be millions
            self._metrics(record)
            return
        self.waterfall.take(record, seq)
        match record:
            case rec.Progress():
                self._progress(record)
            case rec.Message() | rec.Event() | rec.DevEvent():
                self.timeline.add(record, self.steps.name(record.span))
            case rec.ExceptionRecorded():
                self._exception(record)
            case _:
                self._lifecycle(record)

    def status(self, facts: JournalFacts) -> str:
        """Return the status of the process."""
        if self.ended:
            return self.ended.status
        if facts.live:
            return "running"
        return "crashed" if self._rested is None else self._rested.status

    def process(self, facts: JournalFacts) -> ProcessView:
        """Return the process."""
        resource, status = self.identity.resource, self.status(facts)
        return ProcessView(
            journal_id=self.identity.journal_id,
            pid=int(resource.get("process.pid", 0)),
            host=str(resource.get("host.name", "")),
            worker=self.identity.worker,
            status=status,
            started=self.started,
            last=self.last,
            ended=None if status == "running" else self.ended.t if self.ended else self.last,
            records=self.counts.total(),
            damaged=facts.damaged,
            removed=facts.removed,
            sent=facts.sent,
            report=facts.report,
        )

    def _lifecycle(self, record: rec.Record) -> None:
        match record:
            case rec.StepStarted():
                self.steps.start(record)
            case rec.StepEnded():
                self.steps.end(record.span)
            case rec.RunEnded():
                self.ended = record
            case rec.Rested():
                self._rested = record
            case rec.ActionNamed():
                self.action = record.name
                self.name = record.name if self._origin.is_named_by(record) else self.name
            case rec.Dropped():
                self.counts.subtract([record.kind])
                self.counts.update(record.counts)
                self.dropped.update(record.counts)
                self.timeline.add(record, None)

    def _progress(self, record: rec.Progress) -> None:
        known = self.progress.get(record.category)
        if known is None or starts_over(record.current, known.current, known.first):
            known = ProgressView(record.category, record.current, record.t, process=self.identity.journal_id)
            self.progress[record.category] = known
        known.current, known.total, known.failed, known.last = record.current, record.total, record.failed, record.t

    def _metrics(self, record: rec.Metrics) -> None:
        for key, value in numbers(record.values):
            series = self.metrics.get((record.category, key))
            if series is None:
                series = self._new_series(record.category, key, self.identity.journal_id)
                self.metrics[record.category, key] = series
            series.add(record.t, value)
        if not_numbers(record.values):
            self.timeline.add(record, self.steps.name(record.span))

    def _exception(self, record: rec.ExceptionRecorded) -> None:
        step = self.steps.name(record.span)
        found = ExceptionView(record.t, record.error_type, record.message, record.stacktrace, step)
        if not self.exceptions or self.exceptions[-1].identity != found.identity:
            self.timeline.add(record, step)
        self.exceptions.append(found)


def run_view(
    folds: Sequence[tuple[JournalFold, JournalFacts]],
    most_lines: int | None = None,
    problems: Iterable[str] = (),
    *,
    at_a_glance: bool = False,
) -> RunView:
    """Return the run that the journals tell of, which are at least one.

    Args:
        folds: The journals.
        most_lines: How many lines of the timeline to show, the last ones; None for all.
        problems: Why other journals cannot be read.
        at_a_glance: Whether to leave out the waterfall and the exceptions, which take the more time the more there are.
    """
    ordered = sorted(folds, key=lambda one: (one[0].identity.worker, one[0].started))
    first, facts = ordered[0]
    last = max(fold.last for fold, _ in ordered)
    status = first.status(facts)
    return RunView(
        job_id=first.identity.job_id,
        name=first.name,
        action=first.action,
        trace_id=first.identity.trace_id.hex(),
        status=status,
        message=first.ended.message if first.ended else "",
        started=min(fold.started for fold, _ in ordered),
        last=last,
        ended=None if status == "running" else last,
        processes=tuple(fold.process(facts) for fold, facts in ordered),
        spans=() if at_a_glance else _spans(ordered),
        progress=tuple(progress for fold, _ in ordered for progress in fold.progress.values()),
        metrics=tuple(series for fold, _ in ordered for series in fold.metrics.values()),
        timeline=_timeline(ordered, most_lines),
        lines=sum(fold.timeline.total for fold, _ in ordered),
        exceptions=() if at_a_glance else tuple(found for fold, _ in ordered for found in fold.exceptions),
        problems=tuple(problems),
        more_spans=sum(fold.waterfall.left_out for fold, _ in ordered),
    )


def _spans(folds: Sequence[tuple[JournalFold, JournalFacts]]) -> tuple[SpanView, ...]:
    closed = (fold.waterfall.close(fold.last, fold.status(facts)) for fold, facts in folds)
    return in_tree_order([span for spans in closed for span in spans])


def _timeline(folds: Sequence[tuple[JournalFold, JournalFacts]], most_lines: int | None) -> tuple[LineView, ...]:
    lines = list(merge(*(fold.timeline.lines(most_lines) for fold, _ in folds), key=lambda line: line.t))
    return tuple(lines[-most_lines:] if most_lines else lines)
