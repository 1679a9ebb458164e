"""The logger that records a run: it checks, stamps time and span, and appends to the journal. Nothing else.

The methods that plugins call in their loops are written for speed: the usual case is decided by a few comparisons of
exact types, everything else takes the slow way of `BaseLogger`'s checks and of `values.plain`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from opentelemetry.context import Context, attach, detach, get_current, set_value
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    format_span_id,
    get_current_span,
    set_span_in_context,
)

from synapse_otel.journal import records as rec
from synapse_otel.journal.writer import Journal
from synapse_otel.logger import (
    _LEVELS,
    DEFAULT_CATEGORY,
    BaseLogger,
    ProgressTrack,
    StepHandle,
    check_level,
    check_mapping,
    check_progress,
    check_text,
    file_text,
)
from synapse_otel.models import ActionStatus, DeliveryReport, LogLevel, RunStatus
from synapse_otel.run_identity import new_identity
from synapse_otel.secret_keys import SecretKeys
from synapse_otel.values import DEFAULT_LIMITS, Limits, plain, text

if TYPE_CHECKING:
    from synapse_otel.export.plan import ShippingPlan
    from synapse_otel.export.settings import TelemetrySettings
    from synapse_otel.export.shipper import Shipper

COALESCE = 50_000_000
"""Nanoseconds in which a category's progress is recorded at most once, but for its first and last report."""

HEARTBEAT = 15_000_000_000
"""Nanoseconds between two records that say that the process lives."""

_TIGHT = (Limits(max_depth=6, max_items=64, max_nodes=500, max_string=1024), Limits(4, 16, 100, 256))
_MAX_STRING = DEFAULT_LIMITS.max_string
_NUMBERS = frozenset({int, float, bool})
_SCALARS = frozenset({int, float, bool, type(None)})
_UNENCODABLE = (OverflowError, TypeError, ValueError, msgspec.MsgspecError)
_STEP_KEY = "synapse-otel-step"
_OUTSIDE = (b"", b"")


class _Slot(ProgressTrack):
    """The progress of a category, and what of it is in the journal."""

    __slots__ = ("active", "due", "pending", "span", "t")

    def __init__(self, category: str | None, now: int) -> None:
        super().__init__(category, now / 1e9)
        self.t = now
        self.due = 0
        self.pending = False
        self.span = self.active = b""

    def snapshot(self) -> Any:
        self.updated_at = self.t / 1e9
        return super().snapshot()


class _SpanStep(StepHandle):
    """A step that is a span, current in its context while it runs."""

    def __init__(self, logger: OTelLogger, name: str) -> None:
        super().__init__(logger, name)
        self.span = os.urandom(8)
        self.token: Any = None
        self.context: Context | None = None


