"""A span for every step of a workflow of the Synapse SDK, with its being skipped, its failure and its rollback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from synapse_otel.logger import StepHandle
from synapse_otel.sdk.patching import Patches, inside
from synapse_otel.sdk.runs import plain_name, runs

# The ids of the steps of the workflow that runs, and their places. A step that another one wraps is not among them: it
# is executed as a part of that one.
_workflow: ContextVar[dict[int, int]] = ContextVar("synapse_otel_workflow", default={})  # noqa: B039  # never changed


_between_steps: ContextVar[bool] = ContextVar("synapse_otel_between_steps", default=False)


def is_between_steps() -> bool:
    """Return whether it is the orchestrator that reports, and not one of its steps."""
    return _between_steps.get()


def instrument_orchestrator(cls: type, patches: Patches) -> None:
    """Let the steps of every workflow that is executed from now on be spans."""

    @contextmanager
    def knowing_its_steps(orchestrator: Any) -> Iterator[None]:
        steps = orchestrator._registry.get_steps()
        for step in steps:
            for base in type(step).__mro__[:-1]:
                patches.wrap(base, "can_skip", lambda original: inside(original, _asking, _skipped))
                patches.wrap(base, "execute", lambda original: inside(original, _span, _executed))
                patches.wrap(base, "rollback", lambda original: inside(original, _rollback))
        token, between = _workflow.set({id(step): order for order, step in enumerate(steps)}), _between_steps.set(True)
        try:
            yield
        finally:
            _workflow.reset(token)
            _between_steps.reset(between)

    patches.wrap(cls, "execute", lambda original: inside(original, knowing_its_steps))


@contextmanager
def _asking(*_: Any, **__: Any) -> Iterator[None]:
    token = _between_steps.set(False)
    try:
        yield
    finally:
        _between_steps.reset(token)


def _skipped(_entered: None, skipped: Any, step: Any, context: Any) -> None:
    if skipped:
        with _span(step, context) as span:
            if span is not None:
                span.skip()


def _executed(span: StepHandle | None, result: Any, step: Any, context: Any) -> None:  # noqa: ARG001
    if span is not None and not getattr(result, "success", True):
        span.fail(getattr(result, "error", None))
    elif span is not None and getattr(result, "skipped", False):
        span.skip()


def _rollback(step: Any, context: Any, result: Any) -> AbstractContextManager[StepHandle | None]:  # noqa: ARG001
    return _span(step, context, "rollback ")


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
    # During a rollback the SDK's loggers still name the step that failed.
    before, run.step = run.step, getattr(context.runtime_ctx.logger, "_current_step", None) or name
    between = _between_steps.set(False)
    try:
        with run.core.step(f"{prefix}{name}") as span:
            span.order = workflow[id(step)]
            yield span
    finally:
        run.step = before
        _between_steps.reset(between)
        _workflow.reset(token)
