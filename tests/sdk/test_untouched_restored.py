"""What is replaced says of itself what it said, and is put back as it was."""

from __future__ import annotations

import importlib
import inspect
import sys
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import Any

from synapse_sdk.loggers import NoOpLogger
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.executors.local import LocalExecutor
from synapse_sdk.plugins.steps.context import BaseStepContext
from synapse_sdk.plugins.steps.orchestrator import Orchestrator
from synapse_sdk.plugins.steps.registry import StepRegistry

from sdk import comparing
from sdk.calls import played, script
from sdk.comparing import Clock, done, instrumentation
from sdk.loggers import Delegating, OwnLogger
from sdk.own_actions import WORKFLOWS, Greets, OwnWay, Waits
from synapse_otel.sdk import SynapseInstrumentor
from synapse_otel.testing import Collector

clock = comparing.clock

_INSTRUMENTED_MODULES = (
    "synapse_sdk.plugins.actions.inference.serve",
    "synapse_sdk.plugins.entrypoint",
    "synapse_sdk.plugins.executors.ray.base",
    "synapse_sdk.plugins.executors.ray.jobs_api",
    "synapse_sdk.plugins.pipelines.action_pipeline",
    "ray._private.function_manager",
)
_OTHER_MODULES = frozenset({"ray._private.function_manager", "sdk.loggers", "sdk.own_actions"})


@dataclass
class State:
    """All attributes of all modules and classes of the SDK, and of what is derived from them."""

    of: dict[tuple[str, str], Any]

    @classmethod
    def now(cls) -> State:
        modules = [
            module
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] == "synapse_sdk" or name in _OTHER_MODULES
        ]
        owners: dict[int, Any] = {id(module): module for module in modules}
        for module in modules:
            for value in list(vars(module).values()):
                if isinstance(value, type) and not value.__module__.startswith(("synapse_otel", "opentelemetry")):
                    owners |= {id(base): base for base in value.__mro__ if base is not object}
        return cls({(repr(owner), name): value for owner in owners.values() for name, value in vars(owner).items()})

    def changed_in(self, later: State) -> list[tuple[str, str]]:
        """Return what was added, taken away or is another object."""
        nothing = object()
        return sorted(
            where
            for where in {**self.of, **later.of}
            if where[1] not in _COUNTERS and self.of.get(where, nothing) is not later.of.get(where, nothing)
        )


# What Python makes anew by itself.
_COUNTERS = frozenset({"__annotations__", "__slotnames__", "__weakref__", "__dict__", "_abc_impl", "__mro__"})


def test_uninstrumented_is_as_it_was(clock: Clock, collector: Collector) -> None:
    """After `uninstrument`, every attribute of every class and module is the very object that it was before."""
    for name in _INSTRUMENTED_MODULES:
        importlib.import_module(name)
    ctx = RuntimeContext(NoOpLogger(), PluginEnvironment({}), "job-1")

    def used() -> None:
        LocalExecutor(env={}).execute(Greets, {})
        played(script("image.png"), Delegating(OwnLogger()))
        for kind in ("success", "failure"):
            registry: StepRegistry[BaseStepContext] = StepRegistry()
            for step in WORKFLOWS[kind]():
                registry.register(step)
            done(kind, Orchestrator(registry, BaseStepContext(ctx), lambda *_: None).execute)

    used()  # what the SDK imports only where it is used is there before
    before = State.now()
    with instrumentation():
        used()
        changed = before.changed_in(State.now())
    assert before.changed_in(State.now()) == []
    with ForkingPickler.dumps(ctx) as view:  # Python may crash where it collects such a view together with a failure
        carried = bytes(view)
    assert b"synapse_otel" not in carried
    for name in ("set_progress", "log_message", "dispatch", "execute", "can_skip", "get_execution_info", "main"):
        assert any(attribute == name for _, attribute in changed), name


def test_instrumenting_twice_is_harmless(collector: Collector) -> None:
    """Whoever instruments a second time, or ends it a second time, is warned by OpenTelemetry, and changes nothing."""
    before = State.now()
    with instrumentation():
        once = State.now()
        again = done("instrument", SynapseInstrumentor().instrument)
        twice = State.now()
    after = done("uninstrument", SynapseInstrumentor().uninstrument)
    assert (once.changed_in(twice), before.changed_in(State.now())) == ([], [])
    of_otel = "opentelemetry.instrumentation.instrumentor", "WARNING"
    assert [record[:3] for record in (*again.logged, *after.logged)] == [
        (*of_otel, "Attempting to instrument while already instrumented"),
        (*of_otel, "Attempting to uninstrument while already uninstrumented"),
    ]
    assert (again.raised, after.raised, again.stderr, after.stderr) == (None, None, "", "")


def test_what_is_replaced_says_of_itself_what_it_said(clock: Clock, collector: Collector) -> None:
    """Signatures, names, docstrings and kinds of methods that are replaced are those of the SDK and of the plugin."""
    for name in _INSTRUMENTED_MODULES:
        importlib.import_module(name)

    def about(state: State) -> dict[tuple[str, str], Any]:
        return {where: _about(state.of[where]) for where in changed if where in before.of}

    before = State.now()
    with instrumentation():
        LocalExecutor(env={}).execute(OwnWay, {})
        LocalExecutor(env={}).execute(Waits, {})
        Delegating(OwnLogger()).info("made")
        instrumented = State.now()
        changed = before.changed_in(instrumented)
        described = about(instrumented)
    assert len(described) > 50
    assert described == about(before)


def _about(value: Any) -> dict[str, Any]:
    function = value.__func__ if isinstance(value, classmethod) else value
    if hasattr(type(function), "__get__"):
        function = function.__get__(None, object)  # what one gets from the class
    names = ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__", "__isabstractmethod__")
    return {
        "signature": str(inspect.signature(function)),
        "of the class": isinstance(value, classmethod),
        "is a function": inspect.isfunction(function),
        "inside": inspect.unwrap(function),
        "coroutine": inspect.iscoroutinefunction(function),
        **{name: getattr(function, name, None) for name in names},
    }
