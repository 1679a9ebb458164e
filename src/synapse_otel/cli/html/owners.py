"""Which process of a run a span or a progress bar belongs to."""

from __future__ import annotations

from synapse_otel.cli.view import ProgressView, RunView, SpanView


class Owners:
    """Knows the processes of a run, by their numbers in it.

    The span of a process starts when the process does; what is below it belongs to it. A category's span starts with
    the category's first report.

    Args:
        view: The run.
    """

    def __init__(self, view: RunView) -> None:
        started = {process.started: number for number, process in enumerate(view.processes)}
        self._of_span: dict[str, int] = {}
        for span in view.spans:  # parents come before their children
            inherited = self._of_span.get(span.parent_id, 0)
            self._of_span[span.span_id] = started.get(span.start, inherited) if span.kind == "run" else inherited
        self._of_phase = {(span.name, span.start): self.of_span(span) for span in view.spans if span.kind == "phase"}

    def of_span(self, span: SpanView) -> int:
        """Return the process that a span belongs to."""
        return self._of_span[span.span_id]

    def of_progress(self, progress: ProgressView) -> int | None:
        """Return the process that reported a category's progress, None where no span tells."""
        return self._of_phase.get((progress.category, progress.started))
