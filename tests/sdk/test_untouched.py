"""The SDK does what it did: everything is done twice, without the instrumentor and with it, and compared whole."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import functools
import importlib
import inspect
import io
import itertools
import json
import logging
import logging.handlers
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest
import wrapt
from pydantic import BaseModel
from synapse_sdk.i18n import LocalizedMessage
from synapse_sdk.loggers import BackendLogger, BaseLogger, ConsoleLogger, JobLogger, NoOpLogger, TqdmLogger
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.decorators import action as action_decorator
from synapse_sdk.plugins.executors.local import LocalExecutor
from synapse_sdk.plugins.executors.ray import job as ray_job
from synapse_sdk.plugins.executors.ray import pipeline as ray_pipeline
from synapse_sdk.plugins.executors.ray import task as ray_task
from synapse_sdk.plugins.log_messages import LogMessageCode, register_log_messages
from synapse_sdk.plugins.models.logger import LogLevel
from synapse_sdk.plugins.pipelines.action_pipeline import ActionPipeline
from synapse_sdk.plugins.runner import run_plugin
from synapse_sdk.plugins.steps.base import BaseStep, StepResult
from synapse_sdk.plugins.steps.context import BaseStepContext
from synapse_sdk.plugins.steps.orchestrator import Orchestrator
from synapse_sdk.plugins.steps.registry import StepRegistry
from synapse_sdk.plugins.steps.utils import LoggingStep

from sdk.backend import Backend, Published, Request
from synapse_otel.sdk import SynapseInstrumentor
from synapse_otel.testing import Collector

try:
    from synapse_sdk.plugins.actions.train.tune import TuneTrialLoggerWrapper as TrialLogger
except ImportError:  # older releases have it there
    from synapse_sdk.plugins.actions.train.action import _TuneTrialLoggerWrapper as TrialLogger

# -- doing something, and what is to be seen of it


@dataclass(frozen=True)
class Raised:
    """An exception: what it says, from where, and what led to it."""

    type: str
    text: str
    frames: tuple[tuple[str, str, int], ...]
    cause: Raised | None
    context: Raised | None
    suppressed: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """Something that was done, and all that is to be seen of it."""

    what: str
    returned: object
    raised: Raised | None
    stdout: str
    stderr: str
    warned: tuple[tuple[str, str], ...]
    logged: tuple[tuple[str, str, str], ...]
    arguments: object = None


def done(what: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Done:
    """Call a function, and tell all that is to be seen of it."""
    returned, raised = None, None
    handler = _Kept()
    root = logging.getLogger()
    with (
        contextlib.redirect_stdout(io.StringIO()) as stdout,
        contextlib.redirect_stderr(io.StringIO()) as stderr,
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        root.addHandler(handler)
        try:
            returned = seen(function(*args, **kwargs))
        except BaseException as error:
            raised = _raised(error)
        finally:
            root.removeHandler(handler)
    return Done(
        what,
        returned,
        raised,
        stdout.getvalue(),
        stderr.getvalue(),
        tuple((warning.category.__name__, str(warning.message)) for warning in warned),
        tuple(handler.kept),
        seen([*args, *kwargs.values()]),
    )


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append((record.name, record.levelname, record.getMessage()))


def _raised(error: BaseException | None) -> Raised | None:
    if error is None:
        return None
    try:
        text = str(error)
    except Exception as failure:
        text = type(failure).__name__
    frames = [
        (frame.f_code.co_filename, frame.f_code.co_name, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return Raised(
        type(error).__qualname__,
        text,
        tuple(frames),
        _raised(error.__cause__),
        _raised(error.__context__),
        error.__suppress_context__,
        tuple(getattr(error, "__notes__", ())),
    )


_CLOCKS = frozenset({"timestamp", "datetime", "started_at", "completed_at", "created_at"})


def seen(value: Any, depth: int = 6) -> Any:
    """Return a value as two runs can agree on it: clocks are left out, and of threads, locks and the like the type."""
    if depth == 0:
        return "..."
    if value is None or isinstance(value, str | bytes | int | float | Enum):
        return value if value == value else "NaN"
    if isinstance(value, dict | MappingProxyType):
        return [
            (seen(key, depth - 1), "a time" if key in _CLOCKS else seen(one, depth - 1)) for key, one in value.items()
        ]
    if isinstance(value, list | tuple):
        return [seen(one, depth - 1) for one in value]
    if isinstance(value, type):
        return value.__qualname__
    kind = type(value).__qualname__
    if isinstance(value, BaseModel):
        return kind, seen(value.model_dump(), depth - 1)
    if (dataclasses.is_dataclass(value) and not isinstance(value, RuntimeContext)) or "set_progress" in dir(value):
        return kind, seen(vars(value) if hasattr(value, "__dict__") else None, depth - 1)
    return kind


def assert_same(instrumented: list[Any], plain: list[Any]) -> None:
    """Fail with the first thing that differs."""
    for one, other in zip(instrumented, plain, strict=True):
        assert one == other


@contextlib.contextmanager
def instrumentation() -> Iterator[None]:
    """The SDK is instrumented inside."""
    SynapseInstrumentor().instrument()
    try:
        yield
    finally:
        SynapseInstrumentor().uninstrument()


def assert_untouched(scenario: Callable[[], list[Any]], collector: Collector, records: bool | None = True) -> list[Any]:
    """Assert that a scenario tells the same with the instrumentor as without it.

    Args:
        scenario: Does something, and tells what is to be seen of it.
        collector: Gets what is recorded.
        records: Whether something is recorded; None where that is not what it is about.

    Returns:
        What it tells.
    """
    plain = scenario()
    with instrumentation():
        instrumented = scenario()
    assert_same(instrumented, plain)
    assert records is None or bool(collector.requests) == records
    return plain


class Clock:
    """A clock for the SDK: read for the n-th time, it is n steps later. A read of ours would change those of others."""

    def __init__(self) -> None:
        self.set(1.0)

    def set(self, step: float) -> None:
        self._reads = itertools.count(0.0, step)

    def monotonic(self) -> float:
        return next(self._reads)


class Bars(dict[int, Any]):
    """The bars that are drawn, in order; of a set, which `tqdm` has, the order is that of addresses."""

    def add(self, bar: Any) -> None:
        self[id(bar)] = bar

    def remove(self, bar: Any) -> None:
        del self[id(bar)]

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.values()))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the SDK's loggers, which says what the test says; that of the bars that they draw stands still."""
    clock = Clock()
    monkeypatch.setattr("synapse_sdk.loggers.time", SimpleNamespace(monotonic=clock.monotonic, time=time.time))
    monkeypatch.setattr("tqdm.std.time", lambda: 0.0)
    monkeypatch.setattr("tqdm.std.tqdm._instances", Bars(), raising=False)
    monkeypatch.setattr(logging.getLogger("synapse_sdk"), "level", logging.DEBUG)
    logging.getLogger("synapse_sdk").manager._clear_cache()  # of which levels are on
    return clock


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A Synapse backend."""
    with Backend() as backend:
        yield backend


# -- all loggers


class OwnLogger(BaseLogger):
    """A user's own, which says things in its own way, and does more than it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def set_progress(self, current: int, total: int, step: str | None = None) -> None:
        super().set_progress(current, total, step)
        self.info(f"{current} of {total}")

    def log_message(self, message: str, level: LogLevel | None = None, *, context: Any = None) -> None:
        super().info(message)

    def log_event(self, event: str, data: dict[str, Any], file: str | None = None) -> str:
        print("event", event, data, file)
        return "something returned"

    @classmethod
    def log_trials(cls, data: Any = None, **kwargs: Any) -> None:
        print(cls.__name__, data, kwargs)

    def _log_impl(self, event: Any, data: Any, file: Any, step: Any, level: Any = None) -> None:
        self.kept.append((event, data, file, step, level))

    def _on_progress(self, progress: Any, step: str | None) -> None:
        print("progress", progress, step)


