"""What the fixture `telemetry` gives to a test."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synapse_otel.context import RuntimeContext
    from synapse_otel.testing.collector import Collector
    from synapse_otel.testing.decoded import LogRecord, Point, Span


@dataclass(frozen=True, slots=True)
class Telemetry:
    """An environment in which whatever a plugin reports is captured.

    Attributes:
        collector: Where it is sent.
        journal_dir: Where it is kept before.
    """

    collector: "Collector"
    journal_dir: Path

    @property
    def spans(self) -> "list[Span]":
        """All spans that arrived."""
        return self.collector.spans

    @property
    def logs(self) -> "list[LogRecord]":
        """All log records that arrived."""
        return self.collector.logs

    @property
    def points(self) -> "list[Point]":
        """All data points that arrived."""
        return self.collector.points

    @property
    def messages(self) -> list[Any]:
        """The messages for the user that arrived."""
        return self.collector.messages

    def open(self, job_id: str = "test-job", name: str = "test", **kwargs: Any) -> "RuntimeContext":
        """Open a `synapse_otel.RuntimeContext` that reports here; use it in a `with`.

        Args:
            job_id: The job that it belongs to.
            name: The name of the run.
            **kwargs: What else `RuntimeContext.open` takes.
        """
        from synapse_otel.context import RuntimeContext

        return RuntimeContext.open(job_id=job_id, name=name, **kwargs)
