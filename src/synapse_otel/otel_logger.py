"""The logger that records a run: it checks, stamps time and span, and appends to the journal. Nothing else.

The methods that plugins call in their loops are written for speed: the usual case is decided by a few comparisons of
exact types, and is encoded as it is, which is the snapshot. Everything else takes the slow way: the checks of
`BaseLogger`, then `values.plain`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from synapse_otel.journal import records as rec
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.writer import Journal
from synapse_otel.logger import (
    _LEVELS,
    DEFAULT_CATEGORY,
    DEFAULT_PROGRESS,
    BaseLogger,
    ProgressTrack,
    StepHandle,
    _innermost,
    check_level,
    check_mapping,
    check_progress,
    check_text,
    file_text,
)
from synapse_otel.models import DeliveryReport, LogLevel, ProgressData
from synapse_otel.run_end import close_at_end, close_at_end_of_child, closed, see_off_at_end
from synapse_otel.run_identity import new_identity
from synapse_otel.secret_keys import SecretKeys
from synapse_otel.span_scope import SpanScope, SpanStep
from synapse_otel.stacktraces import stacktrace
from synapse_otel.values import (
    DEFAULT_LIMITS,
    Limits,
    Plain,
    numbers_at_a_glance,
    plain,
    plain_at_a_glance,
    short_name,
    text,
    type_name,
)

if TYPE_CHECKING:
    from synapse_otel.export.plan import ShippingPlan
    from synapse_otel.export.settings import TelemetrySettings
    from synapse_otel.shipping import Shipping

COALESCE = 50_000_000
"""Nanoseconds in which a category's progress is recorded at most once, but for its first and last report."""

HEARTBEAT = 15_000_000_000
"""Nanoseconds between two records that say that the process lives, or fewer where metrics are exported more often."""

RUN_NAME = "SYNAPSE_OTEL_RUN_NAME"
"""The variable of a child process that names the run it is a part of."""

INSTANCE = "SYNAPSE_OTEL_RUN_INSTANCE"
"""The variable of a child process that says of which process the run is."""

_STOP_TIMEOUT = 2.0
"""Seconds that the end of a run waits for its threads, after it waited for the delivery."""

_TIGHTER = (Limits(max_depth=6, max_items=64, max_nodes=500, max_string=1024), Limits(4, 16, 100, 256))
_METRIC_LIMITS = Limits(max_items=100_000, max_nodes=100_000)
_MAX_NAME = 1024
_NAME_LIMITS = Limits(max_string=_MAX_NAME)
_PATH_LIMITS = Limits(max_string=4096)
_ERROR_LIMITS = Limits(max_string=8192)
_METRICS_IN_RECORD = 1000
_MAX_STRING = DEFAULT_LIMITS.max_string
_NUMBERS = frozenset({int, float, bool})
_UNSEEN = object()
"""In place of a category's name: what the hot path has no answer to."""
_UNENCODABLE = (OverflowError, TypeError, ValueError, msgspec.MsgspecError)
_now = time.time_ns


class _Slot(ProgressTrack):
    """The progress of a category, and what of it is in the journal."""

    __slots__ = ("due", "pending", "t", "where")

    def __init__(self, category: str | None, now: int) -> None:
        super().__init__(category, now / 1e9)
        self.t = now
        self.due = 0
        self.pending = False
        self.where = (b"", b"")

    def snapshot(self) -> ProgressData:
        self.updated_at = self.t / 1e9
        return super().snapshot()


def _without_credentials(identity: rec.Identity, plan: ShippingPlan) -> rec.Identity:
    """Return who a run is as it may be shown: its job names a directory, and all of it is sent."""
    clean = plan.redactor
    named = {"job_id": clean.text(identity.job_id), "name": clean.text(identity.name)}
    return msgspec.structs.replace(identity, **named, resource=clean.value(identity.resource))


class _NothingSecret(dict[str, bool]):
    """The verdicts where redaction is turned off."""

    def __missing__(self, key: str) -> bool:
        return False


