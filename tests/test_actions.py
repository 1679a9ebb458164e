import asyncio

import pytest
from pydantic import BaseModel, ValidationError

from synapse_otel.actions import BaseAction, action, run_action
from synapse_otel.context import RuntimeContext
from synapse_otel.environment import PluginEnvironment
from synapse_otel.logger import BaseLogger
from synapse_otel.models import LogLevel
from synapse_otel.steps import BaseStep, StepResult


class Params(BaseModel):
    epochs: int = 10


class Result(BaseModel):
    loss: float


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

    def set_action(self, name, category=None):
        self.calls.append(("action", name))


class Train(BaseAction[Params]):
    def execute(self):
        return self.params.epochs


class Load(BaseStep):
    def execute(self, context):
        return StepResult()


@pytest.fixture
def ctx():
    return RuntimeContext(Recorder(), PluginEnvironment(), "job-1")


class TestDecorator:
    def test_bare_it_names_the_action_after_the_function(self):
        @action
        def train(params, ctx): ...

        assert (train._is_action, train._action_name, train._action_params) == (True, "train", None)

    def test_it_keeps_everything_it_is_given(self):
        @action("fit", "Train a model", Params, Result, "neural_net")
        def train(params, ctx): ...

        assert (
            train._action_name,
            train._action_description,
            train._action_params,
            train._action_result,
            train._action_category,
        ) == ("fit", "Train a model", Params, Result, "neural_net")

    def test_the_function_is_the_same_as_before(self):
        def train(params, ctx):
            return params, ctx

        assert (action(description="x")(train) is train, train(1, 2)) == (True, (1, 2))

    def test_a_wrong_name_is_a_type_error(self):
        with pytest.raises(TypeError) as error:
            action(3)
        assert str(error.value) == "name must be a str, got int 3"


class TestBaseAction:
    def test_the_model_of_the_params_is_the_type_argument(self):
        class Generic(BaseAction):
            pass

        class Special(Train):
            pass

        class Named(BaseAction[Params]):
            params_model = Result

        assert (Train.params_model, Generic.params_model, Special.params_model, Named.params_model) == (
            Params,
            None,
            Params,
            Result,
        )

    def test_its_helpers_are_the_contexts(self, ctx):
        train = Train(Params(), ctx)
        train.set_progress(1, 2, "train")
        train.set_progress(2, 2, step="train")
        train.set_metrics({"loss": 1}, "train")
        train.set_metrics({"loss": 1}, step="validate")
        train.log("saved", {"epoch": 1}, "/model.pt", "warning")
        train.log_message("done", "success")
        train.log_message("done", level="success", step="train")
        train.log_dev_event("cache", {"hits": 1})
        assert (train.logger is ctx.logger, ctx.logger.calls) == (
            True,
            [
                ("progress", 1, 2, "train"),
                ("progress", 2, 2, "train"),
                ("metrics", "train", {"loss": 1}),
                ("metrics", "validate", {"loss": 1}),
                ("saved", {"epoch": 1}, "/model.pt", None, LogLevel.WARNING),
                ("message", {"content": "done"}, None, None, LogLevel.SUCCESS),
                ("message", {"content": "done"}, None, "train", LogLevel.SUCCESS),
                ("dev_event", {"message": "cache", "data": {"hits": 1}}, None, None, LogLevel.DEBUG),
            ],
        )

    def test_with_steps_it_runs_them_and_reports_their_progress(self, ctx):
        class Workflow(BaseAction[Params]):
            def setup_steps(self, registry):
                registry.register(Load())

        assert (run_action(Workflow, None, ctx), ctx.logger.calls) == (
            {"success": True, "steps_executed": 1, "steps_total": 1},
            [("action", "Workflow"), ("progress", 0, 100, None), ("progress", 100, 100, None)],
        )

    def test_without_steps_and_execute_it_says_what_is_missing(self, ctx):
        class Nothing(BaseAction[Params]):
            pass

        with pytest.raises(NotImplementedError) as error:
            run_action(Nothing, None, ctx)
        assert str(error.value) == "Nothing must define execute(), or register steps in setup_steps()"


