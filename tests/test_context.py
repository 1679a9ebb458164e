import asyncio
import sys
import threading
import types
from dataclasses import fields

import pytest

from synapse_otel.context import RuntimeContext, one_level, run_outcome
from synapse_otel.environment import PluginEnvironment
from synapse_otel.logger import BaseLogger, NoOpLogger, StepHandle
from synapse_otel.models import Counts, DeliveryReport, LogLevel, RunStatus


class Recorder(BaseLogger):
    """Keeps every call as it came, not what becomes of it."""

    def __init__(self, job_id="job-1"):
        super().__init__(job_id)
        self.calls = []

    def __getattribute__(self, name):
        if name in {"set_progress", "set_metrics", "log", "log_message", "log_dev_event", "end_log", "finish"}:
            return lambda *args, **kwargs: self.calls.append((name, args, kwargs, threading.current_thread().name))
        return super().__getattribute__(name)

    def _log_impl(self, event, data, file, step, level): ...

    trace_id = "0" * 32

    def flush(self, timeout=30.0):
        return timeout < 1

    def report(self):
        return DeliveryReport({"message": Counts(1)})

    def propagation_env(self):
        return {"TRACEPARENT": "00-0-0-01"}


@pytest.fixture
def ctx():
    return RuntimeContext(Recorder(), PluginEnvironment())


def calls_of(ctx):
    return [call[:3] for call in ctx.logger.calls]


def test_its_fields_are_those_of_the_documents():
    assert [field.name for field in fields(RuntimeContext)] == [
        "logger",
        "env",
        "job_id",
        "client",
        "agent_client",
        "checkpoint",
    ]


def test_the_job_is_the_loggers_unless_it_is_given():
    assert (
        RuntimeContext(Recorder("job-1"), PluginEnvironment()).job_id,
        RuntimeContext(Recorder("job-1"), PluginEnvironment(), "job-2").job_id,
        RuntimeContext(NoOpLogger(), PluginEnvironment()).job_id,
    ) == ("job-1", "job-2", None)


def test_every_report_goes_to_the_logger(ctx):
    ctx.set_progress(1, 2)
    ctx.set_progress(1, 2, "train")
    ctx.set_progress(current=1, total=2, step="train")
    ctx.set_metrics({"loss": 1})
    ctx.set_metrics(value={"loss": 1}, category="train")
    ctx.set_metrics({"loss": 1}, step="train")
    ctx.log("saved", {"epoch": 1}, "/model.pt")
    ctx.log("saved", {"epoch": 1}, level="warning")
    ctx.log_dev_event("cache")
    ctx.log_dev_event("cache", {"hits": 1})
    ctx.end_log()
    assert calls_of(ctx) == [
        ("set_progress", (1, 2, None), {}),
        ("set_progress", (1, 2, "train"), {}),
        ("set_progress", (1, 2, None), {"step": "train"}),
        ("set_metrics", ({"loss": 1}, None), {}),
        ("set_metrics", ({"loss": 1}, "train"), {}),
        ("set_metrics", ({"loss": 1}, None), {"step": "train"}),
        ("log", (LogLevel.INFO, "saved", {"epoch": 1}, "/model.pt"), {}),
        ("log", ("warning", "saved", {"epoch": 1}, None), {}),
        ("log_dev_event", ("cache", None), {}),
        ("log_dev_event", ("cache", {"hits": 1}), {}),
        ("end_log", (), {}),
    ]


def test_a_message_has_its_level_in_either_spelling(ctx):
    ctx.log_message("m")
    ctx.log_message("m", "warning")
    ctx.log_message("m", LogLevel.WARNING)
    ctx.log_message("m", context="warning")
    ctx.log_message("m", level="warning")
    ctx.log_message("m", step="train")
    assert calls_of(ctx) == [
        ("log_message", ("m", "info"), {}),
        ("log_message", ("m", "warning"), {}),
        ("log_message", ("m", LogLevel.WARNING), {}),
        ("log_message", ("m", "warning"), {}),
        ("log_message", ("m", LogLevel.WARNING), {"step": None}),
        ("log_message", ("m", LogLevel.INFO), {"step": "train"}),
    ]


@pytest.mark.parametrize("level", ["warning", "WARNING", LogLevel.WARNING])
def test_both_spellings_of_a_level_may_say_the_same(level):
    assert one_level("warning", level) is LogLevel.WARNING


def test_two_levels_are_a_type_error(ctx):
    with pytest.raises(TypeError) as error:
        ctx.log_message("m", "warning", level="danger")
    assert str(error.value) == (
        "context and level are two names of one argument, got context=str 'warning' and level=str 'danger'"
    )


