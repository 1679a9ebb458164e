"""The SDK's context: the job of its logger, and the way of its run into other processes."""

from __future__ import annotations

from contextlib import nullcontext
from multiprocessing.reduction import ForkingPickler
from typing import Any

from synapse_otel.sdk.guard import guarded
from synapse_otel.sdk.loggers import instrument_class
from synapse_otel.sdk.patching import Function, Patches, inside
from synapse_otel.sdk.runs import runs

_CARRIED = "_synapse_otel"
"""Where the state of a pickled context says which run it belongs to, in values of the standard library only."""


def instrument_context(cls: type, patches: Patches) -> None:
    """Let the SDK's `RuntimeContext` be known, and carry its run where it is pickled."""

    def knowing_its_logger(original: Function) -> Function:
        def know(_entered: None, _result: None, ctx: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG001
            _know(ctx, patches)

        return inside(original, lambda *_, **__: nullcontext(), know)

    def __getstate__(ctx: Any) -> Any:  # noqa: N807
        attributes, slots = _state(object.__getstate__(ctx))
        attributes = {**attributes, **_carried(ctx)}
        return (attributes, slots) if slots else attributes

    def __setstate__(ctx: Any, state: Any) -> None:  # noqa: N807
        env = _set(ctx, state)
        _know(ctx, patches)
        if isinstance(env, dict):
            _carry_on(ctx, env)

    patches.wrap(cls, "__init__", knowing_its_logger)
    patches.put(cls, "__getstate__", __getstate__)
    patches.put(cls, "__setstate__", __setstate__)
    # A child of multiprocessing has the packages of its parent, so that what it unpickles can instrument it first.
    ForkingPickler.register(cls, lambda ctx: _reduced(ctx) if patches.active else ctx.__reduce_ex__(4))


def _know(ctx: Any, patches: Patches) -> None:
    with guarded("a context is not instrumented"):
        logger = getattr(ctx, "logger", None)
        if hasattr(logger, "set_progress"):
            instrument_class(type(logger), patches)
            runs.note_job(logger, getattr(ctx, "job_id", None))


def _carried(ctx: Any) -> dict[str, Any]:
    with guarded("a context does not carry its run"):
        run = runs.of(ctx.logger)
        if run is not None:
            return {_CARRIED: run.core.propagation_env()}
    return {}


def _carry_on(ctx: Any, env: dict[str, str]) -> None:
    with guarded("a context does not go on with its run"):
        run = runs.carry_on(env)
        if run is not None:
            runs.bind(ctx.logger, run)


def _reduced(ctx: Any) -> tuple[Any, ...]:
    return resumed_context, (type(ctx), ctx.__getstate__())


def resumed_context(cls: type, state: dict[str, Any]) -> Any:
    """Return a context that `multiprocessing` carried here, in a process that is instrumented from now on."""
    from synapse_otel.sdk.instrumentor import SynapseInstrumentor

    instrumentor = SynapseInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()
    ctx: Any = object.__new__(cls)
    env = _set(ctx, state)
    if env is not None:
        _carry_on(ctx, env)
    return ctx


def _state(state: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes and the slots that the default state of an object has."""
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    return attributes or {}, slots or {}


def _set(ctx: Any, state: Any) -> Any:
    attributes, slots = _state(state)
    vars(ctx).update({key: value for key, value in attributes.items() if key != _CARRIED})
    for name, value in slots.items():
        setattr(ctx, name, value)
    return attributes.get(_CARRIED)
