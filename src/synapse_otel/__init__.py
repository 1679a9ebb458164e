"""The Synapse RuntimeContext on OpenTelemetry: crash-proof telemetry for the runs of plugins."""

from typing import TYPE_CHECKING, Any

from synapse_otel.actions import BaseAction, action, run_action
from synapse_otel.console import ConsoleLogger
from synapse_otel.context import RuntimeContext
from synapse_otel.environment import PluginEnvironment
from synapse_otel.logger import BaseLogger, NoOpLogger
from synapse_otel.models import ActionStatus, DeliveryReport, LogLevel, ProgressData, RunStatus
from synapse_otel.otel_logger import OTelLogger
from synapse_otel.step_contexts import (
    AddTaskDataContext,
    DeploymentContext,
    ExportContext,
    InferenceContext,
    TrainContext,
    UploadContext,
)
from synapse_otel.steps import BaseStep, BaseStepContext, Orchestrator, StepRegistry, StepResult

if TYPE_CHECKING:
    from synapse_otel.export.settings import TelemetrySettings

    __version__: str

__all__ = [
    "ActionStatus",
    "AddTaskDataContext",
    "BaseAction",
    "BaseLogger",
    "BaseStep",
    "BaseStepContext",
    "ConsoleLogger",
    "DeliveryReport",
    "DeploymentContext",
    "ExportContext",
    "InferenceContext",
    "LogLevel",
    "NoOpLogger",
    "OTelLogger",
    "Orchestrator",
    "PluginEnvironment",
    "ProgressData",
    "RunStatus",
    "RuntimeContext",
    "StepRegistry",
    "StepResult",
    "TelemetrySettings",
    "TrainContext",
    "UploadContext",
    "__version__",
    "action",
    "run_action",
]


def __getattr__(name: str) -> Any:
    """What takes longer to import than all the rest: on first use."""
    if name == "TelemetrySettings":
        from synapse_otel.export import settings

        return settings.TelemetrySettings
    if name == "__version__":
        from importlib import metadata

        return metadata.version("synapse-otel")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
