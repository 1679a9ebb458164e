"""The logger that every other one is, and its checks: misuse raises at the call, nothing else ever does."""

from __future__ import annotations

import math
import operator
import os
import reprlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any, Self, SupportsFloat, TypeGuard

from synapse_otel import left_behind
from synapse_otel.models import ActionStatus, DeliveryReport, LogLevel, ProgressData, ProgressStatus, RunStatus
from synapse_otel.values import short_name, text

if TYPE_CHECKING:
    from types import TracebackType

DEFAULT_CATEGORY = "default"
"""The category of metrics reported without one, outside of any step."""

DEFAULT_PROGRESS = "progress"
"""The category of progress reported without one, outside of any step."""

MAX_INT = 2**63 - 1
"""The largest integer that a record holds; larger numbers become floats."""

_LEVELS: dict[object, LogLevel] = {level.value: level for level in LogLevel}
_FINAL = {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.CRASHED}


# ---- checks -----------------------------------------------------------------------------------------------------


def describe(value: object) -> str:
    """The type of a wrong argument and the value, shortened, for an error message; never raises."""
    return "None" if value is None else f"{short_name(type(value))} {_printed(value)}"


def _printed(value: object) -> str:
    try:
        return reprlib.repr(value)
    except Exception:  # noqa: BLE001 - a foreign __repr__ may raise anything
        return "that cannot be printed"


def check_progress(current: object, total: object) -> tuple[float, float]:
    """Check a progress report.

    Args:
        current: A real number of any library, from 0 to `total`.
        total: A real number of any library, finite and greater than 0.

    Returns:
        Both as plain `int` or `float`.

    Raises:
        TypeError: One of them is no real number.
        ValueError: One of them is out of its range.
    """
    checked_total = _number("total", total)
    if not 0 < checked_total < math.inf:
        raise ValueError(f"total must be a finite number greater than 0, got {checked_total}")
    checked_current = _number("current", current)
    if not 0 <= checked_current <= checked_total:
        raise ValueError(f"current must be between 0 and total ({checked_total}), got {checked_current}")
    return checked_current, checked_total


def _number(argument: str, value: Any) -> float:
    """`value` as a plain number; those of numpy and torch have `__index__` or `__float__`, text has neither."""
    if issubclass(type(value), float):
        return float.__float__(value)
    try:
        return _bounded(int(operator.index(value)))
    except Exception:  # noqa: BLE001, S110 - a foreign __index__ may raise anything; there may still be a __float__
        pass
    try:
        if isinstance(value, SupportsFloat):
            return float(value)
    except Exception as error:
        raise TypeError(f"{argument} must be a real number, got {describe(value)}") from error
    raise TypeError(f"{argument} must be a real number, got {describe(value)}")


def _bounded(value: int) -> float:
    if -MAX_INT <= value <= MAX_INT:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def check_mapping(argument: str, value: object) -> Mapping[str, Any]:
    """Check data or metrics.

    Raises:
        TypeError: `value` is no mapping.
    """
    try:
        is_mapping = issubclass(type(value), Mapping) or isinstance(value, Mapping)
    except Exception:  # noqa: BLE001 - a foreign __class__ may raise anything
        is_mapping = False
    if is_mapping:
        return value  # type: ignore[return-value]  # a mapping, as was just found
    raise TypeError(f"{argument} must be a mapping such as a dict, got {describe(value)}")


def check_category(category: object, argument: str = "category") -> str:
    """Check a category and return it as a plain string, also when it is a member of a string enum.

    Raises:
        TypeError: It is no string.
        ValueError: It is empty.
    """
    if not (plain := _category_text(category, argument)):
        raise ValueError(f"{argument} must not be empty, got ''")
    return plain


def _category_text(category: object, argument: str = "category") -> str:
    if not _is_str(category):
        raise TypeError(f"{argument} must be a str or None, got {describe(category)}")
    return str.__str__(category)


