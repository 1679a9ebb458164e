"""The steps of the training. A step that cannot go on raises: the orchestrator then rolls back what was done."""

import errno
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from synapse_sdk.plugins.steps import BaseStep, BaseStepContext, StepResult

from plugin.log_messages import ObstacleLogMessageCode
from plugin.network import Network, Sample, scan


@dataclass
class TrainContext(BaseStepContext):
    params: dict[str, Any] = field(default_factory=dict)
    training: list[Sample] = field(default_factory=list)
    validation: list[Sample] = field(default_factory=list)
    network: Network = field(init=False)
    folder: Path = field(init=False)
    accuracy: float = 0.0


class LoadStep(BaseStep[TrainContext]):
    name = "load"
    progress_weight = 0.1
    progress_proportion = 10

    def execute(self, context: TrainContext) -> StepResult:
        samples = scan(context.params["points"], context.params["seed"])
        split = len(samples) * 4 // 5
        context.training, context.validation = samples[:split], samples[split:]
        context.network = Network.random(context.params["units"], context.params["seed"])
        context.folder = Path(tempfile.mkdtemp(prefix="obstacle_finder-"))
        context.log("scan_loaded", {"training": split, "validation": len(samples) - split})
        context.runtime_ctx.log_dev_event("network built", {"units": len(context.network.hidden)})
        return StepResult(rollback_data={"folder": context.folder})

    def rollback(self, context: TrainContext, result: StepResult) -> None:
        shutil.rmtree(result.rollback_data["folder"])
        context.log_message(f"Rolled back: removed {result.rollback_data['folder'].name}")


class ResumeStep(BaseStep[TrainContext]):
    """Go on from the weights of an earlier training, if there is one."""

    name = "resume"
    progress_weight = 0.1
    progress_proportion = 5

    def can_skip(self, context: TrainContext) -> bool:
        return context.params["checkpoint"] is None

    def execute(self, context: TrainContext) -> StepResult:
        context.network = Network.load(Path(context.params["checkpoint"]))
        return StepResult()


class FitStep(BaseStep[TrainContext]):
    name = "fit"
    progress_weight = 0.7
    progress_proportion = 75

    def execute(self, context: TrainContext) -> StepResult:
        epochs, samples, random = context.params["epochs"], context.training, Random(context.params["seed"])
        context.log_message(ObstacleLogMessageCode.TRAINING, points=len(samples), epochs=epochs)
        for epoch in range(1, epochs + 1):
            started, rate, loss = time.perf_counter(), context.params["learning_rate"] / epoch, 0.0
            for number, sample in enumerate(random.sample(samples, len(samples)), start=1):
                loss += context.network.learn(sample, rate)
                if number % 200 == 0:
                    context.set_progress((epoch - 1) * len(samples) + number, epochs * len(samples))
            context.accuracy = context.network.accuracy(context.validation)
            context.set_progress(epoch, epochs, "epochs")
            context.runtime_ctx.log_metric("train", "loss", loss / len(samples), learning_rate=rate)
            context.runtime_ctx.log_metric("validation", "accuracy", context.accuracy)
            context.runtime_ctx.log_dev_event(f"epoch {epoch}", {"seconds": time.perf_counter() - started})
        return StepResult(data={"accuracy": context.accuracy}, rollback_data={"epochs": epochs})

    def rollback(self, context: TrainContext, result: StepResult) -> None:
        context.log_message(ObstacleLogMessageCode.DISCARDED, epochs=result.rollback_data["epochs"])


class SaveStep(BaseStep[TrainContext]):
    name = "save"
    progress_weight = 0.1
    progress_proportion = 10

    def execute(self, context: TrainContext) -> StepResult:
        path = context.folder / "network.json"
        if context.params["full_disk"]:
            raise OSError(errno.ENOSPC, "no space left for the weights", path.name)
        context.network.save(path)
        context.log("weights_saved", {"bytes": path.stat().st_size}, file=str(path))
        points = len(context.validation)
        context.log_message(ObstacleLogMessageCode.TRAINED, accuracy=context.accuracy, points=points)
        return StepResult(data={"path": path})
