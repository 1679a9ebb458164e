"""Whatever a plugin hands over: no call raises but for misuse, and what was accepted is at the far end."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faults.flight import Runs, accepted, arrived_whole, batched, fly_to, on_arrival, seen
from faults.hostile_values import ZOO, Watched, quiet_numpy
from faults.kit import Place
from synapse_otel import RuntimeContext
from synapse_otel.testing import Collector
from synapse_otel.values import text
from test_values import _values as any_values

PRINTABLE = [ZOO[name] for name in ZOO if name != "wide and deep"]
"""Of that one the own `str` takes for ever, in `print` as well."""

ARGUMENTS: dict[str, Callable[[RuntimeContext, Any], object]] = {
    "data": lambda ctx, value: ctx.log("event", value),
    "event": lambda ctx, value: ctx.log(value, {}),
    "file": lambda ctx, value: ctx.log("event", {}, file=value),
    "level": lambda ctx, value: ctx.log("event", {}, level=value),
    "message": lambda ctx, value: ctx.log_message(value),
    "context": lambda ctx, value: ctx.log_message("message", value),
    "level of a message": lambda ctx, value: ctx.log_message("message", level=value),
    "step of a message": lambda ctx, value: ctx.log_message("message", step=value),
    "dev event": lambda ctx, value: ctx.log_dev_event(value),
    "data of a dev event": lambda ctx, value: ctx.log_dev_event("dev event", value),
    "metrics": lambda ctx, value: ctx.set_metrics(value, "category"),
    "category of metrics": lambda ctx, value: ctx.set_metrics({"a": 1}, value),
    "both categories of metrics": lambda ctx, value: ctx.set_metrics({"a": 1}, value, step=value),
    "current": lambda ctx, value: ctx.set_progress(value, 10, "numbers"),
    "total": lambda ctx, value: ctx.set_progress(0, value, "numbers"),
    "category": lambda ctx, value: ctx.set_progress(1, 2, value),
    "step": lambda ctx, value: ctx.step(value),
    "action": lambda ctx, value: ctx.logger.set_action(value, value),
    "reason": lambda ctx, value: _skip(ctx, value),
}
KIND = {
    **dict.fromkeys(("data", "event", "file", "level"), "event"),
    **dict.fromkeys(("message", "context", "level of a message", "step of a message"), "message"),
    **dict.fromkeys(("dev event", "data of a dev event"), "dev_event"),
    **dict.fromkeys(("metrics", "category of metrics", "both categories of metrics"), "metrics"),
}


def _skip(ctx: RuntimeContext, reason: Any) -> None:
    with ctx.step("skipped") as step:
        step.skip(reason)


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Opens runs that send to its collector."""
    with Collector() as collector:
        fly_to(place.env(collector), monkeypatch)
        yield Runs(collector)


def test_any_value_as_data_is_at_the_far_end(run: Runs) -> None:
    """In events, dev events and metrics, each value is seen as its snapshot, and none of its side effects happens."""
    ctx, serials = run("data"), itertools.count()
    wanted: dict[int, str] = {}

    def report(value: Any) -> None:
        data = {"serial": (serial := next(serials)), "value": value}
        wanted[serial] = seen(data)
        ctx.log("any", data)
        ctx.log_dev_event("any", data)
        ctx.set_metrics({"serial": serial, f"value {serial}": value}, "any")

    with quiet_numpy():
        for make in ZOO.values():
            report(make())
        batched(given(any_values)(report))()
        count = next(serials)
        report = arrived_whole(ctx, {"event": count, "dev_event": count})
        assert report.by_kind["metrics"].accepted >= count
    logs = {
        name: [log for log in run.collector.logs if log.event_name == name] for name in ("any", "synapse.dev_event")
    }
    assert {name: on_arrival(found, "value") for name, found in logs.items()} == dict.fromkeys(logs, wanted)
    events = [event for span in run.collector.spans for event in span.events if event.name == "any"]
    assert sorted(event.attributes["serial"] for event in events) == list(range(count))
    assert sorted(point.value for point in run.collector.points_of("synapse.metric.serial")) == list(range(count))
    assert not Watched.happened


def test_any_value_as_any_argument_is_accepted_or_misuse(run: Runs) -> None:
    """A value in the place of any argument is taken, or refused with a documented error."""
    ctx, made = run("arguments"), Counter[str]()

    def report(value: Any) -> None:
        for argument, call in ARGUMENTS.items():
            if accepted(lambda call=call: call(ctx, value)):
                made[KIND.get(argument, "")] += 1

    with quiet_numpy():
        for make in PRINTABLE:
            report(make())
        settings(batched, max_examples=60)(given(any_values)(report))()
        reported = arrived_whole(ctx, {kind: made[kind] for kind in ("event", "message", "dev_event")}).by_kind
    assert reported["metrics"].accepted >= made["metrics"]  # of large ones there are several records
    assert min(reported[kind].accepted for kind in KIND.values()) > 20


