"""A run as it is shown: plain values, made by `view_builder`, printed by `show_text` and `show_json`."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from synapse_otel.models import Counts, DeliveryReport

SpanKind: TypeAlias = Literal["run", "step", "phase"]
SpanStatus: TypeAlias = Literal["ok", "error", "unset"]
LineKind: TypeAlias = Literal["message", "event", "dev_event", "exception", "metrics", "dropped"]


@dataclass(frozen=True, slots=True)
class ProcessView:
    """One process of the run.

    Attributes:
        journal_id: Its journal.
        pid: Its process id.
        host: Where it ran.
        worker: Whether it continued the run of another process.
        status: ``running``, ``completed``, ``failed``, ``cancelled`` or ``crashed``; ``unknown`` where its journal was
            removed, or became unreadable, before its end was read.
        started: When it began, in nanoseconds since the epoch, like every time here.
        last: The time of its last record.
        ended: When it ended; None while it runs, the last known time of one that crashed.
        records: How many records it holds.
        damaged: How many records could not be read.
        removed: How many records before the first one here were delivered, and removed since.
        sent: Whether anybody has tried to send them.
        report: What became of them.
    """

    journal_id: str
    pid: int
    host: str
    worker: bool
    status: str
    started: int
    last: int
    ended: int | None
    records: int
    damaged: int
    removed: int
    sent: bool
    report: DeliveryReport


@dataclass(frozen=True, slots=True)
class SpanView:
    """A bar of the waterfall. `end` is the last known time where the span is `open`."""

    name: str
    kind: SpanKind
    span_id: str
    parent_id: str
    start: int
    end: int
    open: bool
    status: SpanStatus
    message: str
    depth: int = 0


@dataclass(slots=True)
class ProgressView:
    """Where a category stands in one `process`, and since when; `first` is what its first report said."""

    category: str
    first: float
    started: int
    current: float = 0
    total: float = 0
    failed: bool = False
    last: int = 0
    process: str = ""

    @property
    def status(self) -> str:
        """``failed``, ``completed`` or ``open``."""
        return "failed" if self.failed else "completed" if self.current >= self.total else "open"


@dataclass(slots=True)
class SeriesView:
    """All samples of one metric.

    Attributes:
        category: The category that it was reported under.
        key: Its key, dotted where it was nested.
        process: The journal it comes from.
        times: When the samples were taken.
        values: The samples.
        integral: Whether all of them are whole numbers.
        samples: How many there are.
        not_finite: How many of them are NaN or infinite.
        first: The first sample.
        last: The last sample.
        low: The least finite sample, infinite where there is none.
        high: The greatest finite sample, infinite where there is none.
    """

    category: str
    key: str
    process: str
    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    integral: bool = True
    samples: int = 0
    not_finite: int = 0
    first: float = math.nan
    last: float = math.nan
    low: float = math.inf
    high: float = -math.inf

    def add(self, t: int, value: float) -> None:
        """Take a sample."""
        if not self.samples:
            self.first = value
        self.last = value
        self.samples += 1
        self.integral = self.integral and isinstance(value, int)
        if not math.isfinite(value):
            self.not_finite += 1
        else:
            if value < self.low:
                self.low = value
            if value > self.high:
                self.high = value
        self.keep(t, value)

    def keep(self, t: int, value: float) -> None:
        """Put a sample where the curve is drawn from."""
        self.times.append(t)
        self.values.append(value)

    def as_reported(self, value: float) -> float:
        """Return a sample as a whole number where the plugin reported one."""
        return int(value) if self.integral and math.isfinite(value) else value


@dataclass(frozen=True, slots=True)
class LineView:
    """A line of the timeline: a message, an event, a dev event, an exception, metrics that are no numbers."""

    t: int
    kind: LineKind
    level: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None
    step: str | None = None
    process: str = ""


@dataclass(frozen=True, slots=True)
class ExceptionView:
    """An exception that ended a step, or the run where `step` is None."""

    t: int
    error_type: str
    message: str
    stacktrace: str
    step: str | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """What the records of one exception have in common."""
        return self.error_type, self.message


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything that there is to see of a run.

    Attributes:
        job_id: The job that it belongs to.
        name: The run's name.
        action: The action that it executes; empty where it is none.
        trace_id: 32 hexadecimal digits.
        status: The status of its first process.
        message: Why it did not complete.
        started: When it began.
        last: The time of the last record.
        ended: When it ended; None while it runs.
        processes: Its processes, the first one first.
        spans: The waterfall, depth first.
        progress: The categories, in the order of their first report.
        metrics: The series, in the order of their first sample.
        timeline: The last lines, in order of time.
        lines: How many lines there are altogether.
        exceptions: In the order in which they were recorded.
        problems: Why journals, or parts of them, cannot be read.
        more_spans: How many spans are not in the waterfall.
    """

    job_id: str
    name: str
    action: str
    trace_id: str
    status: str
    message: str
    started: int
    last: int
    ended: int | None
    processes: tuple[ProcessView, ...]
    spans: tuple[SpanView, ...]
    progress: tuple[ProgressView, ...]
    metrics: tuple[SeriesView, ...]
    timeline: tuple[LineView, ...]
    lines: int
    exceptions: tuple[ExceptionView, ...]
    problems: tuple[str, ...] = ()
    more_spans: int = 0

    def told_apart(self, shown: Sequence[ProgressView] | Sequence[SeriesView]) -> dict[str, str]:
        """Return by process what to put behind the names of what is shown: its pid, where there are several."""
        several = len({one.process for one in shown}) > 1
        return {process.journal_id: f" ({process.pid})" if several else "" for process in self.processes}

    def goes_on(self, one: ProgressView) -> bool:
        """Return whether a category can still come further: it is open, and the process that reports it runs."""
        running = {process.journal_id for process in self.processes if process.status == "running"}
        return one.status == "open" and one.process in running

    @property
    def end(self) -> int:
        """When it ended, else the last known time."""
        return self.ended if self.ended is not None else self.last

    @property
    def report(self) -> DeliveryReport:
        """What became of the records of all its processes."""
        counts: dict[str, list[Counts]] = {}
        for process in self.processes:
            for kind, found in process.report.by_kind.items():
                counts.setdefault(kind, []).append(found)
        return DeliveryReport({kind: _sum(found) for kind, found in sorted(counts.items())})


def _sum(counts: list[Counts]) -> Counts:
    return Counts(*(sum(getattr(one, field.name) for one in counts) for field in fields(Counts)))
