"""What each call leaves in the journal, read back as records."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel

from synapse_otel import LogLevel, OTelLogger, RunStatus, RuntimeContext, TelemetrySettings
from synapse_otel.journal import records as rec
from synapse_otel.journal.directory import JournalPath, journals
from synapse_otel.journal.reader import JournalReader


def only_journal(root: Path) -> JournalPath:
    (found,) = journals(root)
    return found


def recorded(root: Path, *kinds: type[rec.Record]) -> list[Any]:
    """The records of the only journal, those of `kinds` if any are named."""
    entries = JournalReader(only_journal(root))
    return [entry.record for entry in entries if not kinds or isinstance(entry.record, kinds)]


def facts(record: rec.Record, *fields: str) -> tuple[Any, ...]:
    return tuple(getattr(record, field) for field in fields)


def test_the_life_of_a_run(journal_dir: Path) -> None:
    """A run leaves its beginning, its action, its steps and its end, in this order."""
    with RuntimeContext.open("job-1", "train") as ctx:
        ctx.logger.set_action("fit")
        with ctx.step("outer"), ctx.step("inner") as inner:
            inner.skip("nothing to do")
    started, named, outer, inner_started, inner_ended, outer_ended, ended = recorded(journal_dir)
    assert isinstance(started, rec.RunStarted)
    assert named.name == "fit"
    assert (outer.name, outer.parent, inner_started.name, inner_started.parent) == ("outer", b"", "inner", outer.span)
    assert facts(inner_ended, "span", "status", "message") == (inner_started.span, "skipped", "nothing to do")
    assert facts(outer_ended, "span", "status", "message") == (outer.span, "completed", "")
    assert facts(ended, "status", "message") == ("completed", "")
    identity = JournalReader(only_journal(journal_dir)).identity()
    assert (identity.job_id, identity.name, identity.worker) == ("job-1", "train", False)
    assert identity.resource["service.instance.id"] == identity.journal_id


def test_the_resource(journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented attributes are there, and OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME win."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=vision,service.version=7,host.name=a%20host")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-plugin")
    OTelLogger("job-1").finish()
    resource = JournalReader(only_journal(journal_dir)).identity().resource
    expected = {
        "service.name": "my-plugin",
        "service.namespace": "synapse",
        "service.version": "7",
        "host.name": "a host",
        "team": "vision",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.distro.name": "synapse-otel",
    }
    assert expected.items() <= resource.items()


@pytest.mark.parametrize(
    ("environ", "given_id", "expected"),
    [
        ({"SYNAPSE_JOB_ID": "a", "RAY_JOB_ID": "b"}, None, "a"),
        ({"RAY_JOB_ID": "b"}, None, "b"),
        ({"SYNAPSE_JOB_ID": "a"}, "c", "c"),
        ({}, "", "local-"),
        ({}, None, "local-"),
        ({}, 17, "17"),
    ],
)
def test_where_the_job_id_comes_from(
    environ: dict[str, str], given_id: Any, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The argument, SYNAPSE_JOB_ID, RAY_JOB_ID, else one that is generated."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with RuntimeContext.open(given_id) as ctx:
        assert ctx.job_id is not None
        assert ctx.job_id.startswith(expected)


def test_progress_is_coalesced(journal_dir: Path) -> None:
    """A tight loop leaves the first report, at most one per 50 ms, the last one, and no other."""
    with RuntimeContext.open("job-1") as ctx:
        began = time.perf_counter()
        for current in range(10_001):
            ctx.set_progress(current, 10_000, "train")
        took = time.perf_counter() - began
        ctx.set_progress(1, 7, "left")
        ctx.set_progress(2, 7, "left")
        ctx.set_progress(3, 7, "left")
    train = [record.current for record in recorded(journal_dir, rec.Progress) if record.category == "train"]
    assert (train[0], train[-1]) == (0, 10_000)
    assert len(train) <= 3 + took / 0.05
    assert [r.current for r in recorded(journal_dir, rec.Progress) if r.category == "left"] == [1, 3]


def test_a_category_that_starts_over_is_recorded_at_once(journal_dir: Path) -> None:
    """A smaller number, or another total, is news."""
    with RuntimeContext.open("job-1") as ctx:
        for current, total in ((5, 10), (6, 10), (1, 10), (1, 20), (20, 20), (0, 20)):
            ctx.set_progress(current, total, "train")
    assert [facts(r, "current", "total") for r in recorded(journal_dir, rec.Progress)] == [
        (5, 10),
        (1, 10),
        (1, 20),
        (20, 20),
        (0, 20),
    ]


def test_coalesced_progress_reaches_the_journal_while_the_run_goes_on(journal_dir: Path) -> None:
    """The latest report of a category that went quiet is recorded within a second, with its own time."""
    with RuntimeContext.open("job-1") as ctx:
        ctx.set_progress(1, 9, "train")
        ctx.set_progress(2, 9, "train")
        said = time.time_ns()
        deadline = time.monotonic() + 5
        while [r.current for r in recorded(journal_dir, rec.Progress)] != [1, 2] and time.monotonic() < deadline:
            time.sleep(0.02)
        last = recorded(journal_dir, rec.Progress)[-1]
    assert last.current == 2
    assert abs(last.t - said) < 50_000_000


def test_progress_state_is_what_was_reported(journal_dir: Path) -> None:
    """get_progress knows the coalesced reports as well."""
    with RuntimeContext.open("job-1") as ctx:
        for current in range(5):
            ctx.set_progress(current, 10, "train")
        progress = ctx.logger.get_progress("train")
        assert progress is not None
        assert (progress.current, progress.total, progress.percent) == (4, 10, 40.0)
        ctx.logger.set_progress_failed("train")
        failed = ctx.logger.get_progress("train")
        assert failed is not None
        assert failed.status == "failed"
    assert recorded(journal_dir, rec.Progress)[-1].failed


def test_the_current_step_is_the_default_category(journal_dir: Path) -> None:
    """Without a category, progress and metrics go to the step, outside of one to `progress` and `default`."""
    with RuntimeContext.open("job-1") as ctx:
        ctx.set_progress(1, 2)
        with ctx.step("load"):
            ctx.set_progress(1, 2)
            ctx.set_metrics({"x": 1})
        ctx.set_progress(2, 2)
        ctx.logger.set_step("named")
        ctx.set_progress(1, 2)
        ctx.log_message("in a named step")
        ctx.logger.set_step(None)
        ctx.set_metrics({"x": 2})
    assert [r.category for r in recorded(journal_dir, rec.Progress)] == ["progress", "load", "progress", "named"]
    assert [r.category for r in recorded(journal_dir, rec.Metrics)] == ["load", "default"]
    assert recorded(journal_dir, rec.Message)[0].step == "named"


def test_every_metrics_call_is_a_record(journal_dir: Path) -> None:
    """Metrics are never coalesced; NaN and infinity are kept; numbers of numpy become numbers."""
    with RuntimeContext.open("job-1") as ctx:
        for number in range(100):
            ctx.set_metrics({"x": number}, "loop")
        ctx.set_metrics({"nan": math.nan, "inf": math.inf, "np": np.float32(0.5), "note": "x", "n": {"a": 1}}, "odd")
    records = recorded(journal_dir, rec.Metrics)
    assert [record.values["x"] for record in records[:-1]] == list(range(100))
    odd = records[-1].values
    assert math.isnan(odd.pop("nan"))
    assert odd == {"inf": math.inf, "np": 0.5, "note": "x", "n": {"a": 1}}


def test_values_are_what_they_were_at_the_call(journal_dir: Path) -> None:
    """What the plugin changes later does not change the record."""
    data: dict[str, Any] = {"list": [1], "number": 1}
    metrics = {"loss": 1.0}
    with RuntimeContext.open("job-1") as ctx:
        ctx.log("event", data)
        ctx.set_metrics(metrics, "training")
        ctx.set_metrics(metrics, "training")
        data["list"].append(2)
        data["number"] = metrics["loss"] = 2
    assert recorded(journal_dir, rec.Event)[0].data == {"list": [1], "number": 1}
    assert [record.values for record in recorded(journal_dir, rec.Metrics)] == [{"loss": 1.0}, {"loss": 1.0}]


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Params(BaseModel):
    epochs: int = 3
    api_key: str = "made-up"


def test_any_value_is_accepted_as_data(journal_dir: Path) -> None:
    """The types that plugins have in their hands become plain data."""
    with RuntimeContext.open("job-1") as ctx:
        ctx.log(
            "event",
            {
                "date": datetime.date(2026, 11, 21),
                "enum": Colour.RED,
                "dataclass": Point(1, 2.5),
                "model": Params(),
                "array": np.arange(3),
                "big": 2**80,
                "surrogate": "a\ud800b",
                "path": Path("/tmp"),
                3: "key",
            },
        )
    assert recorded(journal_dir, rec.Event)[0].data == {
        "date": "2026-11-21",
        "enum": "red",
        "dataclass": {"x": 1, "y": 2.5},
        "model": {"epochs": 3, "api_key": "[REDACTED]"},
        "array": [0, 1, 2],
        "big": str(2**80),
        "surrogate": "a\ufffdb",
        "path": "/tmp",
        "3": "key",
    }


def test_secrets_never_reach_the_disk(journal_dir: Path) -> None:
    """Values under secret-looking keys are replaced at the call, nested ones too; metrics that are numbers stay."""
    with RuntimeContext.open("job-1") as ctx:
        ctx.log("config", {"password": "hunter-two", "db": {"token": "hunter-two"}, "api_key_set": True})
        ctx.log_dev_event("config", {"secret": "hunter-two"})
        ctx.set_metrics({"token": 0.5, "password": "hunter-two"}, "training")
    everything = b"".join(path.read_bytes() for path in journal_dir.rglob("*.seg"))
    assert b"hunter-two" not in everything
    assert recorded(journal_dir, rec.Event)[0].data == {
        "password": "[REDACTED]",
        "db": {"token": "[REDACTED]"},
        "api_key_set": True,
    }
    assert recorded(journal_dir, rec.Metrics)[0].values == {"token": 0.5, "password": "[REDACTED]"}


def test_redaction_can_be_turned_off_and_extended(journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNAPSE_OTEL_REDACTION=false keeps everything, SYNAPSE_OTEL_REDACTION_KEYS adds keys."""
    monkeypatch.setenv("SYNAPSE_OTEL_REDACTION_KEYS", '["^patient"]')
    with RuntimeContext.open("job-1") as ctx:
        ctx.log("config", {"patient_name": "x"})
    assert recorded(journal_dir, rec.Event)[0].data == {"patient_name": "[REDACTED]"}
    settings_off = TelemetrySettings(journal_dir=journal_dir / "off", redaction=False)
    with RuntimeContext.open("job-1", settings=settings_off) as ctx:
        ctx.log("config", {"password": "x"})
    assert recorded(journal_dir / "off", rec.Event)[0].data == {"password": "x"}