@pytest.mark.parametrize("wide", ["\U0001f600", "\x00"])
def test_text_of_a_megabyte_everywhere_costs_no_record(run: Runs, wide: str) -> None:
    """Long names, messages, files, keys, errors, all at once and of wide characters, are cut and marked, and arrive."""
    long = wide * 1_000_000
    ctx = run(long, long)
    with ctx.step(long):
        ctx.set_progress(1, 2, long)
        ctx.log(long, {long: long, "list": [long] * 200}, file=long)
        ctx.log_message(long, step=long)
        ctx.log_dev_event(long, {f"{number}{long}": long for number in range(200)})
        ctx.set_metrics({f"{number:04} {long[:250]}": number for number in range(1000)}, long)
        ctx.set_metrics({long: {f"{number:04} {long[:250]}": number for number in range(1500)}}, "nested")
        ctx.logger.set_action(long, long)
        with pytest.raises(ValueError, match=wide), ctx.step("failing"):
            raise ValueError(long)
    report = arrived_whole(ctx, {"event": 1, "message": 1, "dev_event": 1, "progress": 1, "step": 4, "exception": 1})
    assert report.by_kind["metrics"].accepted > 2
    points = run.collector.points
    values = [point.value for point in points if point.metric.startswith("synapse.metric.")]
    assert sorted(values) == sorted([*range(1000), *range(1500)])
    assert run.collector.messages == [text(long)]
    assert max(request.size for request in run.collector.requests) < 4 * 2**20


@pytest.mark.parametrize("shipper", ["off"])
def test_any_job_and_run_name_is_one_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a job is called, it has one run in the journal directory, and is sent under its own name."""
    jobs: dict[str, None] = {}

    def report(job: Any, name: Any) -> None:
        with RuntimeContext.open(job, name) as ctx:
            ctx.log_message(ctx.job_id)
        jobs[str(ctx.job_id)] = None

    with Collector() as collector:
        fly_to(place.env(), monkeypatch)
        names = (
            st.text(st.characters(codec=None, categories=None)) | st.text("./\\~%\0 :") | st.integers() | st.binary()
        )
        settings(batched, max_examples=30)(given(names, names)(report))()
        for path in ("../../etc", "/", "..", "a/../../b", ".agents", "~", "x" * 10_000):
            report(path, path)
        for make in PRINTABLE:
            report(make(), make())
        runs = [entry for entry in os.listdir(place.journal_dir) if not entry.startswith(".")]
        assert len(runs) >= len(jobs)
        assert sorted(os.listdir(place.directory)) == ["runs"]
        pushed = place.push(place.env(collector))
        assert (pushed.returncode, pushed.stderr) == (0, "")
        assert {log.resource["job_id"] for log in collector.logs} == set(collector.messages) == set(jobs)
        assert {span.resource["job_id"] for span in collector.spans} == set(jobs)
        assert {point.attributes["job_id"] for point in collector.points} == set(jobs)


VARIABLES = (
    *("OTEL_SERVICE_NAME", "SYNAPSE_JOB_ID", "RAY_JOB_ID", "SYNAPSE_OTEL_SERVICE_VERSION", "TRACEPARENT"),
    *("RANK", "WORLD_SIZE", "SYNAPSE_TRIAL_ID", "SYNAPSE_PLUGIN_RELEASE_CODE", "SYNAPSE_OTEL_RUN_NAME"),
)


@pytest.mark.parametrize("shipper", ["off"])
def test_any_bytes_in_the_environment_are_a_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of bytes that are no text, or of very many digits, keep no run from being recorded and sent."""
    values = [b"\xff\xfe", b"\xed\xa0\x80", b"9" * 5000, b"\x01\x1b[2J", b"\xf0\x9f\x98\x80" * 9000]
    fly_to(place.env(), monkeypatch)
    for variable, value in itertools.product(VARIABLES, values):
        monkeypatch.setitem(os.environb, variable.encode(), value)
        with RuntimeContext.open() as ctx:
            ctx.log_message(variable)
        monkeypatch.delitem(os.environb, variable.encode())
    for value in values:
        monkeypatch.setitem(
            os.environb, b"OTEL_RESOURCE_ATTRIBUTES", b"odd=" + value + b"," + value + b"=odd,plain=here"
        )
        with RuntimeContext.open() as ctx:
            ctx.log_message("resource")
    monkeypatch.delitem(os.environb, b"OTEL_RESOURCE_ATTRIBUTES")
    with Collector() as collector:
        pushed = place.push(place.env(collector))
        assert (pushed.returncode, pushed.stderr) == (0, "")
        assert Counter(collector.messages) == {**dict.fromkeys(VARIABLES, len(values)), "resource": len(values)}
        assert [log.resource.get("plain") for log in collector.logs].count("here") == len(values)