def test_the_rest_is_the_loggers_too(ctx):
    assert (
        ctx.flush(),
        ctx.flush(0.5),
        ctx.report(),
        ctx.trace_id,
        ctx.propagation_env(),
        isinstance(ctx.step("load"), StepHandle),
    ) == (False, True, DeliveryReport({"message": Counts(1)}), "0" * 32, {"TRACEPARENT": "00-0-0-01"}, True)


OUTCOMES = [
    (None, RunStatus.COMPLETED),
    (ValueError("x"), RunStatus.FAILED),
    (KeyboardInterrupt(), RunStatus.CANCELLED),
    (asyncio.CancelledError(), RunStatus.CANCELLED),
    (GeneratorExit(), RunStatus.CANCELLED),
    (SystemExit(), RunStatus.COMPLETED),
    (SystemExit(0), RunStatus.COMPLETED),
    (SystemExit(3), RunStatus.FAILED),
    (SystemExit("no GPU"), RunStatus.FAILED),
]


@pytest.mark.parametrize(("exc", "status"), OUTCOMES, ids=repr)
def test_what_becomes_of_a_run(exc, status):
    assert run_outcome(exc) is status


@pytest.mark.parametrize(("exc", "status"), OUTCOMES[1:], ids=repr)
def test_a_block_that_raises_finishes_the_run_and_goes_on(ctx, exc, status):
    with pytest.raises(type(exc)) as error, ctx as entered:
        raise exc
    assert (error.value, entered, calls_of(ctx)) == (exc, ctx, [("finish", (status, exc), {})])


def test_a_block_that_ends_completes_the_run(ctx):
    with ctx:
        pass
    assert calls_of(ctx) == [("finish", (RunStatus.COMPLETED, None), {})]


def test_an_async_block_finishes_in_a_thread(ctx):
    async def main():
        async with ctx as entered:
            assert entered is ctx

    asyncio.run(main())
    assert ([call[:3] for call in ctx.logger.calls], ctx.logger.calls[0][3] == "MainThread") == (
        [("finish", (RunStatus.COMPLETED, None), {})],
        False,
    )


def test_a_cancelled_task_cancels_its_run(ctx):
    async def main():
        async with ctx:
            await asyncio.sleep(60)

    async def cancel():
        task = asyncio.create_task(main())
        await asyncio.sleep(0)
        task.cancel()
        return await asyncio.gather(task, return_exceptions=True)

    assert isinstance(asyncio.run(cancel())[0], asyncio.CancelledError)
    assert [call[1][0] for call in ctx.logger.calls] == [RunStatus.CANCELLED]


@types.coroutine
def pause():
    yield


def test_a_coroutine_that_is_closed_cancels_its_run_at_once(ctx):
    async def main():
        async with ctx:
            await pause()

    coroutine = main()
    coroutine.send(None)
    coroutine.close()
    assert [(call[1][0], call[3]) for call in ctx.logger.calls] == [(RunStatus.CANCELLED, "MainThread")]


def test_without_asyncio_an_async_block_finishes_at_once(ctx):
    async def main():
        async with ctx:
            pass

    with pytest.raises(StopIteration):
        main().send(None)
    assert [(call[1], call[3]) for call in ctx.logger.calls] == [((RunStatus.COMPLETED, None), "MainThread")]


class TestOpen:
    @pytest.fixture(autouse=True)
    def logger(self, monkeypatch):
        class OTelLogger(NoOpLogger):
            def __init__(self, **given):
                super().__init__(given["job_id"] or "local-1")
                self.given = given

        monkeypatch.setitem(sys.modules, "synapse_otel.otel_logger", types.SimpleNamespace(OTelLogger=OTelLogger))

    def test_it_records_with_what_it_is_given(self):
        client, agent, checkpoint, settings = object(), object(), {"path": "/m"}, object()
        ctx = RuntimeContext.open(
            "job-1",
            "train",
            console=True,
            client=client,
            agent_client=agent,
            checkpoint=checkpoint,
            settings=settings,
            env={"A": 1},
        )
        assert (ctx.logger.given, ctx.job_id, ctx.client, ctx.agent_client, ctx.checkpoint, ctx.env) == (
            {"job_id": "job-1", "name": "train", "console": True, "settings": settings},
            "job-1",
            client,
            agent,
            checkpoint,
            PluginEnvironment({"A": 1}),
        )

    def test_without_anything_the_environment_and_the_logger_say_it(self, monkeypatch):
        monkeypatch.setenv("SYNTEST", "1")
        ctx = RuntimeContext.open()
        assert (ctx.logger.given, ctx.job_id, ctx.env["SYNTEST"]) == (
            {"job_id": None, "name": "run", "console": False, "settings": None},
            "local-1",
            "1",
        )

    def test_an_environment_is_taken_as_it_is(self):
        env = PluginEnvironment()
        assert RuntimeContext.open(env=env).env is env