MISUSE = [
    (lambda ctx: ctx.set_progress(1, 0), ValueError, "total must be a finite number greater than 0, got 0"),
    (lambda ctx: ctx.set_progress(11, 10), ValueError, "current must be between 0 and total (10), got 11"),
    (lambda ctx: ctx.set_progress(-1, 10), ValueError, "current must be between 0 and total (10), got -1"),
    (lambda ctx: ctx.set_metrics({"x": 1}, ""), ValueError, "category must not be empty, got ''"),
    (lambda ctx: ctx.set_metrics([1], "x"), TypeError, "value must be a mapping such as a dict, got list [1]"),
    (lambda ctx: ctx.log("event", 3), TypeError, "data must be a mapping such as a dict, got int 3"),
    (lambda ctx: ctx.log_dev_event("event", 3), TypeError, "data must be a mapping such as a dict, got int 3"),
    (
        lambda ctx: ctx.log_message("x", "loud"),
        TypeError,
        "level must be a LogLevel or one of debug, info, success, warning, danger, error, critical, got str 'loud'",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), MISUSE)
def test_misuse_raises_at_the_call_and_records_nothing(
    call: Any, error: type[Exception], message: str, journal_dir: Path
) -> None:
    """The message names the argument, the value and what is expected; the run goes on."""
    with RuntimeContext.open("job-1") as ctx:
        for _ in range(2):
            with pytest.raises(error) as raised:
                call(ctx)
            assert str(raised.value) == message
    assert [record.kind for record in recorded(journal_dir)] == ["run", "run"]


