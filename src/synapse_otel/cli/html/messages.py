"""What the run said, as rows for the script that searches them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from synapse_otel.cli import units
from synapse_otel.cli.looks import LEVEL
from synapse_otel.cli.view import LineView, RunView

MOST_LINES = 50_000
"""Lines in the page, the last ones: about 10 MB."""


def messages(view: RunView) -> dict[str, Any]:
    """Return the rows, in order of time, and what they can be filtered by."""
    lines = view.timeline[-MOST_LINES:]
    numbers = {process.journal_id: number for number, process in enumerate(view.processes)}
    day = bool(lines) and not units.same_day(lines[0].t, lines[-1].t)
    counts = Counter(line.level for line in lines if line.kind != "dev_event")
    order = [*LEVEL, *(level for level in counts if level not in LEVEL)]
    return {
        "rows": [_row(line, numbers.get(line.process, 0), day) for line in lines],
        "levels": [{"name": level, "count": f"{counts[level]:,}"} for level in order if counts[level]],
        "dev_events": sum(line.kind == "dev_event" for line in lines),
        "hidden": view.lines - len(lines),
    }


def _row(line: LineView, process: int, day: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "time": units.clock(line.t, day=day),
        "level": line.level,
        "kind": line.kind,
        "text": line.text,
        "process": process,
    }
    more = {"data": dict(line.data), "file": line.file, "step": line.step}
    return row | {name: value for name, value in more.items() if value}
