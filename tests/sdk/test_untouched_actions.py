"""Actions, pipelines and workflows do what they did, whatever executes them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import logging
import re
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from synapse_sdk.loggers import ConsoleLogger, NoOpLogger
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.decorators import action as action_decorator
from synapse_sdk.plugins.executors.local import LocalExecutor
from synapse_sdk.plugins.executors.ray import job as ray_job
from synapse_sdk.plugins.executors.ray import pipeline as ray_pipeline
from synapse_sdk.plugins.executors.ray import task as ray_task
from synapse_sdk.plugins.pipelines.action_pipeline import ActionPipeline
from synapse_sdk.plugins.runner import run_plugin
from synapse_sdk.plugins.steps.context import BaseStepContext
from synapse_sdk.plugins.steps.orchestrator import Orchestrator
from synapse_sdk.plugins.steps.registry import StepRegistry

from sdk import comparing
from sdk.backend import Backend
from sdk.comparing import Clock, assert_same, assert_untouched, done, instrumentation, seen
from sdk.loggers import Delegating, OwnLogger, close, immediate
from sdk.own_actions import WORKFLOWS, Breaks, Greets, Leaves, Mismatched, OwnWay, Params, Waits
from synapse_otel.testing import Collector

clock = comparing.clock
backend = comparing.backend


def decorated() -> Any:
    """A function that is decorated as an action only now."""

    @action_decorator(name="function", params=Params)
    def function(params: Params, ctx: Any, *, loud: bool = False) -> dict[str, Any]:
        """Greet."""
        ctx.log_message("from a function")
        if loud:
            raise ValueError("loud")
        return {"name": params.name}

    return function


ACTIONS: dict[str, tuple[type[BaseAction[Any]], dict[str, Any]]] = {
    "success": (Greets, {"times": 3}),
    "mismatch": (Mismatched, {}),
    "own": (OwnWay, {"name": "me"}),
    "waiting": (Waits, {}),
    "failing": (Breaks, {}),
    "leaving": (Leaves, {}),
    "invalid": (Greets, {"times": "many"}),
}


@pytest.mark.parametrize("kind", ACTIONS)
def test_the_local_executor_does_what_it_did(kind: str, clock: Clock, collector: Collector) -> None:
    """An action that runs here prints, returns and raises the same, from the same frames."""
    action, params = ACTIONS[kind]

    def scenario() -> list[Any]:
        clock.set(1.0)
        return [done(kind, LocalExecutor(env={"A": "1"}, job_id="job-1").execute, action, params)]

    (plain,) = assert_untouched(scenario, collector)
    assert (plain.raised is None) == (kind in {"success", "mismatch", "own", "waiting"})


@pytest.mark.parametrize(
    "setting",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier pigeon"},
        {"SYNAPSE_OTEL_JOURNAL_DIR": "/dev/null/runs"},
        {"OTEL_SDK_DISABLED": "true"},
    ],
    ids=["unreachable", "wrong", "unwritable", "disabled"],
)
def test_telemetry_that_does_not_work_changes_nothing(
    setting: dict[str, str], clock: Clock, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be recorded or sent, actions do what they did; what we say of it, our own logger says."""
    for name, value in {**setting, "SYNAPSE_OTEL_FINISH_TIMEOUT": "0.05"}.items():
        monkeypatch.setenv(name, value)

    def scenario() -> list[Any]:
        clock.set(1.0)
        told = [done(kind, LocalExecutor(env={}).execute, *ACTIONS[kind]) for kind in ("success", "failing", "invalid")]
        logger = OwnLogger()
        told += [done("info", logger.info, "text"), done("finish", logger.finish)]
        theirs = [[record for record in one.logged if not record[0].startswith("synapse_otel")] for one in told]
        return [dataclasses.replace(one, logged=tuple(logged)) for one, logged in zip(told, theirs, strict=True)]

    assert_untouched(scenario, collector, records=None)


