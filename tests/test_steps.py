from dataclasses import dataclass, field
from datetime import UTC

import pytest

from synapse_otel.context import RuntimeContext
from synapse_otel.environment import PluginEnvironment
from synapse_otel.logger import BaseLogger
from synapse_otel.models import LogLevel
from synapse_otel.steps import BaseStep, BaseStepContext, Orchestrator, StepRegistry, StepResult


class Recorder(BaseLogger):
    def __init__(self):
        super().__init__()
        self.calls = []

    def _log_impl(self, event, data, file, step, level):
        self.calls.append((event, data, file, step, level))

    def _on_progress(self, progress, category):
        self.calls.append(("progress", progress.current, progress.total, category))

    def _on_metrics(self, category, metrics):
        self.calls.append(("metrics", category, dict(metrics)))

    def _on_step_end(self, step):
        self.calls.append(("step", step.name, step.order, str(step.status), step.error))


@dataclass
class Shared(BaseStepContext):
    done: list[str] = field(default_factory=list)


class Step(BaseStep[Shared]):
    """A step that does as it is told."""

    def __init__(self, name, weight=1.0, result=None, skip=False, rollback_error=None):
        self._name, self._weight, self._result = name, weight, result
        self._skip, self._rollback_error = skip, rollback_error

    @property
    def name(self):
        return self._name

    @property
    def progress_weight(self):
        return self._weight

    def can_skip(self, context):
        return self._skip

    def execute(self, context):
        context.done.append(f"{self.name} in {context.current_step} {context.current_step_order}")
        if isinstance(self._result, BaseException):
            raise self._result
        return StepResult(rollback_data={"of": self.name}) if self._result is None else self._result

    def rollback(self, context, result):
        context.done.append(f"undo {self.name} {result.rollback_data} {result.error}")
        if self._rollback_error is not None:
            raise self._rollback_error


class Declared(BaseStep[Shared]):
    name = "declared"
    progress_weight = 0.25
    progress_proportion = 5

    def execute(self, context):
        return StepResult()


class LoadHTTPDataStep(BaseStep[Shared]):
    def execute(self, context):
        return StepResult()


@pytest.fixture
def shared():
    return Shared(RuntimeContext(Recorder(), PluginEnvironment()))


def registry_of(*steps):
    registry = StepRegistry()
    for step in steps:
        registry.register(step)
    return registry


def failure_of(shared, *steps, **kwargs):
    with pytest.raises(RuntimeError) as error:
        Orchestrator(registry_of(*steps), shared, **kwargs).execute()
    return error.value


class TestStep:
    def test_class_attributes_describe_a_step(self):
        step = Declared()
        assert (step.name, step.progress_weight, step.progress_proportion) == ("declared", 0.25, 5)

    def test_a_step_that_says_nothing_is_named_after_its_class(self):
        step = LoadHTTPDataStep()
        assert (step.name, step.progress_weight, step.progress_proportion) == ("load_http_data", 1.0, 0)

    def test_by_default_it_is_neither_skipped_nor_rolled_back(self, shared):
        assert (Declared().can_skip(shared), Declared().rollback(shared, StepResult())) == (False, None)

    def test_execute_has_to_be_defined(self):
        with pytest.raises(TypeError, match=r"abstract method '?execute'?"):
            BaseStep()

    def test_a_result_is_a_success_with_the_time_in_utc(self):
        result = StepResult()
        assert (result.success, result.skipped, result.data, result.timestamp.tzinfo) == (True, False, {}, UTC)


