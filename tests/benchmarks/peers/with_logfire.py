"""Logfire, sending to an OTLP endpoint that is not its own: gauges for numbers, logs for the rest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import logfire


class Logfire:
    """The methods of a `RuntimeContext`."""

    def __init__(self) -> None:
        logfire.configure(send_to_logfire=False, console=False, service_name="benchmark")
        self._gauges: dict[str, Any] = {}

    def set_progress(self, current: float, total: float, category: str) -> None:
        attributes = {"category": category}
        self._gauge("progress.current").set(current, attributes)
        self._gauge("progress.total").set(total, attributes)
        self._gauge("progress.ratio").set(current / total, attributes)

    def set_metrics(self, value: Mapping[str, Any], category: str) -> None:
        attributes = {"category": category}
        for key, number in value.items():
            self._gauge(f"metric.{key}").set(number, attributes)

    def log(self, event: str, data: Mapping[str, Any]) -> None:
        logfire.info(event, **data)

    def log_message(self, message: str) -> None:
        logfire.info(message)

    def log_dev_event(self, message: str, data: Mapping[str, Any]) -> None:
        logfire.debug(message, **data)

    def _gauge(self, name: str) -> Any:
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = logfire.metric_gauge(name)
        return gauge

    def drain(self) -> None:
        """Wait until nothing is under way."""
        logfire.force_flush()

    def close(self) -> None:
        """End it."""
        logfire.shutdown()


def open_target(variant: str) -> Any:
    """Open it."""
    assert variant == "default"
    assert os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    return Logfire()
