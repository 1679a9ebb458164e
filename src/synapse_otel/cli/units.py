"""Numbers, times and sizes as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

SECOND = 1_000_000_000
LONGEST = 100 * 365.25 * 24 * 3600
"""Seconds above which a time span is only said to be longer."""
_STEPS = "▁▂▃▄▅▆▇█"
_GAP = "×"


def duration(seconds: float) -> str:
    """Return a time span with two or three significant figures."""
    if seconds > LONGEST:
        return "> 100 y"
    if seconds < 0.0995:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 0.9995 else f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02} h"


def between(start: int, end: int) -> str:
    """Return the time from `start` to `end`, both in nanoseconds."""
    return duration(max(0, end - start) / SECOND)


def moment(t: int) -> str:
    """Return a point in time as the local date and time."""
    return f"{_local(t):%Y-%m-%d %H:%M:%S}"


def clock(t: int, *, day: bool = False) -> str:
    """Return the local time of day to the millisecond, with the `day` before it where it matters."""
    local = _local(t)
    return f"{local:%m-%d %H:%M:%S}" if day else f"{local:%H:%M:%S}.{t // 1_000_000 % 1000:03}"


def iso(t: int) -> str:
    """Return a point in time as ISO 8601, local with its offset, to the microsecond."""
    seconds, rest = divmod(t, SECOND)
    before, after = _iso_second(seconds)
    return f"{before}.{rest // 1000:06}{after}"


@lru_cache(maxsize=1024)
def _iso_second(seconds: int) -> tuple[str, str]:
    """Return what stands before and behind the fraction; a million samples are of few seconds."""
    local = datetime.fromtimestamp(seconds).astimezone()
    return f"{local:%Y-%m-%dT%H:%M:%S}", local.isoformat(timespec="seconds")[len("YYYY-mm-ddTHH:MM:SS") :]


def same_day(first: int, second: int) -> bool:
    """Return whether two points in time are on one local day."""
    return _local(first).date() == _local(second).date()


def size(count: float) -> str:
    """Return a number of bytes."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def number(value: float) -> str:
    """Return a number in few characters; NaN and infinity are called so."""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**12 else f"{value:.4g}"
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "NaN")
    return f"{value:.4g}"


def count(amount: int, noun: str) -> str:
    """Return an amount with its noun, which takes an s."""
    return f"{amount} {noun}{'' if amount == 1 else 's'}"


def lost(refused: int, dropped: int) -> str:
    """Return how many records were not delivered and will not be, empty where none are."""
    told = {"refused by the collector": refused, "dropped": dropped}
    return ", ".join(f"{amount:,} {what}" for what, amount in told.items() if amount)


def sparkline(values: Sequence[float], width: int) -> str:
    """Return a curve of `values` in at most `width` characters; where none is a number there is a gap."""
    buckets = [_mean(bucket) for bucket in _buckets(values, width)]
    finite = [value for value in buckets if value is not None]
    if not finite:
        return _GAP * len(buckets)
    low, high = min(finite), max(finite)
    return "".join(_GAP if value is None else _step(value, low, high) for value in buckets)


def _buckets(values: Sequence[float], width: int) -> list[Sequence[float]]:
    total = len(values)
    if total <= width:
        return [values[at : at + 1] for at in range(total)]
    return [values[total * at // width : total * (at + 1) // width] for at in range(width)]


def _mean(bucket: Sequence[float]) -> float | None:
    finite = [value for value in bucket if math.isfinite(value)]
    return math.fsum(value / len(finite) for value in finite) if finite else None


def _step(value: float, low: float, high: float) -> str:
    # Halved, because the difference of two large numbers may be more than a float holds.
    span = high / 2 - low / 2
    if span <= 0:
        return _STEPS[len(_STEPS) // 2 - 1]
    return _STEPS[round((value / 2 - low / 2) / span * (len(_STEPS) - 1))]


def _local(t: int) -> datetime:
    return datetime.fromtimestamp(t / SECOND).astimezone()