class Delegating:
    """A user's wrapper around another logger, which cannot be referred to weakly."""

    __slots__ = ("inner",)

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def log(self, *args: Any, **kwargs: Any) -> None:
        self.inner.log(*args, **kwargs)

    def info(self, message: str) -> None:
        self.inner.info(f"[mine] {message}")

    def set_metrics(self, value: dict[str, Any], step: str | None = None) -> None:
        for key, one in dict(value).items():
            self.inner.set_metrics({key: one}, step)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Peculiar:
    """A user's wrapper that is asked for nothing but what it has, and is compared with nothing."""

    __hash__ = None

    def __init__(self) -> None:
        self.inner = OwnLogger()

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("peculiar")

    __bool__ = __eq__ = __len__ = _refuse

    def __getattr__(self, name: str) -> Any:
        return {"set_step": self.inner.set_step, "set_metrics": self.inner.set_metrics}[name]

    def set_progress(self, *args: Any, **kwargs: Any) -> None:
        self.inner.set_progress(*args, **kwargs)

    def log(self, *args: Any, **kwargs: Any) -> None:
        self.inner.log(*args, **kwargs)

    def info(self, message: str) -> None:
        self.inner.info(message)


class Stranger:
    """A logger that has nothing of the SDK's."""

    _current_step = "strange"

    def set_progress(self, *args: Any, **kwargs: Any) -> int:
        print("progress", args, kwargs)
        return 1

    set_metrics = log = info = debug = warning = error = log_event = set_progress


def immediate(backend: Backend) -> JobLogger:
    """A logger that sends everything at once, as those of older releases always do."""
    return JobLogger(backend.client(), "job-1", {"train": 70, "upload": 20}, **at_once())


def at_once() -> dict[str, Any]:
    settings = {"log_batch_size": 1, "progress_flush_interval": 0, "background_flush": False}
    known = inspect.signature(JobLogger).parameters
    return {name: value for name, value in settings.items() if name in known}


LOGGERS: dict[str, Callable[[Backend], Any]] = {
    "console": lambda _: ConsoleLogger(),
    "tqdm": lambda _: TqdmLogger(),
    "no-op": lambda _: NoOpLogger(),
    "backend": lambda _: BackendLogger(Published(), "job-1"),
    "backend-failing": lambda _: BackendLogger(Published(fails=True), "job-1"),
    "backend-none": lambda _: BackendLogger(None, "job-1"),
    "job": immediate,
    "job-in-background": lambda backend: JobLogger(backend.client(), "job-1"),
    "own": lambda _: OwnLogger(),
    "delegating": lambda _: Delegating(ConsoleLogger()),
    "delegating-silently": lambda _: Delegating(BackendLogger(Published(), "job-1")),
    "delegating-twice": lambda _: Delegating(Delegating(OwnLogger())),
    "peculiar": lambda _: Peculiar(),
    "stranger": lambda _: Stranger(),
    "pipeline": lambda _: ray_pipeline._PipelineLogger(ConsoleLogger(), Published(), "run-1", 0, "train"),
    "pipeline-failing": lambda _: ray_pipeline._PipelineLogger(ConsoleLogger(), Published(True), "run-1", 0, "train"),
    "trial": lambda _: TrialLogger(ConsoleLogger()),
}


