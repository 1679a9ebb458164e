"""Records -> gauge data points, one for every sample.

Backends keep milliseconds: two samples of a series in the same one are moved apart by one, so that neither is lost.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import msgspec
from opentelemetry.sdk.metrics.export import NumberDataPoint

from synapse_otel.journal import records as rec
from synapse_otel.projection import names, progress
from synapse_otel.projection.attributes import number
from synapse_otel.projection.resource import Origin

Number: TypeAlias = int | float
Instrument: TypeAlias = tuple[str, str, str]

_MS = 1_000_000
_MAX_NAME = 255
_INT64 = 2**63
_INVALID = re.compile(r"[^A-Za-z0-9_./-]")
DEFAULT_INTERVAL = 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A data point and the gauge it belongs to: name, unit, description."""

    instrument: Instrument
    point: NumberDataPoint


class Series(NamedTuple):
    """A gauge with one set of attributes; the id names both, and is what backends tell series apart by."""

    instrument: Instrument
    attributes: Mapping[str, str | int]
    id: tuple[str, ...]


class Latest(msgspec.Struct):
    """Where a category stands: the last report, and the first one, from which the rate is known."""

    current: Number
    total: Number
    first: Number
    started: int
    t: int
    failed: bool = False


class MetricsState(msgspec.Struct):
    """The last millisecond of every series, where every category stands, when gauges were repeated, the run's name."""

    last_ms: dict[tuple[str, ...], int] = {}
    progress: dict[str, Latest] = {}
    repeated: int = 0
    ended: bool = False
    name: str = ""


_MEASURED = frozenset((rec.Metrics, rec.Progress, rec.RunStarted, rec.Heartbeat, rec.RunEnded, rec.ActionNamed))
_decode = msgspec.msgpack.Decoder(MetricsState).decode  # made at import, see `journal.cursor`


