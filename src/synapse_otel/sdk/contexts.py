"""The SDK's context: the job of its logger, and the way of its run into other processes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing.reduction import ForkingPickler
from typing import Any

from synapse_otel.sdk.guard import guarded
from synapse_otel.sdk.loggers import instrument_class
from synapse_otel.sdk.patching import Function, Patches, inside
from synapse_otel.sdk.runs import runs

_CARRIED = "_synapse_otel"
"""Where the state of a pickled context says which run it belongs to, in values of the standard library only."""


def instrument_context(cls: type, base_logger: Callable[[], type], patches: Patches) -> None:
    """Let the SDK's `RuntimeContext` be known, and carry its run where it is pickled.

    Args:
        cls: The class.
        base_logger: Returns the SDK's `BaseLogger`.
        patches: What was replaced.
    """

    def know(ctx: Any) -> None:
        logger = getattr(ctx, "logger", None)
        if hasattr(logger, "set_progress"):
            instrument_class(type(logger), base_logger(), patches)
            runs.note_job(logger, getattr(ctx, "job_id", None))

    def knowing_its_logger(original: Function) -> Function:
        return inside(original, lambda *_, **__: nullcontext(), lambda _entered, _result, ctx, *_, **__: know(ctx))

    def __getstate__(ctx: Any) -> Any:  # noqa: N807  # becomes a method
        state = object.__getstate__(ctx)
        if getattr(type(ctx), "__setstate__", None) is not __setstate__:
            return state  # one that does not know what we would add
        with guarded("a context does not carry its run"):
            run = runs.bound(ctx.logger) or runs.current()
            if run is not None:
                attributes, slots = _parts(state)
                attributes = {**attributes, _CARRIED: run.core.propagation_env()}
                return (attributes, slots) if slots else attributes
        return state

    def __setstate__(ctx: Any, state: Any) -> None:  # noqa: N807  # becomes a method
        attributes, slots = _parts(state)
        vars(ctx).update({key: value for key, value in attributes.items() if key != _CARRIED})
        for name, value in slots.items():
            setattr(ctx, name, value)
        with guarded("a context does not go on with its run"):
            know(ctx)
            if _CARRIED in attributes:
                _carry_on(ctx, attributes[_CARRIED])

    patches.wrap(cls, "__init__", knowing_its_logger)
    patches.put(cls, "__getstate__", __getstate__)
    patches.put(cls, "__setstate__", __setstate__)
    # A child of multiprocessing has the packages of its parent, so that what it unpickles can instrument it first.
    ForkingPickler.register(cls, _reduced)


def _carry_on(ctx: Any, env: dict[str, str]) -> None:
    if runs.bound(ctx.logger) is None:
        run = runs.carry_on(env)
        if run is not None:
            runs.bind(ctx.logger, run)


def _parts(state: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes and the slots that the default state of an object has."""
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    return attributes or {}, slots or {}


def _reduced(ctx: Any) -> Any:
    from synapse_otel.sdk.instrumentor import SynapseInstrumentor

    if not SynapseInstrumentor().is_instrumented_by_opentelemetry:
        return ctx.__reduce_ex__(4)
    with guarded("a context does not carry its run"):
        runs.of(ctx.logger)  # it goes to another process, so that there is a run to go on with
    return resumed_context, (type(ctx), ctx.__getstate__())


def resumed_context(cls: type, state: Any) -> Any:
    """Return a context that `multiprocessing` carried here, in a process that is instrumented from now on."""
    from synapse_otel.sdk.ray import worker_process_setup_hook

    worker_process_setup_hook()
    ctx: Any = object.__new__(cls)
    ctx.__setstate__(state)
    return ctx