class Code(LogMessageCode):
    FOUND = ("FOUND", LogLevel.SUCCESS)
    UNKNOWN = ("UNKNOWN", LogLevel.DANGER)


register_log_messages({Code.FOUND: {"en": "Found {count}", "ko": "{count}개"}})


class ForeignLevel(Enum):
    INFO = "info"
    LOUD = "loud"


class Hostile:
    """A value that refuses everything."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("hostile")

    __repr__ = __str__ = __eq__ = __float__ = __int__ = __index__ = __bool__ = __len__ = __iter__ = __lt__ = _refuse
    __hash__ = None


class BrokenMapping(Mapping[str, Any]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> Any:
        raise OSError("unreadable")

    def __iter__(self) -> Iterator[str]:
        raise OSError("unreadable")

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "<unreadable>"


@dataclass
class Script:
    """Notes calls of loggers and contexts, so that the same can be made again."""

    calls: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, target: str) -> Any:
        return _Noting(self, target)


@dataclass
class _Noting:
    script: Script
    target: str

    def __getattr__(self, method: str) -> Callable[..., None]:
        return lambda *args, **kwargs: self.script.calls.append((self.target, method, args, kwargs))


def script(file: str) -> Script:
    """Every method, used as it is meant to be, and in every wrong way."""
    noted = Script()
    logger, ctx = noted.logger, noted.ctx
    _progress(logger, ctx)
    _metrics(logger, ctx)
    _events(logger, ctx, file)
    _messages(logger, ctx)
    _unsendable(logger, ctx)
    logger.no_such_method()
    logger.finish()
    logger.finish()
    _progress(logger, ctx)
    _metrics(logger, ctx)
    _events(logger, ctx, file)
    _messages(logger, ctx)
    return noted


def _progress(logger: Any, ctx: Any) -> None:
    logger.get_progress()
    logger.get_step()
    logger.set_progress(0, 8)
    logger.set_progress(3, 8)
    logger.set_step("train", 1)
    logger.get_step()
    logger.get_step_order()
    logger.set_progress(1, 4)
    logger.set_progress(current=2, total=4, step="upload")
    logger.set_progress(1.5, 3.0, None)
    logger.set_progress(True, 3, "bool")
    ctx.set_progress(3, 4)
    ctx.set_progress(4, 4, "upload")
    logger.set_progress_failed()
    logger.set_progress_failed("train")
    logger.set_progress_failed(step="never seen")
    for current, total in [
        (1, 0),
        (1, -1),
        (11, 10),
        (-1, 10),
        (float("nan"), 1),
        (1, float("nan")),
        (1, float("inf")),
    ]:
        logger.set_progress(current, total)
    for current, total in [("1", 10), (1, "10"), (None, 10), (1, None), ([1], 10), (Hostile(), 10), (1, Hostile())]:
        logger.set_progress(current, total, "misuse")
    logger.set_progress(1, 4, 7)
    logger.set_progress(1, 4, ["a step"])
    logger.set_progress()
    logger.set_progress(1, 4, "train", "too many")
    logger.set_progress(1, 4, category="unknown")
    logger.get_progress()
    logger.get_progress("train")
    logger.get_progress_record()
    logger.get_progress_record(time_elapsed=3)
    logger.set_step(None, 4)
    logger.get_step_order()


def _metrics(logger: Any, ctx: Any) -> None:
    logger.set_metrics({"loss": 0.5}, "train")
    logger.set_metrics(value=MappingProxyType({"loss": 0.25, "acc": 1}), step="train")
    ctx.set_metrics({"f1": float("nan")}, "validation")
    logger.set_metrics({"text": "a", "none": None, "list": [1], 5: 6}, "kinds")
    logger.set_metrics({}, "empty")
    logger.set_metrics({"loss": 1})
    logger.set_metrics({"loss": 1}, "")
    logger.set_step("train")
    logger.set_metrics({"loss": 2})
    logger.set_step(None)
    for value in (None, 1, "loss", [("loss", 1)], BrokenMapping(), Hostile()):
        logger.set_metrics(value, "train")
    logger.set_metrics({"loss": 1}, 5)
    logger.set_metrics()
    logger.set_metrics({"loss": 1}, category="train")
    logger.get_metrics()
    logger.get_metrics("train")
    logger.log_metric("train", "loss", 0.5)
    logger.log_metric("train", "loss", value=1, loss=2, acc=0.5)
    logger.log_metric("train", "text", "high", hostile=None)
    logger.log_metric(None, 5, [1])
    logger.log_metric("train")
    ctx.log_metric("train", "epoch", 3, val_loss=0.015)


def _events(logger: Any, ctx: Any, file: str) -> None:
    for level in LogLevel:
        logger.log(level, "event", {"a": 1})
    logger.log(
        level=LogLevel.INFO, event="event", data=MappingProxyType({"b": [1, {"c": (2, 3)}]}), file=file, step="own"
    )
    logger.log(LogLevel.INFO, "train", {}, None, "train")
    logger.log(LogLevel.INFO, "message", {"content": "looks like a message"})
    logger.log(LogLevel.INFO, "metric", {"category": "c", "key": "k", "value": "not a number", "metrics": 7})
    logger.log(LogLevel.DEBUG, "dev_event", {"message": "m", "data": 7})
    for level in ("info", None, 20, ForeignLevel.INFO, ForeignLevel.LOUD, LogLevel, Hostile()):
        logger.log(level, "event", {"a": 1})
    for data in (None, [1], "text", 5, {1: 2}, BrokenMapping(), Hostile()):
        logger.log(LogLevel.INFO, "event", data)
    for event in (None, 5, "", ["list"]):
        logger.log(LogLevel.INFO, event, {"a": 1})
    logger.log(LogLevel.INFO, "event")
    logger.log(LogLevel.INFO, "event", {}, None, None, "too many")
    logger.log_event("event", {"a": 1})
    logger.log_event("event", {"a": 1}, file)
    logger.log_event("event", ["no mapping"])
    logger.log_event(5, None)
    logger.log_event()
    ctx.log("event", {"a": 1})
    ctx.log("event", {"a": 1}, file, LogLevel.WARNING)
    ctx.log("event", {"a": 1}, level="warning")
    ctx.log_dev_event("layers")
    ctx.log_dev_event("layers", {"count": 12})
    ctx.log_dev_event("layers", [12])
    for target in (logger, ctx):
        target.log_visualization("train", "epoch_1", 0, file, width=3)
        target.log_visualization("train", "epoch_1", 0, "data:image/png;base64,AAAA")
        target.log_visualization("train", "epoch_1")
        target.log_trials({"trials": {"t1": {"loss": 0.1}}})
        target.log_trials(trials={"t1": {"loss": 0.1}}, metrics=["loss"], best_trial="t1")
        target.log_trials({"no": "trials"})
        target.log_trials(["t1"])
        target.log_trials()
        target.log_trials(unknown=1)


def _messages(logger: Any, ctx: Any) -> None:
    for message in ("text", "", "{braces}", 5, None, {"a": 1}, Code.FOUND):
        logger.info(message)
        logger.debug(message)
        logger.log_message(message)
    logger.warning("text")
    logger.error("text")
    logger.critical("text")
    logger.info()
    logger.info("text", "too many")
    logger.log_message("text", LogLevel.SUCCESS)
    logger.log_message("text", level=LogLevel.DANGER)
    logger.log_message("text", "info")
    logger.log_message("text", context="warning")
    logger.log_message("text", LogLevel.DEBUG, context=LogLevel.ERROR)
    logger.log_message("text", context="no level")
    logger.log_message()
    ctx.log_message("text")
    ctx.log_message("{count} files", LogLevel.WARNING, count=2)
    ctx.log_message("{missing} files", count=2)
    ctx.log_message({"en": "{count} files", "ko": "{count}개"}, count=2)
    ctx.log_message({"en": "files", "ko": "개"}, language="ko", step="own")
    ctx.log_message({"fr": "fichiers"})
    ctx.log_message(LocalizedMessage(en="Hello {name}", ko="안녕 {name}"), name="you")
    ctx.log_message(Code.FOUND, count=3)
    ctx.log_message(Code.FOUND, language="ko", count=3, step="own")
    ctx.log_message(Code.FOUND)
    ctx.log_message(Code.UNKNOWN)
    ctx.log_message("text", context="warning")
    ctx.log_message("text", context="no level")
    ctx.log_message("text", "info")
    ctx.log_message(5)
    ctx.end_log()


def _unsendable(logger: Any, ctx: Any) -> None:
    """What a `JobLogger` tries to send again and again, with all that follows."""
    logger.set_metrics({"hostile": Hostile()}, "hostile")
    for data in ({"hostile": Hostile()}, {"bytes": b"x"}):
        logger.log(LogLevel.INFO, "event", data)
    logger.log(LogLevel.INFO, Hostile(), {"a": 1})
    logger.info(Hostile())
    logger.debug(Hostile())
    logger.log_message(Hostile())
    logger.log_metric("train", Hostile(), 1)
    logger.log_metric("train", "loss", Hostile())
    logger.log(LogLevel.INFO, "missing", {"a": 1}, "/nowhere/file.png")
    ctx.log_visualization("train", "epoch_1", 0, "/nowhere/file.png")
    logger.info("afterwards")


def played(noted: Script, logger: Any) -> list[Any]:
    """Make the calls of a script on a logger, and tell what is to be seen of each, and of the logger afterwards."""
    targets = {"logger": logger, "ctx": RuntimeContext(logger, PluginEnvironment({}), "job-1")}
    told: list[Any] = []
    for number, (target, method, args, kwargs) in enumerate(noted.calls):
        call = functools.partial(_call, targets[target], method)
        told.append(done(f"{number}: {target}.{method}", call, *args, **kwargs))
        if method == "no_such_method":
            told.append(seen(logger))
    return [*told, seen(logger)]


def _call(target: Any, method: str, /, *args: Any, **kwargs: Any) -> Any:
    return getattr(target, method)(*args, **kwargs)


@pytest.mark.parametrize("kind", LOGGERS)
def test_a_logger_does_what_it_did(
    kind: str, backend: Backend, clock: Clock, collector: Collector, tmp_path: Path
) -> None:
    """Whatever a logger is told, right or wrong, it prints, returns, raises, keeps and sends the same."""
    (tmp_path / "image.png").write_bytes(b"\x89PNG")

    def scenario() -> list[Any]:
        clock.set(0.0 if kind == "job-in-background" else 1.0)  # there, nothing is ever due before the end
        logger = LOGGERS[kind](backend)
        told = played(script(str(tmp_path / "image.png")), logger)
        close(logger)
        return [*told, seen(backend.taken())]

    assert_untouched(scenario, collector)


def close(logger: Any) -> None:
    """Close the connections of a logger, where it has any."""
    if isinstance(logger, JobLogger):
        logger._client.requests_session.close()


def test_a_backend_that_refuses_is_told_of_as_before(clock: Clock, collector: Collector) -> None:
    """A logger that cannot deliver says so, and keeps what it keeps."""

    def scenario() -> list[Any]:
        clock.set(1.0)
        noted = Script()
        _progress(noted.logger, noted.ctx)
        _messages(noted.logger, noted.ctx)
        logger = immediate(refusing)
        told = played(noted, logger)
        close(logger)
        return [*told, seen(refusing.taken())]

    with Backend(status=400) as refusing:
        plain = assert_untouched(scenario, collector)
    assert any("a made-up refusal" in one.stdout for one in plain if isinstance(one, Done))


class Unusual(NoOpLogger):
    """A user's own, whose methods are no functions of its class."""

    def __init__(self, name: str = "unusual") -> None:
        super().__init__()
        self.name = name

    @staticmethod
    def info(message: str) -> None:
        print("static", message)

    @classmethod
    def log_message(cls, message: str, level: Any = None, *, context: Any = None) -> None:
        print(cls.__name__, message)

    @wrapt.decorator
    def _decorated(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        print("decorated", instance.name)
        return wrapped(*args, **kwargs)

    @_decorated
    def log_metric(self, category: str, key: str, value: float, **metrics: Any) -> None:
        print(category, key, value, metrics)

    def _written(self, level: str, message: str) -> None:
        print(self.name, level, message)

    warning = functools.partialmethod(_written, "a warning")
    log_event = print

    @property
    def debug(self) -> Any:
        return functools.partial(print, "debug")

    def _set_progress(self, current: int, total: int, step: str | None = None) -> None:
        print(self.name, current, total)

    set_progress = functools.lru_cache(_set_progress)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("info", ("text",)),
        ("log_message", ("text",)),
        ("log_metric", ("train", "loss", 0.5)),
        ("warning", ("text",)),
        ("log_event", ("event", {"a": 1})),
        ("debug", ("text",)),
        ("set_progress", (1, 2)),
    ],
)
def test_methods_of_any_kind_get_what_they_got(method: str, arguments: tuple[Any, ...], collector: Collector) -> None:
    """A static method, a class method, a decorated one, any callable: each is called with what it was called with."""

    def scenario() -> list[Any]:
        logger = Unusual()
        ctx = RuntimeContext(logger, PluginEnvironment({}), "job-1")
        logger.log(LogLevel.INFO, "event", {})
        called = done(method, getattr(logger, method), *arguments)
        of_class = done(method, getattr(Unusual, method), *arguments) if method in {"info", "log_message"} else None
        logger.finish()
        return [called, of_class, ctx.job_id]

    assert_untouched(scenario, collector)


