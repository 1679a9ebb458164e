"""Actions and steps of users' own, which do whatever the SDK lets them do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.models.logger import LogLevel
from synapse_sdk.plugins.steps.base import BaseStep, StepResult
from synapse_sdk.plugins.steps.context import BaseStepContext
from synapse_sdk.plugins.steps.utils import LoggingStep


class Params(BaseModel):
    name: str = "you"
    times: int = 1


class Greeting(BaseModel):
    text: str


class Greets(BaseAction[Params]):
    """Reports in every way that an action can."""

    action_name = "greet"
    result_model = Greeting

    def execute(self) -> Any:
        for number in range(self.params.times):
            self.set_progress(number + 1, self.params.times, "greeting")
        self.set_metrics({"length": 5}, "greeting")
        self.log("greeted", {"name": self.params.name})
        self.log_metric("greeting", "loud", 1)
        self.log_message("Hello {name}", LogLevel.SUCCESS, name=self.params.name)
        self.ctx.end_log()
        return {"text": f"Hello {self.params.name}"}


class Mismatched(Greets):
    """Returns something else than it says."""

    action_name = "mismatched"

    def execute(self) -> Any:
        return {**super().execute(), "text": 5}


class Breaks(BaseAction[Params]):
    """Fails, with a story."""

    action_name = "break"

    def execute(self) -> Any:
        self.log_message("about to fail", LogLevel.WARNING)
        try:
            return {}["nothing"]
        except KeyError as error:
            raise ValueError("a made-up error") from error


class Leaves(BaseAction[Params]):
    """Ends the process."""

    def execute(self) -> Any:
        raise SystemExit(3)


class OwnWay(Greets):
    """Runs and dispatches in a way of its own."""

    action_name = None
    result_model = Mismatched.result_model

    def run(self) -> Any:
        print("before")
        return super().run()

    @classmethod
    def dispatch(cls, params: Any, ctx: Any) -> Any:
        print("dispatched", cls.__name__)
        return super().dispatch({**params, "times": 2}, ctx)


class Waits(Greets):
    """Is executed by an event loop."""

    async def execute(self) -> Any:
        await asyncio.sleep(0)
        return super().execute()

    def run(self) -> Any:
        return asyncio.run(self.execute())


class Step(BaseStep[BaseStepContext]):
    """A step that notes what happens to it, and does what it is told."""

    progress_weight = 0.5
    progress_proportion = 20

    def __init__(self, name: str, outcome: Callable[[], StepResult] = StepResult, rolls_back: bool = True) -> None:
        self._name, self._outcome, self._rolls_back = name, outcome, rolls_back

    @property
    def name(self) -> str:
        return self._name

    def execute(self, context: BaseStepContext) -> StepResult:
        context.log_message(f"in {self.name}")
        context.set_progress(1, 2)
        context.set_metrics({"loss": 1})
        return self._outcome()

    def rollback(self, context: BaseStepContext, result: StepResult) -> None:
        context.log("rolled back", {"step": self.name, "data": result.data})
        if not self._rolls_back:
            raise OSError("cannot roll back")


class Skipped(Step):
    def can_skip(self, context: BaseStepContext) -> bool:
        return bool(self.name)


class Unreported(Skipped):
    progress_proportion = 0


class SkippedStatically(Step):
    @staticmethod
    def can_skip(context: BaseStepContext) -> bool:
        return context.current_step is not None


class Refusing(Step):
    def can_skip(self, context: BaseStepContext) -> bool:
        raise PermissionError("cannot say")


def raising() -> StepResult:
    raise ValueError("a made-up error")


WORKFLOWS: dict[str, Callable[[], list[BaseStep[Any]]]] = {
    "success": lambda: [Step("one"), Skipped("two"), Unreported("three"), LoggingStep(Step("four"))],
    "failure": lambda: [
        Step("one"),
        Skipped("two"),
        Step("three", lambda: StepResult(False, error="no")),
        Step("four"),
    ],
    "exception": lambda: [Step("one"), LoggingStep(Step("two", rolls_back=False)), Step("three", raising)],
    "refusal": lambda: [Step("one"), Refusing("two")],
    "same-name": lambda: [
        Step("one", lambda: StepResult(skipped=True)),
        Step("one", lambda: StepResult(data={"a": 1})),
    ],
    "no-result": lambda: [Step("one", lambda: None)],
    "static": lambda: [SkippedStatically("one"), Step("two")],
    "none": list,
}
