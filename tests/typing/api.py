"""Uses the public API as a plugin does; only type-checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_type

from pydantic import BaseModel

from synapse_otel import (
    BaseAction,
    BaseLogger,
    BaseStep,
    BaseStepContext,
    ConsoleLogger,
    DeliveryReport,
    LogLevel,
    NoOpLogger,
    Orchestrator,
    OTelLogger,
    PluginEnvironment,
    ProgressData,
    RunStatus,
    RuntimeContext,
    StepRegistry,
    StepResult,
    TelemetrySettings,
    TrainContext,
    action,
    run_action,
)


class Params(BaseModel):
    epochs: int = 10


@action
def bare(params: Params, ctx: RuntimeContext) -> int:
    return params.epochs


@action(name="fit", description="Train a model", params=Params)
def described(params: Params, ctx: RuntimeContext) -> dict[str, int]:
    return {"epochs": params.epochs}


class Train(BaseAction[Params]):
    action_name = "train"
    params_model = Params
    result_model = Params

    def execute(self) -> int:
        assert_type(self.params, Params)
        self.set_progress(1, self.params.epochs, "train")
        self.set_progress(1, self.params.epochs, step="train")
        self.set_metrics({"loss": 0.5})
        self.log("saved", {"epoch": 1}, Path("/model.pt"), LogLevel.WARNING)
        self.log_message("done", level=LogLevel.SUCCESS)
        self.logger.info("done")
        return self.params.epochs


@dataclass
class Shared(BaseStepContext):
    rows: list[int] = field(default_factory=list)


class Load(BaseStep[Shared]):
    name = "load"
    progress_weight = 0.25

    def execute(self, context: Shared) -> StepResult:
        assert_type(context.rows, list[int])
        context.set_progress(1, 2)
        return StepResult(data={"rows": len(context.rows)})


class Convert(BaseStep[Shared]):
    @property
    def name(self) -> str:
        return "convert"

    @property
    def progress_weight(self) -> float:
        return 0.75

    def execute(self, context: Shared) -> StepResult:
        return StepResult(success=bool(context.rows), error="no rows")

    def can_skip(self, context: Shared) -> bool:
        return not context.rows

    def rollback(self, context: Shared, result: StepResult) -> None:
        context.rows.clear()


class Printing(BaseLogger):
    def _log_impl(self, event: str, data: dict[str, Any], file: str | None, step: str | None, level: LogLevel) -> None:
        pass

    def _on_progress(self, progress: ProgressData, category: str | None) -> None:
        assert_type(progress.percent, float)


def loggers() -> list[BaseLogger]:
    return [OTelLogger("job-1", "train", console=True), NoOpLogger(), ConsoleLogger(dev_events=True), Printing("job-1")]


def report(ctx: RuntimeContext) -> DeliveryReport:
    ctx.set_progress(1, 10)
    ctx.set_progress(0.5, 1.0, "train")
    ctx.set_progress(current=1, total=10, step="train")
    ctx.set_metrics({"loss": 0.5}, "train")
    ctx.set_metrics(value={"loss": 0.5}, step="train")
    ctx.log("saved", {"epoch": 1}, file="/model.pt", level="warning")
    ctx.log_message("low memory", "warning")
    ctx.log_message("low memory", context=LogLevel.WARNING)
    ctx.log_message("low memory", level="warning", step="train")
    ctx.log_dev_event("cache", {"hits": 1})
    with ctx.step("validate") as step:
        step.skip("nothing new")
    ctx.end_log()
    assert_type(ctx.flush(5.0), bool)
    assert_type(ctx.trace_id, str | None)
    assert_type(ctx.propagation_env(), dict[str, str])
    assert_type(ctx.logger.get_progress("train"), ProgressData | None)
    return ctx.report()


def environment(env: PluginEnvironment) -> None:
    assert_type(env.get_int("BATCH_SIZE"), int | None)
    assert_type(env.get_int("BATCH_SIZE", default=32), int)
    assert_type(env.get_float("RATE", 0.001), float)
    assert_type(env.get_bool("DEBUG", default=False), bool)
    assert_type(env.get_str("API_KEY"), str | None)
    assert_type(env.debug, bool)
    gpus: list[Any] = env.get_list("GPU_IDS", default=["0"])
    path: str = env.storage_path
    merged = PluginEnvironment.merge(env, PluginEnvironment.from_file("plugin.toml"), {"GPUS": gpus, "PATH": path})
    assert_type(merged, PluginEnvironment)


def run(settings: TelemetrySettings) -> None:
    with RuntimeContext.open("job-1", "train", env={"A": "1"}, console=True, settings=settings) as ctx:
        assert_type(ctx, RuntimeContext)
        run_action(Train, {"epochs": 1}, ctx)
        run_action(bare, Params(), ctx)
        run_action(described, None, ctx)
        registry: StepRegistry[Shared] = StepRegistry()
        registry.register(Load())
        registry.insert_after("load", Convert())
        shared = Shared(ctx)
        assert_type(Orchestrator(registry, shared, ctx.set_progress).execute(), dict[str, Any])
        TrainContext(ctx, params={"epochs": 1}).set_metrics({"loss": 0.5})
        ctx.logger.finish(RunStatus.FAILED, ValueError("bad data"))


async def run_async() -> None:
    async with RuntimeContext.open() as ctx:
        assert_type(ctx, RuntimeContext)


kept: Callable[[Params, RuntimeContext], int] = bare
