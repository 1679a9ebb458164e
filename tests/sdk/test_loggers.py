"""Every logger of the SDK reports what it is told, whatever its class, once."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synapse_sdk.i18n import LocalizedMessage
from synapse_sdk.loggers import BackendLogger, BaseLogger, ConsoleLogger, JobLogger, NoOpLogger, TqdmLogger
from synapse_sdk.plugins.actions.train.log_messages import TrainLogMessageCode
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.models.logger import LogLevel

from sdk.arrived import progress, records, roots, samples
from synapse_otel.testing import Collector

pytestmark = pytest.mark.usefixtures("instrumented")


class Backend:
    """Takes what loggers send to the Synapse backend."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args: self.sent.append((name, args))


class Own(BaseLogger):
    """A plugin author's own logger."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def _log_impl(self, event: str, data: dict[str, Any], file: Any, step: Any, level: Any = None) -> None:
        self.kept.append((event, data))


class Overriding(Own):
    """One that does everything itself, and hands it on to its base class."""

    def set_progress(self, current: int, total: int, step: str | None = None) -> None:
        super().set_progress(current, total, step)

    def set_metrics(self, value: dict[str, Any], step: str | None = None) -> None:
        super().set_metrics(value, step)

    def log(self, level: Any, event: str, data: Any, file: str | None = None, step: str | None = None) -> None:
        super().log(level, event, data, file, step)

    def info(self, message: str) -> None:
        super().info(message)


class Tee(BaseLogger):
    """One that hands everything on to several others."""

    def __init__(self, *loggers: BaseLogger) -> None:
        super().__init__()
        self.loggers = loggers

    def set_progress(self, current: int, total: int, step: str | None = None) -> None:
        for logger in self.loggers:
            logger.set_progress(current, total, step)

    def set_progress_failed(self, step: str | None = None) -> None:
        for logger in self.loggers:
            logger.set_progress_failed(step)

    def set_metrics(self, value: dict[str, Any], step: str | None = None) -> None:
        for logger in self.loggers:
            logger.set_metrics(value, step)

    def _log_impl(self, event: str, data: dict[str, Any], file: Any, step: Any, level: Any = None) -> None:
        for logger in self.loggers:
            logger.log(level, event, data, file, step)


class Duck:
    """One that is derived from nothing, and known by the context that has it."""

    def __init__(self) -> None:
        self._current_step = None

    def set_progress(self, current: int, total: int, step: str | None = None) -> None:
        pass

    def set_progress_failed(self, step: str | None = None) -> None:
        pass

    def set_metrics(self, value: dict[str, Any], step: str | None = None) -> None:
        pass

    def log(self, level: Any, event: str, data: Any, file: str | None = None, step: str | None = None) -> None:
        pass

    def _build_message_data(self, content: str, key: str | None = None) -> dict[str, Any]:
        return {"content": content} | ({} if key is None else {"key": key})

    def finish(self) -> None:
        pass


LOGGERS: dict[str, Callable[[], Any]] = {
    "ConsoleLogger": ConsoleLogger,
    "TqdmLogger": TqdmLogger,
    "NoOpLogger": NoOpLogger,
    "JobLogger": lambda: JobLogger(Backend(), "job-1"),
    "BackendLogger": lambda: BackendLogger(Backend(), "job-1"),
    "BackendLogger without a backend": lambda: BackendLogger(None, "job-1"),
    "a subclass": Own,
    "a subclass that overrides": Overriding,
    "a tee": lambda: Tee(ConsoleLogger(), Own(), NoOpLogger()),
    "a tee of tees": lambda: Tee(Tee(Own()), Overriding()),
    "a duck": Duck,
}


def context(logger: Any, job_id: str | None = "job-1") -> RuntimeContext:
    return RuntimeContext(logger=logger, env=PluginEnvironment({}), job_id=job_id)


@pytest.mark.parametrize("kind", LOGGERS)
def test_what_a_context_is_told_arrives_once(kind: str, collector: Collector, tmp_path: Path) -> None:
    """Progress, metrics, events, messages and dev events, whatever logger the context has."""
    image = tmp_path / "image.png"
    image.write_bytes(b"12345")
    logger = LOGGERS[kind]()
    ctx = context(logger)
    ctx.set_progress(1, 4, "download")
    ctx.set_progress(4, 4, "download")
    ctx.set_metrics({"loss": 0.5, "accuracy": 0.25}, "training")
    ctx.log_metric("validation", "epoch", 3, loss=0.125)
    logger.log(LogLevel.SUCCESS, "saved", {"size": 7}, "model.pt")
    ctx.log_message("hello {name}", LogLevel.WARNING, name="you")
    ctx.log_message({"en": "one", "ko": "하나"}, language="ko")
    ctx.log_message(LocalizedMessage(en="two", ko="둘"))
    ctx.log_message(TrainLogMessageCode.TRAIN_STARTING, epochs=5)
    ctx.log_dev_event("layers", {"count": 12})
    ctx.log_visualization("train", "group", 0, str(image), epoch=3)
    ctx.log_trials(trials={"t1": {"loss": 1}}, best_trial="t1")
    ctx.end_log()
    logger.set_progress_failed("export")
    logger.finish()
    assert roots(collector) == [("run", "ok", None, None, "completed")]
    assert progress(collector) == {"download": (4, 4), "export": (0, 1)}
    assert sorted(samples(collector)) == [
        ("accuracy", "training", 0.25),
        ("epoch", "validation", 3),
        ("loss", "training", 0.5),
        ("loss", "validation", 0.125),
    ]
    code = {"synapse.message.key": "TRAIN_STARTING"}
    starting = ctx_message(TrainLogMessageCode.TRAIN_STARTING, epochs=5)
    trials = {"base": [], "trials": {"t1": {"loss": 1}}, "hyperparameters": [], "metrics": [], "best_trial": "t1"}
    visualization = {"category": "train", "group": "group", "index": 0, "epoch": 3, "file.size": 5}
    assert records(collector) == [
        ("saved", "success", "saved", {"size": 7, "file.path": "model.pt"}),
        ("synapse.message", "warning", "hello you", {}),
        ("synapse.message", "info", "하나", {}),
        ("synapse.message", "info", "two", {}),
        ("synapse.message", "info", starting, code),
        ("synapse.dev_event", "debug", "layers", {"count": 12}),
        ("visualization", "info", "visualization", visualization | {"file.path": str(image)}),
        ("trials", "info", "trials", trials),
        ("synapse.message", "info", "Plugin run is complete.", {"synapse.message.key": "PLUGIN_RUN_COMPLETE"}),
    ]


def ctx_message(code: Any, **kwargs: Any) -> str:
    from synapse_sdk.plugins.log_messages import resolve_log_message

    return resolve_log_message(code, language="en", **kwargs)[0]


LEGACY = {
    name: make for name, make in LOGGERS.items() if name in {"ConsoleLogger", "NoOpLogger", "JobLogger", "TqdmLogger"}
}


@pytest.mark.parametrize("kind", LEGACY)
def test_what_a_logger_is_told_arrives_once(kind: str, collector: Collector) -> None:
    """Also what is said to the logger and not to a context, in each of the ways that the SDK's loggers have."""
    logger = LEGACY[kind]()
    logger.info("a")
    logger.warning("b")
    logger.error("c")
    logger.critical("d")
    logger.debug("e")
    logger.log_message("f", LogLevel.DANGER)
    logger.log_event("seen", {"x": 1}, file="f.txt")
    logger.log_metric("train", "loss", 0.5, acc=0.25)
    logger.log_visualization("train", "g", 1, "data:image/png;base64," + "A" * 500, thumbnail=b"\x00" * 64)
    logger.set_step("fit", 2)
    logger.log(LogLevel.INFO, "inside", {})
    logger.set_progress(1, 2)
    logger.set_metrics({"m": 1})
    logger.finish()
    assert sorted(samples(collector)) == [("acc", "train", 0.25), ("loss", "train", 0.5), ("m", "fit", 1)]
    assert progress(collector) == {"fit": (1, 2)}
    visualization = {
        "category": "train",
        "group": "g",
        "index": 1,
        "thumbnail": "<64 bytes>",
        "file": "<data of 522 characters>",
    }
    assert records(collector) == [
        ("synapse.message", "info", "a", {}),
        ("synapse.message", "warning", "b", {}),
        ("synapse.message", "error", "c", {}),
        ("synapse.message", "critical", "d", {}),
        ("synapse.dev_event", "debug", "e", {}),
        ("synapse.message", "danger", "f", {}),
        ("seen", "info", "seen", {"x": 1, "file.path": "f.txt"}),
        ("visualization", "info", "visualization", visualization),
        ("inside", "info", "inside", {"synapse.step": "fit"}),
    ]