@pytest.mark.parametrize("kind", ACTIONS)
def test_actions_that_are_called_otherwise_do_what_they_did(kind: str, collector: Collector, clock: Clock) -> None:
    """An action may be dispatched, run or executed by whoever wants to, with any logger."""
    action, params = ACTIONS[kind]

    def scenario() -> list[Any]:
        clock.set(1.0)
        told: list[Any] = []
        for make in (OwnLogger, lambda: Delegating(NoOpLogger())):
            logger: Any = make()
            ctx = RuntimeContext(logger, PluginEnvironment({}), "job-1")
            told.append(done("dispatch", action.dispatch, params, ctx))
            told.append(done("run", lambda ctx=ctx: action(Params.model_construct(**params), ctx).run()))
            told.append(done("execute", lambda ctx=ctx: action(Params.model_construct(**params), ctx).execute()))
            told.append(done("finish", lambda logger=logger: logger.finish()))
            told.append(seen(logger))
        return told

    assert_untouched(scenario, collector)


@pytest.mark.parametrize("name", ["greet", "break", "missing"])
def test_a_plugin_that_is_run_by_its_name_does_what_it_did(name: str, clock: Clock, collector: Collector) -> None:
    """`run_plugin` finds, runs and fails the same."""

    def scenario() -> list[Any]:
        clock.set(1.0)
        return [
            done(name, run_plugin, Greets.__module__, name, {"times": 2}, job_id="job-1", action_cls=found.get(name))
        ]

    found: dict[str, Any] = {"greet": Greets, "break": Breaks}
    assert_untouched(scenario, collector, records=name != "missing")


