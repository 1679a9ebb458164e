"""Ray: how its workers come to be instrumented, and when the run in one of them has ended.

Ray ends a worker process without notice: no exit handlers, no signal. So a run rests whenever the worker has done the
task, or the call of an actor, that it was given; a worker that dies at rest has not crashed. A run that has rested for
a moment is ended.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from synapse_otel.otel_logger import INSTANCE, RUN_NAME
from synapse_otel.projection.redaction import Redactor
from synapse_otel.sdk.guard import guarded, notices
from synapse_otel.sdk.patching import Function, Patches, inside
from synapse_otel.sdk.runs import runs

AUTO = str(Path(__file__).parent / "auto")
"""The folder of a ``sitecustomize`` that instruments: on ``PYTHONPATH``, where it is there, and no harm where not."""

_RESTED = 0.5
"""Seconds after which a run that rests is ended."""

_CARRIED = "SYNAPSE_OTEL_FOR_WORKERS"
"""The one variable that holds all the others: Ray refuses to start a job twice given values for the same one."""

_OTLP = "OTEL_EXPORTER_OTLP_"
_GIVEN = frozenset(
    {
        *("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED", "OTEL_METRIC_EXPORT_INTERVAL"),
        *("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"),
        *("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT"),
    }
)
_GIVEN_OF_OTLP = ("ENDPOINT", "PROTOCOL", "COMPRESSION", "TIMEOUT", "CERTIFICATE", "INSECURE")
"""What a worker gets to know of how to export, of all signals or of one; the rest are credentials."""


def worker_process_setup_hook() -> None:
    """Instrument a Ray worker: the ``worker_process_setup_hook`` of a ``runtime_env``, by its name or itself."""
    from synapse_otel.sdk.instrumentor import SynapseInstrumentor

    take_environment()
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


def instrument_init(ray: Any, patches: Patches) -> None:
    """Let a cluster that this process starts for itself have instrumented workers: they inherit its environment."""

    @contextmanager
    def inherited(*_: Any, **__: Any) -> Iterator[None]:
        run = runs.current()
        given = {} if run is None else {"TRACEPARENT": run.core.propagation_env()["TRACEPARENT"]}
        given["PYTHONPATH"] = os.pathsep.join(filter(None, (AUTO, os.environ.get("PYTHONPATH"))))
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    patches.wrap(ray, "init", lambda original: inside(original, inherited))


def with_telemetry(env_vars: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment variables of a worker with those that let it report, as this process does.

    Ray shows them to whoever sees the job, so no credentials are among them. Where exporting needs some, a worker gets
    no endpoint, but what its own environment says.

    Args:
        env_vars: What it gets anyway, which is never changed.
        environ: The environment of this process.
    """
    redactor = Redactor()
    found = {name: value for name, value in environ.items() if _is_given(name) and redactor.text(value) == value}
    if any(name.startswith(_OTLP) and name.endswith("_HEADERS") for name in environ):
        notices.warning("Ray workers are not told the endpoint: it needs headers, which Ray would show; set it there")
        found = {name: value for name, value in found.items() if not name.endswith("_ENDPOINT")}
    run = runs.current()
    if run is not None:  # not the job: what the SDK runs there asks the environment for its own
        found["TRACEPARENT"] = run.core.propagation_env()["TRACEPARENT"]
    path = env_vars.get("PYTHONPATH", "${PYTHONPATH}")  # which Ray replaces by what a worker has anyway
    return {**env_vars, "PYTHONPATH": os.pathsep.join([AUTO, path]), _CARRIED: json.dumps(found)}


def _is_given(name: str) -> bool:
    if name.startswith(_OTLP):
        return name.endswith(_GIVEN_OF_OTLP) and "CLIENT" not in name
    return name in _GIVEN or (name.startswith("SYNAPSE_OTEL_") and name not in {_CARRIED, RUN_NAME, INSTANCE})


def take_environment() -> None:
    """Set the variables that this worker was given, where it has not got them from elsewhere."""
    with guarded("a worker does not know what it was told"):
        for name, value in json.loads(os.environ.pop(_CARRIED, "{}")).items():
            os.environ.setdefault(name, value)


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

    def end(self, error: BaseException | None = None) -> None:
        with guarded("a Ray worker's run does not rest"):
            with self._lock:
                self._busy -= 1
                at_rest = self._busy == 0
                self._rested_at = time.monotonic()
            if at_rest and self._rest(error):
                self._watch()

    def _rest(self, error: BaseException | None) -> bool:
        resting = runs.waiting()
        for run in resting:
            with suppress(RuntimeError):  # it was ended meanwhile
                run.core.rest(error)
                run.error = run.error or error
        return bool(resting)

    def _watch(self) -> None:
        with self._lock:
            if self._watcher is None or not self._watcher.is_alive():
                self._watcher = threading.Thread(target=self._end_at_rest, name="synapse-otel rest", daemon=True)
                self._watcher.start()

    def _end_at_rest(self) -> None:
        while True:
            time.sleep(_RESTED / 2)
            with self._lock:
                if self._busy or time.monotonic() < self._rested_at + _RESTED:
                    continue
                ended = [run for run in runs.waiting() if run.core.is_at_rest]  # not what a thread goes on reporting to
                self._watcher = None
            for run in ended:
                with guarded("a run is ended with its process"):
                    runs.close(run)
            return


_working = _Work()


def _work(function: Function) -> Function:
    """Return what a worker executes, with the run at rest when it is done, and has given all that it gives."""
    known = getattr(function, _WORK, None)
    if known is not None:
        return known  # type: ignore[no-any-return]  # what was noted on it

    @functools.wraps(function)
    def worked(*args: Any, **kwargs: Any) -> Any:
        _working.begin()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _working.end(error)
            raise
        goes_on = next((how for kind, how in _GOES_ON if kind(result)), None)
        if goes_on is not None:
            return goes_on(result)
        _working.end()
        return result

    with suppress(AttributeError, TypeError):  # not every callable can be noted on; it is wrapped anew each time
        setattr(function, _WORK, worked)
    return worked


_WORK = "__synapse_otel_work__"


async def _awaited(coroutine: Any) -> Any:
    with _until_done():
        return await coroutine


def _generated(generator: Any) -> Generator[Any, Any, Any]:
    with _until_done():
        return (yield from generator)


async def _generated_async(generator: Any) -> AsyncIterator[Any]:
    with _until_done():
        async for item in generator:
            yield item


@contextmanager
def _until_done() -> Iterator[None]:
    try:
        yield
    except GeneratorExit:
        _working.end()
        raise
    except BaseException as error:
        _working.end(error)
        raise
    _working.end()


_GOES_ON: tuple[tuple[Callable[[object], bool], Function], ...] = (
    (inspect.iscoroutine, _awaited),
    (inspect.isgenerator, _generated),
    (inspect.isasyncgen, _generated_async),
)
