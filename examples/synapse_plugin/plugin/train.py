"""A plugin of the Synapse SDK alone, which knows nothing of telemetry: it learns to find obstacles in a lidar scan.

    synapse-otel run examples/synapse_plugin:train --params '{"epochs": 3}'
    synapse-otel run examples/synapse_plugin:train --params '{"full_disk": true}'

Its steps are spans of the run; what it says to the SDK's context is recorded as the SDK understands it. `resume` has no
checkpoint to go on from and is skipped. With `full_disk`, the last step raises: the SDK rolls back what was done, in
reverse, and the run fails.
"""

from typing import Any

from pydantic import BaseModel, Field, FilePath
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.enums import PluginCategory
from synapse_sdk.plugins.steps import Orchestrator, StepRegistry

from plugin.steps import FitStep, LoadStep, ResumeStep, SaveStep, TrainContext


class TrainParams(BaseModel):
    epochs: int = Field(default=5, ge=1, le=100)
    points: int = Field(default=20_000, ge=1000, le=100_000)
    units: int = Field(default=16, ge=1, le=256, description="Of the hidden layer.")
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    seed: int = 0
    checkpoint: FilePath | None = Field(default=None, description="Weights of an earlier training, to go on from.")
    full_disk: bool = Field(default=False, description="Whether there is no space left for the weights.")


class TrainAction(BaseAction[TrainParams]):
    action_name = "train"
    category = PluginCategory.NEURAL_NET

    def execute(self) -> dict[str, Any]:
        registry = StepRegistry[TrainContext]()
        for step in (LoadStep(), ResumeStep(), FitStep(), SaveStep()):
            registry.register(step)
        context = TrainContext(runtime_ctx=self.ctx, params=self.params.model_dump())
        steps = Orchestrator(registry, context, progress_callback=self.set_progress).execute()
        self.log_message({"en": "The weights are in {folder}", "ko": "가중치 위치: {folder}"}, folder=context.folder)
        self.ctx.end_log()
        return {"accuracy": context.accuracy, "folder": str(context.folder), "steps": steps["steps_executed"]}