class OTelLogger(BaseLogger):
    """Records a run in the journal and ships it to an OTLP collector, if one is configured.

    The run opens here and closes at `finish`, or at the end of the interpreter. Misuse raises at the call; what the
    network, the disk or a value inside `data` does never raises.

    Args:
        job_id: The job that the run belongs to; by default ``SYNAPSE_JOB_ID``, ``RAY_JOB_ID``, else generated.
        name: The run's or action's name, which names the root span.
        console: Whether to show the run on the terminal as well.
        settings: How telemetry is recorded and sent; from the environment by default.
        parent_env: What `propagation_env` gave in the process whose run goes on in this one.

    Raises:
        SettingsError: If a setting is wrong; the message names the variable.
    """

    def __init__(
        self,
        job_id: str | None = None,
        name: str = "run",
        *,
        console: bool = False,
        settings: TelemetrySettings | None = None,
        parent_env: Mapping[str, str] | None = None,
    ) -> None:
        from synapse_otel.export import settings as config  # pydantic-settings: 125 ms, only for a run

        self._settings = settings or config.TelemetrySettings.load()
        own_version = version("synapse-otel")
        identity = new_identity(job_id, name, self._settings.service_version, own_version, parent_env)
        super().__init__(identity.job_id)
        self._secret = SecretKeys(self._settings.redaction_keys) if self._settings.redaction else None
        self._verdicts: Mapping[str, bool] = self._secret.verdicts if self._secret else _NothingSecret()
        self._slots: dict[str | None, _Slot] = {}
        self._where_known: tuple[Context | None, tuple[bytes, bytes]] = (None, _OUTSIDE)
        self._renamed = False
        self._last_beat = identity.started
        self._console = _console() if console else None
        self._shipper: Shipper | None = None
        self._journal: Journal | None = None
        self._identity = identity
        self._append: Callable[[rec.Record], None] = _nowhere
        if not config.sdk_disabled():
            self._open(identity)
        self._token = attach(self._run_context())
        _unfinished.add(self)

    def _open(self, identity: rec.Identity) -> None:
        # The SDK's data model and the exporters are imported here, for a run, and not with the package.
        from synapse_otel.export.plan import shipping_plan

        plan = shipping_plan(self._settings)
        self._journal = Journal(
            self._settings.journal_dir,
            identity,
            on_degraded=_say_degraded,
            on_fork=lambda: self._continue_in_child(plan),
        )
        self._append = self._journal.append
        self._append(rec.RunStarted(identity.started))
        self._start_shipper(plan)

    # -- the hot path

    def set_progress(
        self, current: float, total: float, category: str | None = None, *, step: str | None = None
    ) -> None:
        """Report progress, see `BaseLogger.set_progress`."""
        slot = self._slots.get(category) if step is None else None
        if slot is not None and type(current) is int and slot.current < current < total == slot.total:
            now = time.time_ns()
            if now < slot.due:
                slot.current, slot.t, slot.pending = current, now, True
                return
        self._set_progress(current, total, category, step)

    def set_metrics(self, value: Mapping[str, Any], category: str | None = None, *, step: str | None = None) -> None:
        """Report metrics, see `BaseLogger.set_metrics`."""
        if type(value) is dict and type(category) is str and category and step is None and not self._is_finished:
            for key, item in value.items():
                if type(item) not in _NUMBERS or type(key) is not str:
                    break
            else:
                known = self._metrics.get(category)
                if known is not None:
                    context = get_current()
                    where = self._where_known
                    span, active = where[1] if where[0] is context else self._where(context)
                    try:
                        self._append(rec.Metrics(time.time_ns(), span, active, category, value))
                    except _UNENCODABLE:
                        self._set_metrics(value, category, step)
                        return
                    known.update(value)
                    if self._console is not None:
                        self._console.set_metrics(value, category)
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
            and event
            and type(data) is dict
            and (file is None or type(file) is str)
            and step is None
            and not self._renamed
            and not self._is_finished
            and self._is_plain(data)
        ):
            context = get_current()
            where = self._where_known
            span, active = where[1] if where[0] is context else self._where(context)
            try:
                self._append(rec.Event(time.time_ns(), span, active, event, level, data, file))
            except _UNENCODABLE:
                self._log(level, event, data, file, step)
                return
            if self._console is not None:
                self._console.log(level, event, data, file, step)
            return
        self._log(level, event, data, file, step)

    def log_message(self, message: object, level: LogLevel | str = LogLevel.INFO, *, step: str | None = None) -> None:
        """Record a message to the user, see `BaseLogger.log_message`."""
        if type(message) is str and step is None and not self._renamed and not self._is_finished:
            known = _LEVELS.get(level)
            if known is not None and len(message) <= _MAX_STRING:
                context = get_current()
                where = self._where_known
                span, active = where[1] if where[0] is context else self._where(context)
                try:
                    self._append(rec.Message(time.time_ns(), span, active, message, known))
                except _UNENCODABLE:
                    self._log_message(message, level, step)
                    return
                if self._console is not None:
                    self._console.log_message(message, level, step=step)
                return
        self._log_message(message, level, step)

    def log_dev_event(self, message: object, data: Mapping[str, Any] | None = None) -> None:
        """Record something for the plugin's developer, see `BaseLogger.log_dev_event`."""
        if (
            type(message) is str
            and len(message) <= _MAX_STRING
            and not self._is_finished
            and (data is None or (type(data) is dict and self._is_plain(data)))
        ):
            context = get_current()
            where = self._where_known
            span, active = where[1] if where[0] is context else self._where(context)
            try:
                self._append(rec.DevEvent(time.time_ns(), span, active, message, data))
            except _UNENCODABLE:
                self._log_dev_event(message, data)
                return
            if self._console is not None:
                self._console.log_dev_event(message, data)
            return
        self._log_dev_event(message, data)

    def _is_plain(self, data: dict[Any, Any]) -> bool:
        verdicts = self._verdicts
        for key, item in data.items():
            kind = type(item)
            if (
                (kind not in _SCALARS and (kind is not str or len(item) > _MAX_STRING))
                or type(key) is not str
                or verdicts[key]
            ):
                return False
        return len(data) <= DEFAULT_LIMITS.max_items

    # -- the same for any value

    def _set_progress(self, current: object, total: object, category: str | None, step: str | None) -> None:
        self._check_open("set_progress")
        current, total = check_progress(current, total)
        name = self._progress_category(category, step)
        now = time.time_ns()
        slot = self._slot(name, now)
        restarted = current <= slot.current or total != slot.total
        slot.report(current, total, now / 1e9)
        slot.t = now
        if now < slot.due and not restarted and current < total:
            slot.pending = True
        else:
            self._write_progress(slot, failed=False)
            slot.due = now + COALESCE
        if (category is not None and step is None) or (not self._open_steps and self._step is None):
            self._slots[category] = slot
        if self._console is not None:
            self._console.set_progress(current, total, name)

    def _slot(self, name: str | None, now: int) -> _Slot:
        slot = self._tracks.get(name)
        if slot is None:
            slot = self._tracks.setdefault(name, _Slot(name, now))
        assert isinstance(slot, _Slot)
        return slot

    def _write_progress(self, slot: _Slot, *, failed: bool) -> None:
        slot.pending = False
        slot.span, slot.active = self._where(get_current())
        self._write_slot(slot, failed=failed)

    def _write_slot(self, slot: _Slot, *, failed: bool) -> None:
        name = text(slot.category or DEFAULT_CATEGORY, DEFAULT_LIMITS)
        self._append(rec.Progress(slot.t, slot.span, slot.active, name, slot.current, slot.total, failed))

    def set_progress_failed(self, category: str | None = None, *, step: str | None = None) -> None:
        """Report that what progressed has failed, see `BaseLogger.set_progress_failed`."""
        self._check_open("set_progress_failed")
        name = self._progress_category(category, step)
        now = time.time_ns()
        slot = self._slot(name, now)
        slot.t, slot.due = now, 0
        slot.fail(now / 1e9)
        slot.total = slot.total or 1
        self._slots.clear()
        self._write_progress(slot, failed=True)
        if self._console is not None:
            self._console.set_progress_failed(name)

    def _set_metrics(self, value: object, category: str | None, step: str | None) -> None:
        self._check_open("set_metrics")
        mapping = check_mapping("value", value)
        name = self._metrics_category(category, step)
        values = plain(mapping, DEFAULT_LIMITS)
        assert isinstance(values, dict)
        if self._secret:
            values = {
                key: item if isinstance(item, int | float) else plain({key: item}, DEFAULT_LIMITS, self._secret)[key]  # type: ignore[call-overload, index]
                for key, item in values.items()
            }
        self._metrics.setdefault(name, {}).update(values)
        span, active = self._where(get_current())
        clean = text(name, DEFAULT_LIMITS)
        self._append_cut(lambda data: rec.Metrics(time.time_ns(), span, active, clean, data or {}), values)
        if self._console is not None:
            self._console.set_metrics(values, name)

    def _log(self, level: object, event: object, data: object, file: object, step: str | None) -> None:
        self._check_open("log")
        known = check_level(level)
        name = text(check_text("event", event), DEFAULT_LIMITS)
        values = self._plain(check_mapping("data", data))
        path = None if file is None else text(file_text(file), DEFAULT_LIMITS)
        named = self._named_step(step)
        span, active = self._where(get_current())
        now = time.time_ns()
        self._append_cut(lambda data: rec.Event(now, span, active, name, known, data or {}, path, named), values)
        if self._console is not None:
            self._console.log(known, name, values, path, named)

    def _log_message(self, message: object, level: object, step: str | None) -> None:
        self._check_open("log_message")
        known = check_level(level)
        clean = text(message, DEFAULT_LIMITS)
        named = self._named_step(step)
        span, active = self._where(get_current())
        self._append(rec.Message(time.time_ns(), span, active, clean, known, named))
        if self._console is not None:
            self._console.log_message(clean, known, step=named)

    def _log_dev_event(self, message: object, data: object) -> None:
        self._check_open("log_dev_event")
        values = None if data is None else self._plain(check_mapping("data", data))
        clean = text(message, DEFAULT_LIMITS)
        span, active = self._where(get_current())
        now = time.time_ns()
        self._append_cut(lambda data: rec.DevEvent(now, span, active, clean, data), values)
        if self._console is not None:
            self._console.log_dev_event(clean, values)

    def _plain(self, data: Mapping[str, Any]) -> dict[str, Any]:
        values = plain(data, DEFAULT_LIMITS, self._secret)
        assert isinstance(values, dict)
        return values

    def _append_cut(self, record: Callable[[Any], rec.Record], data: dict[str, Any] | None) -> None:
        """Append a record of plain data, cut further where it is too large for one."""
        for limits in _TIGHT:
            try:
                return self._append(record(data))
            except _UNENCODABLE:
                data = plain(data, limits)  # type: ignore[assignment]
        return self._append(record(data))

    def _named_step(self, step: str | None) -> str | None:
        if step is None and not self._renamed:
            return None  # the span says it
        named = self._current_step_or(step)
        return None if named is None else text(named, DEFAULT_LIMITS)

    def _log_impl(self, event: str, data: dict[str, Any], file: str | None, step: str | None, level: LogLevel) -> None:
        self._log(level, event, data, file, step)

    # -- steps and spans

    def step(self, name: str) -> StepHandle:
        """A step of the run, which is a span, see `BaseLogger.step`."""
        self._check_open("step")
        return _SpanStep(self, check_text("name", name))

    def set_step(self, step: str | None, order: int | None = None) -> None:
        """Name the current step without a `with`, see `BaseLogger.set_step`."""
        super().set_step(step, order)
        self._renamed = step is not None
        self._slots.pop(None, None)

    def _on_step_start(self, step: StepHandle) -> None:
        assert isinstance(step, _SpanStep)
        self._forget_where()
        parent = step._parent.span if isinstance(step._parent, _SpanStep) and step._parent._logger is self else b""
        step.context = self._context_of(step.span)
        step.token = attach(step.context)
        self._append(rec.StepStarted(time.time_ns(), step.span, parent, text(step.name, DEFAULT_LIMITS)))

    def _on_step_end(self, step: StepHandle) -> None:
        assert isinstance(step, _SpanStep)
        self._forget_where()
        if get_current() is step.context:
            detach(step.token)
        if step.exception is not None and not self._is_finished:
            self._record_exception(step.exception, step.span)
        status = "cancelled" if _is_cancellation(step.exception) else step.status.value
        if not self._is_finished:
            self._append(rec.StepEnded(time.time_ns(), step.span, status, text(step.error or "", DEFAULT_LIMITS)))
        if self._console is not None and step.status is ActionStatus.SKIPPED:
            self._console.log_message(f"step {step.name} skipped", LogLevel.DEBUG)

    def _forget_where(self) -> None:
        self._where_known = (None, _OUTSIDE)
        self._slots.pop(None, None)

    def _where(self, context: Context) -> tuple[bytes, bytes]:
        """Return the step that a record made in `context` belongs to, and the span that somebody else opened in it."""
        own = self._own_span(context)
        current = get_current_span(context).get_span_context()
        active = b""
        if current.is_valid and current.span_id != int.from_bytes(own or self._identity.span_id, "big"):
            active = current.trace_id.to_bytes(16, "big") + current.span_id.to_bytes(8, "big")
        where = (own, active)
        self._where_known = (context, where)
        return where

    def _own_span(self, context: Context) -> bytes:
        found = context.get(_STEP_KEY)
        if isinstance(found, tuple) and found[0] == self._identity.span_id:
            return bytes(found[1])
        for step in reversed(self._open_steps):  # a thread that was started inside a step has an empty context
            if isinstance(step, _SpanStep):
                return step.span
        return b""

    def _run_context(self) -> Context:
        return self._context_of(b"")

    def _context_of(self, step: bytes) -> Context:
        span = NonRecordingSpan(self._span_context(step or self._identity.span_id))
        return set_value(_STEP_KEY, (self._identity.span_id, step), set_span_in_context(span))

    def _span_context(self, span: bytes) -> SpanContext:
        trace_id = int.from_bytes(self._identity.trace_id, "big")
        return SpanContext(
            trace_id, int.from_bytes(span, "big"), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )

    def set_action(self, name: str) -> None:
        """Note the action that the run executes: the attribute ``synapse.action`` of its span."""
        if not self._is_finished:
            self._append(rec.ActionNamed(time.time_ns(), text(name, DEFAULT_LIMITS)))

    def _record_exception(self, error: BaseException, span: bytes) -> None:
        stack = text("".join(traceback.format_exception(error)), DEFAULT_LIMITS)
        kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        message = text(error, DEFAULT_LIMITS)
        self._append(rec.ExceptionRecorded(time.time_ns(), span, b"", kind, message, stack))

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
    def journal_dir(self) -> str | None:
        """The directory of the run's journals; None where there is none."""
        return str(self._journal.path.run) if self._journal and self._journal.path else None

    def propagation_env(self) -> dict[str, str]:
        """Environment variables that make a child process part of this run: same trace, same job, same journals."""
        context = get_current_span().get_span_context()
        own = self._span_context(self._own_span(get_current()) or self._identity.span_id)
        span = context if context.trace_id == own.trace_id else own
        return {
            "TRACEPARENT": f"00-{self.trace_id}-{format_span_id(span.span_id)}-01",
            "SYNAPSE_JOB_ID": self._identity.job_id,
            "SYNAPSE_OTEL_JOURNAL_DIR": str(self._settings.journal_dir),
        }

    def end_log(self) -> None:
        """Say that the plugin has done its work, and wait shortly for the delivery, see `BaseLogger.end_log`."""
        if self._ended or self._is_finished:
            return
        self._ended = True
        span, active = self._where(get_current())
        self._append(rec.LogEnded(time.time_ns(), span, active))
        self.flush(self._settings.finish_timeout)

    def _on_finish(self) -> None:
        _unfinished.discard(self)
        self._slots.clear()
        self._write_pending()
        message = ""
        if self._error is not None:
            message = text(self._error, DEFAULT_LIMITS)
            self._record_exception(self._error, b"")
        self._append(rec.RunEnded(time.time_ns(), self._status.value, message))
        if get_current_span().get_span_context().span_id == int.from_bytes(self._identity.span_id, "big"):
            detach(self._token)
        if self._console is not None:
            self._console.finish(self._status, self._error)
        if self._journal is not None:
            self._journal.close()
        if self._shipper is not None:
            deadline = time.monotonic() + self._settings.finish_timeout
            self._shipper.flush(self._settings.finish_timeout)
            self._shipper.stop(max(0.5, deadline - time.monotonic()))

    def _start_shipper(self, plan: ShippingPlan) -> None:
        from synapse_otel.export.shipper import Shipper  # the SDK's data model, only for a run

        assert self._journal is not None
        self._shipper = Shipper(self._journal, plan, self._tick)
        self._shipper.start()

    def _tick(self) -> None:
        with contextlib.suppress(RuntimeError):  # the journal was closed meanwhile
            self._write_pending()
            now = time.time_ns()
            if now - self._last_beat >= HEARTBEAT:
                self._last_beat = now
                self._append(rec.Heartbeat(now))

    def _write_pending(self) -> None:
        for slot in list(self._tracks.values()):
            if isinstance(slot, _Slot) and slot.pending:
                slot.pending = False
                self._write_slot(slot, failed=False)

    # -- other processes

    def _continue_in_child(self, plan: ShippingPlan) -> None:
        assert self._journal is not None
        self._identity = self._journal.identity
        _abandoned.append(self._shipper)
        self._forget_where()
        self._start_shipper(plan)
        _finish_with_multiprocessing(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _resume, (self.propagation_env(), self._identity.name, self._settings)


def shipping_plan(settings: TelemetrySettings) -> ShippingPlan:
    from synapse_otel.export import plan

    return plan.shipping_plan(settings)


class _NothingSecret(dict[str, bool]):
    def __missing__(self, key: str) -> bool:
        return False


def _console() -> BaseLogger:
    from synapse_otel.console import ConsoleLogger  # rich, only where it is shown

    return ConsoleLogger()


def _nowhere(record: rec.Record) -> None:
    """Where records go when ``OTEL_SDK_DISABLED`` is true."""


def _say_degraded(error: OSError) -> None:
    from synapse_otel.export.notices import logger

    logger.warning(
        "the journal cannot be written (%s): records are kept in memory, bounded, and go with the process", error
    )


def _is_cancellation(error: BaseException | None) -> bool:
    return isinstance(error, KeyboardInterrupt | GeneratorExit) or type(error).__name__ == "CancelledError"


_unfinished: weakref.WeakSet[OTelLogger] = weakref.WeakSet()
_abandoned: list[Any] = []  # a parent's shipper must not be collected in a forked child: its connections are shared


@atexit.register
def _finish_all() -> None:
    """Close the runs that nobody closed, when the interpreter ends."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    status = RunStatus.COMPLETED if error is None else RunStatus.FAILED
    for logger in list(_unfinished):
        logger.finish(status, error)


def _finish_with_multiprocessing(logger: OTelLogger) -> None:
    """Close the run of a forked `multiprocessing` child: it ends without the interpreter's exit handlers."""
    if "multiprocessing.util" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(logger, logger.finish, exitpriority=0)


def _resume(env: dict[str, str], name: str, settings: TelemetrySettings) -> OTelLogger:
    """Go on with a run that came here pickled: same trace, same job, a journal of its own."""
    return OTelLogger(name=name, settings=settings, parent_env=env)
