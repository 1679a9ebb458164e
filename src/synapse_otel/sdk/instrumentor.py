"""The OpenTelemetry instrumentor of the Synapse SDK."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped
from wrapt import register_post_import_hook

from synapse_otel.sdk.guard import guarded
from synapse_otel.sdk.patching import Patches

_SUPPORTED = ("synapse-sdk >= 2026.1.50, < 2027",)
_ENTRYPOINT = "synapse_sdk.plugins.entrypoint"


class SynapseInstrumentor(BaseInstrumentor):
    """Lets plugins that are written against `synapse_sdk` report to OpenTelemetry, without changing a line.

    ``SynapseInstrumentor().instrument()`` instruments this process, ``uninstrument()`` puts everything back. The SDK is
    not imported for it: its modules are instrumented as they are imported, those that are imported already at once.
    """

    _patches: Patches | None = None
    _watched = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """The releases of the SDK that are instrumented."""
        return _SUPPORTED

    def _instrument(self, **kwargs: Any) -> None:  # noqa: ARG002  # the base class's signature
        type(self)._patches = Patches()
        if self._watched:  # a hook stays, so the modules that are imported are all there is to do
            for module in _MODULES:
                if module in sys.modules:
                    self._instrument_module(sys.modules[module])
        else:
            type(self)._watched = True
            for module in _MODULES:
                register_post_import_hook(self._instrument_module, module)
        _open_run_of_process()

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002  # the shape of every such method
        from synapse_otel.sdk.runs import runs

        if self._patches is not None:
            self._patches.restore()
            type(self)._patches = None
        runs.end_of_instrumentation()

    def _instrument_module(self, module: Any) -> None:
        if self._patches is not None:
            with guarded(f"{module.__name__} is not instrumented"):
                _MODULES[module.__name__](module, self._patches)


# -- what is instrumented in which module; each is imported when there is something to do


def _loggers(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.loggers import instrument_base

    instrument_base(module.BaseLogger, patches)


def _context(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.contexts import instrument_context

    instrument_context(module.RuntimeContext, lambda: sys.modules["synapse_sdk.loggers"].BaseLogger, patches)


def _action(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.actions import instrument_base

    instrument_base(module.BaseAction, patches)


def _serve(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.actions import instrument_dispatch

    instrument_dispatch(module.BaseServeDeployment, patches)


def _decorators(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.actions import instrument_decorator

    def everywhere(original: object, replacement: object) -> None:
        _replace_everywhere(original, replacement, patches)

    instrument_decorator(module, patches, everywhere, lambda: SynapseInstrumentor().is_instrumented_by_opentelemetry)


def _orchestrator(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.steps import instrument_orchestrator

    instrument_orchestrator(module.Orchestrator, lambda: module.BaseStep, patches)


def _executor(cls: str, method: str) -> Callable[[Any, Patches], None]:
    def instrument(module: Any, patches: Patches) -> None:
        from synapse_otel.sdk.actions import instrument_executor

        instrument_executor(getattr(module, cls), method, patches)

    return instrument


def _pipeline(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.actions import instrument_pipeline

    instrument_pipeline(module.ActionPipeline, "execute", lambda pipeline, *_, **__: pipeline.actions, patches)


def _ray_pipeline(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.actions import instrument_pipeline

    def entrypoints(pipeline: Any, entrypoints: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG001  # the shape of every such function
        return entrypoints

    instrument_pipeline(module._PipelineExecutorActor, "run_pipeline", entrypoints, patches)


def _main(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.actions import instrument_main

    instrument_main(module, patches)


def _runtime_env(method: str, cls: str | None = None) -> Callable[[Any, Patches], None]:
    def instrument(module: Any, patches: Patches) -> None:
        from synapse_otel.sdk.ray import instrument_runtime_env

        instrument_runtime_env(module if cls is None else getattr(module, cls), method, patches)

    return instrument


def _ray(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.ray import instrument_init

    instrument_init(module, patches)


def _workers(module: Any, patches: Patches) -> None:
    from synapse_otel.sdk.ray import instrument_workers

    manager = getattr(module, "FunctionActorManager", None)
    if manager is not None:
        instrument_workers(manager, patches)


_MODULES: dict[str, Callable[[Any, Patches], None]] = {
    "synapse_sdk.loggers": _loggers,
    "synapse_sdk.plugins.context": _context,
    "synapse_sdk.plugins.action": _action,
    "synapse_sdk.plugins.actions.inference.serve": _serve,
    "synapse_sdk.plugins.decorators": _decorators,
    "synapse_sdk.plugins.steps.orchestrator": _orchestrator,
    "synapse_sdk.plugins.executors.local": _executor("LocalExecutor", "execute"),
    "synapse_sdk.plugins.executors.ray.task": _executor("_ActionExecutorActor", "run_action"),
    "synapse_sdk.plugins.executors.ray.job": _executor("_JobExecutorActor", "run_action"),
    "synapse_sdk.plugins.executors.ray.pipeline": _ray_pipeline,
    "synapse_sdk.plugins.pipelines.action_pipeline": _pipeline,
    _ENTRYPOINT: _main,
    "synapse_sdk.plugins.executors.ray.base": _runtime_env("_build_runtime_env", "BaseRayExecutor"),
    "synapse_sdk.plugins.executors.ray.jobs_api": _runtime_env("_build_jobs_api_runtime_env", "RayJobsApiExecutor"),
    "synapse_sdk.plugins.actions.train.tune": _runtime_env("build_tune_runtime_env"),
    "ray": _ray,
    "ray._private.function_manager": _workers,
}


def _replace_everywhere(original: object, replacement: object, patches: Patches) -> None:
    """Replace an object in the modules of the SDK that have imported it already."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "synapse_sdk":
            for attribute, value in list(vars(module).items()):
                if value is original:
                    patches.put(module, attribute, replacement)


def _open_run_of_process() -> None:
    """Open the run that this process is, where it is a Ray job: an action that cannot be imported is a failed run."""
    if _main_module(sys.orig_argv) == _ENTRYPOINT:
        from synapse_otel.sdk.actions import action_name
        from synapse_otel.sdk.runs import runs

        runs.open_for_process(action_name(os.environ.get("SYNAPSE_ACTION_ENTRYPOINT") or "entrypoint"))


def _main_module(argv: list[str]) -> str | None:
    """Return the module that ``python -m`` names among the interpreter's own options."""
    arguments = iter(argv[1:])
    for argument in arguments:
        if not argument.startswith("-") or argument.startswith("--") or argument == "-":
            return None
        option, found, module = argument.partition("m")
        if found and not {"c", "W", "X"} & set(option):
            return module or next(arguments, None)
        if "c" in argument:
            return None
        if argument in {"-W", "-X"}:
            next(arguments, None)
    return None
