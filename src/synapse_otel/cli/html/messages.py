"""What the run said, as rows for the script that searches them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from synapse_otel.cli import units
from synapse_otel.cli.looks import LEVEL
from synapse_otel.cli.show_json import portable
from synapse_otel.cli.view import LineView, RunView
from synapse_otel.projection.redaction import Redactor

MOST_LINES = 50_000
"""Lines in the page, the last ones: about 10 MB."""

MOST_CHARACTERS = 20_000_000
"""Characters of all lines together: they may be long."""

_LONGEST_VALUE = 80
_LONGEST_PAIRS = 240


def messages(view: RunView, redactor: Redactor) -> dict[str, Any]:
    """Return the rows, in order of time and redacted, and what they can be filtered by."""
    rows = [*_last_rows(view, redactor)][::-1]
    counts = Counter(row["level"] for row in rows if row["kind"] != "dev_event")
    order = [*LEVEL, *(level for level in counts if level not in LEVEL)]
    return {
        "rows": rows,
        "levels": [{"name": level, "count": f"{counts[level]:,}"} for level in order if counts[level]],
        "dev_events": sum(row["kind"] == "dev_event" for row in rows),
        "hidden": view.lines - len(rows),
    }


def _last_rows(view: RunView, redactor: Redactor) -> Iterator[dict[str, Any]]:
    """Yield the rows that there is room for, the last one first."""
    lines = view.timeline[-MOST_LINES:]
    numbers = {process.journal_id: number for number, process in enumerate(view.processes)}
    day = bool(lines) and not units.same_day(lines[0].t, lines[-1].t)
    room = MOST_CHARACTERS
    for line in reversed(lines):
        row = _row(line, numbers[line.process], day, redactor)
        room -= len(row["text"]) + len(row.get("data", ""))
        if room < 0:
            return
        yield row


def _row(line: LineView, process: int, day: bool, redactor: Redactor) -> dict[str, Any]:
    row: dict[str, Any] = {
        "time": units.clock(line.t, day=day),
        "level": redactor.text(line.level),
        "kind": line.kind,
        "text": redactor.text(line.text),
        "process": process,
    }
    more = {name: redactor.text(value) for name, value in (("file", line.file), ("step", line.step)) if value}
    return row | more | (_data(redactor.value(dict(line.data))) if line.data else {})


def _data(data: Mapping[str, Any]) -> dict[str, str]:
    """Return data in short and as a whole: as text, because numbers of the browser have 53 bits and no ``1.0``."""
    plain = portable(data)
    return {
        "pairs": _short(" ".join(f"{key}={_value(value)}" for key, value in plain.items()), _LONGEST_PAIRS),
        "data": json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2),
    }


def _value(value: Any) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    return _short(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _LONGEST_VALUE)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