class Looking(ConsoleLogger):
    """A user's own, which tells its caller."""

    def info(self, message: str) -> None:
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        logging.getLogger("synapse_sdk.looking").info(message, stacklevel=2)


def test_who_called_is_found_as_before(collector: Collector) -> None:
    """What is said of a caller, by its place in the stack, is said of the plugin, and not of us.

    So Python shows the deprecations that are meant for `__main__`, and a filter of warnings by module matches.
    """

    def scenario() -> list[Any]:
        logger, own, found = ConsoleLogger(), Looking(), logging.handlers.BufferingHandler(100)
        logging.getLogger("synapse_sdk").addHandler(found)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            logger.log_message("text", context="warning")
            JobLogger(None, "job-1", **at_once()).log_message("text", context="warning")
            NoOpLogger().log_message("text", context="warning")
            own.info("text")
            Delegating(own).info("text")
        logging.getLogger("synapse_sdk").removeHandler(found)
        logger.finish()
        records = [(record.pathname, record.funcName, record.lineno) for record in found.buffer]
        return [[(warning.filename, warning.lineno) for warning in warned], records]

    assert_untouched(scenario, collector)


def test_values_are_neither_used_up_nor_changed(collector: Collector) -> None:
    """An iterator that a plugin logs is still at its beginning, and a mapping is as it was."""
    given = iter([1, 2, 3])
    data = {"iterator": given, "nested": {"list": [1]}}
    before = copy.deepcopy(data["nested"])
    with instrumentation():
        logger = NoOpLogger()
        logger.log(LogLevel.INFO, "event", data)
        logger.set_metrics({"iterator": given}, "train")
        logger.log_message(given)
        logger.log_trials(data)
    assert (list(given), data) == ([1, 2, 3], {"iterator": given, "nested": before})


