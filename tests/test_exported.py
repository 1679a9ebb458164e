import subprocess
import sys

import pytest

import synapse_otel

HEAVY = ["rich", "typer", "requests", "grpc", "pydantic_settings", "opentelemetry.sdk"]


def test_the_public_names_and_their_order():
    assert synapse_otel.__all__ == [
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


def test_each_public_name_is_there():
    assert [name for name in synapse_otel.__all__ if not hasattr(synapse_otel, name)] == []


def test_the_version_is_the_installed_ones():
    assert synapse_otel.__version__ == "0.1.0"


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError) as error:
        _ = synapse_otel.nothing
    assert str(error.value) == "module 'synapse_otel' has no attribute 'nothing'"


def test_importing_it_imports_nothing_heavy():
    code = f"import sys, synapse_otel; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