class TestRegistry:
    def test_steps_keep_their_order_and_can_be_put_between(self):
        registry = registry_of(Step("b"), Step("d"))
        registry.insert_before("b", Step("a"))
        registry.insert_after("b", Step("c"))
        assert (registry.get_step_orders(), [step.name for step in registry], len(registry), bool(registry)) == (
            {"a": 0, "b": 1, "c": 2, "d": 3},
            ["a", "b", "c", "d"],
            4,
            True,
        )

    def test_a_step_can_be_taken_out(self):
        registry = registry_of(Step("a"), Step("b"))
        registry.unregister("a")
        registry.unregister("no such")
        assert [step.name for step in registry.get_steps()] == ["b"]

    @pytest.mark.parametrize("method", ["insert_before", "insert_after"])
    def test_an_unknown_neighbour_is_named_with_the_known(self, method):
        with pytest.raises(ValueError, match="there is no step") as error:
            getattr(registry_of(Step("a"), Step("b")), method)("x", Step("c"))
        assert str(error.value) == "there is no step 'x'; registered are 'a', 'b'"

    def test_in_an_empty_registry_there_is_no_neighbour(self):
        with pytest.raises(ValueError, match="there is no step 'x'; registered are none"):
            StepRegistry().insert_after("x", Step("c"))

    def test_weights_are_summed_and_proportions_collected(self):
        registry = registry_of(Declared(), Step("a", 0.5))
        assert (registry.total_weight, registry.get_step_proportions()) == (0.75, {"declared": 5})

    def test_the_list_of_steps_is_a_copy(self):
        registry = registry_of(Step("a"))
        registry.get_steps().clear()
        assert len(registry) == 1

    def test_an_empty_registry_is_false(self):
        assert not StepRegistry()


class TestOrchestrator:
    def test_steps_run_in_order_each_in_its_own(self, shared):
        result = Orchestrator(registry_of(Step("a"), Step("b")), shared).execute()
        assert (result, shared.done, shared.runtime_ctx.logger.calls, shared.current_step) == (
            {"success": True, "steps_executed": 2, "steps_total": 2},
            ["a in a 0", "b in b 1"],
            [("step", "a", 0, "completed", None), ("step", "b", 1, "completed", None)],
            None,
        )

    def test_a_step_that_can_be_skipped_is(self, shared):
        result = Orchestrator(registry_of(Step("a", skip=True), Step("b")), shared).execute()
        assert (result, [r.skipped for r in shared.step_results], shared.runtime_ctx.logger.calls[0]) == (
            {"success": True, "steps_executed": 1, "steps_total": 2},
            [True, False],
            ("step", "a", 0, "skipped", None),
        )

    def test_a_result_may_say_that_the_step_was_skipped(self, shared):
        Orchestrator(registry_of(Step("a", result=StepResult(skipped=True))), shared).execute()
        assert shared.runtime_ctx.logger.calls == [("step", "a", 0, "skipped", None)]

    def test_an_exception_rolls_back_in_reverse_and_is_the_cause(self, shared):
        cause = ValueError("bad data")
        error = failure_of(shared, Step("a"), Step("b", result=cause), Step("c"))
        assert (str(error), error.__cause__, shared.done, [r.success for r in shared.step_results]) == (
            "Step 'b' failed: bad data",
            cause,
            ["a in a 0", "b in b 1", "undo b {} bad data", "undo a {'of': 'a'} None"],
            [True, False],
        )

    def test_a_failed_result_rolls_back_too(self, shared):
        error = failure_of(shared, Step("a", result=StepResult(success=False, error="no data")))
        assert (str(error), error.__cause__, shared.done, shared.runtime_ctx.logger.calls) == (
            "Step 'a' failed: no data",
            None,
            ["a in a 0", "undo a {} no data"],
            [("step", "a", 0, "failed", "no data")],
        )

    def test_an_exception_without_text_is_named(self, shared):
        assert str(failure_of(shared, Step("a", result=KeyError()))) == "Step 'a' failed: KeyError"

    def test_what_is_no_result_fails_the_step(self, shared):
        error = failure_of(shared, Step("a", result="done"))
        assert str(error) == "Step 'a' failed: execute() must return a StepResult, got str 'done'"

    def test_a_rollback_that_fails_is_said_and_stops_no_other(self, shared):
        error = failure_of(
            shared, Step("a"), Step("b", rollback_error=OSError("disk gone")), Step("c", result=ValueError("x"))
        )
        said = ["Rollback of step 'b' failed: disk gone"]
        assert (shared.errors, error.__notes__, shared.done[-1]) == (said, said, "undo a {'of': 'a'} None")

    def test_a_step_that_was_not_executed_is_not_rolled_back(self, shared):
        def refuse(name, context):
            if name == "b":
                raise ValueError("not ready")

        error = failure_of(shared, Step("a"), Step("b"), before_step=refuse)
        assert (str(error), shared.done) == ("Step 'b' failed: not ready", ["a in a 0", "undo a {'of': 'a'} None"])

    def test_an_interrupt_is_not_a_failure_of_the_step(self, shared):
        with pytest.raises(KeyboardInterrupt):
            Orchestrator(registry_of(Step("a", result=KeyboardInterrupt())), shared).execute()
        assert (shared.done, shared.current_step) == (["a in a 0"], None)

    def test_the_hook_runs_before_it_is_known_whether_to_skip(self, shared):
        seen = []
        hook = lambda name, context: seen.append((name, context.current_step))  # noqa: E731  # one line is enough
        Orchestrator(registry_of(Step("a", skip=True)), shared, before_step=hook).execute()
        assert seen == [("a", "a")]

    @pytest.mark.parametrize(
        ("weights", "reports"),
        [
            ([0.1, 0.6, 0.3], [0, 10, 70, 100]),
            ([1, 1, 1], [0, 33, 67, 100]),
            ([0, 0], [0, 50, 100]),
            ([1, -1, 2], [0, 50, 50, 100]),
            ([float("nan"), 1], [0, 50, 100]),
            ([], [0]),
        ],
    )
    def test_progress_follows_the_weights_and_never_falls(self, shared, weights, reports):
        seen = []
        steps = [Step(f"s{index}", weight) for index, weight in enumerate(weights)]
        Orchestrator(registry_of(*steps), shared, lambda current, total: seen.append((current, total))).execute()
        assert seen == [(percent, 100) for percent in reports]

    def test_it_can_be_executed_again(self, shared):
        orchestrator = Orchestrator(registry_of(Step("a")), shared)
        assert (
            orchestrator.execute()
            == orchestrator.execute()
            == {
                "success": True,
                "steps_executed": 1,
                "steps_total": 1,
            }
        )