def test_a_logger_that_is_none_is_left_alone(collector: Collector) -> None:
    """A context may hold what is no logger of the SDK: one of Python's, or a stand-in of a test."""

    def scenario() -> list[Any]:
        python = logging.getLogger("synapse_sdk.of_python")
        autospec = create_autospec(ConsoleLogger, instance=True)
        mock = Mock()
        namespace = SimpleNamespace(info=print, log=print, set_progress=print)
        told: list[Any] = []
        for logger in (python, autospec, mock, namespace, None):
            ctx = RuntimeContext(logger, PluginEnvironment({}), "job-1")
            told.append(done("log_message", ctx.log_message, "text"))
            told.append(done("log", lambda ctx=ctx: ctx.log("event", {"a": 1})))
            told.append(done("set_progress", lambda ctx=ctx: ctx.set_progress(1, 2)))
            told.append(done("info", lambda logger=logger: logger.info("%s", 5)))
        return [*told, repr(autospec.mock_calls), repr(mock.mock_calls)]

    classes = {cls: dict(vars(cls)) for cls in (logging.Logger, Mock, SimpleNamespace)}
    plain = scenario()
    with instrumentation():
        instrumented = scenario()
        assert {cls: dict(vars(cls)) for cls in classes} == classes
    assert_same(
        [re.sub(r"id='\d+'", "", repr(one)) for one in instrumented],
        [re.sub(r"id='\d+'", "", repr(one)) for one in plain],
    )


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