class OTelLogger(BaseLogger):
    """Records a run in the journal and ships it to an OTLP collector, if one is configured.

    The run opens here and closes at `finish`, or at the end of the interpreter. Misuse raises at the call; what the
    network, the disk or a value inside `data` does never raises.

    Args:
        job_id: The job that the run belongs to; by default ``SYNAPSE_JOB_ID``, ``RAY_JOB_ID``, else generated.
        name: The run's or action's name, which names the root span.
        console: Whether to show the run on the terminal as well, or the logger that shows it.
        settings: How telemetry is recorded and sent; from the environment by default.
        parent_env: What `propagation_env` gave in the process whose run goes on in this one.

    Attributes:
        patience: Seconds that the end of the run waits for its delivery; the setting `finish_timeout`.

    Raises:
        SettingsError: If a setting is wrong; the message names the variable.
    """

    def __init__(
        self,
        job_id: str | None = None,
        name: str = "run",
        *,
        console: bool | BaseLogger = False,
        settings: TelemetrySettings | None = None,
        parent_env: Mapping[str, str] | None = None,
    ) -> None:
        # pydantic-settings, the SDK's data model and the exporters are imported for a run, not with the package.
        from synapse_otel.export import plan as shipping
        from synapse_otel.export import settings as config

        self._settings = settings or config.TelemetrySettings.load()
        self.patience = self._settings.finish_timeout
        plan = shipping.shipping_plan(self._settings)
        given = new_identity(job_id, name, self._settings.service_version, version("synapse-otel"), parent_env)
        identity = _without_credentials(given, plan)
        super().__init__(identity.job_id)
        self._identity = identity
        self._verdicts: dict[str, bool] = (
            SecretKeys(self._settings.redaction_keys).verdicts if self._settings.redaction else _NothingSecret()
        )
        self._slots: dict[str | None, _Slot] = {}
        self._steps: dict[StepHandle | None, str | None] = {}
        self._renamed = False
        self._rests_with = "completed", ""
        self._rested_at = -1
        self._last_beat = time.monotonic_ns()  # the clock may be set back, by which no beat would be due
        self._beat = min(HEARTBEAT, int(plan.interval * 1e9))
        self._console = console if isinstance(console, BaseLogger) else _console(plan) if console else None
        self._shipper: Shipping | None = None
        self._journal: Journal | None = None
        self._append: Callable[[rec.Record], None] = _nowhere
        if not config.sdk_disabled():
            self._open_journal(identity, plan)
        self._scope = SpanScope(identity, self._open_steps)
        close_at_end(self)

    def _open_journal(self, identity: rec.Identity, plan: ShippingPlan) -> None:
        self._journal = Journal(
            self._settings.journal_dir,
            identity,
            on_degraded=_say_degraded,
            on_fork=lambda: self._continue_in_child(plan),
        )
        self._append = self._journal.append
        self._append(rec.RunStarted(identity.started))
        self._start_shipper(plan)
        if self._journal.path is not None and self._shipper is not None and not identity.worker:
            see_off_at_end(self._journal.path, self._shipper.farewell)

    # -- the hot path

    def set_progress(
        self, current: float, total: float, category: str | None = None, *, step: str | None = None
    ) -> None:
        """Report progress, see `BaseLogger.set_progress`."""
        name: Any = category if step is None else step if category is None else _UNSEEN
        if name is None:
            name = self._steps.get(_innermost.get(), _UNSEEN)
        slot = self._slots.get(name) if type(name) is str or name is None else None
        if (
            slot is not None
            and (type(current) is int or type(current) is float)
            and slot.current < current < total == slot.total
        ):
            now = _now()
            if now < slot.due:
                slot.current, slot.t, slot.pending = current, now, True
                return
        self._set_progress(current, total, category, step)

    def set_metrics(self, value: Mapping[str, Any], category: str | None = None, *, step: str | None = None) -> None:
        """Report metrics, see `BaseLogger.set_metrics`."""
        name: Any = category if step is None else step if category is None else _UNSEEN
        if name is None:
            name = self._steps.get(_innermost.get(), _UNSEEN) or DEFAULT_CATEGORY
        if type(value) is dict and type(name) is str and len(name) <= _MAX_NAME and not self._is_finished:
            latest, numbers = self._metrics.get(name), numbers_at_a_glance(value, _METRICS_IN_RECORD)
            if latest is not None and numbers is not None:
                try:
                    self._append(rec.Metrics(_now(), *self._scope.where(), name, numbers))
                except _UNENCODABLE:
                    self._set_metrics(value, category, step)
                    return
                latest.update(numbers)
                if self._console is not None:
                    self._console.set_metrics(numbers, name)
                return
        self._set_metrics(value, category, step)

    def log(
        self,
        level: LogLevel | str,
        event: str,
        data: Mapping[str, Any],
        file: str | os.PathLike[str] | None = None,
        step: str | None = None,
    ) -> None:
        """Record an event, see `BaseLogger.log`."""
        if (
            type(level) is LogLevel
            and type(event) is str
            and 0 < len(event) <= _MAX_NAME
            and type(data) is dict
            and (file is None or type(file) is str)
            and step is None
            and not self._is_finished
            and (values := plain_at_a_glance(data, self._verdicts)) is not None
        ):
            named = self._named_step(None) if self._renamed else None
            try:
                self._append(rec.Event(_now(), *self._scope.where(), event, level, values, file, named))
            except _UNENCODABLE:
                self._log(level, event, data, file, step)
                return
            if self._console is not None:
                self._console.log(level, event, values, file, named)
            return
        self._log(level, event, data, file, step)

    def log_message(
        self,
        message: object,
        level: LogLevel | str = LogLevel.INFO,
        *,
        step: str | None = None,
        key: str | None = None,
    ) -> None:
        """Record a message to the user, see `BaseLogger.log_message`."""
        if type(message) is str and step is key is None and not self._is_finished:
            known = _LEVELS.get(level) if type(level) is str or type(level) is LogLevel else None
            if known is not None and len(message) <= _MAX_STRING:
                named = self._named_step(None) if self._renamed else None
                try:
                    self._append(rec.Message(_now(), *self._scope.where(), message, known, named))
                except _UNENCODABLE:
                    self._log_message(message, level, step, key)
                    return
                if self._console is not None:
                    self._console.log_message(message, known, step=named)
                return
        self._log_message(message, level, step, key)

    def log_dev_event(self, message: object, data: Mapping[str, Any] | None = None) -> None:
        """Record something for the plugin's developer, see `BaseLogger.log_dev_event`."""
        values = plain_at_a_glance(data, self._verdicts) if type(data) is dict else None
        if (
            type(message) is str
            and len(message) <= _MAX_STRING
            and not self._is_finished
            and (values is not None or data is None)
        ):
            try:
                self._append(rec.DevEvent(_now(), *self._scope.where(), message, values))
            except _UNENCODABLE:
                self._log_dev_event(message, data)
                return
            if self._console is not None:
                self._console.log_dev_event(message, values)
            return
        self._log_dev_event(message, data)

    # -- the same for any value

    def _set_progress(self, current: object, total: object, category: str | None, step: str | None) -> None:
        self._check_open("set_progress")
        current, total = check_progress(current, total)
        name = self._progress_category(category, step)
        now = _now()
        slot = self._slot(name, now)
        goes_on = slot.current < current < total == slot.total and now < slot.due
        slot.report(current, total, now / 1e9)
        slot.t, slot.pending = now, goes_on
        if not goes_on:
            slot.due = now + COALESCE
            slot.where = self._scope.where()
            self._write_progress(slot)
        if name is None or type(name) is str:
            self._slots[name] = slot
        given = category if step is None else step
        if type(given) is str:
            self._slots[given] = slot
        if self._console is not None:
            self._console.set_progress(current, total, name)

    def set_progress_failed(self, category: str | None = None, *, step: str | None = None) -> None:
        """Report that what progressed has failed, see `BaseLogger.set_progress_failed`."""
        self._check_open("set_progress_failed")
        name = self._progress_category(category, step)
        now = _now()
        slot = self._slot(name, now)
        slot.fail(now / 1e9)
        slot.t, slot.due, slot.pending, slot.total = now, 0, False, slot.total or 1
        slot.where = self._scope.where()
        self._write_progress(slot, failed=True)
        if self._console is not None:
            self._console.set_progress_failed(name)

    def _slot(self, name: str | None, now: int) -> _Slot:
        slot = self._tracks.get(name) or self._tracks.setdefault(name, _Slot(name, now))
        assert isinstance(slot, _Slot)
        return slot

    def _write_progress(self, slot: _Slot, *, failed: bool = False) -> None:
        slot.pending = False
        name = text(slot.category or DEFAULT_PROGRESS, _NAME_LIMITS)
        self._append(rec.Progress(slot.t, *slot.where, name, slot.current, slot.total, failed))

    def _set_metrics(self, value: object, category: str | None, step: str | None) -> None:
        self._check_open("set_metrics")
        mapping = check_mapping("value", value)
        name = self._metrics_category(category, step)
        values = self._plain_metrics(mapping)
        self._metrics.setdefault(name, {}).update(values)
        now, where, clean = _now(), self._scope.where(), text(name, _NAME_LIMITS)
        for chunk in _chunks(values):
            self._append_metrics(lambda data: rec.Metrics(now, *where, clean, data), chunk)
        if self._console is not None:
            self._console.set_metrics(values, name)

    def _plain_metrics(self, mapping: Mapping[str, Any]) -> dict[str, Any]:
        given = _as_dict(plain(mapping, _METRIC_LIMITS))
        values = _as_dict(plain(given, _METRIC_LIMITS, self._verdicts.__getitem__))
        return _with_numbers(values, given)

    def _append_metrics(self, record: Callable[[Any], rec.Record], values: dict[str, Any]) -> None:
        """Append metrics, in several records where they are too large for one: no sample is cut."""
        try:
            return self._append(record(values))
        except _UNENCODABLE:
            parts = _halves(values)
        if not parts:
            return self._append_cut(record, values)
        for part in parts:
            self._append_metrics(record, part)
        return None

    def _log(self, level: object, event: object, data: object, file: object, step: str | None) -> None:
        self._check_open("log")
        known = check_level(level)
        name = text(check_text("event", event), _NAME_LIMITS)
        values = self._plain(check_mapping("data", data))
        path = None if file is None else text(file_text(file), _PATH_LIMITS)
        now, where, named = _now(), self._scope.where(), self._named_step(step)
        self._append_cut(lambda data: rec.Event(now, *where, name, known, data, path, named), values)
        if self._console is not None:
            self._console.log(known, name, values, path, named)

    def _log_message(self, message: object, level: object, step: str | None, key: str | None) -> None:
        self._check_open("log_message")
        known, clean, named = check_level(level), text(message), self._named_step(step)
        code = None if key is None else text(key, _NAME_LIMITS)
        self._append(rec.Message(_now(), *self._scope.where(), clean, known, named, code))
        if self._console is not None:
            self._console.log_message(clean, known, step=named)

    def _log_dev_event(self, message: object, data: object) -> None:
        self._check_open("log_dev_event")
        values = None if data is None else self._plain(check_mapping("data", data))
        now, where, clean = _now(), self._scope.where(), text(message)
        self._append_cut(lambda data: rec.DevEvent(now, *where, clean, data), values)
        if self._console is not None:
            self._console.log_dev_event(clean, values)

    def _log_impl(self, event: str, data: dict[str, Any], file: str | None, step: str | None, level: LogLevel) -> None:
        self._log(level, event, data, file, step)

    def _plain(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return _as_dict(plain(data, DEFAULT_LIMITS, self._verdicts.__getitem__))

    def _append_cut(self, record: Callable[[Any], rec.Record], data: dict[str, Any] | None) -> None:
        """Append a record of plain data, cut further where it is too large for one."""
        for limits in _TIGHTER:
            try:
                return self._append(record(data))
            except _UNENCODABLE:
                data = _as_dict(plain(data, limits))
        return self._append(record(data))

    def _named_step(self, step: str | None) -> str | None:
        if step is None and not self._renamed:
            return None  # the span says it
        named = self._current_step_or(step)
        return None if named is None else text(named, _NAME_LIMITS)

    # -- steps

    def step(self, name: str) -> StepHandle:
        """A step of the run, which is a span, see `BaseLogger.step`."""
        self._check_open("step")
        return SpanStep(self, check_text("name", name))

    def set_step(self, step: str | None, order: int | None = None) -> None:
        """Name the current step without a `with`, see `BaseLogger.set_step`."""
        super().set_step(step, order)
        self._renamed = step is not None
        self._steps = {}

    def get_step(self) -> str | None:
        """The current step's name, which is kept for the hot path until a step begins, ends or is renamed."""
        steps, innermost = self._steps, _innermost.get()  # a change meanwhile puts other ones in their place
        name = super().get_step()
        if innermost is None or innermost._logger is self:
            steps[innermost] = name
        return name

    def set_action(self, name: str, category: str | None = None, *, names_run: bool = False) -> None:
        """Note what the run executes: ``synapse.action`` and ``synapse.action.category`` of its span.

        Args:
            name: The action's name.
            category: The category of the plugin.
            names_run: Whether the run is named after it from now on; one that has no name of its own is anyway.
        """
        if not self._is_finished:
            names = text(name, _NAME_LIMITS), text("" if category is None else category, _NAME_LIMITS)
            self._append(rec.ActionNamed(_now(), *names, names_run))

    def _on_step_start(self, step: StepHandle) -> None:
        assert isinstance(step, SpanStep)
        self._steps = {}
        around = self._scope.enter(step)
        self._append(rec.StepStarted(_now(), step.span, around, text(step.name, _NAME_LIMITS)))
        if self._console is not None:
            self._console._on_step_start(step)

    def _on_step_end(self, step: StepHandle) -> None:
        assert isinstance(step, SpanStep)
        self._steps = {}
        self._scope.leave(step)
        if self._is_finished:
            return
        if step.exception is not None:
            self._record_exception(step.exception, step.span)
        status = "cancelled" if _is_cancellation(step.exception) else step.status.value
        self._append(rec.StepEnded(_now(), step.span, status, text("" if step.error is None else step.error)))
        if self._console is not None:
            self._console._on_step_end(step)

    def _record_exception(self, error: BaseException, span: bytes) -> None:
        kind, message = text(type_name(type(error)), _NAME_LIMITS), text(error, _ERROR_LIMITS)
        self._append(rec.ExceptionRecorded(_now(), span, b"", kind, message, text(stacktrace(error))))

    # -- delivery

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until what was recorded is delivered.

        Args:
            timeout: How long to wait at most, in seconds.

        Returns:
            Whether all was delivered; False where no endpoint is configured, since then nothing is.
        """
        self._write_pending()
        return self._shipper.flush(timeout) if self._shipper else False

    def report(self) -> DeliveryReport:
        """What became of everything recorded so far, by kind of record."""
        self._write_pending()
        return self._shipper.report() if self._shipper else DeliveryReport.empty()

    @property
    def trace_id(self) -> str:
        """The run's trace id in 32 hexadecimal digits."""
        return self._identity.trace_id.hex()

    @property
    def instance_id(self) -> str:
        """What tells this process's part of the run from others: `service.instance.id`."""
        return self._identity.journal_id

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing was recorded since `rest`."""
        return self._journal is not None and self._journal.next_seq == self._rested_at

    @property
    def journal(self) -> JournalPath | None:
        """Where this process records the run; None where it does so in memory, or not at all."""
        return self._journal.path if self._journal else None

    def end_log(self) -> None:
        """Say that the plugin has done its work, and wait shortly for the delivery, see `BaseLogger.end_log`."""
        if self._ended or self._is_finished:
            return
        self._ended = True
        self._append(rec.LogEnded(_now(), *self._scope.where()))
        self.flush(self.patience)

    def rest(self, error: BaseException | None = None) -> None:
        """Note that this process has done all that it was given: should it be ended now, its run has not crashed.

        For worker processes, which are kept for more work, and ended without notice when there is none.

        Args:
            error: What the work failed with; from then on the run has failed, however it goes on.
        """
        if self._is_finished:
            return
        self._write_pending()
        if error is not None:
            self._record_exception(error, b"")
            self._rests_with = "failed", text(error)
        self._append(rec.Rested(_now(), *self._rests_with))
        self._rested_at = self._journal.next_seq if self._journal else 0

    def leave_context(self) -> None:
        """Let the running context be as it was before the run."""
        self._scope.close()

    def _on_finish(self) -> None:
        closed(self)
        self._slots.clear()
        self._write_pending()
        if self._error is not None:
            self._record_exception(self._error, b"")
        message = "" if self._error is None else text(self._error)
        self._append(rec.RunEnded(_now(), self._status.value, message, self._delivery()))
        self._scope.close()
        if self._console is not None:
            self._console.finish(self._status, self._error)
        if self._journal is not None:
            self._journal.seal()
        if self._shipper is not None:
            self._shipper.flush(self.patience)
            self._shipper.stop(min(_STOP_TIMEOUT, self.patience))
        if self._journal is not None:
            self._journal.close()  # only now: who ships it removes it when it is delivered and nobody holds it
            if lost := self._journal.give_up():
                _say_lost(lost)

    def _start_shipper(self, plan: ShippingPlan, *, forked: bool = False) -> None:
        from synapse_otel.shipping import shipper_for

        assert self._journal is not None
        self._shipper = shipper_for(self._journal, plan, self._tick, self._settings, forked=forked)
        self._shipper.start()

    def _tick(self) -> None:
        with contextlib.suppress(RuntimeError):  # the journal was closed meanwhile
            self._write_pending()
            beat = time.monotonic_ns()
            if beat - self._last_beat >= self._beat:
                self._last_beat = beat
                self._append(rec.Heartbeat(_now(), self._delivery()))

    def _delivery(self) -> dict[str, int] | None:
        return self._shipper.counts() if self._shipper is not None else None

    def _write_pending(self) -> None:
        for slot in list(self._tracks.values()):
            if isinstance(slot, _Slot) and slot.pending:
                self._write_progress(slot)

    # -- other processes

    def propagation_env(self) -> dict[str, str]:
        """Environment variables that make a child process part of this run: same trace, same job, same journals."""
        return {
            "TRACEPARENT": self._scope.traceparent(),
            "SYNAPSE_JOB_ID": self._identity.job_id,
            RUN_NAME: self._identity.name,
            INSTANCE: self.instance_id,
            "SYNAPSE_OTEL_JOURNAL_DIR": str(self._settings.journal_dir),
        }

    def _continue_in_child(self, plan: ShippingPlan) -> None:
        assert self._journal is not None
        self._identity = self._journal.identity
        self._scope = SpanScope(self._identity, self._open_steps)
        _inherited.append(self._shipper)
        self._start_shipper(plan, forked=True)
        close_at_end(self)
        close_at_end_of_child(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _resume, (self.propagation_env(), self._identity.name, self._settings)


_inherited: list[Shipping | None] = []  # never collected in a forked child: its connections are the parent's


_resumed: dict[tuple[str, str], OTelLogger] = {}  # of this process: a pool unpickles the context for every task


def _resume(env: dict[str, str], name: str, settings: TelemetrySettings) -> OTelLogger:
    """Go on with a run that came here pickled: same trace, same job, one journal for this process."""
    run = env["SYNAPSE_JOB_ID"], env["TRACEPARENT"].split("-")[1]
    logger = _resumed.get(run)
    if logger is None or logger.is_finished:
        logger = _resumed[run] = OTelLogger(name=name, settings=settings, parent_env=env)
        close_at_end_of_child(logger)
    return logger


os.register_at_fork(after_in_child=_resumed.clear)


def _as_dict(snapshot: Plain) -> dict[str, Any]:
    """Return the snapshot of a mapping; one that could not be read has become text."""
    return snapshot if isinstance(snapshot, dict) else {"value": snapshot}


def _with_numbers(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with the numbers that are `given`: a sample is one also under a key such as `token`."""
    merged: dict[str, Any] = {}
    for key, item in values.items():
        known = given.get(key)
        if isinstance(item, dict) and isinstance(known, dict):
            merged[key] = _with_numbers(item, known)
        else:
            merged[key] = known if type(known) in _NUMBERS else item
    return merged


def _halves(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return metrics in two parts, nested ones too; none where it is one that cannot be divided."""
    if len(values) > 1:
        items, middle = list(values.items()), len(values) // 2
        return [dict(items[:middle]), dict(items[middle:])]
    return [{key: half} for key, value in values.items() if isinstance(value, dict) for half in _halves(value)]


def _chunks(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    items = list(values.items())
    for first in range(0, max(1, len(items)), _METRICS_IN_RECORD):
        yield dict(items[first : first + _METRICS_IN_RECORD])


def _console(plan: ShippingPlan) -> BaseLogger:
    from synapse_otel.console import ConsoleLogger

    return ConsoleLogger(redactor=plan.redactor)


def _nowhere(record: rec.Record) -> None:
    """Where records go when ``OTEL_SDK_DISABLED`` is true."""


def _say_degraded(error: OSError) -> None:
    from synapse_otel.export.notices import logger

    logger.warning("the journal cannot be written (%s): records are kept in memory and go with the process", error)


def _say_lost(count: int) -> None:
    from synapse_otel.export.notices import logger

    logger.warning("%d records are lost: they were in memory only and could not be delivered", count)


def _is_cancellation(error: BaseException | None) -> bool:
    kind = type(error)  # an exception may say anything of itself
    return issubclass(kind, KeyboardInterrupt | GeneratorExit) or short_name(kind) == "CancelledError"