class MetricProjection:
    """Turns progress and metrics into data points, and repeats progress while the run lives.

    Args:
        origin: Who the records come from.
        state: What `snapshot` of an earlier projection gave.
        interval: Nanoseconds between two repetitions of the gauges of progress, of the run and of the delivery.
    """

    def __init__(self, origin: Origin, state: bytes = b"", interval: int = DEFAULT_INTERVAL) -> None:
        self._origin = origin
        self._interval = interval
        self._state = _decode(state) if state else MetricsState()
        self._series: dict[tuple[str, ...], Series] = {}

    def snapshot(self) -> bytes:
        """Return the state, from which another projection goes on."""
        return msgspec.msgpack.encode(self._state)

    def project(self, record: rec.Record, seq: int) -> list[Sample]:  # noqa: ARG002  # the shape of every projection
        """Return the samples of a record."""
        if type(record) not in _MEASURED:
            return []
        match record:
            case rec.Metrics():
                return self._metrics(record)
            case rec.Progress():
                return self._progress(record)
            case rec.RunStarted():
                return self._alive(record.t)
            case rec.Heartbeat() if not self._state.ended and self._is_due(record.t):
                return [*self._alive(record.t), *self._delivery(record)]
            case rec.RunEnded():
                self._state.ended = True
                return [*self._run(record.t, 0, record.status), *self._delivery(record)]
            case rec.ActionNamed() if self._origin.is_named_by(record):
                self._state.name = record.name
        return []

    def _metrics(self, record: rec.Metrics) -> list[Sample]:
        return [
            self._sample(self._metric_series(record.category, key), record.t, value)
            for key, value in numbers(record.values)
        ]

    def _progress(self, record: rec.Progress) -> list[Sample]:
        latest = self._state.progress.get(record.category)
        if latest is None or progress.starts_over(record.current, latest.current, latest.first):
            latest = Latest(record.current, record.total, record.current, record.t, record.t)
            self._state.progress[record.category] = latest
        latest.current, latest.total, latest.t, latest.failed = record.current, record.total, record.t, record.failed
        return list(self._gauges(record.category, latest, record.t))

    def _is_due(self, t: int) -> bool:
        since = t - self._state.repeated
        return since >= self._interval or since < 0  # a clock that went back does not make the run look dead

    def _alive(self, t: int) -> list[Sample]:
        """Say that the run lives, and repeat where its categories stand."""
        self._state.repeated = t
        repeated = (self._gauges(category, latest, t) for category, latest in self._state.progress.items())
        return [*self._run(t, 1, names.RUNNING), *(sample for gauges in repeated for sample in gauges)]

    def _run(self, t: int, active: int, status: str) -> Iterator[Sample]:
        identity = self._origin.identity
        worker: dict[str, str | bool] = {names.WORKER: True} if identity.worker else {}
        yield self._sample(self._gauge_series(names.RUN_ACTIVE, **worker), t, active)
        about = {names.RUN_STATUS: status, names.RUN_NAME: self._state.name or identity.name, **worker}
        yield self._sample(self._gauge_series(names.RUN_DURATION, **about), t, max(0, t - identity.started) / 1e9)

    def _delivery(self, record: rec.Heartbeat | rec.RunEnded) -> Iterator[Sample]:
        told = record.delivery or {}
        for count, instrument in names.DELIVERY.items():
            if count in told:
                yield self._sample(self._gauge_series(instrument), record.t, told[count])
        if "oldest" in told:
            lag = max(0, record.t - told["oldest"]) / 1e9 if told["oldest"] else 0.0
            yield self._sample(self._gauge_series(names.DELIVERY_LAG), record.t, lag)

    def _gauges(self, category: str, latest: Latest, t: int) -> Iterator[Sample]:
        values = {
            names.PROGRESS_CURRENT: number(latest.current),
            names.PROGRESS_TOTAL: number(latest.total),
            names.PROGRESS_RATIO: progress.ratio(latest.current, latest.total),
            names.PROGRESS_ETA: eta(latest),
        }
        for instrument, value in values.items():
            if value is not None:
                yield self._sample(self._gauge_series(instrument, **{names.CATEGORY: category}), t, value)

    def _sample(self, series: Series, t: int, value: Number) -> Sample:
        ms = max(t // _MS, self._state.last_ms.get(series.id, -1) + 1)
        self._state.last_ms[series.id] = ms
        return Sample(series.instrument, NumberDataPoint(series.attributes, 0, max(t, ms * _MS), value))

    def _gauge_series(self, instrument: Instrument, **attributes: str | bool) -> Series:
        known = (instrument[0], *map(str, attributes.values()))
        series = self._series.get(known)
        if series is None:
            series = self._series[known] = self._new_series(instrument, attributes)
        return series

    def _metric_series(self, category: str, key: str) -> Series:
        series = self._series.get((names.METRIC_PREFIX, category, key))
        if series is None:
            instrument = (metric_name(self._origin.redactor.text(key)), "", "")
            attributes = {names.CATEGORY: category, names.METRIC_KEY: key}
            series = self._series[names.METRIC_PREFIX, category, key] = self._new_series(instrument, attributes)
        return series

    def _new_series(self, instrument: Instrument, own: Mapping[str, str | bool]) -> Series:
        clean = self._origin.redactor.text
        shown = {name: clean(value) if isinstance(value, str) else value for name, value in own.items()}
        attributes: dict[str, str | int] = {names.JOB_ID: self._origin.job_id}
        rank = self._origin.identity.resource.get(names.RANK)
        if isinstance(rank, int):  # a stock Prometheus has no other label to compare ranks by
            attributes[names.RANK] = rank
        return Series(instrument, attributes | shown, (instrument[0], *map(str, shown.values())))


def eta(latest: Latest) -> float | None:
    """Return the seconds that a category still needs at its rate since its first report, None where there is none."""
    if latest.failed:
        return None
    done, elapsed = latest.current - latest.first, latest.t - latest.started
    return progress.remaining(done, elapsed, latest.total - latest.current)


def metric_name(key: str) -> str:
    """Return the gauge's name for a key: what an instrument's name may not contain becomes ``_``."""
    return (names.METRIC_PREFIX + _INVALID.sub("_", key))[:_MAX_NAME]


def numbers(values: Mapping[str, Any]) -> Collection[tuple[str, Number]]:
    """Return the numbers in `values` with their dotted keys; a bool is 0 or 1."""
    if _are_plain_numbers(values):
        return values.items()
    return [(key, number(value)) for key, value in _leaves(values) if isinstance(value, int | float)]


def not_numbers(values: Mapping[str, Any]) -> Collection[tuple[str, Any]]:
    """Return the values that are no numbers, with their dotted keys."""
    if _are_plain_numbers(values):
        return ()
    return [(key, value) for key, value in _leaves(values) if not isinstance(value, int | float)]


def _are_plain_numbers(values: Mapping[str, Any]) -> bool:
    """Return whether there are only numbers that OTLP can express, as nearly always."""
    for value in values.values():
        kind = type(value)
        if kind is not float and (kind is not int or not -_INT64 <= value < _INT64):
            return False
    return True


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
