"""Records -> gauge data points, one for every sample.

Backends keep milliseconds: two samples of a series in the same one are moved apart by one, so that neither is lost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from opentelemetry.sdk.metrics.export import NumberDataPoint

from synapse_otel.journal import records as rec
from synapse_otel.projection import names
from synapse_otel.projection.resource import Origin

Number: TypeAlias = int | float
Instrument: TypeAlias = tuple[str, str, str]

_MS = 1_000_000
_MAX_NAME = 255
_INVALID = re.compile(r"[^A-Za-z0-9_./-]")
_INT64 = range(-(2**63), 2**63)
DEFAULT_INTERVAL = 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A data point and the gauge it belongs to: name, unit, description."""

    instrument: Instrument
    point: NumberDataPoint


class Latest(msgspec.Struct):
    """Where a category stands: the last report, and the first one, from which the rate is known."""

    current: Number
    total: Number
    first: Number
    started: int
    t: int


class MetricsState(msgspec.Struct):
    """The last millisecond of every series, the state of every category, when gauges were sent again."""

    last_ms: dict[str, int] = {}
    progress: dict[str, Latest] = {}
    repeated: int = 0


class MetricProjection:
    """Turns progress and metrics into data points, and repeats progress while the run lives.

    Args:
        origin: Who the records come from.
        state: What `snapshot` of an earlier projection gave.
        interval: Nanoseconds between two repetitions of the progress gauges and of ``synapse.run.active``.
    """

    def __init__(self, origin: Origin, state: bytes = b"", interval: int = DEFAULT_INTERVAL) -> None:
        self._origin = origin
        self._interval = interval
        self._state = msgspec.msgpack.decode(state, type=MetricsState) if state else MetricsState()
        self._attributes: dict[tuple[str | None, str | None], dict[str, str]] = {}

    def snapshot(self) -> bytes:
        """Return the state, from which another projection goes on."""
        return msgspec.msgpack.encode(self._state)

    def project(self, record: rec.Record, seq: int) -> list[Sample]:  # noqa: ARG002  # the shape of every projection
        """Return the samples of a record."""
        match record:
            case rec.Metrics():
                return [self._metric(record, key, value) for key, value in numbers(record.values)]
            case rec.Progress():
                return self._progress(record)
            case rec.RunStarted():
                self._state.repeated = record.t
                return [self._sample(names.RUN_ACTIVE, record.t, 1)]
            case rec.Heartbeat() if record.t - self._state.repeated >= self._interval:
                self._state.repeated = record.t
                return [self._sample(names.RUN_ACTIVE, record.t, 1), *self._repeated(record.t)]
            case rec.RunEnded():
                return [self._sample(names.RUN_ACTIVE, record.t, 0)]
            case _:
                return []

    def _metric(self, record: rec.Metrics, key: str, value: Number) -> Sample:
        instrument = (metric_name(key), "", "")
        return self._sample(instrument, record.t, value, record.category, key)

    def _progress(self, record: rec.Progress) -> list[Sample]:
        latest = self._state.progress.get(record.category)
        if latest is None or record.current < latest.current:
            latest = Latest(record.current, record.total, record.current, record.t, record.t)
            self._state.progress[record.category] = latest
        latest.current, latest.total, latest.t = record.current, record.total, record.t
        return self._gauges(record.category, latest, record.t)

    def _repeated(self, t: int) -> Iterator[Sample]:
        for category, latest in self._state.progress.items():
            yield from self._gauges(category, latest, t)

    def _gauges(self, category: str, latest: Latest, t: int) -> list[Sample]:
        samples = [
            self._sample(names.PROGRESS_CURRENT, t, latest.current, category),
            self._sample(names.PROGRESS_TOTAL, t, latest.total, category),
            self._sample(names.PROGRESS_RATIO, t, latest.current / latest.total, category),
        ]
        if (eta := remaining(latest)) is not None:
            samples.append(self._sample(names.PROGRESS_ETA, t, eta, category))
        return samples

    def _sample(
        self, instrument: Instrument, t: int, value: Number, category: str | None = None, key: str | None = None
    ) -> Sample:
        series = f"{instrument[0]}\x1f{category}\x1f{key}"
        ms = max(t // _MS, self._state.last_ms.get(series, -1) + 1)
        self._state.last_ms[series] = ms
        attributes = self._attributes_of(category, key)
        return Sample(instrument, NumberDataPoint(attributes, 0, max(t, ms * _MS), value))

    def _attributes_of(self, category: str | None, key: str | None) -> dict[str, str]:
        attributes = self._attributes.get((category, key))
        if attributes is None:
            redact = self._origin.redactor.text
            attributes = {names.JOB_ID: self._origin.identity.job_id}
            if category is not None:
                attributes[names.CATEGORY] = redact(category)
            if key is not None:
                attributes[names.METRIC_KEY] = redact(key)
            self._attributes[category, key] = attributes
        return attributes


def remaining(latest: Latest) -> float | None:
    """Return the seconds that a category still needs at its rate since its first report, None where there is none."""
    done, elapsed = latest.current - latest.first, latest.t - latest.started
    if latest.current >= latest.total:
        return 0.0
    if done <= 0 or elapsed <= 0:
        return None
    return elapsed / done * (latest.total - latest.current) / 1e9


def metric_name(key: str) -> str:
    """Return the gauge's name for a key: what an instrument's name may not contain becomes ``_``."""
    return (names.METRIC_PREFIX + _INVALID.sub("_", key))[:_MAX_NAME]


def numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, Number]]:
    """Yield the numbers in `values` with their dotted keys; a bool is 0 or 1."""
    for key, value in _leaves(values):
        if isinstance(value, bool):
            yield key, int(value)
        elif isinstance(value, int):
            yield key, value if value in _INT64 else _as_float(value)
        elif isinstance(value, float):
            yield key, value


def not_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are no numbers, with their dotted keys."""
    return {key: value for key, value in _leaves(values) if not isinstance(value, int | float)}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
