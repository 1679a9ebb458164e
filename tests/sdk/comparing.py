"""Everything is done twice, without the instrumentor and with it, and compared whole."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import itertools
import logging
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pprint import pformat
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel
from synapse_sdk.plugins.context import RuntimeContext

from sdk.backend import Backend
from synapse_otel.sdk import SynapseInstrumentor
from synapse_otel.testing import Collector


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
    arguments: object


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
        lines = (pformat(told).splitlines() for told in (other, one))
        assert one == other, "\n".join(difflib.unified_diff(*lines, "plain", "instrumented", lineterm=""))


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