# -- all executors


class Params(BaseModel):
    name: str = "you"
    times: int = 1


class Greeting(BaseModel):
    text: str


class Greets(BaseAction[Params]):
    """Reports in every way that an action can."""

    action_name = "greet"
    result_model = Greeting

    def execute(self) -> Any:
        for number in range(self.params.times):
            self.set_progress(number + 1, self.params.times, "greeting")
        self.set_metrics({"length": 5}, "greeting")
        self.log("greeted", {"name": self.params.name})
        self.log_metric("greeting", "loud", 1)
        self.log_message("Hello {name}", LogLevel.SUCCESS, name=self.params.name)
        self.ctx.end_log()
        return {"text": f"Hello {self.params.name}"}


class Mismatched(Greets):
    """Returns something else than it says."""

    action_name = "mismatched"

    def execute(self) -> Any:
        return {**super().execute(), "text": 5}


class Breaks(BaseAction[Params]):
    """Fails, with a story."""

    action_name = "break"

    def execute(self) -> Any:
        self.log_message("about to fail", LogLevel.WARNING)
        try:
            return {}["nothing"]
        except KeyError as error:
            raise ValueError("a made-up error") from error


class Leaves(BaseAction[Params]):
    """Ends the process."""

    def execute(self) -> Any:
        raise SystemExit(3)


class OwnWay(Greets):
    """Runs and dispatches in a way of its own."""

    action_name = None
    result_model = Mismatched.result_model

    def run(self) -> Any:
        print("before")
        return super().run()

    @classmethod
    def dispatch(cls, params: Any, ctx: Any) -> Any:
        print("dispatched", cls.__name__)
        return super().dispatch({**params, "times": 2}, ctx)


class Waits(Greets):
    """Is executed by an event loop."""

    async def execute(self) -> Any:
        await asyncio.sleep(0)
        return super().execute()

    def run(self) -> Any:
        return asyncio.run(self.execute())


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
        return [done(name, run_plugin, __name__, name, {"times": 2}, job_id="job-1", action_cls=found.get(name))]

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


class Step(BaseStep[BaseStepContext]):
    """A step that notes what happens to it, and does what it is told."""

    progress_weight = 0.5
    progress_proportion = 20

    def __init__(self, name: str, outcome: Callable[[], StepResult] = StepResult, rolls_back: bool = True) -> None:
        self._name, self._outcome, self._rolls_back = name, outcome, rolls_back

    @property
    def name(self) -> str:
        return self._name

    def execute(self, context: BaseStepContext) -> StepResult:
        context.log_message(f"in {self.name}")
        context.set_progress(1, 2)
        context.set_metrics({"loss": 1})
        return self._outcome()

    def rollback(self, context: BaseStepContext, result: StepResult) -> None:
        context.log("rolled back", {"step": self.name, "data": result.data})
        if not self._rolls_back:
            raise OSError("cannot roll back")


class Skipped(Step):
    def can_skip(self, context: BaseStepContext) -> bool:
        return bool(self.name)


class Unreported(Skipped):
    progress_proportion = 0


class SkippedStatically(Step):
    @staticmethod
    def can_skip(context: BaseStepContext) -> bool:
        return context.current_step is not None


class Refusing(Step):
    def can_skip(self, context: BaseStepContext) -> bool:
        raise PermissionError("cannot say")


def raising() -> StepResult:
    raise ValueError("a made-up error")


WORKFLOWS: dict[str, Callable[[], list[BaseStep[Any]]]] = {
    "success": lambda: [Step("one"), Skipped("two"), Unreported("three"), LoggingStep(Step("four"))],
    "failure": lambda: [
        Step("one"),
        Skipped("two"),
        Step("three", lambda: StepResult(False, error="no")),
        Step("four"),
    ],
    "exception": lambda: [Step("one"), LoggingStep(Step("two", rolls_back=False)), Step("three", raising)],
    "refusal": lambda: [Step("one"), Refusing("two")],
    "same-name": lambda: [
        Step("one", lambda: StepResult(skipped=True)),
        Step("one", lambda: StepResult(data={"a": 1})),
    ],
    "no-result": lambda: [Step("one", lambda: None)],
    "static": lambda: [SkippedStatically("one"), Step("two")],
    "none": list,
}


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
    monkeypatch.setitem(sys.modules, "a_plugin", sys.modules[__name__])
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


# -- the process of a job