class TestRunAction:
    @pytest.mark.parametrize(("params", "epochs"), [({"epochs": "3"}, 3), (None, 10), (Params(epochs=5), 5)])
    def test_a_class_gets_checked_params(self, ctx, params, epochs):
        assert (run_action(Train, params, ctx), ctx.logger.calls) == (epochs, [("action", "Train")])

    def test_a_class_may_name_itself(self, ctx):
        class Named(Train):
            action_name = "fit"

        run_action(Named, None, ctx)
        assert ctx.logger.calls == [("action", "fit")]

    def test_a_decorated_function_gets_checked_params_and_the_context(self, ctx):
        @action(name="fit", params=Params)
        def train(params, context):
            return params, context

        assert (run_action(train, {"epochs": 2}, ctx), ctx.logger.calls) == (
            (Params(epochs=2), ctx),
            [("action", "fit")],
        )

    def test_the_annotation_of_a_function_is_its_model(self, ctx):
        def train(params: Params, ctx: "Unknown"):  # noqa: F821  # not there, as is tested
            return params

        assert run_action(train, {"epochs": 2}, ctx) == Params(epochs=2)

    def test_the_annotation_may_be_text(self, ctx):
        @action
        def train(params: "Params", ctx):
            return params

        assert run_action(train, None, ctx) == Params()

    def test_an_annotation_that_cannot_be_resolved_is_none(self, ctx):
        def train(params: "Unknown", ctx):  # noqa: F821  # not there, as is tested
            return params

        assert run_action(train, {"epochs": "2"}, ctx) == {"epochs": "2"}

    def test_without_a_model_params_are_passed_as_they_are(self, ctx):
        def train(params, ctx):
            return params

        params = {"epochs": "2"}
        assert (run_action(train, params, ctx) is params, run_action(train, None, ctx)) == (True, {})

    def test_any_callable_is_a_function(self, ctx):
        class Trainer:
            def __call__(self, params, ctx):
                return "trained"

        assert (run_action(Trainer(), None, ctx), ctx.logger.calls) == ("trained", [("action", "Trainer")])

    def test_params_that_do_not_fit_are_a_validation_error(self, ctx):
        with pytest.raises(ValidationError, match="Input should be a valid integer"):
            run_action(Train, {"epochs": "many"}, ctx)
        assert ctx.logger.calls == []

    def test_the_model_may_look_at_the_client(self, ctx):
        class Curious(BaseModel):
            def model_post_init(self, context):
                seen.append(context)

        seen = []
        ctx.client = object()

        @action(params=Curious)
        def train(params, ctx): ...

        run_action(train, {}, ctx)
        assert seen == [{"client": ctx.client}]

    @pytest.mark.parametrize(
        ("target", "params", "message"),
        [
            (3, None, "an action must be a function of (params, ctx) or a subclass of BaseAction, got int 3"),
            (
                dict,
                None,
                "an action must be a function of (params, ctx) or a subclass of BaseAction, got type <class 'dict'>",
            ),
            (Train, "epochs=3", "params must be a mapping, a Params or None, got str 'epochs=3'"),
            (lambda params, ctx: None, 3, "params must be a mapping or None, got int 3"),
        ],
    )
    def test_misuse_is_named(self, ctx, target, params, message):
        with pytest.raises(TypeError) as error:
            run_action(target, params, ctx)
        assert (str(error.value), ctx.logger.calls) == (message, [])

    def test_an_exception_passes_through(self, ctx):
        def train(params, ctx):
            raise KeyError("x")

        with pytest.raises(KeyError, match="x"):
            run_action(train, None, ctx)
        assert not ctx.logger.is_finished

    def test_an_async_function_is_run_to_its_end_in_the_current_step(self, ctx):
        async def train(params, ctx):
            await asyncio.sleep(0)
            return ctx.logger.get_step()

        with ctx.step("outer"):
            assert run_action(train, None, ctx) == "outer"

    def test_an_async_class_is_run_to_its_end(self, ctx):
        class Async(BaseAction[Params]):
            async def execute(self):
                return self.params.epochs

        assert run_action(Async, {"epochs": 1}, ctx) == 1

    def test_inside_a_running_loop_an_async_action_is_refused(self, ctx):
        async def train(params, ctx): ...

        async def main():
            run_action(train, None, ctx)

        with pytest.raises(RuntimeError) as error:
            asyncio.run(main())
        assert str(error.value) == "the action 'train' is async: run_action cannot run it inside a running event loop"
