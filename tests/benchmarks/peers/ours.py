"""A run of ours, shipped by the agent or by threads, or kept; the environment says where and to whom."""

from __future__ import annotations

import contextlib
from typing import Any

from synapse_otel import RuntimeContext


class Ours:
    """A `RuntimeContext`, and the step of another variant around it."""

    def __init__(self, variant: str) -> None:
        self._ctx = RuntimeContext.open("benchmark", "benchmark")
        self._step: Any = self._ctx.step("benchmark") if variant == "in a step" else contextlib.nullcontext()
        self._step.__enter__()
        for name in ("set_progress", "set_metrics", "log", "log_message", "log_dev_event"):
            setattr(self, name, getattr(self._ctx, name))

    def drain(self) -> None:
        """Wait until nothing is under way."""
        self._ctx.flush(600)

    def close(self) -> None:
        """End the run."""
        self._step.__exit__(None, None, None)
        self._ctx.logger.finish()


def open_target(variant: str) -> Any:
    """Open it."""
    return Ours(variant)
