"""What holds for any records in any order."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from projection.random_records import runs
from projection.rendering import MS, ROOT, fold, numbered, origin_of
from synapse_otel.export.encode import encode
from synapse_otel.export.settings import Signal
from synapse_otel.journal import records as rec
from synapse_otel.projection import names
from synapse_otel.projection.attributes import AttributeLimits
from synapse_otel.projection.logs import LogProjection
from synapse_otel.projection.metrics import MetricProjection
from synapse_otel.projection.redaction import Redactor
from synapse_otel.projection.resource import Origin
from synapse_otel.projection.spans import SpanProjection, split_span

SIGNALS: dict[Signal, Any] = {"traces": SpanProjection, "logs": LogProjection, "metrics": MetricProjection}
SHOWN_AS_EVENT = rec.Message | rec.Event | rec.ExceptionRecorded
OF_OTHER_KINDS = {names.LOG_DEV_EVENT, names.LOG_METRICS, names.LOG_RUN_ENDED, names.LOG_RUN_CRASHED, names.LOG_DROPPED}
PARENT = b"\x77" * 8

thorough = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
quick = settings(thorough, max_examples=40)


@contextmanager
def encoders_that_complain() -> Iterator[list[str]]:
    """What the SDK says when it leaves an attribute out: it logs, and goes on without it."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]  # a handler of one test
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def parsed(signal: Signal, records: list[rec.Record], origin: Origin) -> list[Any]:
    """The spans, log records or metrics of the request that the records make, as a collector reads them."""
    with encoders_that_complain() as said:
        body = encode(signal, fold(SIGNALS[signal](origin), records), origin)
    assert said == []
    match signal:
        case "traces":
            traces = ExportTraceServiceRequest.FromString(body)
            return [span for part in traces.resource_spans for scope in part.scope_spans for span in scope.spans]
        case "logs":
            logs = ExportLogsServiceRequest.FromString(body)
            return [log for part in logs.resource_logs for scope in part.scope_logs for log in scope.log_records]
        case "metrics":
            metrics = ExportMetricsServiceRequest.FromString(body)
            return [one for part in metrics.resource_metrics for scope in part.scope_metrics for one in scope.metrics]


def keys(attributes: Any) -> list[str]:
    given = [attribute.key for attribute in attributes]
    assert len(set(given)) == len(given)
    assert all(given)
    return given


def is_flat(attribute: KeyValue) -> bool:
    """Whether a span's attribute is a scalar, or an array of scalars of one type."""
    items: list[AnyValue] = list(attribute.value.array_value.values) or [attribute.value]
    kinds = {item.WhichOneof("value") for item in items}
    empty = kinds == {"array_value"} and not attribute.value.array_value.values
    return len(kinds) == 1 and (empty or kinds <= {"string_value", "bool_value", "int_value", "double_value"})


# -- what is sent is valid


@thorough
@given(runs())
def test_spans_of_any_records_are_valid_otlp(records: list[rec.Record]) -> None:
    for span in parsed("traces", records, origin_of()):
        assert len(span.span_id) == 8
        assert any(span.span_id)
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        keys(span.attributes)
        assert all(is_flat(attribute) for attribute in span.attributes)
        for event in span.events:
            assert span.start_time_unix_nano <= event.time_unix_nano <= span.end_time_unix_nano
            assert "level" not in keys(event.attributes)
            assert all(is_flat(attribute) for attribute in event.attributes)


@thorough
@given(runs())
def test_log_records_of_any_records_are_valid_otlp(records: list[rec.Record]) -> None:
    found = parsed("logs", records, origin_of())
    for log in found:
        assert "level" not in keys(log.attributes)
        assert (any(log.trace_id), any(log.span_id), log.flags) == (True, True, 1)
        assert log.observed_time_unix_nano == log.time_unix_nano
        assert 5 <= log.severity_number <= 21
    uids = [one.value.string_value for log in found for one in log.attributes if one.key == "log.record.uid"]
    assert len(set(uids)) == len(found)


@thorough
@given(runs())
def test_gauges_of_any_records_are_valid_otlp(records: list[rec.Record]) -> None:
    samples = fold(MetricProjection(origin_of()), records)
    found = parsed("metrics", records, origin_of())
    assert sum(len(metric.gauge.data_points) for metric in found) == len(samples)
    for metric in found:
        assert len(metric.name) <= 255
        for point in metric.gauge.data_points:
            assert "job_id" in keys(point.attributes)
            assert point.WhichOneof("value")


