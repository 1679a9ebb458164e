from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber

from projection.rendering import IDENTITY, STEP_A, STEP_B, at, fold, logs, origin_of
from synapse_otel.journal import records as rec
from synapse_otel.projection.attributes import AttributeLimits
from synapse_otel.projection.logs import LogProjection

UID = {"log.record.uid": f"{IDENTITY.journal_id}-0"}
OUT = (b"", b"")


def log(event: str, level: str, severity: str, body: str, **attributes: Any) -> dict[str, Any]:
    named = {key.replace("_", "."): value for key, value in attributes.items()}
    return {
        "event": event,
        "time": 1.0,
        "severity": (level, severity),
        "body": body,
        "attributes": {**named, **UID},
    }


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            rec.Message(at(1), *OUT, "hello", "info"),
            log("synapse.message", "info", "INFO", "hello", synapse_level="info"),
        ),
        (
            rec.Message(at(1), *OUT, "hello", "info", None, "GREETING"),
            log("synapse.message", "info", "INFO", "hello", synapse_level="info", synapse_message_key="GREETING"),
        ),
        (
            rec.Event(at(1), *OUT, "saved", "success", {"a": {"b": [1, None]}}, "/x/y.bin"),
            log(
                "saved", "success", "INFO2", "saved",
                a={"b": [1, None]}, synapse_level="success", file_path="/x/y.bin",
            ),
        ),
        (
            rec.DevEvent(at(1), *OUT, "cache miss", {"key": 1}),
            log("synapse.dev_event", "debug", "DEBUG", "cache miss", key=1),
        ),
        (rec.DevEvent(at(1), *OUT, "no data"), log("synapse.dev_event", "debug", "DEBUG", "no data")),
        (rec.LogEnded(at(1), *OUT), log("synapse.run.ended", "info", "INFO", "run ended")),
        (
            rec.ExceptionRecorded(at(1), *OUT, "ValueError", "bad", "Traceback ..."),
            log(
                "exception", "error", "ERROR", "ValueError: bad",
                exception_type="ValueError", exception_message="bad", exception_stacktrace="Traceback ...",
            ),
        ),
        (
            rec.RunEnded(at(1), "crashed", "the process died"),
            log("synapse.run.crashed", "error", "ERROR", "the process died"),
        ),
        (
            rec.Dropped(at(1), {"message": 2, "event": 1}),
            log(
                "synapse.records.dropped", "warning", "WARN",
                "3 records were dropped: the journal's quota was reached", synapse_dropped={"message": 2, "event": 1},
            ),
        ),
        (
            rec.Metrics(at(1), *OUT, "eval", {"loss": 1.0, "best": {"name": "m1", "at": 3}, "none": None}),
            log(
                "synapse.metrics", "info", "INFO", "metrics that are no numbers",
                best_name="m1", none=None, synapse_category="eval",
            ),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, rec.Record) else "",
)  # fmt: skip
def test_record_becomes_one_log_record(record: rec.Record, expected: dict[str, Any]) -> None:
    assert logs(record) == [expected]


