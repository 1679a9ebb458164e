"""The Synapse SDK itself: plugins that are written against it report to OpenTelemetry without changing a line."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synapse_otel.sdk.instrumentor import SynapseInstrumentor
    from synapse_otel.sdk.logger import OTelLogger
    from synapse_otel.sdk.processes import propagation_env
    from synapse_otel.sdk.ray import worker_process_setup_hook

_HOME = {
    "OTelLogger": "logger",
    "SynapseInstrumentor": "instrumentor",
    "propagation_env": "processes",
    "worker_process_setup_hook": "ray",
}

__all__ = ["OTelLogger", "SynapseInstrumentor", "propagation_env", "worker_process_setup_hook"]


def __getattr__(name: str) -> Any:
    """What needs the SDK, or OpenTelemetry's instrumentation: on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
