"""The waterfall: where on the run's time each span lies."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from synapse_otel.cli import units
from synapse_otel.cli.view import RunView, SpanView

MOST_SPANS = 1000
_TICKS = 4
_DEEPEST = 12


def spans(view: RunView) -> dict[str, Any]:
    """Return the rows of the waterfall, the ticks of its time axis, and how many rows were left out.

    The first rows are shown, and of the others those that failed, within reason.
    """
    shown = list(view.spans[:MOST_SPANS])
    shown += [span for span in view.spans[MOST_SPANS:] if span.status == "error"][:MOST_SPANS]
    end = max((span.end for span in view.spans), default=view.end)
    extent = max(1, max(view.end, end) - view.started)
    told = {span.message for span in view.spans if span.kind != "phase"}
    numbers = {process.started: number for number, process in enumerate(view.processes)}
    return {
        "rows": [_row(span, view.started, extent, told) | _owner(span, numbers) for span in shown],
        "ticks": [units.duration(extent * tick / _TICKS / units.SECOND) if tick else "0" for tick in range(_TICKS + 1)],
        "hidden": len(view.spans) - len(shown),
    }


def _row(span: SpanView, start: int, extent: int, told: Set[str]) -> dict[str, Any]:
    repeats = span.message in told if span.kind == "phase" else span.message == "crashed"
    left = min(100.0, max(0.0, 100 * (span.start - start) / extent))
    return {
        "name": span.name,
        "kind": span.kind,
        "status": "error" if span.status == "error" else "running" if span.open else span.status,
        "message": "" if repeats else span.message,
        "depth": min(span.depth, _DEEPEST),
        "left": round(left, 3),
        "width": round(min(100 - left, max(0.0, 100 * (span.end - span.start) / extent)), 3),
        "took": units.between(span.start, span.end),
        "at": f"{units.clock(span.start)} to {'now' if span.open else units.clock(span.end)}",
    }


def _owner(span: SpanView, numbers: Mapping[int, int]) -> dict[str, int]:
    """Return the process of a run's span, which starts when the process does; what is below it belongs to it."""
    return {"process": numbers[span.start]} if span.kind == "run" else {}