@pytest.mark.parametrize(
    "record",
    [
        rec.RunStarted(at(1)),
        rec.RunEnded(at(1), "failed", "x"),
        rec.StepStarted(at(1), STEP_A, b"", "load"),
        rec.StepEnded(at(1), STEP_A, "completed"),
        rec.Progress(at(1), *OUT, "train", 1, 2),
        rec.Metrics(at(1), *OUT, "train", {"loss": 1.0, "ok": True}),
        rec.Heartbeat(at(1)),
        rec.ActionNamed(at(1), "train"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_what_spans_and_gauges_tell_is_no_log_record(record: rec.Record) -> None:
    assert logs(record) == []


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("debug", (5, "DEBUG")),
        ("info", (9, "INFO")),
        ("success", (10, "INFO2")),
        ("warning", (13, "WARN")),
        ("danger", (17, "ERROR")),
        ("error", (17, "ERROR")),
        ("critical", (21, "FATAL")),
        ("of a newer version", (9, "INFO")),
    ],
)
def test_severity_of_a_level(level: str, severity: tuple[int, str]) -> None:
    message = rec.Message(at(1), *OUT, "x", level)
    (found,) = fold(LogProjection(origin_of()), [message])
    assert (found.level, (found.severity, SeverityNumber(found.severity).name)) == (level, severity)


def test_log_record_in_a_step_carries_its_span_and_name_and_outside_the_runs() -> None:
    inside, outside = rec.Message(at(1), STEP_A, b"", "x", "info"), rec.Message(at(1), b"", b"", "x", "info")
    found = logs(
        rec.StepStarted(at(0), STEP_A, b"", "load"), inside, rec.StepEnded(at(1), STEP_A, "completed"), inside, outside
    )
    assert [(log.get("span"), log["attributes"].get("synapse.step")) for log in found] == [
        ("a", "load"),
        (None, None),
        (None, None),
    ]


def test_log_record_in_a_step_that_is_not_known_belongs_to_the_run() -> None:
    assert "span" not in logs(rec.Message(at(1), STEP_B, b"", "x", "info"))[0]


def test_step_that_a_call_named_goes_before_the_one_that_is_open() -> None:
    found = logs(rec.StepStarted(at(0), STEP_A, b"", "load"), rec.Message(at(1), STEP_A, b"", "x", "info", "other"))
    assert found[0]["attributes"]["synapse.step"] == "other"


def test_log_record_inside_a_foreign_span_belongs_to_it() -> None:
    active = b"\xbb" * 16 + b"\xcc" * 8
    (found,) = fold(LogProjection(origin_of()), [rec.Message(at(1), b"", active, "x", "info")])
    assert (found.trace_id, found.span_id) == (b"\xbb" * 16, b"\xcc" * 8)


@pytest.mark.parametrize("active", [b"\0" * 24, b"\xbb" * 16, b"\xbb"])
def test_log_record_with_an_invalid_foreign_span_belongs_to_the_run(active: bytes) -> None:
    assert "span" not in logs(rec.Message(at(1), b"", active, "x", "info"))[0]


def test_uid_is_the_journal_and_the_sequence_number_also_behind_a_gap() -> None:
    message = rec.Message(at(1), *OUT, "x", "info")
    found = logs(message, rec.Dropped(at(1), {"message": 5}), message)
    assert [log["attributes"]["log.record.uid"] for log in found] == [f"{'f' * 32}-{seq}" for seq in (0, 1, 6)]


def test_data_never_replaces_what_is_ours_and_is_never_called_level() -> None:
    data = {"synapse.level": 1, "file.path": 2, "log.record.uid": 3, "level": 4, "synapse.step": 5, "": 6}
    (found,) = logs(rec.Event(at(1), *OUT, "e", "info", data, "/f", "load"))
    assert found["attributes"] == {
        "data.synapse.level": 1,
        "data.file.path": 2,
        "data.log.record.uid": 3,
        "data.level": 4,
        "data.synapse.step": 5,
        "data.": 6,
        "synapse.level": "info",
        "synapse.step": "load",
        "file.path": "/f",
        **UID,
    }


def test_data_keeps_a_name_that_this_record_does_not_use() -> None:
    (found,) = logs(rec.Event(at(1), *OUT, "e", "info", {"file.path": "/mine"}))
    assert found["attributes"]["file.path"] == "/mine"


def test_metrics_whose_flattened_names_collide_are_all_kept() -> None:
    (found,) = logs(rec.Metrics(at(1), *OUT, "c", {"a.b": "x", "a": {"b": "y"}}))
    assert found["attributes"] == {"a.b": "x", "a.b#2": "y", "synapse.category": "c", **UID}


def test_limits_keep_ours_and_the_uid_whole_and_count_what_was_dropped() -> None:
    origin = origin_of(AttributeLimits(count=3, value_length=2))
    (found,) = fold(
        LogProjection(origin), [rec.Event(at(1), *OUT, "e", "info", {"a": "long", "b": {"c": "long"}, "d": 1})]
    )
    assert (found.attributes, found.dropped) == ({"a": "lo", "synapse.level": "in", **UID}, 2)


def test_credentials_are_replaced_wherever_they_stand() -> None:
    secret = "password=hunter2hunter2"
    found = logs(
        rec.StepStarted(at(0), STEP_A, b"", f"step {secret}"),
        rec.Message(at(1), STEP_A, b"", secret, "info"),
        rec.Event(at(1), *OUT, secret, "info", {secret: [secret]}, f"/x?{secret}", secret),
        rec.DevEvent(at(1), *OUT, secret, {"a": {"b": secret}}),
        rec.Metrics(at(1), *OUT, secret, {"a": secret}),
        rec.ExceptionRecorded(at(1), *OUT, "E", secret, f"raise E('{secret}')"),
        rec.RunEnded(at(1), "crashed", secret),
    )
    assert len(found) == 6
    assert "hunter2" not in repr(found)