@quick
@given(runs(), st.integers(1, 8), st.none() | st.integers(1, 4), st.integers(1, 5))
def test_limits_hold_for_any_records(records: list[rec.Record], count: int, length: int | None, events: int) -> None:
    origin = origin_of(AttributeLimits(count, length, events))
    own = 8  # more than a log record or event of ours ever has
    for span in parsed("traces", records, origin):
        assert len(span.events) <= events
        assert all(len(event.attributes) <= max(count, own) for event in span.events)
    for log in parsed("logs", records, origin):
        assert len(log.attributes) <= max(count, own)


# -- the tree of spans


@thorough
@given(runs())
def test_every_parent_is_known_and_no_id_is_used_twice(records: list[rec.Record]) -> None:
    projection = SpanProjection(origin_of(parent_span_id=PARENT))
    known = {PARENT, ROOT} | {record.span for record in records if isinstance(record, rec.StepStarted)}
    sent: Counter[bytes] = Counter()
    for span in fold(projection, records):
        sent[span.context.span_id.to_bytes(8, "big")] += 1
        assert span.parent.span_id.to_bytes(8, "big") in known
        assert span.parent.is_remote == (span.context.span_id == int.from_bytes(ROOT, "big"))
    assert set(sent.values()) <= {1}
    assert sent[ROOT] == any(isinstance(record, rec.RunEnded) for record in records)


@thorough
@given(runs())
def test_steps_end_once_when_they_ended_and_with_the_run_at_the_latest(records: list[rec.Record]) -> None:
    found = fold(SpanProjection(origin_of()), records)
    begun, expected = set(), set()
    for record in records:
        if isinstance(record, rec.StepStarted) and len(record.span) == 8 and any(record.span) and record.span != ROOT:
            begun.add(record.span)
        elif isinstance(record, rec.StepEnded) and record.span in begun:
            expected.add(record.span)
        elif isinstance(record, rec.RunEnded):
            expected |= begun
    sent = {span.context.span_id.to_bytes(8, "big") for span in found if "synapse.step.status" in span.attributes}
    assert sent == expected


# -- nothing is lost


@thorough
@given(runs())
def test_every_message_event_and_exception_is_one_log_record_and_one_span_event(records: list[rec.Record]) -> None:
    origin = origin_of(redactor=Redactor(enabled=False))
    ended = [*records, rec.RunEnded(records[-1].t if records else 0, "completed")]
    told = [record for record in records if isinstance(record, SHOWN_AS_EVENT)]
    spans = fold(SpanProjection(origin), ended)
    assert Counter(event_text(event) for span in spans for event in span.events) == Counter(map(record_text, told))
    logs = fold(LogProjection(origin), records)
    texts = [log.body for log in logs if log.event_name == "synapse.message"]
    assert texts == [record.text for record in told if isinstance(record, rec.Message)]
    times = [log.t for log in logs if log.event_name not in OF_OTHER_KINDS]
    assert times == [record.t for record in told]
    dev_events = [record.text for record in records if isinstance(record, rec.DevEvent)]
    assert [log.body for log in logs if log.event_name == "synapse.dev_event"] == dev_events


def event_text(event: Any) -> tuple[str, str]:
    """What tells the events of different records apart, but for their times, which a clock can move."""
    attributes = event.attributes
    if "exception.stacktrace" in attributes:
        return "exception", attributes["exception.type"] + attributes["exception.message"]
    return event.name, attributes.get("message", "")


def record_text(record: SHOWN_AS_EVENT) -> tuple[str, str]:
    match record:
        case rec.Message():
            return "message", record.text
        case rec.ExceptionRecorded():
            return "exception", record.error_type + record.message
        case _:
            return record.name, ""


@thorough
@given(runs())
def test_every_value_of_an_event_is_an_attribute_of_its_log_record(records: list[rec.Record]) -> None:
    origin = origin_of(redactor=Redactor(enabled=False))
    for record in records:
        if isinstance(record, rec.Event):
            (log,) = fold(LogProjection(origin), [record])
            own = {"synapse.level", "log.record.uid"} | ({"file.path"} if record.file is not None else set())
            own |= {"synapse.step"} if record.step is not None else set()
            values = [value for key, value in log.attributes.items() if key not in own]
            assert len(values) == len(record.data)