PLUGIN = """
import os, signal, sys

from pydantic import BaseModel
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.models.logger import LogLevel


class Params(BaseModel):
    times: int = 1


class Greets(BaseAction[Params]):
    def execute(self):
        for number in range(self.params.times):
            self.set_progress(number + 1, self.params.times, "greeting")
        self.set_metrics({"length": 5}, "greeting")
        self.log("greeted", {"name": "you"}, __file__)
        self.log_message("Hello", LogLevel.SUCCESS)
        self.ctx.end_log()
        print("to stderr", file=sys.stderr)
        return {"text": "Hello"}


class Breaks(Greets):
    def execute(self):
        super().execute()
        try:
            return {}["nothing"]
        except KeyError as error:
            raise ValueError("a made-up error") from error


class Exits(Greets):
    def run(self):
        sys.exit("a made-up exit")


class Killed(Greets):
    def execute(self):
        os.kill(os.getpid(), signal.SIGTERM)
"""
ENTRYPOINT = ("python", "-m", "synapse_sdk.plugins.entrypoint")
ENTRYPOINTS = {
    "a_plugin.Greets": 0,
    "a_plugin.Breaks": 1,
    "a_plugin.Exits": 1,
    "a_plugin.Killed": -signal.SIGTERM,
    "nowhere.Missing": 1,
}


@dataclass(frozen=True)
class Process:
    """What a process said, and how it ended."""

    code: int
    stdout: str
    stderr: str


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_the_process_of_a_job_does_what_it_did(entrypoint: str, collector: Collector, tmp_path: Path) -> None:
    """The entrypoint of a Ray job prints, sends to the backend and ends the same, tracebacks to the letter."""
    (tmp_path / "a_plugin.py").write_text(PLUGIN)
    with Backend() as backend, Backend() as other:
        plain = started(entrypoint, backend, tmp_path)
        instrumented = started(entrypoint, other, tmp_path, "opentelemetry-instrument")
        told, compared = ended(plain, backend), ended(instrumented, other)
    assert compared == told
    assert told.code == ENTRYPOINTS[entrypoint]
    assert summary(other.requests) == summary(backend.requests)
    assert ("Using JobLogger" in told.stdout) == (not entrypoint.endswith("Missing"))
    assert "synapse_otel" not in compared.stdout + compared.stderr
    assert collector.spans or told.code == -signal.SIGTERM


def started(entrypoint: str, backend: Backend, cwd: Path, *command: str) -> subprocess.Popen[str]:
    """Start the process of a job."""
    programs = Path(sys.executable).parent
    job = {"SYNAPSE_JOB_ID": "job-1", "SYNAPSE_ACTION_ENTRYPOINT": entrypoint, "SYNAPSE_ACTION_PARAMS": '{"times": 3}'}
    env = {**os.environ, **backend.env(), **job, "PATH": str(programs), "HOME": str(cwd)}
    # What is to be seen by users are the warnings, too; those of the SDK and of Ray are in both.
    return subprocess.Popen(
        [str(programs / (*command, *ENTRYPOINT)[0]), *(*command, *ENTRYPOINT)[1:]],
        cwd=cwd,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[str], backend: Backend) -> Process:
    """Wait for the end of a process, and tell what it said, without times and addresses."""
    stdout, stderr = process.communicate(timeout=60)
    return Process(
        process.returncode, *(_timeless(output).replace(backend.url, "<url>") for output in (stdout, stderr))
    )


def _timeless(output: str) -> str:
    output = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+", "<time>", output, flags=re.MULTILINE)
    return re.sub(r"ETA: [\d.]+s", "ETA: some", output)


def summary(requests: list[Request]) -> dict[str, Any]:
    """Return what a backend knows in the end, and how it was told: requests are bundled by time."""
    jobs = [request.body for request in requests if request.path == "/jobs/job-1/"]
    logs = [request.body for request in requests if request.path == "/logs/"]
    entries = [entry for body in logs for entry in (body if isinstance(body, list) else [body])]
    known: dict[str, Any] = {}
    for body in jobs:
        known.update(body)
    return {
        "who": {(request.method, request.path, json.dumps(request.headers, sort_keys=True)) for request in requests},
        "known": _timeless_record(known),
        "states": [body["status"] for body in jobs if "status" in body],
        "entries": [{**entry, "datetime": "<time>"} for entry in entries],
    }


def _timeless_record(value: Any) -> Any:
    if isinstance(value, dict):
        times = {"time_remaining", "time_elapsed"}
        return {key: "<time>" if key in times else _timeless_record(one) for key, one in value.items()}
    return value


# -- back to what it was

_INSTRUMENTED_MODULES = (
    "synapse_sdk.plugins.actions.inference.serve",
    "synapse_sdk.plugins.entrypoint",
    "synapse_sdk.plugins.executors.ray.base",
    "synapse_sdk.plugins.executors.ray.jobs_api",
    "ray._private.function_manager",
)


@dataclass
class State:
    """All attributes of all modules and classes of the SDK, and of what is derived from them."""

    of: dict[tuple[str, str], Any]

    @classmethod
    def now(cls) -> State:
        modules = [
            module
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] == "synapse_sdk" or name in {"ray._private.function_manager", __name__}
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
    before = State.now()
    with instrumentation():
        LocalExecutor(env={}).execute(Greets, {})
        played(script("image.png"), Delegating(OwnLogger()))
        for kind in ("success", "failure"):
            registry: StepRegistry[BaseStepContext] = StepRegistry()
            for step in WORKFLOWS[kind]():
                registry.register(step)
            done(kind, Orchestrator(registry, BaseStepContext(ctx), lambda *_: None).execute)
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


# -- carried to other processes


class CarefulContext(RuntimeContext):
    """A user's context, with a slot besides."""

    __slots__ = ("extra",)


