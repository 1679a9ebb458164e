"""What plugins do that nobody expects, and what happens to the runs when they do."""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import json
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from synapse_sdk.loggers import NoOpLogger
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.executors.local import LocalExecutor
from synapse_sdk.plugins.pipelines import ActionPipeline
from synapse_sdk.plugins.steps import BaseStep, BaseStepContext, Orchestrator, StepRegistry, StepResult

from sdk.arrived import progress, records, roots, run_of, samples
from sdk.plugins import Params, Train
from synapse_otel.sdk.instrumentor import _main_module
from synapse_otel.sdk.ray import AUTO, with_telemetry
from synapse_otel.testing import Collector

pytestmark = pytest.mark.usefixtures("instrumented")


def context(logger: Any = None, job_id: str | None = "job-1") -> RuntimeContext:
    return RuntimeContext(logger=logger or NoOpLogger(), env=PluginEnvironment({}), job_id=job_id)


def messages(collector: Collector) -> list[Any]:
    return [record[2] for record in records(collector) if record[0] == "synapse.message"]


# -- loggers


class Explaining(NoOpLogger):
    """Says something first, then what it was asked to."""

    def error(self, message: str) -> None:
        super().error("the context")
        super().error(message)

    def set_progress(self, current: int, total: int, step: str | None = None) -> None:
        super().set_progress(1, 7, "overall")
        super().set_progress(current, total, step)

    def _on_metrics(self, step: str, metrics: dict[str, Any]) -> None:
        if step == "train":
            self.set_metrics({"lr": 0.1}, "optimizer")

    def log_metric(self, category: str, key: str, value: float, **metrics: Any) -> None:
        self.set_metrics({key: value, **metrics}, category)

    def finish(self, reason: str = "") -> None:
        super().finish()


def test_what_is_said_first_is_not_taken_for_what_was_asked(collector: Collector) -> None:
    """Each thing is recorded, and each once."""
    logger = Explaining()
    logger.error("the message")
    logger.set_progress(3, 9, "train")
    logger.set_metrics({"loss": 1}, "train")
    logger.log_metric("validation", "acc", 0.5)
    logger.finish("done")
    assert messages(collector) == ["the message", "the context"]  # a call is recorded before it is made
    assert progress(collector) == {"overall": (1, 7), "train": (3, 9)}
    assert sorted(samples(collector)) == [("acc", "validation", 0.5), ("loss", "train", 1), ("lr", "optimizer", 0.1)]
    assert [status for *_, status in roots(collector)] == ["completed"]


class Interrupted(NoOpLogger):
    """Is interrupted by a signal while it logs."""

    def _log_impl(self, event: str, data: dict[str, Any], file: Any, step: Any, level: Any = None) -> None:
        if data.get("content") == "working":
            signal.raise_signal(signal.SIGUSR1)


def test_what_a_signal_handler_logs_in_the_middle_of_a_call_is_recorded(collector: Collector) -> None:
    """It is no part of the call that it interrupts."""
    logger = Interrupted()
    before = signal.signal(signal.SIGUSR1, lambda *_: logger.warning("told to stop"))
    try:
        logger.info("working")
    finally:
        signal.signal(signal.SIGUSR1, before)
    logger.finish()
    assert messages(collector) == ["working", "told to stop"]


def test_classes_of_others_stay_as_they_are(collector: Collector) -> None:
    """An action that is also a thread does not change threads."""

    class Threaded(BaseAction[Params], threading.Thread):
        action_name = "threaded"

        def __init__(self, params: Params, ctx: RuntimeContext) -> None:
            threading.Thread.__init__(self)
            BaseAction.__init__(self, params, ctx)

        def execute(self) -> int:
            return 1

    run = threading.Thread.run
    Threaded(Params(), context()).execute()
    assert threading.Thread.run is run
    assert [name for name, *_ in roots(collector)] == ["threaded"]


def test_loggers_that_are_dropped_cost_nobody_a_wait(collector: Collector) -> None:
    """Their runs end by themselves, and what they said has arrived."""
    for number in range(5):
        context().log_message(f"{number}")
    gc.collect()
    context()
    assert collector.wait_for(lambda c: (len(roots(c)), len(messages(c))) == (5, 5))
    assert sorted(messages(collector)) == ["0", "1", "2", "3", "4"]
    traces = {span.trace_id for span in collector.spans}
    assert len(traces) == 5  # a run that a logger opened is nobody's parent


# -- actions


class Retrying(BaseAction[Params]):
    """Dispatches in a way of its own, and was defined when the SDK was instrumented already."""

    action_name = "retrying"

    @classmethod
    def dispatch(cls, params: dict[str, Any], ctx: RuntimeContext, retries: int = 0) -> Any:
        for _ in range(retries):
            with contextlib.suppress(ValueError):
                return super().dispatch(params, ctx)
        raise ValueError("no more tries")

    def execute(self) -> None:
        raise ValueError("once more")


def test_arguments_of_ones_own_reach_the_method(collector: Collector) -> None:
    """By place or by name."""
    with pytest.raises(ValueError, match="no more tries"):
        Retrying.dispatch({}, ctx=context(), retries=2)
    assert LocalExecutor(job_id="job-2").execute(action_cls=Train, params={"epochs": 1}) == {"loss": 1.0}
    assert run_of(collector, "train").attributes["synapse.run.status"] == "completed"


@pytest.mark.parametrize("category", [object(), 7, None])
def test_a_category_that_is_none_harms_nobody(category: Any, collector: Collector) -> None:
    """The action runs, and its run has no category."""

    class Odd(Train):
        action_name = "odd"

    Odd.category = category
    assert Odd.dispatch({"epochs": 1}, context()) == {"loss": 1.0}
    assert roots(collector) == [("odd", "ok", "odd", None, "completed")]