class TestContext:
    def test_the_running_step_is_the_default_category(self, shared):
        shared._set_current_step("load", 0)
        shared.set_progress(1, 2)
        shared.set_metrics({"rows": 5})
        shared.log_message("loading", "warning")
        assert shared.runtime_ctx.logger.calls == [
            ("progress", 1, 2, "load"),
            ("metrics", "load", {"rows": 5}),
            ("message", {"content": "loading"}, None, "load", LogLevel.WARNING),
        ]

    def test_a_category_may_be_given_in_both_spellings(self, shared):
        shared._set_current_step("load", 0)
        shared.set_progress(1, 2, "a")
        shared.set_progress(1, 2, step="b")
        shared.set_metrics({}, "c")
        shared.set_metrics({}, step="d")
        assert [call[-1] if call[0] == "progress" else call[1] for call in shared.runtime_ctx.logger.calls] == [
            "a",
            "b",
            "c",
            "d",
        ]

    def test_outside_of_a_step_there_is_no_category(self, shared):
        shared.set_progress(1, 2)
        shared.set_metrics({"rows": 5})
        assert shared.runtime_ctx.logger.calls == [("progress", 1, 2, None), ("metrics", "default", {"rows": 5})]

    def test_events_go_to_the_runtime_context(self, shared):
        shared.log("loaded", {"count": 1}, "/data.csv", "warning")
        shared.log_dev_event("cache", {"hits": 1})
        shared.log_message("done", level=LogLevel.SUCCESS)
        assert shared.runtime_ctx.logger.calls == [
            ("loaded", {"count": 1}, "/data.csv", None, LogLevel.WARNING),
            ("dev_event", {"message": "cache", "data": {"hits": 1}}, None, None, LogLevel.DEBUG),
            ("message", {"content": "done"}, None, None, LogLevel.SUCCESS),
        ]
