"""A plugin of the Synapse SDK that is tuned: each trial trains for two epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
from synapse_sdk.plugins.actions.train import BaseTrainAction, BaseTrainParams
from synapse_sdk.plugins.actions.train.context import TrainContext
from synapse_sdk.plugins.steps import Orchestrator, StepRegistry


class Params(BaseTrainParams):
    lr: float = 0.1


class Search(BaseTrainAction[Params]):
    """Only the trials of the SDK's workflow: the rest of it is of the Synapse backend."""

    action_name = "search"

    def run(self) -> Any:
        if hasattr(self, "_run_tune"):  # the oldest release has no steps for it, and asks for half a GPU
            ray.init(num_gpus=1, runtime_env=self._build_tune_runtime_env())
            return self._run_tune()
        from synapse_sdk.plugins.actions.train.steps import TuneTrialsStep

        registry: StepRegistry[Any] = StepRegistry()
        registry.register(TuneTrialsStep(self))
        context = TrainContext(runtime_ctx=self.ctx, params={}, data_path=".")
        return Orchestrator(registry, context, self.set_progress).execute()

    def _prepare_tune_dataset(self) -> Path:
        return Path()

    def get_checkpoint(self) -> None:
        return None

    def execute(self, data_path: Any, checkpoint: Any) -> dict[str, Any]:
        for epoch in range(2):
            self.set_progress(epoch + 1, 2, "epochs")
            self.report_metrics({"score": self.params.lr * (epoch + 1)}, epoch=epoch, category="validation")
        return {}