def test_what_the_sdk_refuses_is_not_recorded(collector: Collector) -> None:
    """A call that raises has not happened."""
    logger = NoOpLogger()
    ctx = context(logger)
    for wrong, error in (
        (lambda: ctx.set_progress(1, 0), ValueError),
        (lambda: ctx.set_progress(3, 2), ValueError),
        (lambda: ctx.set_metrics({"a": 1}, ""), ValueError),
        (lambda: ctx.set_metrics([], "x"), TypeError),
        (lambda: ctx.log("event", [1]), TypeError),
        (lambda: logger.log("info", "event", {}), TypeError),
    ):
        with pytest.raises(error):
            wrong()
    ctx.log_message("the only one")
    logger.finish()
    for late in (lambda: ctx.log("late", {}), lambda: ctx.set_progress(1, 2), lambda: logger.info("late")):
        with pytest.raises(RuntimeError, match="finished"):
            late()
    assert [record[2] for record in records(collector)] == ["the only one"]
    assert (progress(collector), samples(collector)) == ({}, [])


def test_what_we_cannot_read_is_kept_as_it_is(collector: Collector) -> None:
    """The SDK takes an infinite total, which no gauge can hold; the report is not lost."""
    logger = NoOpLogger()
    logger.set_progress(1, float("inf"), "endless")
    logger.log(LogLevel.INFO, "", {"no": "name"})
    logger.set_metrics({"word": "text", "number": 1}, "mixed")
    logger.finish()
    kept, unnamed, words = records(collector)
    refusal = "set_progress: total must be a finite number greater than 0, got inf"
    assert kept == ("synapse.dev_event", "debug", refusal, {"args": [1, float("inf"), "endless"], "kwargs": {}})
    assert unnamed == ("event", "info", "event", {"no": "name"})
    assert words[0] == "synapse.metrics"
    assert samples(collector) == [("number", "mixed", 1)]


