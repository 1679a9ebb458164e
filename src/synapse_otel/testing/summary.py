"""What a collector received, in one line for an error message."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synapse_otel.testing.collector import Collector

_MOST_NAMES = 20


def summarize(collector: "Collector") -> str:
    """Counts by name, and the requests with their answers."""
    spans, logs, points = collector.spans, collector.logs, collector.points
    requests = (f"{r.protocol} {r.path} -> {r.status or 'no answer'}" for r in collector.requests)
    return "; ".join(
        [
            _counted("spans", (span.name for span in spans)),
            _counted("log records", (record.event_name or repr(record.body)[:40] for record in logs)),
            _counted("points", (point.metric for point in points)),
            _counted("requests", requests),
        ]
    )


def _counted(what: str, names: Iterable[str]) -> str:
    counts = Counter(names)
    if not counts:
        return f"0 {what}"
    shown = ", ".join(f"{name} x{count}" for name, count in counts.most_common(_MOST_NAMES))
    more = f", and {len(counts) - _MOST_NAMES} more" if len(counts) > _MOST_NAMES else ""
    return f"{counts.total()} {what} ({shown}{more})"
