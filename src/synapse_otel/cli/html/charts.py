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
from itertools import groupby
from typing import Any

from synapse_otel.cli import units
from synapse_otel.cli.view import RunView, SeriesView
from synapse_otel.projection.redaction import Redactor

MOST_CURVES = 2000
"""Curves in the page, the first ones; each has its row of numbers."""

MOST_POINTS = 10_000
"""Points of one curve: more than any screen has columns, several times."""

ALL_POINTS = 400_000
"""Points of all curves together, about 9 MB in the page."""


def charts(view: RunView, redactor: Redactor) -> dict[str, Any]:
    """Return the charts, category by category, in the order of their first samples, redacted.

    How many curves were left out, and of how many only some samples are drawn, is said with them.
    """
    grouped = _grouped(view)
    shown = [series for group in grouped for series in group]
    most = _most_points(shown)
    numbers = {process.journal_id: number for number, process in enumerate(view.processes)}
    offset = _offset_ms(view.started)
    hidden, fewer = len(view.metrics) - len(shown), sum(len(series.values) > most for series in shown)
    return {
        "rows": [
            {
                "number": number,
                "category": redactor.text(group[0].category),
                "key": redactor.text(group[0].key),
                "curves": [_curve(series, numbers[series.process], most, offset) for series in group],
            }
            for number, group in enumerate(grouped)
        ],
        "hidden": units.count(hidden, "curve") if hidden else "",
        "thinned": units.count(fewer, "curve") if fewer else "",
    }


def thinned(values: Sequence[float], most: int) -> tuple[list[int], int]:
    """Return which samples to draw, in order and at most so many, and of how many neighbours each; 1 is all.

    Args:
        values: The samples.
        most: How many to draw, 7 or more: both ends, and of one bucket every kind there is.
    """
    if len(values) <= most:
        return list(range(len(values))), 1
    odd = {str(value) for value in values if not math.isfinite(value)}
    buckets = (most - 2) // (2 + len(odd))
    size = math.ceil(len(values) / buckets)
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


def _grouped(view: RunView) -> list[list[SeriesView]]:
    """Return the first series, those of one key together, and those of one category one after another."""
    categories: dict[str, int] = {}
    keys: dict[tuple[str, str], int] = {}
    for series in view.metrics:
        categories.setdefault(series.category, len(categories))
        keys.setdefault((series.category, series.key), len(keys))

    def place(series: SeriesView) -> tuple[int, int]:
        return categories[series.category], keys[series.category, series.key]

    ordered = sorted(view.metrics, key=place)[:MOST_CURVES]
    return [list(group) for _, group in groupby(ordered, key=place)]


def _most_points(shown: Sequence[SeriesView]) -> int:
    """Return how many points a curve may have: what short ones leave is for the long ones."""
    room = ALL_POINTS
    lengths = sorted(min(MOST_POINTS, len(series.values)) for series in shown)
    for at, length in enumerate(lengths):
        share = room // (len(lengths) - at)
        if length > share:
            return share
        room -= length
    return MOST_POINTS


def _curve(series: SeriesView, process: int, most: int, offset: float) -> dict[str, Any]:
    kept, bucket = thinned(series.values, most)
    some = series.samples > series.not_finite
    return {
        "process": process,
        "times": _packed(series.times[at] / 1e6 + offset for at in kept),
        "values": _packed(series.values[at] for at in kept),
        "bucket": bucket,
        "samples": f"{series.samples:,}",
        "odd": f"{series.not_finite:,}" if series.not_finite else "",
        "first": _number(series, series.first),
        "last": _number(series, series.last),
        "min": _number(series, series.low) if some else "–",
        "max": _number(series, series.high) if some else "–",
        "positive": some and series.low > 0,
    }


def _number(series: SeriesView, value: float) -> str:
    return units.number(series.as_reported(value))


def _packed(values: Iterator[float]) -> str:
    """Return numbers as little-endian doubles in base64: half of what they take as text, and NaN is one of them."""
    return base64.b64encode(array("d", values).tobytes()).decode()


def _offset_ms(t: int) -> float:
    """Return what makes a time local: the chart's axis has no time zones."""
    offset = datetime.fromtimestamp(t / units.SECOND).astimezone().utcoffset()
    return offset.total_seconds() * 1000 if offset else 0.0
