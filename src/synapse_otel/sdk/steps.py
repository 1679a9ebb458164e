"""A span for every step of a workflow of the Synapse SDK, with its being skipped, its failure and its rollback."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from synapse_otel.logger import StepHandle
from synapse_otel.sdk.patching import Function, Patches
from synapse_otel.sdk.runs import plain_name, runs

# The ids of the steps of the workflow that runs, and their places. A step that another one wraps is not among them: it
# is executed as a part of that one.
_workflow: ContextVar[dict[int, int]] = ContextVar("synapse_otel_workflow", default={})  # noqa: B039  # never changed


def instrument_orchestrator(cls: type, patches: Patches) -> None:
    """Let the steps of every workflow that is executed from now on be spans."""

    def knowing_its_steps(original: Function) -> Function:
        @functools.wraps(original)
        def execute(orchestrator: Any, *args: Any, **kwargs: Any) -> Any:
            steps = orchestrator._registry.get_steps()
            for step in steps:
                _instrument_class(type(step), patches)
            token = _workflow.set({id(step): order for order, step in enumerate(steps)})
            try:
                return original(orchestrator, *args, **kwargs)
            finally:
                _workflow.reset(token)

        return execute

    patches.wrap(cls, "execute", knowing_its_steps)


def _instrument_class(cls: type, patches: Patches) -> None:
    for base in cls.__mro__[:-1]:
        patches.wrap(base, "can_skip", _skipping)
        patches.wrap(base, "execute", _executing)
        patches.wrap(base, "rollback", _rolling_back)


def _skipping(original: Function) -> Function:
    @functools.wraps(original)
    def can_skip(step: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        skipped = original(step, context, *args, **kwargs)
        if skipped:
            with _span(step, context) as span:
                if span is not None:
                    span.skip()
        return skipped

    return can_skip


def _executing(original: Function) -> Function:
    @functools.wraps(original)
    def execute(step: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        with _span(step, context) as span:
            result = original(step, context, *args, **kwargs)
            if span is not None and not getattr(result, "success", True):
                span.fail(getattr(result, "error", None))
            elif span is not None and getattr(result, "skipped", False):
                span.skip()
            return result

    return execute


def _rolling_back(original: Function) -> Function:
    @functools.wraps(original)
    def rollback(step: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        with _span(step, context, "rollback "):
            return original(step, context, *args, **kwargs)

    return rollback


@contextmanager
def _span(step: Any, context: Any, prefix: str = "") -> Iterator[StepHandle | None]:
    """Open the span of a step, unless it is a part of another one, or its span is open: a method of a base class."""
    workflow = _workflow.get()
    run = None if id(step) not in workflow else runs.of(getattr(context.runtime_ctx, "logger", None))
    if run is None:
        yield None
        return
    token = _workflow.set({key: order for key, order in workflow.items() if key != id(step)})
    name = plain_name(step.name) or type(step).__name__
    before, run.step = run.step, name
    try:
        with run.core.step(f"{prefix}{name}") as span:
            span.order = workflow[id(step)]
            yield span
    finally:
        run.step = before
        _workflow.reset(token)
