"""A recorder that is a logger of the SDK, for those who build their own context."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from synapse_sdk.loggers import BaseLogger, ConsoleLogger
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.models.logger import LogLevel

from sdk.arrived import progress, records, roots, run_of, samples, tree
from sdk.plugins import Broken, Train
from synapse_otel import RunStatus
from synapse_otel.sdk import OTelLogger, SynapseInstrumentor
from synapse_otel.testing import Collector


@pytest.fixture(params=[False, True], ids=["alone", "and the SDK is instrumented"])
def maybe_instrumented(request: pytest.FixtureRequest) -> Any:
    """Whether or not the instrumentor is on, the logger reports once."""
    if request.param:
        SynapseInstrumentor().instrument()
    yield request.param
    if request.param:
        SynapseInstrumentor().uninstrument()


def context(logger: OTelLogger) -> RuntimeContext:
    return RuntimeContext(logger=logger, env=PluginEnvironment({}), job_id=logger.job_id)


def test_it_is_a_logger_of_the_sdk_and_records(maybe_instrumented: bool, collector: Collector) -> None:
    """All that a context can be told arrives once, and the SDK's state is as in any other logger."""
    logger = OTelLogger("job-1", "train")
    ctx = context(logger)
    assert isinstance(logger, BaseLogger)
    ctx.set_progress(1, 2, "epochs")
    ctx.set_metrics({"loss": 0.5}, "training")
    ctx.log("saved", {"size": 7}, "model.pt")
    ctx.log_message("hello", LogLevel.SUCCESS)
    ctx.log_dev_event("layers", {"count": 12})
    ctx.log_metric("validation", "acc", 0.25)
    ctx.log_trials(trials={"t": 1})
    ctx.log_visualization("train", "g", 0, "/nowhere.png")
    logger.info("info")
    logger.debug("debug")
    logger.set_progress_failed("export")
    assert (logger.get_progress("epochs").percent, logger.get_metrics("training")) == (50.0, {"loss": 0.5})
    assert logger.flush(10)
    logger.finish()
    assert roots(collector) == [("train", "ok", None, None, "completed")]
    assert collector.spans[0].trace_id == logger.trace_id
    assert [record[:3] for record in records(collector)] == [
        ("saved", "info", "saved"),
        ("synapse.message", "success", "hello"),
        ("synapse.dev_event", "debug", "layers"),
        ("trials", "info", "trials"),
        ("visualization", "info", "visualization"),
        ("synapse.message", "info", "info"),
        ("synapse.dev_event", "debug", "debug"),
    ]
    assert sorted(samples(collector)) == [("acc", "validation", 0.25), ("loss", "training", 0.5)]
    assert progress(collector) == {"epochs": (1, 2), "export": (0, 1)}
    assert logger.report().pending == 0


def test_misuse_is_the_sdks(maybe_instrumented: bool, collector: Collector) -> None:
    """What the SDK refuses is refused in its words, and not recorded."""
    logger = OTelLogger("job-1")
    with pytest.raises(ValueError, match="total must be > 0, got 0"):
        logger.set_progress(1, 0)
    with pytest.raises(TypeError, match="level must be a LogLevel enum, got str"):
        logger.log("info", "event", {})
    logger.finish()
    with pytest.raises(RuntimeError, match="finished logger"):
        logger.info("late")
    assert records(collector) == []


def test_an_action_runs_in_its_run(instrumented: None, collector: Collector) -> None:
    """Where the SDK is instrumented, an action that is given the logger does not open a second run."""
    logger = OTelLogger("job-1", "nightly")
    Train.dispatch({"epochs": 1}, context(logger))
    logger.finish()
    assert roots(collector) == [("nightly", "ok", "train", "neural_net", "completed")]
    assert tree(collector) == [("nightly", ""), ("epochs", "nightly")]
    failing = OTelLogger("job-2", "failing")
    with pytest.raises(ValueError, match="a made-up error"):
        Broken.dispatch({}, context(failing))
    failing.finish()
    assert run_of(collector, "failing").attributes["synapse.run.status"] == "failed"


def test_finish_says_what_became_of_the_run(collector: Collector) -> None:
    """For those who know; further calls change nothing."""
    logger = OTelLogger("job-1", "ended")
    logger.finish(RunStatus.CANCELLED)
    logger.finish(error=ValueError("late"))
    assert run_of(collector, "ended").attributes["synapse.run.status"] == "cancelled"


def test_it_shows_on_another_logger_what_it_records(
    maybe_instrumented: bool, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    """The console is the SDK's own, and is told everything once."""
    logger = OTelLogger("job-1", "shown", console=ConsoleLogger())
    ctx = context(logger)
    ctx.log_message("hello")
    ctx.set_metrics({"loss": 0.5}, "training")
    ctx.log_metric("validation", "acc", 0.25)
    logger.finish()
    out = capsys.readouterr().out
    assert [out.count(text) for text in ("hello", "'loss': 0.5", "acc=0.25")] == [1, 1, 1]
    assert len(records(collector)) == 1
    assert len(samples(collector)) == 2


def test_it_can_be_carried(collector: Collector) -> None:
    """Pickled with a context, it is the same run."""
    logger = OTelLogger("job-1", "carried")
    again = pickle.loads(pickle.dumps(context(logger)))
    again.log_message("from there")
    logger.finish()
    assert (again.logger.trace_id, again.logger.job_id) == (logger.trace_id, "job-1")
    assert [record[2] for record in records(collector)] == ["from there"]
