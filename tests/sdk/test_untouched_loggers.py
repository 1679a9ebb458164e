"""Loggers do what they did, whoever wrote them, and whatever they are told."""

from __future__ import annotations

import copy
import logging
import logging.handlers
import re
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest
from synapse_sdk.loggers import ConsoleLogger, JobLogger, NoOpLogger
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.models.logger import LogLevel

from sdk import comparing
from sdk.backend import Backend
from sdk.calls import Script, messages, played, progress, script
from sdk.comparing import Clock, Done, assert_same, assert_untouched, done, instrumentation, seen
from sdk.loggers import LOGGERS, Delegating, Looking, Unusual, at_once, close, immediate
from synapse_otel.testing import Collector

clock = comparing.clock
backend = comparing.backend


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


def test_a_backend_that_refuses_is_told_of_as_before(clock: Clock, collector: Collector) -> None:
    """A logger that cannot deliver says so, and keeps what it keeps."""

    def scenario() -> list[Any]:
        clock.set(1.0)
        noted = Script()
        progress(noted.logger, noted.ctx)
        messages(noted.logger, noted.ctx)
        logger = immediate(refusing)
        told = played(noted, logger)
        close(logger)
        return [*told, seen(refusing.taken())]

    with Backend(status=400) as refusing:
        plain = assert_untouched(scenario, collector)
    assert any("a made-up refusal" in one.stdout for one in plain if isinstance(one, Done))


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