def check_level(level: object, argument: str = "level") -> LogLevel:
    """Check a level.

    Args:
        level: A `LogLevel`, its value in any case, or a member of any enum with such a value, as the Synapse SDK's.
        argument: What the caller's argument is called.

    Raises:
        TypeError: It is no level.
    """
    if type(level) is LogLevel:
        return level
    value: object = object.__getattribute__(level, "_value_") if issubclass(type(level), Enum) else level
    if _is_str(value) and (found := _LEVELS.get(str.lower(value))) is not None:
        return found
    raise TypeError(f"{argument} must be a LogLevel or one of {', '.join(LogLevel)}, got {describe(level)}")


def check_text(argument: str, value: object) -> str:
    """Check the name of an event or of a step.

    Raises:
        TypeError: It is no string.
        ValueError: It is empty.
    """
    if not _is_str(value):
        raise TypeError(f"{argument} must be a str, got {describe(value)}")
    if not (plain := str.__str__(value)):
        raise ValueError(f"{argument} must not be empty, got ''")
    return plain


def check_status(status: object) -> RunStatus:
    """Check the status that a run ends with: `completed`, `failed`, `cancelled` or `crashed`.

    Raises:
        TypeError: It is neither a `RunStatus` nor a string.
        ValueError: It is none that a run ends with.
    """
    if not isinstance(status, str):
        raise TypeError(f"status must be a RunStatus, got {describe(status)}")
    if status not in _FINAL:
        raise ValueError(f"status must be one of {', '.join(sorted(_FINAL))}, got {str.__str__(status)!r}")
    return RunStatus(status)


def one_category(category: str | None, step: str | None) -> str | None:
    """The category from its two spellings.

    Raises:
        TypeError: Both are given and differ.
    """
    if step is None:
        return category
    if category is None or (_is_str(category) and _is_str(step) and str.__eq__(category, step)):
        return step
    raise TypeError(
        f"category and step are two names of one argument, got category={_printed(category)} and step={_printed(step)}"
    )


def file_text(file: object) -> str | None:
    """The `file` of an event as text: a path of any kind is accepted, and what is none as it describes itself."""
    if file is None:
        return None
    try:
        return os.fsdecode(file)  # type: ignore[arg-type]  # what it does not take raises
    except Exception:  # noqa: BLE001 - a foreign __fspath__ may raise anything
        return text(file)


def _is_str(value: object) -> TypeGuard[str]:
    """Whether `value` is a string, whatever it says of itself."""
    return issubclass(type(value), str)


# ---- state ------------------------------------------------------------------------------------------------------


class ProgressTrack:
    """The progress of one category: its last report, and the clock that elapsed and remaining time are read from.

    The clock starts with the first report and starts over with a report of 0, or with a smaller one after the category
    had ended. The remaining time follows from what was done since that start, so that a category that is resumed at
    500 of 1000 is not taken for one that has done 500 in no time.
    """

    __slots__ = ("category", "current", "started_at", "started_from", "status", "total", "updated_at")

    def __init__(self, category: str | None, now: float) -> None:
        self.category = category
        self.current: float = 0
        self.total: float = 0
        self.status: ProgressStatus = "running"
        self.started_at = self.updated_at = now
        self.started_from: float | None = None

    def report(self, current: float, total: float, now: float) -> None:
        """Take a report made at `now`, in seconds of a monotonic clock."""
        ended = self.status != "running"
        if self.started_from is None or current == 0 or (ended and current < self.current):
            self.started_at, self.started_from = now, current
        self.current, self.total, self.updated_at = current, total, now
        self.status = "completed" if current == total else "running"

    def fail(self, now: float) -> None:
        """The category has failed at `now`."""
        self.updated_at, self.status = now, "failed"

    @property
    def time_remaining(self) -> float | None:
        """Seconds to the end at the rate so far; None while the rate is unknown and for what has failed."""
        if self.status == "completed":
            return 0.0
        done = self.current - (self.started_from or 0)
        elapsed = self.updated_at - self.started_at
        if self.status == "failed" or done <= 0 or elapsed <= 0:
            return None
        return round(elapsed / done * (self.total - self.current), 2)

    def snapshot(self) -> ProgressData:
        """The state as a value."""
        elapsed = None if self.started_from is None else round(self.updated_at - self.started_at, 2)
        return ProgressData(self.current, self.total, self.category, elapsed, self.time_remaining, self.status)


