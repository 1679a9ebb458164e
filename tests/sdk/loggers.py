"""Loggers of every kind: the SDK's, and users' own, which do whatever the SDK lets them do."""

from __future__ import annotations

import functools
import inspect
import logging
import warnings
from collections.abc import Callable
from typing import Any

import wrapt
from synapse_sdk.loggers import BackendLogger, BaseLogger, ConsoleLogger, JobLogger, NoOpLogger, TqdmLogger
from synapse_sdk.plugins.context import RuntimeContext
from synapse_sdk.plugins.executors.ray import pipeline as ray_pipeline
from synapse_sdk.plugins.models.logger import LogLevel

from sdk.backend import Backend, Published

try:
    from synapse_sdk.plugins.actions.train.tune import TuneTrialLoggerWrapper as TrialLogger
except ImportError:  # older releases have it there
    from synapse_sdk.plugins.actions.train.action import _TuneTrialLoggerWrapper as TrialLogger


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


class Looking(ConsoleLogger):
    """A user's own, which tells its caller."""

    def info(self, message: str) -> None:
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        logging.getLogger("synapse_sdk.looking").info(message, stacklevel=2)


class CarefulContext(RuntimeContext):
    """A user's context, with a slot besides."""

    __slots__ = ("extra",)


def immediate(backend: Backend) -> JobLogger:
    """A logger that sends everything at once, as those of older releases always do."""
    return JobLogger(backend.client(), "job-1", {"train": 70, "upload": 20}, **at_once())


def at_once() -> dict[str, Any]:
    settings = {"log_batch_size": 1, "progress_flush_interval": 0, "background_flush": False}
    known = inspect.signature(JobLogger).parameters
    return {name: value for name, value in settings.items() if name in known}


def close(logger: Any) -> None:
    """Close the connections of a logger, where it has any."""
    if isinstance(logger, JobLogger):
        logger._client.requests_session.close()


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