@thorough
@given(runs())
def test_every_number_is_one_point_as_early_as_its_series_allows(records: list[rec.Record]) -> None:
    """Checked against the obvious: a list of numbers per series, each one millisecond behind the last at least."""
    expected: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for record in records:
        if isinstance(record, rec.Metrics):
            for key, value in leaves(record.values):
                series = expected[record.category, key]
                earliest = (series[-1][0] // MS + 1) * MS if series else 0
                series.append((max(record.t, earliest), as_otlp(value)))
    found = defaultdict(list)
    for sample in fold(MetricProjection(origin_of(redactor=Redactor(enabled=False))), records):
        if "synapse.metric.key" in sample.point.attributes:
            _, category, key = sample.point.attributes.values()
            found[category, key].append((sample.point.time_unix_nano, repr(sample.point.value)))
    assert found == expected


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        elif isinstance(value, int | float):
            yield f"{prefix}{key}", value


def as_otlp(value: float) -> str:
    """A number as OTLP has it: of 64 bits, and no bool."""
    if isinstance(value, bool):
        return repr(int(value))
    return repr(float(value)) if isinstance(value, int) and value >= 2**63 else repr(value)


@quick
@given(runs())
def test_milliseconds_of_every_series_go_up(records: list[rec.Record]) -> None:
    last: dict[Any, int] = {}
    for sample in fold(MetricProjection(origin_of(), interval=0), records):
        series = (sample.instrument[0], *sample.point.attributes.values())
        ms = sample.point.time_unix_nano // MS
        assert ms > last.get(series, -1)
        last[series] = ms


# -- the same again


@quick
@given(runs(), st.sampled_from(sorted(SIGNALS)))
def test_same_records_make_the_same_bytes_from_any_snapshot_on(records: list[rec.Record], signal: Signal) -> None:
    origin = origin_of(worker=True, parent_span_id=PARENT)
    through = encode(signal, fold(SIGNALS[signal](origin), records), origin)
    state, items = b"", []
    for record, seq in numbered(records):
        projection = SIGNALS[signal](origin, state)
        items += projection.project(record, seq)
        state = projection.snapshot()
    assert encode(signal, items, origin_of(worker=True, parent_span_id=PARENT)) == through


@quick
@given(runs())
def test_what_was_refused_is_divided_without_loss_or_an_id_used_twice(records: list[rec.Record]) -> None:
    found = fold(SpanProjection(origin_of()), records)
    for span in found:
        pieces, waiting = [], [span]
        while waiting:
            smaller = split_span(waiting[0])
            pieces += [] if smaller else [waiting[0]]
            waiting = [*smaller, *waiting[1:]]
        assert [event for piece in pieces for event in piece.events] == list(span.events)
        assert len({piece.context.span_id for piece in pieces}) == len(pieces)


SCRIPT = """
import hashlib
from projection.rendering import fold, origin_of
from projection.test_properties import SIGNALS, story
from synapse_otel.export.encode import encode
origin = origin_of()
for signal, projection in SIGNALS.items():
    print(signal, hashlib.sha256(encode(signal, fold(projection(origin), story()), origin)).hexdigest())
"""


def story() -> list[rec.Record]:
    """A run with everything in it."""
    step, out = b"\x0a" * 8, (b"", b"")
    values = {"loss": 0.5, "a": {"b": [1, "x"], "level": 2}, "name": "m", "level": {"x": None}}
    return [
        rec.RunStarted(1),
        rec.ActionNamed(2, "train"),
        rec.StepStarted(3, step, b"", "load"),
        *(rec.Message(4 + n, step, b"", f"message {n}", "info") for n in range(120)),
        rec.Event(200, *out, "saved", "danger", values, "/x"),
        rec.DevEvent(201, *out, "miss", values),
        *(rec.Metrics(202, *out, category, values) for category in "abc"),
        *(rec.Progress(203, *out, category, 1, 2) for category in "abc"),
        rec.ExceptionRecorded(204, step, b"", "ValueError", "bad", "Traceback"),
        rec.LogEnded(205, *out),
        rec.RunEnded(206, "failed", "bad"),
    ]


def test_other_processes_make_the_same_bytes() -> None:
    """Two requests with one content are one to a backend, whoever sends the second after a crash."""
    tests = str(Path(__file__).parents[1])
    said = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([tests, *sys.path])},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@pytest.mark.parametrize("signal", SIGNALS)
def test_state_stays_small_however_many_records_there_are(signal: Signal) -> None:
    """Half of the records make as large a state as all."""
    projection = SIGNALS[signal](origin_of())
    largest: list[int] = [0, 0]
    make: list[Callable[[int], rec.Record]] = [
        lambda t: rec.Message(t, b"", b"", "hello", "danger"),
        lambda t: rec.Event(t, b"", b"", "e", "info", {"a": {"b": t % 7}}),
        lambda t: rec.Metrics(t, b"", b"", "fit", {"loss": 0.5, "name": "x"}),
        lambda t: rec.Progress(t, b"", b"", "train", t // 1000 % 97, 96),
        lambda t: rec.DevEvent(t, b"", b"", "x"),
    ]
    for n in range(10_000):
        projection.project(make[n % 5](10**18 + n * 1000), n)
        if n % 10 == 0:
            half = n // 5000
            largest[half] = max(largest[half], len(projection.snapshot()))
    assert largest[1] <= largest[0] + 16
