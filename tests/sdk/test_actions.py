"""A run for every action, however it is executed in this process, with what became of it."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from synapse_sdk.loggers import NoOpLogger
from synapse_sdk.plugins.action import BaseAction, NoResult
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.enums import PluginCategory
from synapse_sdk.plugins.errors import ExecutionError
from synapse_sdk.plugins.executors.local import LocalExecutor
from synapse_sdk.plugins.pipelines import ActionPipeline
from synapse_sdk.plugins.runner import run_plugin

from sdk.arrived import progress, records, roots, run_of, samples, tree
from sdk.backend import Backend
from sdk.plugins import Broken, Params, Train
from synapse_otel.testing import Collector

pytestmark = pytest.mark.usefixtures("instrumented")


def context(job_id: str | None = "job-1") -> RuntimeContext:
    return RuntimeContext(logger=NoOpLogger(), env=PluginEnvironment({}), job_id=job_id)


def test_an_executor_in_this_process_is_one_run(collector: Collector) -> None:
    """With the action's name and category, its job, and all that it reported."""
    assert LocalExecutor(job_id="job-7").execute(Train, {"epochs": 2}) == {"loss": 0.5}
    assert roots(collector) == [("train", "ok", "train", "neural_net", "completed")]
    assert {item.resource["job_id"] for item in (*collector.spans, *collector.logs, *collector.points)} == {"job-7"}
    assert progress(collector) == {"epochs": (2, 2)}
    assert sorted(samples(collector)) == [
        ("accuracy", "validation", 0.5),
        ("epoch", "validation", 2),
        ("loss", "training", 0.5),
        ("loss", "training", 1.0),
    ]
    assert [record[:3] for record in records(collector)] == [
        ("saved", "info", "saved"),
        ("synapse.message", "success", "trained"),
        ("synapse.dev_event", "debug", "layers"),
        ("synapse.message", "info", "Plugin run is complete."),
    ]
    assert tree(collector) == [("train", ""), ("epochs", "train")]


def test_an_action_that_fails_is_a_failed_run_with_its_exception(collector: Collector) -> None:
    """The exception is the action's, not what the executor makes of it, and its traceback is the plugin's."""
    with pytest.raises(ExecutionError, match="a made-up error"):
        LocalExecutor(job_id="job-8").execute(Broken, {})
    run = run_of(collector, "broken")
    assert (run.status, run.status_message) == ("error", "ValueError: a made-up error")
    assert run.attributes["synapse.run.status"] == "failed"
    message, exception = run.events
    assert (message.name, exception.name, exception.attributes["exception.type"]) == (
        "message",
        "exception",
        "ValueError",
    )
    assert "/synapse_otel/" not in exception.attributes["exception.stacktrace"]
    assert "tests/sdk/plugins.py" in exception.attributes["exception.stacktrace"]


def test_parameters_that_do_not_fit_are_a_failed_run(collector: Collector) -> None:
    """An action that never began has failed as well, and says why."""
    with pytest.raises(ValidationError):
        Train.dispatch({"epochs": "many"}, context())
    run = run_of(collector, "train")
    assert run.attributes["synapse.run.status"] == "failed"
    assert run.attributes["error.type"] == "pydantic_core._pydantic_core.ValidationError"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(0), "completed"),
        (SystemExit(3), "failed"),
        (OSError("disk"), "failed"),
    ],
)
def test_whatever_ends_an_action_ends_its_run(error: BaseException, status: str, collector: Collector) -> None:
    """Interrupts and exits pass, and say what became of the run."""

    class Ending(BaseAction[Params]):
        action_name = "ending"

        def execute(self) -> None:
            raise error

    with pytest.raises(type(error)):
        Ending.dispatch({}, context())
    assert run_of(collector, "ending").attributes["synapse.run.status"] == status


def test_run_plugin_is_a_run(collector: Collector) -> None:
    """The SDK's own way to run a plugin."""
    assert run_plugin("plugins", "train", {"epochs": 1}, action_cls=Train, job_id="job-9") == {"loss": 1.0}
    assert roots(collector) == [("train", "ok", "train", "neural_net", "completed")]


@pytest.mark.parametrize("way", ["run", "execute"])
def test_an_action_that_is_called_by_hand_is_a_run(way: str, collector: Collector) -> None:
    """A plugin's author tries an action without an executor."""
    action = Train(Params(epochs=1), context())
    assert getattr(action, way)() == {"loss": 1.0}
    assert roots(collector) == [("train", "ok", "train", "neural_net", "completed")]


def test_a_pipeline_is_a_run_with_a_run_for_each_action(collector: Collector) -> None:
    """Two runs of the same action do not mix: each is an instance of its own, in one trace and one job."""
    ActionPipeline([Train, Train]).execute({"epochs": 1}, context("job-p"))
    assert roots(collector) == [
        ("pipeline", "ok", "train | train", "pipeline", "completed"),
        ("train", "ok", "train", "neural_net", "completed"),
        ("train", "ok", "train", "neural_net", "completed"),
    ]
    assert tree(collector) == [
        ("pipeline", ""),
        ("train", "pipeline"),
        ("epochs", "train"),
        ("train", "pipeline"),
        ("epochs", "train"),
    ]
    assert len({span.trace_id for span in collector.spans}) == 1
    assert {span.resource["job_id"] for span in collector.spans} == {"job-p"}
    assert len({point.resource["service.instance.id"] for point in collector.points_of("synapse.metric.accuracy")}) == 2


