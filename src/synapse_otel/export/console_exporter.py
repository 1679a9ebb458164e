"""Prints items as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from synapse_otel.export.encode import log_record, metrics_data
from synapse_otel.export.outcome import DELIVERED, Outcome, Verdict
from synapse_otel.export.settings import Signal
from synapse_otel.projection.resource import Origin


class ConsoleExporter:
    """Prints items as JSON, one after another, as the SDK's console exporters do."""

    place = "standard output"

    def __init__(self, signal: Signal) -> None:
        self._signal = signal

    def encode(self, items: Sequence[Any], origin: Origin) -> bytes:
        """Return `items` as JSON."""
        match self._signal:
            case "metrics":
                return metrics_data(items, origin).to_json().encode()
            case "logs":
                items = [log_record(item, origin) for item in items]
        return "\n".join(item.to_json() for item in items).encode()

    def send(self, body: bytes) -> Outcome:
        """Print what was encoded."""
        try:
            sys.stdout.write(body.decode() + "\n")
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            return Outcome(Verdict.RETRY, f"standard output: {error}")
        return DELIVERED

    def close(self) -> None:
        """Nothing to let go."""