def test_a_plugin_is_discovered_as_before(clock: Clock, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's classes and functions that are actions are found by their names, and run."""

    def scenario() -> list[Any]:
        clock.set(1.0)
        module = ModuleType("a_plugin")
        vars(module).update(Greets=Greets, Breaks=Breaks, function=decorated())
        monkeypatch.setitem(sys.modules, "a_plugin", module)
        return [done(name, run_plugin, "a_plugin", name, {}) for name in ("greet", "break", "function", "missing")]

    assert_untouched(scenario, collector)


def test_a_decorated_function_is_what_it_was(clock: Clock, collector: Collector) -> None:
    """A function that is an action is called with what it was called with, and says of itself what it said."""

    def scenario() -> list[Any]:
        clock.set(1.0)
        function, ctx = decorated(), RuntimeContext(OwnLogger(), PluginEnvironment({}), "job-1")
        marks = {key: seen(value) for key, value in vars(function).items() if key != "__wrapped__"}
        about = [
            function.__name__,
            function.__qualname__,
            function.__module__,
            function.__doc__,
            function.__annotations__,
        ]
        return [
            about,
            marks,
            str(inspect.signature(function)),
            inspect.getsource(function),
            inspect.isfunction(function),
            done("positional", function, Params(), ctx),
            done("named", function, ctx=ctx, params=Params(), loud=True),
            done("without", function),
            done("without a context", function, Params(), None),
            done("the function inside", function.__wrapped__, Params(), ctx),
        ]

    assert_untouched(scenario, collector)


def test_a_pipeline_does_what_it_did(clock: Clock, collector: Collector) -> None:
    """Actions that are chained get, return and raise the same, and report their progress the same."""
    pipelines = ([Greets, Mismatched, OwnWay], [Greets, Breaks, Greets], [Greets])
    parameters: tuple[Any, ...] = ({"name": "me"}, Params(), {"times": "many"})

    def scenario() -> list[Any]:
        clock.set(1.0)
        told: list[Any] = []
        for actions, params in zip(pipelines, parameters, strict=True):
            reported: list[Any] = []
            ctx = RuntimeContext(OwnLogger(), PluginEnvironment({}), "job-1")
            pipeline = ActionPipeline(actions)
            report = functools.partial(_report, reported)
            told.append(done("execute", pipeline.execute, params, ctx, progress_callback=report))
            told += [reported, seen(ctx.logger)]
        return told

    assert_untouched(scenario, collector)


def _report(reported: list[Any], *progress: Any) -> None:
    reported.append(progress)


@pytest.mark.parametrize("kind", WORKFLOWS)
def test_a_workflow_does_what_it_did(kind: str, backend: Backend, clock: Clock, collector: Collector) -> None:
    """Steps are skipped, fail and are rolled back the same, with the same results, errors and progress."""

    def scenario() -> list[Any]:
        told: list[Any] = []
        for make in (ConsoleLogger, lambda: immediate(backend), NoOpLogger):
            clock.set(1.0)
            logger = make()
            registry: StepRegistry[BaseStepContext] = StepRegistry()
            for step in WORKFLOWS[kind]():
                registry.register(step)
            context = BaseStepContext(RuntimeContext(logger, PluginEnvironment({}), "job-1"))
            reported: list[Any] = []
            orchestrator = Orchestrator(registry, context, functools.partial(_report, reported))
            told.append(done(kind, orchestrator.execute))
            told += [seen(context.step_results), context.errors, context.current_step, reported, seen(logger)]
            told += [(step.name, seen(result)) for step, result in orchestrator._executed_steps]
            told.append(done("finish", logger.finish))
            close(logger)
        return [*told, without_elapsed(seen(backend.taken()))]

    # The SDK's `LoggingStep` has a clock of its own.
    plain = scenario()
    with instrumentation():
        instrumented = scenario()
    assert_same([without_elapsed(one) for one in instrumented], [without_elapsed(one) for one in plain])
    assert (collector.accepted["logs"] > 0) == (kind != "none")


def without_elapsed(told: Any) -> Any:
    """Return what a step says of itself without the time that it took."""
    return re.sub(r"'elapsed'[:,] [\d.e-]+", "'elapsed': some", repr(told))


REMOTE: dict[str, Callable[[str], Any]] = {
    "task": lambda _: ray_task._ActionExecutorActor("job-1", "ko"),
    "job": lambda _: ray_job._JobExecutorActor("job-1"),
    "pipeline": lambda url: ray_pipeline._PipelineExecutorActor("run-1", "pipeline-1", url),
}


@pytest.mark.parametrize("kind", REMOTE)
def test_what_executes_in_a_worker_does_what_it_did(
    kind: str, backend: Backend, clock: Clock, collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The actors of the SDK's Ray executors return, raise, print and send the same, wherever they run."""
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)  # they set up the logging of the process
    monkeypatch.setitem(sys.modules, "a_plugin", sys.modules[Greets.__module__])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    entrypoints = ["a_plugin.Greets", "a_plugin.Mismatched", "a_plugin.Breaks", "a_plugin.Missing", "nowhere.Missing"]
    method, many = ("run_pipeline", True) if kind == "pipeline" else ("run_action", False)

    def scenario() -> list[Any]:
        told: list[Any] = []
        for entrypoint, params in itertools.product(entrypoints, ({"times": 2}, {"times": "many"})):
            clock.set(1.0)
            actor = REMOTE[kind](backend.url)
            given = ["a_plugin.Greets", entrypoint] if many else entrypoint
            told.append(done(f"{entrypoint} {params}", getattr(actor, method), given, params))
            told.append(seen(backend.taken()))
            if many:
                actor.client.close()
        return told

    assert_untouched(scenario, collector)


def test_objects_go_when_they_went(collector: Collector) -> None:
    """Nothing keeps a logger, a context or an action alive: it goes with its last reference, at once."""

    def scenario() -> list[Any]:
        logger = OwnLogger()
        ctx = RuntimeContext(logger, PluginEnvironment({}), "job-1")
        action = Greets(Params(), ctx)
        action.run()
        references = [weakref.ref(one) for one in (logger, ctx, action)]
        logger.finish()
        del logger, ctx, action
        return [reference() is None for reference in references]

    assert assert_untouched(scenario, collector) == [True, True, True]
