"""A span for every step of a workflow of the Synapse SDK, with its being skipped, its failure and its rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from synapse_otel.logger import StepHandle
from synapse_otel.sdk.guard import guarded
from synapse_otel.sdk.patching import Function, Patches, inside
from synapse_otel.sdk.runs import Run, plain_name, runs

# The ids of the steps of the workflow that runs, and their places. A step that another one wraps is not among them: it
# is executed as a part of that one.
_workflow: ContextVar[dict[int, int]] = ContextVar("synapse_otel_workflow", default={})  # noqa: B039  # never changed


_between_steps: ContextVar[bool] = ContextVar("synapse_otel_between_steps", default=False)


def is_between_steps() -> bool:
    """Return whether it is the orchestrator that reports, and not one of its steps."""
    return _between_steps.get()


def instrument_orchestrator(cls: type, base_step: Callable[[], type], patches: Patches) -> None:
    """Let the steps of every workflow that is executed from now on be spans.

    Args:
        cls: The SDK's `Orchestrator`.
        base_step: Returns the SDK's `BaseStep`.
        patches: What was replaced.
    """

    @contextmanager
    def knowing_its_steps(orchestrator: Any, *_: Any, **__: Any) -> Iterator[None]:
        workflow: dict[int, int] = {}
        with guarded("the steps of a workflow are not followed"):
            for order, step in enumerate(orchestrator._registry.get_steps()):
                workflow[id(step)] = order
                for method, make in _METHODS.items():
                    patches.wrap_method(type(step), base_step(), method, make)
        token, between = _workflow.set(workflow), _between_steps.set(True)
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


def _skipped(_entered: None, skipped: Any, step: Any, *args: Any, **kwargs: Any) -> None:
    if skipped:
        with _span(step, *args, **kwargs) as span:
            if span is not None:
                span.skip()


def _executed(span: StepHandle | None, result: Any, *_: Any, **__: Any) -> None:
    if span is not None and not getattr(result, "success", True):
        span.fail(getattr(result, "error", None))
    elif span is not None and getattr(result, "skipped", False):
        span.skip()


def _rollback(step: Any, *args: Any, **kwargs: Any) -> AbstractContextManager[StepHandle | None]:
    return _span(step, *args, prefix="rollback ", **kwargs)


@contextmanager
def _span(step: Any, *args: Any, prefix: str = "", **kwargs: Any) -> Iterator[StepHandle | None]:
    """Open the span of a step, unless it is a part of another one, or its span is open: a method of a base class."""
    workflow, opened = _workflow.get(), None
    if id(step) in workflow:
        with guarded("a step is not followed"):
            logger = (args[0] if args else next(iter(kwargs.values()))).runtime_ctx.logger
            opened = _opened(runs.of(logger), logger, step, prefix)
    if opened is None:
        yield None
        return
    run, span, name = opened
    span.order = workflow[id(step)]
    token = _workflow.set({key: order for key, order in workflow.items() if key != id(step)})
    between, before, run.step = _between_steps.set(False), run.step, name
    try:
        with span:
            yield span
    finally:
        run.step = before
        _between_steps.reset(between)
        _workflow.reset(token)


def _opened(run: Run | None, logger: Any, step: Any, prefix: str) -> tuple[Run, StepHandle, str] | None:
    if run is None:
        return None
    name = plain_name(step.name) or type(step).__name__
    # During a rollback the SDK's loggers still name the step that failed.
    return run, run.core.step(f"{prefix}{name}"), getattr(logger, "_current_step", None) or name


_METHODS: dict[str, Callable[[Function], Function]] = {
    "can_skip": lambda original: inside(original, _asking, _skipped),
    "execute": lambda original: inside(original, _span, _executed),
    "rollback": lambda original: inside(original, _rollback),
}
