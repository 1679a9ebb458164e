"""Journal records -> OpenTelemetry data: pure folds, one per signal.

The same records always give the same data, so a request that is sent again is the same to the last byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from synapse_otel.journal.records import Record


class Projection(Protocol):
    """One signal's view of a journal."""

    def project(self, record: Record, seq: int) -> Sequence[Any]:
        """Return what the record number `seq` becomes: spans, log records or samples."""

    def snapshot(self) -> bytes:
        """Return the state, from which another projection of the same journal goes on."""


__all__ = ["Projection"]