def test_a_pipeline_fails_with_its_action(collector: Collector) -> None:
    """The action that failed is told from those that did not."""
    with pytest.raises(RuntimeError, match="Action 'broken' failed"):
        ActionPipeline([Train, Broken, Train]).execute({"epochs": 1}, context())
    assert [(name, status) for name, *_, status in roots(collector)] == [
        ("pipeline", "failed"),
        ("train", "completed"),
        ("broken", "failed"),
    ]


def test_function_actions_are_runs(collector: Collector) -> None:
    """A function is decorated, called with a context, and is otherwise what the SDK makes of it."""
    from synapse_sdk.plugins.decorators import action

    @action(name="fit", params=Params, category=PluginCategory.CUSTOM)
    def function(params: Params, ctx: RuntimeContext) -> dict[str, Any]:
        """Fit."""
        ctx.log_message("inside")
        if params.epochs == 0:
            raise ValueError("nothing to do")
        return {"epochs": params.epochs}

    assert function(Params(epochs=1), context()) == {"epochs": 1}
    with pytest.raises(ValueError, match="nothing to do"):
        function(Params(epochs=0), ctx=context())
    assert (function.__name__, function.__doc__, function._action_params) == ("function", "Fit.", Params)
    assert roots(collector) == [
        ("fit", "ok", "fit", "custom", "completed"),
        ("fit", "error", "fit", "custom", "failed"),
    ]


class Composed(BaseAction[Params]):
    """An action that runs another one."""

    action_name = "composed"

    def execute(self) -> Any:
        self.log_message("before")
        result = Train(self.params, self.ctx).run()
        self.log_message("after")
        return result


def test_an_action_inside_an_action_is_a_run_inside_its_run(collector: Collector) -> None:
    """What the outer one says before and after is its own, on the same logger."""
    Composed.dispatch({"epochs": 1}, context())
    assert [name for name, *_ in roots(collector)] == ["composed", "train"]
    outer = run_of(collector, "composed")
    assert [event.attributes["message"] for event in outer.events] == ["before", "after"]
    assert ("train", "composed") in tree(collector)


def test_what_is_reported_before_an_action_belongs_to_its_run(collector: Collector) -> None:
    """A context that was used before its action began does not make two runs of one."""
    ctx = context()
    ctx.log_message("prepared")
    Train.dispatch({"epochs": 1}, ctx)
    ctx.logger.finish()
    assert roots(collector) == [("train", "ok", "train", "neural_net", "completed")]
    assert run_of(collector, "train").events[0].attributes["message"] == "prepared"


class Typed(BaseModel):
    """A result."""

    loss: float
    accuracy: float


class Incomplete(Train):
    """Returns what its result model does not fit."""

    result_model = Typed


def test_what_an_executor_says_after_an_action_belongs_to_its_run(collector: Collector) -> None:
    """The warning that the result does not fit is the run's, and opens no other one."""
    LocalExecutor().execute(Incomplete, {"epochs": 1})
    assert [name for name, *_ in roots(collector)] == ["train"]
    assert any("Result validation warning" in str(record[2]) for record in records(collector))


def test_a_pipeline_of_the_ray_executor(collector: Collector) -> None:
    """What its actor executes is a run, which says why it failed: in both releases the SDK cannot log its beginning."""
    from synapse_sdk.plugins.executors.ray.pipeline import _PipelineExecutorActor

    with Backend() as service, kept_logging():
        actor = _PipelineExecutorActor("run-7", "pipeline-1", service.url)
        with pytest.raises(TypeError, match="unexpected keyword argument 'message'"):
            actor.run_pipeline(["sdk.plugins.Broken", "sdk.plugins.Train"], {"epochs": 2})
    assert roots(collector) == [("pipeline", "error", "Broken | Train", "pipeline", "failed")]
    assert run_of(collector, "pipeline").resource["job_id"] == "run-7"
    assert run_of(collector, "pipeline").attributes["error.type"] == "TypeError"


def test_a_job_of_the_ray_executor(collector: Collector) -> None:
    """The actor of the older way to run a job."""
    from synapse_sdk.plugins.executors.ray.job import _JobExecutorActor

    with kept_logging():
        _JobExecutorActor("job-j").run_action("sdk.plugins.Train", {"epochs": 1})
        with pytest.raises(Exception, match="nothing_there"):
            _JobExecutorActor("job-j").run_action("sdk.nothing_there.Train", {"epochs": 1})
    assert [(name, status) for name, *_, status in roots(collector)] == [("train", "completed"), ("Train", "failed")]
    assert {span.resource["job_id"] for span in collector.spans} == {"job-j"}


@contextmanager
def kept_logging() -> Iterator[None]:
    """The SDK's actors configure logging for their process, which is this one here."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("kind", ["export", "upload", "inference"])
def test_actions_of_every_kind_are_runs(kind: str, collector: Collector) -> None:
    """The SDK's own base classes of actions, which run steps and dispatch in ways of their own."""
    module = importlib.import_module(f"synapse_sdk.plugins.actions.{kind}")
    base: Any = getattr(module, f"Base{kind.title()}Action")

    class Own(base):
        action_name = kind
        params_model = Params
        result_model = NoResult

        def setup_steps(self, registry: Any) -> None:
            """None: it is all in `execute`."""

        def execute(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            self.log_message(f"doing the {kind}")
            return {"done": kind}

    assert run_plugin("plugins", kind, {}, action_cls=Own, job_id="job-k") == {"done": kind}
    assert [(name, status) for name, *_, status in roots(collector)] == [(kind, "completed")]
    assert [record[2] for record in records(collector)] == [f"doing the {kind}"]