def test_contexts_are_copied_as_they_were(clock: Clock, collector: Collector) -> None:
    """A context that is copied or pickled arrives with what it had, and with nothing else."""

    def scenario() -> list[Any]:
        told: list[Any] = []
        for cls, make in itertools.product((RuntimeContext, CarefulContext), (ConsoleLogger, OwnLogger)):
            clock.set(1.0)
            logger = make()
            ctx = cls(logger, PluginEnvironment({"A": "1"}), "job-1", checkpoint={"path": "here"})
            if cls is CarefulContext:
                ctx.extra = 5
            logger.info("a run is open")
            for copied in (
                copy.copy(ctx),
                copy.deepcopy(ctx),
                pickle.loads(pickle.dumps(ctx)),
                dataclasses.replace(ctx),
            ):
                told.append([seen(dict(vars(copied))), getattr(copied, "extra", None), seen(copied.logger)])
            logger.finish()
        return told

    assert_untouched(scenario, collector)


def test_what_cannot_be_pickled_cannot_be_pickled_as_before(backend: Backend, collector: Collector) -> None:
    """A context whose logger does not go to another process is refused in the same words."""

    def scenario() -> list[Any]:
        logger = JobLogger(backend.client(), "job-1")
        logger._lock_of_a_user = sys.stdout
        ctx = RuntimeContext(logger, PluginEnvironment({}), "job-1")
        done("log", logger.info, "a run is open")
        refused = done("dumps", pickle.dumps, ctx)
        done("finish", logger.finish)
        close(logger)
        return [refused.raised and (refused.raised.type, refused.raised.text)]

    assert assert_untouched(scenario, collector)[0] is not None


CARRIED = """
import contextlib, io, pickle, sys, threading

from pydantic import BaseModel
from ray import cloudpickle
from synapse_sdk.loggers import BaseLogger, ConsoleLogger
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.decorators import action
from synapse_sdk.plugins.steps.base import BaseStep, StepResult
from synapse_sdk.plugins.steps.context import BaseStepContext
from synapse_sdk.plugins.steps.orchestrator import Orchestrator
from synapse_sdk.plugins.steps.registry import StepRegistry

from synapse_otel.sdk import SynapseInstrumentor


class Params(BaseModel):
    times: int = 2


class Logger(BaseLogger):
    def _log_impl(self, event, data, file, step, level=None):
        print(event, data, step)

    def log_message(self, message, level=None, *, context=None):
        super().info(message)


class Step(BaseStep):
    name, progress_weight = "one", 1.0

    def execute(self, context):
        context.log_message("in a step")
        return StepResult(data={"step": self.name})

    def can_skip(self, context):
        return super().can_skip(context)


class Greets(BaseAction[Params]):
    def execute(self):
        self.set_progress(1, self.params.times)
        self.ctx.logger.log_message("from an action")
        registry = StepRegistry()
        registry.register(Step())
        orchestrator = Orchestrator(registry, BaseStepContext(self.ctx), self.set_progress)
        return {**orchestrator.execute(), "kind": self.kind()}

    def run(self):
        return {**super().run(), "ran": True}

    @classmethod
    def dispatch(cls, params, ctx):
        return {**super().dispatch(params, ctx), "dispatched": cls.__name__}

    @staticmethod
    def kind():
        return "own"


def everything():
    @action(name="function")
    def function(params, ctx):
        ctx.log_message("from a function")
        return params

    ctx = RuntimeContext(Logger(), PluginEnvironment({"A": "1"}), "job-1")
    result = Greets.dispatch({}, ctx), function({}, ctx)  # so that what is replaced lazily is replaced
    values = {"ctx": ctx, "action": Greets(Params(), ctx), "class": Greets, "function": function, "step": Step(),
              "bound": ctx.logger.log_message, "result": result}
    console = RuntimeContext(ConsoleLogger(), PluginEnvironment({}), "job-2")
    console.log_message("to the console")
    return [pickle.dumps(console), cloudpickle.dumps(values)]


with contextlib.redirect_stdout(io.StringIO()):
    plain = everything()
    SynapseInstrumentor().instrument()
    carried = everything()
    SynapseInstrumentor().uninstrument()
pickle.dump((plain, carried), sys.stdout.buffer)
"""
ARRIVED = """
import contextlib, io, pickle, sys

sys.modules["synapse_otel"] = None


def arrived(console, values):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        ctx, values = pickle.loads(console), pickle.loads(values)
        ctx.log_message("from another process")
        told = [
            values["result"],
            values["class"].dispatch({"times": 4}, values["ctx"]),
            values["action"].run(),
            values["function"]({"a": 1}, values["ctx"]),
            values["step"].can_skip(None),
            values["bound"]("bound"),
            sorted(vars(values["class"])),
            [type(value).__name__ for value in vars(values["class"]).values()],
        ]
    return told, output.getvalue()


plain, carried = pickle.load(sys.stdin.buffer)
found = [arrived(*plain), arrived(*carried)]
assert not [name for name in sys.modules if name.startswith("synapse_otel.")]
print(repr(found))
"""


def test_what_is_carried_by_value_arrives_where_we_are_not(collector: Collector, tmp_path: Path) -> None:
    """Contexts, classes of a script and their instances unpickle, and work, in a process that lacks this package."""
    (tmp_path / "script.py").write_text(CARRIED)
    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    sent = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=env, capture_output=True, timeout=60)
    assert (sent.returncode, sent.stderr.decode()) == (0, "")
    command = [sys.executable, "-c", ARRIVED]
    found = subprocess.run(command, cwd=tmp_path, env=env, input=sent.stdout, capture_output=True, timeout=60)
    assert (found.returncode, found.stderr.decode()) == (0, "")
    plain, carried = eval(found.stdout)
    assert carried == plain
    assert "from another process" in plain[1]
    assert collector.spans
