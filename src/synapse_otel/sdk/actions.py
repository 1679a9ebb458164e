"""A run for every action of the Synapse SDK: with its name, its category, its outcome and what it raised."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from synapse_otel.sdk.guard import guarded
from synapse_otel.sdk.patching import Function, Patches, Standin, inside, subclasses
from synapse_otel.sdk.runs import Run, plain_name, runs

# -- runs


@contextmanager
def running_action(subject: Any, ctx: Any) -> Iterator[None]:
    """Run what is inside as an action: in the run that awaits one, else in a run of its own.

    Args:
        subject: The action, or its class or function.
        ctx: The SDK's context, whose logger reports to the run.
    """
    logger, run, awaiting = getattr(ctx, "logger", None), None, None
    with guarded("an action is not recorded"):
        awaiting = _awaiting(logger)
        run = awaiting or runs.open("action", action_name(subject), job_id=plain_name(getattr(ctx, "job_id", None)))
        if run is not None:
            run.subject, run.error = subject, None
            category = plain_name(_marked(subject, "category"))
            run.core.set_action(action_name(subject), category, names_run=run.opened_by in {"host", "process"})
    if run is None:
        yield
        return
    try:
        with runs.running(run, logger):
            yield
    except BaseException as error:
        # A process is not to outlive the failure of its action in the records: the rest is what ends it.
        if awaiting is None or run.opened_by == "process":
            _close(run, error)
        run.error = error
        raise
    if awaiting is None:
        _close(run)


@contextmanager
def hosting(name: str, job_id: str | None = None, *, subject: object = None) -> Iterator[Run | None]:
    """Run what is inside as one run: what executes an action, from before it is loaded until after it is done.

    Args:
        name: The run's name.
        job_id: The job; that of the run around it, or of the environment, by default.
        subject: What it executes, where that is no single action, so that no action takes the run for its own.
    """
    run = runs.open("host", name, job_id=job_id)
    if run is None:
        yield None
        return
    run.subject = subject
    try:
        with runs.running(run):
            yield run
    except BaseException as error:
        _close(run, error)
        raise
    _close(run)


def action_name(subject: Any) -> str:
    """Return the name of an action, its class or function, or of the entrypoint of one."""
    if isinstance(subject, str):
        return subject.rpartition(".")[2]
    name = _marked(subject, "name")
    kind = subject if isinstance(subject, type) or inspect.isroutine(subject) else type(subject)
    return plain_name(name) or str(getattr(kind, "__name__", "run"))


def _marked(subject: Any, what: str) -> Any:
    """Return what a class says of its action as an attribute, and a function as a mark of its decorator."""
    of_class = "action_name" if what == "name" else what
    return getattr(subject, f"_action_{what}", None) or getattr(subject, of_class, None)


def _awaiting(logger: object) -> Run | None:
    candidates = (None if logger is None else runs.bound(logger), runs.current())
    return next((run for run in candidates if run is not None and run.awaits_action), None)


def _close(run: Run, error: BaseException | None = None) -> None:
    with guarded("a run could not be ended"):
        runs.close(run, error)


# -- actions


def instrument_base(base: type, patches: Patches) -> None:
    """Let `BaseAction`, and what is derived from it, run in runs."""
    for cls in [base, *subclasses(base)]:
        instrument_dispatch(cls, patches)
    patches.wrap(base, "__init_subclass__", functools.partial(_instrumenting_what_is_derived, patches))
    patches.wrap(base, "run", _ran)
    patches.wrap(base, "__init__", functools.partial(_instrumenting_its_class, base, patches))


def instrument_dispatch(cls: type, patches: Patches) -> None:
    """Let a class that dispatches in a way of its own do so in a run."""
    patches.wrap(cls, "dispatch", _dispatched)


def _instrumenting_its_class(base: type, patches: Patches, original: Function) -> Function:
    def scope(action: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG001  # those of any action
        # Only now: a class that came by value from another process gets its methods after it was made.
        for method in ("run", "execute"):
            patches.wrap_method(type(action), base, method, _ran)
        return nullcontext()

    return inside(original, scope)


def _instrumenting_what_is_derived(patches: Patches, original: Function) -> Function:
    def derived(_entered: None, _result: None, cls: type, *_: Any, **__: Any) -> None:
        instrument_dispatch(cls, patches)

    return inside(original, lambda *_, **__: nullcontext(), derived)


def _dispatched(original: Function) -> Function:
    return inside(original, lambda cls, *args, **kwargs: _unless_running(cls, _argument(1, "ctx", args, kwargs)))


def _ran(original: Function) -> Function:
    return inside(original, lambda action, *_, **__: _unless_running(action, getattr(action, "ctx", None)))


def _argument(at: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[at] if len(args) > at else kwargs.get(name)


def _unless_running(subject: Any, ctx: Any) -> Any:
    """Run an action, unless it is the one that runs: dispatched, and now called by its base class or its steps."""
    run = runs.current()
    if run is not None and run.subject is type(subject):
        run.subject = subject  # the instance of the class that was dispatched
    return nullcontext() if run is not None and run.subject is subject else running_action(subject, ctx)


def instrument_decorator(
    module: Any, patches: Patches, everywhere: Callable[[object, object], None], is_on: Callable[[], bool]
) -> None:
    """Let functions that are decorated as actions from now on run in runs.

    Args:
        module: Where the decorator `action` is defined.
        patches: What was replaced.
        everywhere: Replaces an object by another one in all modules of the SDK.
        is_on: Returns whether the SDK is instrumented: what was decorated stays so.
    """
    original = module.action

    @functools.wraps(original)
    def action(*args: Any, **kwargs: Any) -> Any:
        decorate = original(*args, **kwargs)

        @functools.wraps(decorate)
        def decorated(function: Function) -> Any:
            def scope(*call: Any, **named: Any) -> Any:
                ctx = next((value for value in (*call, *named.values()) if _is_context(value)), None)
                return _unless_running(marked, ctx) if ctx is not None and is_on() else nullcontext()

            marked = decorate(Standin(function, inside(function, scope)))
            return marked

        return decorated

    patches.put(module, "action", action)
    everywhere(original, action)


def _is_context(value: object) -> bool:
    return any(
        cls.__name__ == "RuntimeContext" and cls.__module__.startswith("synapse_sdk.") for cls in type(value).__mro__
    )


# -- what executes actions


def instrument_executor(cls: type, method: str, patches: Patches) -> None:
    """Let an executor, whose method's first argument is an action or its entrypoint, be the host of each action."""

    def host(executor: Any, *args: Any, **kwargs: Any) -> Any:
        action = args[0] if args else kwargs.get("action_cls", kwargs.get("entrypoint", ""))
        return hosting(action_name(action), plain_name(getattr(executor, "_job_id", None)))

    patches.wrap(cls, method, lambda original: inside(original, host))


def instrument_pipeline(cls: type, method: str, actions: Callable[..., list[Any]], patches: Patches) -> None:
    """Let what executes several actions be a run, in which each of them is a run of its own.

    Args:
        cls: The class.
        method: Its method that executes.
        actions: Returns the actions, from what the method is called with.
        patches: What was replaced.
    """

    @contextmanager
    def host(pipeline: Any, *args: Any, **kwargs: Any) -> Iterator[None]:
        ctx = next((value for value in (*args, *kwargs.values()) if _is_context(value)), None)
        job_id = plain_name(getattr(ctx, "job_id", None)) or plain_name(getattr(pipeline, "_run_id", None))
        with hosting("pipeline", job_id, subject=pipeline) as run:
            if run is not None:
                with guarded("the actions of a pipeline are not known"):
                    named = " | ".join(map(action_name, actions(pipeline, *args, **kwargs)))
                    run.core.set_action(named, "pipeline")
            yield

    patches.wrap(cls, method, lambda original: inside(original, host))


def instrument_main(module: Any, patches: Patches) -> None:
    """Let the entrypoint of Ray jobs be a host where it is called; where it is the process, that is the run."""
    patches.wrap(module, "main", lambda original: inside(original, lambda: hosting("entrypoint")))
