"""Ray: how its workers come to be instrumented, and when the run in one of them has ended.

Ray ends a worker process without notice: no exit handlers, no signal. So a run rests whenever the worker has done the
task, or the call of an actor, that it was given; a worker that dies at rest has not crashed. A run that has rested for
a moment is ended.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synapse_otel.sdk.guard import guarded
from synapse_otel.sdk.patching import Function, Patches
from synapse_otel.sdk.runs import Run, runs

AUTO = str(Path(__file__).parent / "auto")
"""The folder of a ``sitecustomize`` that instruments: on ``PYTHONPATH``, where it is there, and no harm where not."""

_RESTED = 0.5
"""Seconds after which a run that rests is ended."""

_SECRET = ("HEADERS", "KEY", "CERTIFICATE", "PASSWORD", "TOKEN")


def worker_process_setup_hook() -> None:
    """Instrument a Ray worker: the ``worker_process_setup_hook`` of a ``runtime_env``, by its name or itself."""
    from synapse_otel.sdk.instrumentor import SynapseInstrumentor

    instrumentor = SynapseInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()


# -- what a worker is started with


def instrument_runtime_env(owner: Any, method: str, patches: Patches) -> None:
    """Add to the ``runtime_env`` that a function of the SDK returns what lets its workers be instrumented."""

    def adding(original: Function) -> Function:
        @functools.wraps(original)
        def runtime_env(*args: Any, **kwargs: Any) -> Any:
            made = original(*args, **kwargs)
            with guarded("a Ray worker is not instrumented"):
                return {**made, "env_vars": with_telemetry(made.get("env_vars") or {})}
            return made

        return runtime_env

    patches.wrap(owner, method, adding)


def with_telemetry(env_vars: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment variables of a worker with those that let it report, as this process does.

    Ray shows them to whoever sees the job, so nothing that looks like a credential is among them.

    Args:
        env_vars: What it gets anyway, which is never changed.
        environ: The environment of this process.
    """
    found = {
        name: value
        for name, value in environ.items()
        if name.startswith(("OTEL_", "SYNAPSE_OTEL_")) and not _is_secret(name, value)
    }
    run = runs.current()
    if run is not None:  # not the job: what the SDK runs there asks the environment for its own
        found["TRACEPARENT"] = run.core.propagation_env()["TRACEPARENT"]
    path = env_vars.get("PYTHONPATH", "${PYTHONPATH}")  # which Ray replaces by what a worker has anyway
    return {**found, **env_vars, "PYTHONPATH": os.pathsep.join([AUTO, path])}


def _is_secret(name: str, value: str) -> bool:
    return any(part in name for part in _SECRET) or "@" in value


# -- in a worker


def instrument_workers(manager: type, patches: Patches) -> None:
    """Let the runs of a worker rest after everything that it is given to do.

    Args:
        manager: Ray's ``FunctionActorManager``, which hands out what a worker executes. It is Ray's own, so where a
            version has it not, runs in workers end with their processes.
        patches: What was replaced.
    """

    def resting_afterwards(original: Function) -> Function:
        @functools.wraps(original)
        def get_execution_info(self: Any, *args: Any, **kwargs: Any) -> Any:
            info = original(self, *args, **kwargs)
            with guarded("a Ray worker's run does not rest"):
                return info._replace(function=_work(info.function))
            return info

        return get_execution_info

    patches.wrap(manager, "get_execution_info", resting_afterwards)


class _Work:
    """What a worker is doing, and since when it rests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy = 0
        self._rested_at = 0.0
        self._watcher: threading.Thread | None = None

    def begin(self) -> None:
        with self._lock:
            self._busy += 1

    def end(self, error: BaseException | None) -> None:
        with self._lock:
            self._busy -= 1
            at_rest = self._busy == 0
            self._rested_at = time.monotonic()
        resting = runs.waiting() if at_rest else []
        for run in resting:
            run.core.rest(error)
            run.error = run.error or error
        if resting:
            self._watch()

    def _watch(self) -> None:
        with self._lock:
            if self._watcher is None or not self._watcher.is_alive():
                self._watcher = threading.Thread(target=self._end_at_rest, name="synapse-otel rest", daemon=True)
                self._watcher.start()

    def _end_at_rest(self) -> None:
        while True:
            time.sleep(_RESTED / 2)
            with self._lock:
                if self._busy:
                    continue
                if time.monotonic() < self._rested_at + _RESTED:
                    continue
                ended: list[Run] = runs.waiting()
                self._watcher = None
            for run in ended:
                runs.close(run)
            return


_working = _Work()


@functools.lru_cache(maxsize=1024)
def _work(function: Function) -> Function:
    @functools.wraps(function)
    def worked(*args: Any, **kwargs: Any) -> Any:
        _working.begin()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _working.end(error)
            raise
        if inspect.iscoroutine(result):
            return _awaited(result)
        _working.end(None)
        return result

    return worked


async def _awaited(coroutine: Any) -> Any:
    try:
        result = await coroutine
    except BaseException as error:
        _working.end(error)
        raise
    _working.end(None)
    return result