def test_a_finished_logger_refuses(journal_dir: Path) -> None:
    """After finish() every reporting call raises RuntimeError, and finishing again changes nothing."""
    ctx = RuntimeContext.open("job-1")
    ctx.set_progress(1, 2, "x")
    ctx.set_metrics({"x": 1}, "x")
    ctx.logger.finish()
    ctx.logger.finish(RunStatus.FAILED)
    for call in (
        lambda: ctx.set_progress(2, 9, "x"),
        lambda: ctx.set_metrics({"x": 1}, "x"),
        lambda: ctx.log("event", {}),
        lambda: ctx.log_message("x"),
        lambda: ctx.log_dev_event("x"),
        lambda: ctx.step("x"),
    ):
        with pytest.raises(RuntimeError, match=r"on a finished logger \(job 'job-1'\): finish\(\) was called"):
            call()
    ctx.end_log()
    assert [record.status for record in recorded(journal_dir, rec.RunEnded)] == ["completed"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("x"), "failed"),
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(0), "completed"),
        (SystemExit(3), "failed"),
    ],
)
def test_how_the_with_ends(error: BaseException, status: str, journal_dir: Path) -> None:
    """The exception that leaves the block decides the status, is recorded, and goes on."""
    with pytest.raises(type(error)), RuntimeContext.open("job-1"):
        raise error
    assert recorded(journal_dir, rec.RunEnded)[0].status == status