class Chatty(Own):
    """One that, asked to do one thing, also says another."""

    def set_metrics(self, value: dict[str, Any], step: str | None = None) -> None:
        super().set_metrics(value, step)
        self.log(LogLevel.INFO, "metrics_saved", {"count": len(value)})

    def log(self, level: Any, event: str, data: Any, file: str | None = None, step: str | None = None) -> None:
        super().log(level, event, data, file, step)
        if event == "saved":
            super().log(level, "audit", {"of": event})


class Renaming(BaseLogger):
    """One that hands events on under names of its own."""

    def __init__(self, inner: BaseLogger) -> None:
        super().__init__()
        self.inner = inner

    def _log_impl(self, event: str, data: dict[str, Any], file: Any, step: Any, level: Any = None) -> None:
        self.inner.log(level, f"plugin.{event}", data, file, step)


def test_what_a_logger_says_besides_is_recorded_too(collector: Collector) -> None:
    """A call that a logger makes in the middle of another one is lost only if it is the same one, handed on."""
    chatty, renaming = Chatty(), Renaming(Own())
    chatty.set_metrics({"loss": 1}, "t")
    chatty.log(LogLevel.INFO, "saved", {})
    renaming.log(LogLevel.INFO, "loaded", {"x": 1})
    chatty.finish()
    renaming.finish()
    assert [record[0] for record in records(collector)] == ["metrics_saved", "saved", "audit", "loaded"]
    assert samples(collector) == [("loss", "t", 1)]


def test_a_run_ends_with_the_logger_that_opened_it(collector: Collector) -> None:
    """By `finish`, or when the logger is gone; the job is the context's, else the logger's."""
    first = context(NoOpLogger(), "job-of-context")
    first.log_message("one")
    first.logger.finish()
    second = JobLogger(Backend(), "job-of-logger")
    second.log_message("two")
    second.finish()
    third = context(NoOpLogger(), "job-of-the-forgotten")
    third.log_message("three")
    del third
    gc.collect()
    context(NoOpLogger())  # whatever comes next ends the run of the logger that is gone
    assert collector.wait_for(lambda c: len(roots(c)) == 3)
    assert [span.resource["job_id"] for span in collector.spans if "synapse.run.status" in span.attributes] == [
        "job-of-context",
        "job-of-logger",
        "job-of-the-forgotten",
    ]


def test_threads_report_to_the_run_of_their_logger(collector: Collector) -> None:
    """Sixteen threads on one context open one run, and each call of theirs arrives."""
    ctx = context(NoOpLogger())

    def report(number: int) -> None:
        for i in range(50):
            ctx.log_message(f"{number}-{i}")
            ctx.set_metrics({f"loss{number}": i}, "training")

    threads = [threading.Thread(target=report, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ctx.logger.finish()
    assert len(roots(collector)) == 1
    assert sorted(record[2] for record in records(collector)) == sorted(
        f"{n}-{i}" for n in range(16) for i in range(50)
    )
    assert len(samples(collector)) == 800


def test_a_wrong_setting_is_said_and_reaches_no_plugin(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, collector: Collector
) -> None:
    """A plugin that knows nothing of us does not fail for a variable of ours."""
    monkeypatch.setenv("SYNAPSE_OTEL_QUOTA_DAYS", "never")
    logger = NoOpLogger()
    for _ in range(3):
        context(logger).log_message("still here")
    logger.finish()
    assert [message for message in caplog.messages if "QUOTA_DAYS" in message] == [
        "nothing is recorded: SYNAPSE_OTEL_QUOTA_DAYS = 'never': Input should be a valid number, "
        "unable to parse string as a number"
    ]
    assert collector.spans == []


class Shortened(Own):
    """One with a signature of its own, that hands on what the SDK's has."""

    def log(self, event: str, data: Any, file: str | None = None) -> None:  # type: ignore[override]  # as users write it
        super().log(LogLevel.INFO, event, data, file)


def test_a_signature_of_ones_own_is_read_where_it_is_handed_on(collector: Collector) -> None:
    """What cannot be read at the outer call is read at the inner one, once."""
    logger = Shortened()
    logger.log("saved", {"size": 7})
    logger.finish()
    assert records(collector) == [("saved", "info", "saved", {"size": 7})]
