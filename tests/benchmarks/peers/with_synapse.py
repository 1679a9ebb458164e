"""The loggers of the Synapse SDK."""

from __future__ import annotations

import time
from typing import Any

from synapse_sdk.loggers import ConsoleLogger, JobLogger, NoOpLogger
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext

ANSWER = 0.005
"""Seconds that the backend takes for a request."""


class Backend:
    """A client of the Synapse backend."""

    def update_job(self, job_id: str, data: Any) -> None:
        """Take progress and metrics."""
        time.sleep(ANSWER)

    def create_logs(self, logs: Any) -> None:
        """Take log entries."""
        time.sleep(ANSWER)


LOGGERS = {
    "NoOpLogger": NoOpLogger,
    "ConsoleLogger": ConsoleLogger,
    "JobLogger": lambda: JobLogger(Backend(), "benchmark"),
}


class Synapse:
    """A `RuntimeContext` of the SDK."""

    def __init__(self, variant: str) -> None:
        self._ctx = RuntimeContext(logger=LOGGERS[variant](), env=PluginEnvironment({}), job_id="benchmark")
        for name in ("set_progress", "set_metrics", "log", "log_message", "log_dev_event"):
            setattr(self, name, getattr(self._ctx, name))

    def close(self) -> None:
        """End it."""
        self._ctx.logger.finish()


def open_target(variant: str) -> Any:
    """Open it."""
    return Synapse(variant)