class StepHandle:
    """A step while it runs: what `with logger.step(name) as step` gives.

    Attributes:
        name: The step's name.
        order: Its place among the steps of a workflow, from 0, where there is one.
        status: `pending` before it was entered, `running` inside, then `completed`, `failed` or `skipped`.
        error: Why it failed or was skipped, if that was said.
        exception: What was raised inside.
    """

    def __init__(self, logger: BaseLogger, name: str, order: int | None = None) -> None:
        self.name = name
        self.order = order
        self.status = ActionStatus.PENDING
        self.error: str | None = None
        self.exception: BaseException | None = None
        self._logger = logger
        self._parent: StepHandle | None = None
        self._open = False
        self._renamed: tuple[str | None, int | None] | None = None

    def skip(self, reason: str | None = None) -> None:
        """There was nothing to do."""
        self.status, self.error = ActionStatus.SKIPPED, reason

    def fail(self, message: str | None = None) -> None:
        """It has failed, although nothing is raised."""
        self.status, self.error = ActionStatus.FAILED, message

    def __enter__(self) -> Self:
        self.status = ActionStatus.RUNNING
        self._logger._enter_step(self)
        self._logger._on_step_start(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            self.status, self.exception = ActionStatus.FAILED, exc
            self.error = text(exc) or type(exc).__name__
        elif self.status is ActionStatus.RUNNING:
            self.status = ActionStatus.COMPLETED
        self._logger._leave_step(self)
        self._logger._on_step_end(self)


# The innermost step of the running context, of whichever logger. Tasks and threads that run steps side by side do not
# see each other's; a thread started inside a step has an empty context and falls back on the logger's latest open step.
_innermost: ContextVar[StepHandle | None] = ContextVar("synapse_otel_step", default=None)


# ---- loggers ----------------------------------------------------------------------------------------------------


class BaseLogger(ABC):
    """What plugins report to: progress, metrics, events, messages.

    Subclass it and define `_log_impl`; `_on_progress`, `_on_metrics`, `_on_step_start`, `_on_step_end` and `_on_finish`
    are called where there is something to do. A category may be given as `category` or as `step`, in any method that
    takes one. Without either it is the current step, if there is one.

    All methods may be called from any thread. After `finish()` those that report raise `RuntimeError`.

    Args:
        job_id: The job that the reports belong to.
    """

    def __init__(self, job_id: str | None = None) -> None:
        self._job_id = job_id
        self._step: str | None = None
        self._step_order: int | None = None
        self._open_steps: list[StepHandle] = []
        self._tracks: dict[str | None, ProgressTrack] = {}
        self._metrics: dict[str, dict[str, Any]] = {}
        self._ended = False
        self._is_finished = False
        # Popping is atomic: one finish() call of several gets it, with no lock that a fork or a signal could find held.
        self._finish_token = [True]
        self._status = RunStatus.RUNNING
        self._error: BaseException | None = None

    # -- reports

    def log(
        self,
        level: LogLevel | str,
        event: str,
        data: Mapping[str, Any],
        file: str | os.PathLike[str] | None = None,
        step: str | None = None,
    ) -> None:
        """Record an event.

        Args:
            level: A `LogLevel`, or its value as a string in any case.
            event: The event's name.
            data: What is to be known of it; copied, so that later changes do not show.
            file: The path of a file it is about.
            step: The step it belongs to; the current one by default.

        Raises:
            TypeError: `level` is none, `event` is no string or `data` no mapping.
            ValueError: `event` is empty.
            RuntimeError: The logger is finished.
        """
        self._check_open("log")
        level = check_level(level)
        event = check_text("event", event)
        data = dict(check_mapping("data", data))
        self._log_impl(event, data, file_text(file), self._current_step_or(step), level)

    def log_message(
        self,
        message: object,
        level: LogLevel | str = LogLevel.INFO,
        *,
        step: str | None = None,
        key: str | None = None,
    ) -> None:
        """Record a message to the user.

        Args:
            message: The text; anything else is converted with `str`.
            level: A `LogLevel`, or its value as a string in any case.
            step: The step it belongs to; the current one by default.
            key: The code of a message that there is in several languages, such as the Synapse SDK's `LogMessageCode`.

        Raises:
            TypeError: `level` is none.
            RuntimeError: The logger is finished.
        """
        self._check_open("log_message")
        level = check_level(level)
        data = {"content": text(message)} | ({} if key is None else {"key": key})
        self._log_impl("message", data, None, self._current_step_or(step), level)

    def log_dev_event(self, message: object, data: Mapping[str, Any] | None = None) -> None:
        """Record something for the plugin's developer, at the level DEBUG; users do not see it.

        Args:
            message: The text; anything else is converted with `str`.
            data: What is to be known of it.

        Raises:
            TypeError: `data` is neither a mapping nor None.
            RuntimeError: The logger is finished.
        """
        self._check_open("log_dev_event")
        copied = None if data is None else dict(check_mapping("data", data))
        content = {"message": text(message), "data": copied}
        self._log_impl("dev_event", content, None, self.get_step(), LogLevel.DEBUG)

    def debug(self, message: object) -> None:
        """Record a message at the level DEBUG."""
        self.log_message(message, LogLevel.DEBUG)

    def info(self, message: object) -> None:
        """Record a message at the level INFO."""
        self.log_message(message, LogLevel.INFO)

    def warning(self, message: object) -> None:
        """Record a message at the level WARNING."""
        self.log_message(message, LogLevel.WARNING)

    def error(self, message: object) -> None:
        """Record a message at the level ERROR."""
        self.log_message(message, LogLevel.ERROR)

    def critical(self, message: object) -> None:
        """Record a message at the level CRITICAL."""
        self.log_message(message, LogLevel.CRITICAL)

    def set_progress(
        self, current: float, total: float, category: str | None = None, *, step: str | None = None
    ) -> None:
        """Report progress.

        Args:
            current: What is done, from 0 to `total`. A report of 0 starts the category over.
            total: What there is to do, greater than 0.
            category: What progresses; the current step by default. An empty string is no category.
            step: Another name of `category`.

        Raises:
            TypeError: A number or the category is of the wrong type, or `category` and `step` differ.
            ValueError: `total` is not greater than 0, or `current` not between 0 and `total`.
            RuntimeError: The logger is finished.
        """
        track = self._report(current, total, category, step)
        self._on_progress(track.snapshot(), track.category)

    def set_progress_failed(self, category: str | None = None, *, step: str | None = None) -> None:
        """Report that what progressed has failed; its last numbers stay.

        Args:
            category: What progressed; the current step by default.
            step: Another name of `category`.

        Raises:
            TypeError: The category is no string, or `category` and `step` differ.
            RuntimeError: The logger is finished.
        """
        self._check_open("set_progress_failed")
        name = self._progress_category(category, step)
        now = time.monotonic()
        track = self._tracks.setdefault(name, ProgressTrack(name, now))
        track.fail(now)
        self._on_progress(track.snapshot(), name)

    def set_metrics(self, value: Mapping[str, Any], category: str | None = None, *, step: str | None = None) -> None:
        """Report metrics: one sample of each key.

        Args:
            value: The samples by their keys; copied, so that later changes do not show.
            category: What they measure; by default the current step, or `default` outside of any.
            step: Another name of `category`.

        Raises:
            TypeError: `value` is no mapping, the category no string, or `category` and `step` differ.
            ValueError: The category is empty.
            RuntimeError: The logger is finished.
        """
        self._check_open("set_metrics")
        value = check_mapping("value", value)
        name = self._metrics_category(category, step)
        metrics = self._metrics.setdefault(name, {})
        metrics.update(value)
        self._on_metrics(name, metrics)

    def end_log(self) -> None:
        """Say that the plugin has done its work; saying it again, or after `finish()`, changes nothing."""
        if self._ended or self._is_finished:
            return
        self._ended = True
        self._log_impl("run_ended", {}, None, self.get_step(), LogLevel.INFO)
        self.flush()

    # -- steps

    def step(self, name: str) -> StepHandle:
        """A step of the run: `with logger.step("load") as step: ...`.

        Inside, the step is the default category. Steps nest, and each context (asyncio task, thread) has its own. An
        exception marks the step as failed and goes on; `step.skip()` and `step.fail(message)` say it without one.

        Args:
            name: The step's name.

        Raises:
            TypeError: `name` is no string.
            ValueError: `name` is empty.
            RuntimeError: The logger is finished.
        """
        self._check_open("step")
        return StepHandle(self, check_text("name", name))

    def set_step(self, step: str | None, order: int | None = None) -> None:
        """Name the current step without a `with`; inside one, its name is this until it ends.

        Args:
            step: The step's name; None for none.
            order: Its place among the steps of a workflow, from 0.

        Raises:
            TypeError: `step` is no string.
        """
        named = None if step is None else _category_text(step, "step"), order if step is not None else None
        scope = self._step_scope()
        if scope is None:
            self._step, self._step_order = named
        else:
            scope._renamed = named

    def get_step(self) -> str | None:
        """The current step's name."""
        scope = self._step_scope()
        if scope is None:
            return self._step
        return scope.name if scope._renamed is None else scope._renamed[0]

    def get_step_order(self) -> int | None:
        """The current step's place among the steps of a workflow, from 0."""
        scope = self._step_scope()
        if scope is None:
            return self._step_order
        return scope.order if scope._renamed is None else scope._renamed[1]

    # -- what was reported

    def get_progress(self, category: str | None = None) -> ProgressData | None:
        """The last progress of a category, by default of the current step; None without a report."""
        track = self._tracks.get(self._progress_category(category, None))
        return None if track is None else track.snapshot()

    def get_metrics(self, category: str | None = None) -> dict[str, Any]:
        """The latest metrics of a category, or of all by their categories."""
        if category:
            return dict(self._metrics.get(category, {}))
        return {name: dict(metrics) for name, metrics in list(self._metrics.items())}

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until what was reported is delivered.

        Args:
            timeout: How long to wait at most, in seconds.

        Returns:
            Whether all was delivered.
        """
        del timeout
        return True

    def report(self) -> DeliveryReport:
        """What became of everything reported so far."""
        return DeliveryReport.empty()

    # -- the run

    @property
    def job_id(self) -> str | None:
        """The job that the reports belong to."""
        return self._job_id

    @property
    def trace_id(self) -> str | None:
        """The run's trace id in 32 hexadecimal digits; None for a logger that traces nothing."""
        return None

    def propagation_env(self) -> dict[str, str]:
        """Environment variables that make a child process part of this run."""
        return {}

    def set_action(self, name: str, category: str | None = None) -> None:  # noqa: B027  # does nothing unless it is overridden
        """The run runs this action, of a plugin of this category."""

    @property
    def status(self) -> RunStatus:
        """`running`, or what the run was finished with."""
        return self._status

    @property
    def failure(self) -> BaseException | None:
        """What the run was finished with, if it failed."""
        return self._error

    @property
    def is_finished(self) -> bool:
        """Whether `finish()` was called."""
        return self._is_finished

    def finish(self, status: RunStatus = RunStatus.COMPLETED, error: BaseException | None = None) -> None:
        """End the run. The first call counts, further ones change nothing.

        Args:
            status: What became of the run: `completed`, `failed`, `cancelled` or `crashed`.
            error: What it failed with.

        Raises:
            TypeError: `status` is none.
            ValueError: `status` is none that a run ends with.
        """
        status = check_status(status)
        try:
            self._finish_token.pop()
        except IndexError:
            return
        self._status, self._error = status, error
        self._is_finished = True
        self._on_finish()

    # -- hooks of subclasses: what is not abstract may stay empty (B027)

    @abstractmethod
    def _log_impl(self, event: str, data: dict[str, Any], file: str | None, step: str | None, level: LogLevel) -> None:
        """Record an event: also `message`, `dev_event` and `run_ended`."""

    def _on_progress(self, progress: ProgressData, category: str | None) -> None:  # noqa: B027  # does nothing unless it is overridden
        """Progress was reported."""

    def _on_metrics(self, category: str, metrics: dict[str, Any]) -> None:  # noqa: B027  # does nothing unless it is overridden
        """Metrics were reported; `metrics` has the latest of every key of the category."""

    def _on_step_start(self, step: StepHandle) -> None:  # noqa: B027  # does nothing unless it is overridden
        """A step was entered and is the current one."""

    def _on_step_end(self, step: StepHandle) -> None:  # noqa: B027  # does nothing unless it is overridden
        """A step was left; it has its final status."""

    def _on_finish(self) -> None:  # noqa: B027  # does nothing unless it is overridden
        """The run has ended; called once, with `_status` and `_error` set."""

    def leave_context(self) -> None:  # noqa: B027  # does nothing unless it is overridden
        """Let the running context be as it was before the run: for one that is finished in another thread."""

    # -- for subclasses

    def _check_open(self, call: str) -> None:
        if self._is_finished:
            left_behind.stay()
            job = "" if self.job_id is None else f" (job {self.job_id!r})"
            raise RuntimeError(f"cannot {call} on a finished logger{job}: finish() was called")

    def _report(self, current: object, total: object, category: str | None, step: str | None) -> ProgressTrack:
        self._check_open("set_progress")
        checked_current, checked_total = check_progress(current, total)
        name = self._progress_category(category, step)
        now = time.monotonic()
        track = self._tracks.get(name)
        if track is None:
            track = self._tracks.setdefault(name, ProgressTrack(name, now))
        track.report(checked_current, checked_total, now)
        return track

    def _progress_category(self, category: str | None, step: str | None) -> str | None:
        """The category of a progress report. As in the Synapse SDK, an empty one is none, whatever the step."""
        name = one_category(category, step)
        if name is None:
            return self.get_step()
        return _category_text(name) or None

    def _metrics_category(self, category: str | None, step: str | None) -> str:
        """The category of metrics."""
        name = one_category(category, step)
        return (self.get_step() or DEFAULT_CATEGORY) if name is None else check_category(name)

    def _current_step_or(self, step: str | None) -> str | None:
        return self.get_step() if step is None else check_text("step", step)

    def _step_scope(self) -> StepHandle | None:
        """The innermost open step of this logger in the running context, else its latest in any."""
        if not self._open_steps:
            return None
        scope = _innermost.get()
        while scope is not None:
            if scope._open and scope._logger is self:
                return scope
            scope = scope._parent
        try:
            return self._open_steps[-1]
        except IndexError:  # another thread has just left the last one
            return None

    def _enter_step(self, step: StepHandle) -> None:
        parent = _innermost.get()
        while parent is not None and not parent._open:
            parent = parent._parent
        step._parent, step._open = parent, True
        self._open_steps.append(step)
        _innermost.set(step)

    def _leave_step(self, step: StepHandle) -> None:
        """Close a step. No ContextVar token: a generator or a callback may leave it in another context."""
        step._open = False
        if step in self._open_steps:
            self._open_steps.remove(step)
        if _innermost.get() is step:
            _innermost.set(step._parent)


class NoOpLogger(BaseLogger):
    """Checks every call as the others do, and does nothing else."""

    def set_progress(
        self, current: float, total: float, category: str | None = None, *, step: str | None = None
    ) -> None:
        """Check a progress report."""
        if (
            type(current) is int
            and type(total) is int
            and 0 <= current <= total <= MAX_INT
            and total > 0
            and step is None
            and (category is None or type(category) is str)
            and not self._is_finished
        ):
            return
        self._check_open("set_progress")
        check_progress(current, total)
        self._progress_category(category, step)

    def set_progress_failed(self, category: str | None = None, *, step: str | None = None) -> None:
        """Check the report of a failure."""
        self._check_open("set_progress_failed")
        self._progress_category(category, step)

    def set_metrics(self, value: Mapping[str, Any], category: str | None = None, *, step: str | None = None) -> None:
        """Check metrics."""
        self._check_open("set_metrics")
        check_mapping("value", value)
        self._metrics_category(category, step)

    def _log_impl(self, event: str, data: dict[str, Any], file: str | None, step: str | None, level: LogLevel) -> None:
        pass
