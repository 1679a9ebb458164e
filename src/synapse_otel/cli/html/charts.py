"""The metrics as charts: one for each key, in it a curve for each process.

A curve of very many samples is thinned: of each bucket of neighbours its least and its greatest sample are kept, with
their own times, and one of each kind that is no number. So no extreme and no NaN goes unseen, and nothing is invented.
"""

from __future__ import annotations

import base64
import math
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from synapse_otel.cli import units
from synapse_otel.cli.view import RunView, SeriesView

MOST_POINTS = 10_000
"""Points of one curve: more than any screen has columns, several times."""

ALL_POINTS = 400_000
"""Points of all curves together, about 9 MB in the page."""

_FEWEST_POINTS = 1000


def charts(view: RunView) -> list[dict[str, Any]]:
    """Return the charts without their curves, category by category, in the order of their first samples."""
    return [
        {"number": number, "category": category, "key": key} for number, (category, key) in enumerate(_grouped(view))
    ]


def curves(view: RunView) -> list[list[dict[str, Any]]]:
    """Return the curves of each chart."""
    most = min(MOST_POINTS, max(_FEWEST_POINTS, ALL_POINTS // max(1, len(view.metrics))))
    numbers = {process.journal_id: number for number, process in enumerate(view.processes)}
    offset = _offset_ms(view.started)
    return [
        [_curve(series, numbers[series.process], most, offset) for series in grouped]
        for grouped in _grouped(view).values()
    ]


def thinned(values: Sequence[float], most: int) -> tuple[list[int], int]:
    """Return which samples to draw, in order, and how many samples each pair of them stands for; 1 is all."""
    if len(values) <= most:
        return list(range(len(values))), 1
    size = math.ceil(2 * len(values) / most)
    kept = {0, len(values) - 1}
    for start in range(0, len(values), size):
        kept.update(_telling(values, range(start, min(start + size, len(values)))))
    return sorted(kept), size


def _telling(values: Sequence[float], bucket: range) -> Iterator[int]:
    finite = [at for at in bucket if math.isfinite(values[at])]
    if finite:
        yield min(finite, key=values.__getitem__)
        yield max(finite, key=values.__getitem__)
    if len(finite) < len(bucket):
        yield from {str(values[at]): at for at in bucket if not math.isfinite(values[at])}.values()


def _grouped(view: RunView) -> dict[tuple[str, str], list[SeriesView]]:
    categories = list(dict.fromkeys(series.category for series in view.metrics))
    found: dict[tuple[str, str], list[SeriesView]] = {}
    for series in sorted(view.metrics, key=lambda series: categories.index(series.category)):
        found.setdefault((series.category, series.key), []).append(series)
    return found


def _curve(series: SeriesView, process: int, most: int, offset: float) -> dict[str, Any]:
    kept, bucket = thinned(series.values, most)
    finite = series.finite
    first, last = (units.number(series.as_reported(series.values[at])) for at in (0, -1))
    low, high = (units.number(series.as_reported(pick(finite))) if finite else "–" for pick in (min, max))
    return {
        "process": process,
        "times": _packed(series.times[at] / 1e6 + offset for at in kept),
        "values": _packed(series.values[at] for at in kept),
        "bucket": bucket,
        "samples": f"{len(series.values):,}",
        "odd": f"{len(series.values) - len(finite):,}" if len(finite) < len(series.values) else "",
        "first": first,
        "last": last,
        "min": low,
        "max": high,
        "positive": bool(finite) and min(finite) > 0,
    }


def _packed(values: Iterator[float]) -> str:
    """Return numbers as little-endian doubles in base64: half of what they take as text, and NaN is one of them."""
    return base64.b64encode(array("d", values).tobytes()).decode()


def _offset_ms(t: int) -> float:
    """Return what makes a time local: the chart's axis has no time zones."""
    offset = datetime.fromtimestamp(t / units.SECOND).astimezone().utcoffset()
    return offset.total_seconds() * 1000 if offset else 0.0