def test_an_exception_in_a_step(journal_dir: Path) -> None:
    """The step fails with the exception's traceback, then the run."""

    def fit() -> None:
        with RuntimeContext.open("job-1") as ctx, ctx.step("fit"):
            raise ValueError("a made-up error")

    with pytest.raises(ValueError, match="made-up"):
        fit()
    in_step, in_run = recorded(journal_dir, rec.ExceptionRecorded)
    (ended,) = recorded(journal_dir, rec.StepEnded)
    assert (in_step.span, in_run.span) == (ended.span, b"")
    assert facts(in_step, "error_type", "message") == ("ValueError", "a made-up error")
    assert 'raise ValueError("a made-up error")' in in_step.stacktrace
    assert facts(ended, "status", "message") == ("failed", "a made-up error")


def test_what_is_logged_in_a_foreign_span_belongs_to_it(journal_dir: Path) -> None:
    """A span of another instrumentation is a child of the run or step, and records inside it know it."""
    tracer = TracerProvider().get_tracer("test")
    with RuntimeContext.open("job-1") as ctx, ctx.step("fit"), tracer.start_as_current_span("query") as query:
        ctx.log_message("inside")
    (message,) = recorded(journal_dir, rec.Message)
    (fit,) = recorded(journal_dir, rec.StepStarted)
    context = query.get_span_context()
    assert trace.format_trace_id(context.trace_id) == ctx.trace_id
    assert query.parent is not None
    assert query.parent.span_id == int.from_bytes(fit.span, "big")
    assert message.span == fit.span
    assert message.active == context.trace_id.to_bytes(16, "big") + context.span_id.to_bytes(8, "big")


def test_the_context_is_as_before_after_the_run() -> None:
    """A run leaves no current span behind, also when a step was left open."""
    ctx = RuntimeContext.open("job-1")
    ctx.step("left open").__enter__()
    ctx.logger.finish()
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_thread_started_in_a_step_records_into_it(journal_dir: Path) -> None:
    """A thread has an empty context; what it records belongs to the step that is open."""
    with RuntimeContext.open("job-1") as ctx, ctx.step("fit"):
        thread = threading.Thread(target=ctx.log_message, args=("from a thread",))
        thread.start()
        thread.join()
    (fit,) = recorded(journal_dir, rec.StepStarted)
    assert recorded(journal_dir, rec.Message)[0].span == fit.span


def test_levels_are_recorded_as_named(journal_dir: Path) -> None:
    """Both spellings and both types of a level are accepted."""
    with RuntimeContext.open("job-1") as ctx:
        ctx.log_message("a", "WARNING")
        ctx.log_message("b", level=LogLevel.SUCCESS)
        ctx.log_message("c", LogLevel.DANGER)
        ctx.log("d", {}, level="error")
        ctx.logger.critical("e")
    assert [record.level for record in recorded(journal_dir, rec.Message, rec.Event)] == [
        "warning",
        "success",
        "danger",
        "error",
        "critical",
    ]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        st.text() | st.integers() | st.none(),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text()
            | st.binary()
            | st.dates()
            | st.decimals()
            | st.complex_numbers(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
            max_leaves=20,
        ),
        max_size=10,
    ),
    st.text(min_size=1),
)
def test_nothing_inside_data_ever_raises(shared: RuntimeContext, data: dict[Any, Any], name: str) -> None:
    """Whatever a plugin passes in data, as a metric, a message or a name is recorded."""
    before = shared.report().accepted
    shared.log(name, data)
    shared.log_dev_event(name, data)
    shared.set_metrics(data, name)
    shared.log_message(name)
    assert shared.report().accepted == before + 4


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One run for all examples of a property."""
    where = TelemetrySettings(journal_dir=tmp_path_factory.mktemp("shared"))
    with RuntimeContext.open("job-1", settings=where) as ctx:
        yield ctx


def test_huge_data_is_cut_and_marked(journal_dir: Path) -> None:
    """A record is bounded, whatever is put into it; what was cut is marked."""
    with RuntimeContext.open("job-1") as ctx:
        ctx.log("event", {f"key-{i}": "x" * 30_000 for i in range(1000)})
        ctx.log_message("y" * 1_000_000)
    (event,) = recorded(journal_dir, rec.Event)
    (message,) = recorded(journal_dir, rec.Message)
    assert any("[cut: " in str(value) for value in event.data.values())
    assert message.text.endswith("[cut: 967232 characters]")


def test_no_metric_is_cut_for_their_number(journal_dir: Path) -> None:
    """Thousands of metrics in one call are recorded, in as many records as they need, at the same time."""
    with RuntimeContext.open("job-1") as ctx:
        ctx.set_metrics({f"m{i}": float(i) for i in range(5000)}, "many")
        ctx.set_metrics({}, "none")
    *many, none = recorded(journal_dir, rec.Metrics)
    assert {key: value for record in many for key, value in record.values.items()} == {
        f"m{i}": float(i) for i in range(5000)
    }
    assert len({record.t for record in many}) == 1
    assert none.values == {}
