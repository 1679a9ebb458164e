"""Reports what loggers of the Synapse SDK are told, whatever their class."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from typing import Any

from synapse_otel.sdk.delegation import Call, CallsUnderWay
from synapse_otel.sdk.guard import guarded
from synapse_otel.sdk.patching import Function, OnlyHere, Patches, inside, subclasses, wraps
from synapse_otel.sdk.reports import REPORTS, RefusedError, Report
from synapse_otel.sdk.runs import runs

_REFUSED_WHEN_FINISHED = frozenset(REPORTS) - {
    "log_event",
    "log_message",
    "log_metric",
    "log_visualization",
    "log_trials",
}
_under_way = CallsUnderWay()


def instrument_base(base: type, patches: Patches) -> None:
    """Let every class of loggers report: those that there are, and others when there is one of them."""
    for cls in (base, *subclasses(base)):
        instrument_class(cls, base, patches)
    patches.wrap(base, "__init__", functools.partial(_instrumenting_its_class, base, patches))


def _instrumenting_its_class(base: type, patches: Patches, original: Function) -> Function:
    def scope(logger: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG001  # those of any logger
        instrument_class(type(logger), base, patches)
        return nullcontext()

    return inside(original, scope)


def instrument_class(cls: type, base: type, patches: Patches) -> None:
    """Let a class of loggers report, with those between it and `base`, the SDK's, and that one."""
    for method, report in REPORTS.items():
        patches.wrap_method(cls, base, method, functools.partial(reporting, method, report))
    patches.wrap_method(cls, base, "finish", finishing)


def reporting(method: str, report: Report, original: Function) -> Function:
    """Return a logger's method that is reported, once, and is otherwise as it was."""
    silent_when_finished = method in _REFUSED_WHEN_FINISHED

    def before(logger: Any, args: Any, kwargs: Any) -> Any:
        stack = _under_way.stack
        call, refused = Call(method, args, kwargs), None
        outer = stack[-1] if stack else None
        if outer is not None and outer.reported and outer.continues(call, logger):
            call.reported = True
        elif not (silent_when_finished and _is_finished(logger)):
            refused = _report(call, report, logger, args, kwargs)
            if call.reported:
                for around in stack:  # what we could not read of them is what this one said
                    around.reported = True
        stack.append(call)
        return stack, call, refused

    def after(call: Call, refused: Exception, logger: Any, args: Any, kwargs: Any) -> None:
        if not call.reported:
            _keep(logger, method, refused, args, kwargs)

    ours: OnlyHere | None = OnlyHere(before, after)

    @wraps(original)
    def reported(logger: Any, *args: Any, **kwargs: Any) -> Any:
        if ours is None:
            return original(logger, *args, **kwargs)
        stack, call, refused = ours.before(logger, args, kwargs)
        try:
            result = original(logger, *args, **kwargs)
        except BaseException as error:
            ours.leave_no_trace(error)
            raise
        finally:
            stack.pop()
        if refused is not None:
            ours.after(call, refused, logger, args, kwargs)
        return result

    return reported


def _is_finished(logger: Any) -> bool:
    try:
        return bool(getattr(logger, "_is_finished", False))
    except Exception:  # noqa: BLE001  # a foreign __getattr__ may raise anything
        return False


def finishing(original: Function) -> Function:
    """Return a logger's `finish` with which the run ends that the logger opened."""

    def end(_entered: None, _result: Any, logger: object, *_: Any, **__: Any) -> None:
        runs.logger_finished(logger)

    return inside(original, lambda *_, **__: nullcontext(), end)


def _report(call: Call, report: Report, logger: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception | None:
    """Record a call before it is made; return why not, where that may be for the SDK to say."""
    try:
        run = runs.of(logger)
        if run is None:
            call.reported = True
            return None
        try:
            report(run, logger, *args, **kwargs)
        except RuntimeError:
            if not run.core.is_finished:
                raise
            _again(report, logger, args, kwargs)  # it ended meanwhile, in another thread
    except RefusedError:
        return None
    except Exception as error:  # noqa: BLE001  # nothing of ours reaches a plugin that knows nothing of us
        return error
    call.reported = True
    return None


def _again(report: Report, logger: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    run = runs.of(logger)
    if run is not None:
        report(run, logger, *args, **kwargs)


def _keep(logger: Any, method: str, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Record what the SDK accepted and we could not read, as it is."""
    with guarded("a report could not be recorded"):
        run = runs.of(logger)
        if run is not None:
            run.core.log_dev_event(f"{method}: {error}", {"args": list(args), "kwargs": kwargs})