def test_actions_that_run_at_the_same_time_do_not_mix(collector: Collector) -> None:
    """Two on one logger, in threads: what each says is in its own run."""
    ctx, both = context(), threading.Barrier(2)

    class Saying(BaseAction[Params]):
        def execute(self) -> None:
            for _ in range(5):
                both.wait(10)
                self.log_message(f"from {self.params.epochs}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: Saying.dispatch({"epochs": number}, ctx), (1, 2)))
    said = {span.span_id: {event.attributes["message"] for event in span.events} for span in collector.spans}
    assert sorted(sorted(texts) for texts in said.values() if texts) == [["from 1"], ["from 2"]]


class Copying(BaseAction[Params]):
    """Uses copies of its context."""

    action_name = "copying"

    def execute(self) -> dict[str, Any]:
        self.log_message("before")
        copied = copy.deepcopy(self.ctx)
        copied.log_message("copy")
        copied.logger.finish()
        copy.copy(self.ctx).log_message("shallow")
        self.log_message("after")
        return {}


def test_copies_of_a_context_belong_to_its_run(collector: Collector) -> None:
    """Also inside of a pipeline; and finishing a copy ends nothing."""
    ActionPipeline([Copying]).execute({}, context())
    assert [name for name, *_ in roots(collector)] == ["pipeline", "copying"]
    assert [event.attributes["message"] for event in run_of(collector, "copying").events] == [
        "before",
        "copy",
        "shallow",
        "after",
    ]


# -- steps


class Quick(BaseStep[BaseStepContext]):
    name, progress_weight, progress_proportion = "quick", 1.0, 10

    def execute(self, ctx: BaseStepContext) -> StepResult:  # by another name than the SDK's
        return StepResult()


class Wrapping(Quick):
    name = "wrapping"

    def execute(self, context: BaseStepContext) -> StepResult:  # type: ignore[override]  # as users write it
        return Quick().execute(ctx=context)


def test_progress_between_steps_is_recorded(collector: Collector) -> None:
    """All but what the SDK itself says of a step that is done."""
    ctx = context()
    registry: StepRegistry[Any] = StepRegistry()
    registry.register(Quick())
    registry.register(Wrapping())
    Orchestrator(
        registry,
        BaseStepContext(runtime_ctx=ctx),
        lambda current, total: ctx.set_progress(current, total, "overall"),
    ).execute()
    ctx.logger.finish()
    assert [span.name for span in collector.spans if "synapse.step.status" in span.attributes] == ["quick", "wrapping"]
    assert progress(collector) == {"overall": (100, 100)}


# -- processes


def test_nothing_that_looks_like_a_credential_gets_into_a_ray_job() -> None:
    """What Ray shows of a job are names and addresses; a worker gets them all in one variable."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://user:made-up-password@collector:4318",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/ca.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/etc/key.pem",
        "OTEL_RESOURCE_ATTRIBUTES": "release=code@1.2",
        "OTEL_EXPORTER_JAEGER_PASSWORD": "made-up",
        "SYNAPSE_OTEL_REDACTION_KEYS": '["customer_no"]',
        "HOME": "/home",
    }
    made = with_telemetry({"PYTHONPATH": "/plugin", "OWN": "value"}, environ)
    assert json.loads(made.pop("SYNAPSE_OTEL_FOR_WORKERS")) == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/ca.pem",
        "OTEL_RESOURCE_ATTRIBUTES": "release=code@1.2",
        "SYNAPSE_OTEL_REDACTION_KEYS": '["customer_no"]',
    }
    assert made == {"PYTHONPATH": f"{AUTO}:/plugin", "OWN": "value"}


def test_an_endpoint_that_needs_headers_is_not_given_to_ray(caplog: pytest.LogCaptureFixture) -> None:
    """Every request would be refused; it is said, and what the worker's own environment says holds."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=x"}
    assert json.loads(with_telemetry({}, environ)["SYNAPSE_OTEL_FOR_WORKERS"]) == {}
    assert caplog.messages == [
        "Ray workers are not told the endpoint: it needs headers, which Ray would show; set it there"
    ]


@pytest.mark.parametrize(
    ("argv", "module"),
    [
        (["python", "-m", "a.b"], "a.b"),
        (["python", "-ma.b"], "a.b"),
        (["python", "-um", "a.b", "-m", "c"], "a.b"),
        (["python", "-X", "importtime", "-W", "ignore", "-m", "a.b"], "a.b"),
        (["python", "-Ximporttime", "-m", "a.b"], "a.b"),
        (["python", "script.py", "-m", "a.b"], None),
        (["python", "-c", "import m", "-m", "a.b"], None),
        (["python", "-"], None),
        (["python"], None),
    ],
)
def test_which_module_a_process_runs(argv: list[str], module: str | None) -> None:
    """As the interpreter itself reads its arguments."""
    assert _main_module(argv) == module


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """What a test dropped is gone before the next one begins."""
    yield
    gc.collect()


def test_what_somebody_else_replaced_since_stays(collector: Collector) -> None:
    """Taking ours back does not take theirs, which may look like ours."""
    from synapse_otel.sdk import SynapseInstrumentor

    before = NoOpLogger.log_event

    @functools.wraps(before)
    def theirs(*args: Any, **kwargs: Any) -> Any:
        return before(*args, **kwargs)

    NoOpLogger.log_event = theirs
    SynapseInstrumentor().uninstrument()
    try:
        assert NoOpLogger.log_event is theirs
        assert NoOpLogger.log_metric.__code__.co_filename.endswith("loggers.py")
    finally:
        NoOpLogger.log_event = before.__wrapped__
        SynapseInstrumentor().instrument()
