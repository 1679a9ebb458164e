"""Runs an action of the Synapse SDK in this process, with a recorder that is open already."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synapse_otel.otel_logger import OTelLogger

_BASE = "synapse_sdk.plugins.action", "BaseAction"
_DECORATORS = "synapse_sdk.plugins.decorators"


def is_sdk_action(target: object) -> bool:
    """Return whether something is an action of the SDK: a class that can be made, or a decorated function."""
    if isinstance(target, type):
        bases = {(cls.__module__, cls.__name__) for cls in target.__mro__[1:]}
        return _BASE in bases and not inspect.isabstract(target)
    return getattr(target, "__globals__", {}).get("__name__") == _DECORATORS


def run_sdk_action(action: Any, params: Any, recorder: OTelLogger) -> Any:
    """Run an action of the SDK with one of the SDK's contexts; its steps are spans.

    Args:
        action: The class or function.
        params: Its parameters: a mapping, or its model.
        recorder: What records the run. It is not finished here.

    Returns:
        What the action returns.
    """
    from synapse_otel.sdk.actions import running_action
    from synapse_otel.sdk.instrumentor import SynapseInstrumentor
    from synapse_otel.sdk.logger import OTelLogger

    instrumentor = SynapseInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()
    ctx = _context(OTelLogger(recorder=recorder))
    if isinstance(action, type):
        return action.dispatch(params, ctx)  # type: ignore[attr-defined]  # an action has it
    with running_action(action, ctx):
        return action(params, ctx)


def _context(logger: Any) -> Any:
    from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
    from synapse_sdk.utils import auth

    environment = PluginEnvironment.from_environ()
    if not hasattr(auth, "build_runtime_clients"):  # releases before it have one client
        return RuntimeContext(logger, environment, logger.job_id, auth.create_backend_client())
    clients = auth.build_runtime_clients()
    return RuntimeContext(logger, environment, logger.job_id, client=clients.client, v2_client=clients.v2_client)
