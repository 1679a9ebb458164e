from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from projection.rendering import ROOT, START, STEP_A, STEP_B, at, fold, origin_of, shown_span, spans
from synapse_otel.journal import records as rec
from synapse_otel.projection.attributes import AttributeLimits
from synapse_otel.projection.resource import derived_id
from synapse_otel.projection.spans import SpanProjection, split_span

OUT = (b"", b"")
COMPLETED = rec.RunEnded(at(10), "completed")
STARTED, ENDED = rec.StepStarted(at(1), STEP_A, b"", "load"), rec.StepEnded(at(3), STEP_A, "completed")


def message(seconds: float, text: str = "hello", level: str = "info", span: bytes = b"") -> rec.Message:
    return rec.Message(at(seconds), span, b"", text, level)


def held(seconds: float, text: str = "hello", level: str = "info") -> tuple[str, float, dict[str, Any]]:
    return "message", seconds, {"message": text, "synapse.level": level}


def progress(
    seconds: float, current: float, total: float = 10, category: str = "train", failed: bool = False
) -> rec.Progress:
    return rec.Progress(at(seconds), *OUT, category, current, total, failed)


def root(status: str = "OK", **changed: Any) -> dict[str, Any]:
    run = {"OK": "completed"}.get(status, "failed")
    shown = {"name": "train", "id": "root", "parent": None, "time": (0.0, 10.0), "status": status}
    return shown | {"attributes": {"synapse.run.status": run}} | changed


def step(name: str = "load", status: str = "OK", **changed: Any) -> dict[str, Any]:
    attributes = {"synapse.step": name, "synapse.step.status": "completed" if status == "OK" else "failed"}
    shown = {"name": name, "id": "a", "parent": "root", "time": (1.0, 3.0), "attributes": attributes}
    return shown | {"status": status} | changed


def phase(
    time: tuple[float, float], current: float, status: str | None = "OK", number: int = 1, **changed: Any
) -> dict[str, Any]:
    shown = {
        "name": "train",
        "id": derived_id(ROOT, "phase", "train", number).hex(),
        "parent": "root",
        "time": time,
        "attributes": {
            "synapse.category": "train",
            "synapse.progress.current": current,
            "synapse.progress.total": 10,
            "synapse.progress.ratio": current / 10,
        },
    }
    return shown | ({"status": status} if status else {}) | changed


def part(number: int, of: str, owner: bytes, time: tuple[float, float], events: list[Any]) -> dict[str, Any]:
    return {
        "name": f"{of} part {number}",
        "id": derived_id(owner, "part", number).hex(),
        "parent": {ROOT: "root", STEP_A: "a"}[owner],
        "time": time,
        "attributes": {"synapse.part": number},
        "events": events,
    }


# -- the run


def test_run_is_the_root_span() -> None:
    assert spans(COMPLETED) == [root()]


def test_run_that_begins_shows_itself_at_once_and_once() -> None:
    marker = {
        "name": "run started",
        "id": derived_id(ROOT, "run started").hex(),
        "parent": "root",
        "time": (0.5, 0.5),
        "attributes": {"synapse.run.name": "train"},
    }
    assert spans(rec.RunStarted(at(0.5)), rec.RunStarted(at(2))) == [marker]


@pytest.mark.parametrize(
    ("status", "message", "description"),
    [
        ("failed", "bad", "bad"),
        ("failed", "", "failed"),
        ("cancelled", "", "cancelled"),
        ("crashed", "the process died", "the process died"),
    ],
)
def test_run_that_did_not_complete_is_an_error(status: str, message: str, description: str) -> None:
    assert spans(rec.RunEnded(at(10), status, message)) == [
        root(description, attributes={"synapse.run.status": status})
    ]


def test_action_is_an_attribute_and_names_a_run_that_has_no_name() -> None:
    named = rec.ActionNamed(at(1), "export")
    expected = {"synapse.action": "export", "synapse.run.status": "completed"}
    assert spans(named, COMPLETED) == [root(attributes=expected)]
    assert spans(named, COMPLETED, origin=origin_of(name="run")) == [root(name="export", attributes=expected)]


def test_worker_process_says_so_and_hangs_in_the_span_of_the_other_process() -> None:
    origin = origin_of(worker=True, parent_span_id=b"\x07" * 8, name="run")
    (span,) = fold(SpanProjection(origin), [rec.ActionNamed(at(1), "export"), COMPLETED])
    assert shown_span(span) == root(
        name="export worker",
        parent="07" * 8,
        attributes={"synapse.worker": True, "synapse.action": "export", "synapse.run.status": "completed"},
    )
    assert span.parent.is_remote


def test_parents_inside_the_process_are_not_remote() -> None:
    found = fold(SpanProjection(origin_of()), [STARTED, progress(2, 1), message(3), COMPLETED])
    assert [span.parent.is_remote for span in found if span.parent] == [False, False]


def test_final_metrics_are_on_the_root_as_they_were_last() -> None:
    found = spans(
        rec.Metrics(at(1), *OUT, "fit", {"loss": 1.0, "n": 7, "ok": True, "name": "x", "a": {"b": 0.5}}),
        rec.Metrics(at(2), *OUT, "fit", {"loss": 0.5}),
        COMPLETED,
    )
    metrics = {"fit.loss": 0.5, "fit.n": 7, "fit.ok": 1, "fit.a.b": 0.5}
    named = {f"synapse.metric.{name}": value for name, value in metrics.items()}
    assert found == [root(attributes=named | {"synapse.run.status": "completed"})]


def test_final_metrics_are_sixty_four_at_most_and_all_told_apart() -> None:
    many = rec.Metrics(at(1), *OUT, "c", {"a.b": 1, "a": {"c": 2}} | {f"k{n}": n for n in range(100)})
    (found,) = spans(rec.Metrics(at(1), *OUT, "c.a", {"b": 3}), many, COMPLETED)
    assert len(found["attributes"]) == 64 + 1
    assert (found["attributes"]["synapse.metric.c.a.b"], found["attributes"]["synapse.metric.c.a.b#2"]) == (3, 1)


def test_second_end_of_a_run_changes_nothing_of_the_first() -> None:
    assert spans(COMPLETED, rec.RunEnded(at(20), "crashed", "x")) == [root()]


def test_what_comes_after_the_end_is_sent_in_parts_at_once() -> None:
    assert spans(COMPLETED, message(11), message(12, "again")) == [
        root(),
        part(1, "train", ROOT, (11.0, 11.0), [held(11.0)]),
        part(2, "train", ROOT, (12.0, 12.0), [held(12.0, "again")]),
    ]


def test_step_that_begins_after_the_end_still_ends() -> None:
    after = [rec.StepStarted(at(11), STEP_A, b"", "load"), rec.StepEnded(at(12), STEP_A, "completed")]
    assert spans(COMPLETED, *after) == [root(), step(time=(11.0, 12.0))]


# -- steps


def test_step_is_a_child_of_the_run_and_holds_what_happens_inside() -> None:
    assert spans(STARTED, message(2, span=STEP_A), message(2.5), ENDED, COMPLETED) == [
        step(events=[held(2.0)]),
        root(events=[held(2.5)]),
    ]


def test_step_inside_a_step_is_its_child() -> None:
    inner = [rec.StepStarted(at(1), STEP_B, STEP_A, "inner"), rec.StepEnded(at(2), STEP_B, "completed")]
    assert spans(STARTED, *inner, ENDED) == [step("inner", id="b", parent="a", time=(1.0, 2.0)), step()]


@pytest.mark.parametrize(
    ("status", "text", "shown", "attributes"),
    [
        ("completed", "", "OK", {}),
        ("skipped", "", "OK", {}),
        ("skipped", "nothing to do", "OK", {"synapse.step.message": "nothing to do"}),
        ("failed", "bad", "bad", {}),
        ("failed", "", "failed", {}),
        ("cancelled", "", "cancelled", {}),
    ],
)
def test_status_of_a_step(status: str, text: str, shown: str, attributes: dict[str, Any]) -> None:
    expected = {"synapse.step": "load", "synapse.step.status": status} | attributes
    assert spans(STARTED, rec.StepEnded(at(3), STEP_A, status, text)) == [step(status=shown, attributes=expected)]


def test_steps_left_open_end_with_the_run_innermost_first() -> None:
    inner = rec.StepStarted(at(2), STEP_B, STEP_A, "inner")
    found = spans(STARTED, inner, rec.RunEnded(at(10), "crashed", "the process died"))
    assert [(span["id"], span["time"], span["status"]) for span in found] == [
        ("b", (2.0, 10.0), "the process died"),
        ("a", (1.0, 10.0), "the process died"),
        ("root", (0.0, 10.0), "the process died"),
    ]


@pytest.mark.parametrize(
    "record",
    [
        rec.StepEnded(at(3), STEP_B, "failed", "its start is gone"),
        rec.StepEnded(at(3), ROOT, "completed"),
        rec.StepStarted(at(3), ROOT, b"", "the run's own id"),
        rec.StepStarted(at(3), STEP_A, STEP_B, "started again"),
        rec.StepStarted(at(3), b"", b"", "no id"),
        rec.StepStarted(at(3), bytes(8), b"", "an invalid id"),
        rec.Dropped(at(3), {"step": 3}),
        rec.Heartbeat(at(3)),
        rec.LogEnded(at(3), *OUT),
        rec.DevEvent(at(3), *OUT, "cache miss"),
        rec.SegmentOpened(at(3), 7),
    ],
    ids=lambda record: f"{type(record).__name__} {getattr(record, 'name', '')}",
)
def test_record_that_makes_no_span_leaves_the_others_alone(record: rec.Record) -> None:
    assert spans(STARTED, record, ENDED, COMPLETED) == [step(), root()]


def test_what_belongs_to_a_step_that_is_not_known_belongs_to_the_run() -> None:
    orphan = rec.StepStarted(at(1), STEP_A, STEP_B, "load")
    assert spans(orphan, message(2, span=STEP_B), ENDED, COMPLETED) == [step(), root(events=[held(2.0)])]


# -- events and errors


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (message(2, "hi", "success"), held(2.0, "hi", "success")),
        (
            rec.Message(at(2), *OUT, "hi", "info", "fit"),
            ("message", 2.0, {"message": "hi", "synapse.level": "info", "synapse.step": "fit"}),
        ),
        (
            rec.Message(at(2), *OUT, "hi", "info", None, "GREETING"),
            ("message", 2.0, {"message": "hi", "synapse.level": "info", "synapse.message.key": "GREETING"}),
        ),
        (
            rec.Event(at(2), *OUT, "saved", "info", {"a": {"b": 1}, "c": [1, 2]}, "/x"),
            ("saved", 2.0, {"a.b": 1, "c": (1, 2), "synapse.level": "info", "file.path": "/x"}),
        ),
        (
            rec.Event(at(2), *OUT, "saved", "info", {"synapse.level": 1, "level": 2, "": 3}),
            ("saved", 2.0, {"data.synapse.level": 1, "data.level": 2, "data.": 3, "synapse.level": "info"}),
        ),
    ],
)
def test_record_is_an_event_of_its_span(record: rec.Record, expected: tuple[str, float, dict[str, Any]]) -> None:
    assert spans(record, COMPLETED) == [root(events=[expected])]


def test_exception_is_an_event_and_the_status() -> None:
    raised = rec.ExceptionRecorded(at(3), STEP_A, b"", "ValueError", "bad", "Traceback ...")
    assert spans(STARTED, raised, rec.StepEnded(at(3), STEP_A, "failed", "bad")) == [
        step(
            status="ValueError: bad",
            attributes={"synapse.step": "load", "error.type": "ValueError", "synapse.step.status": "failed"},
            events=[
                (
                    "exception",
                    3.0,
                    {
                        "exception.type": "ValueError",
                        "exception.message": "bad",
                        "exception.stacktrace": "Traceback ...",
                    },
                )
            ],
        )
    ]


@pytest.mark.parametrize("level", ["danger", "error", "critical"])
def test_danger_makes_the_innermost_open_span_an_error_and_no_other(level: str) -> None:
    records = [STARTED, progress(1.5, 1), message(2, "fire", level, STEP_A), ENDED, progress(4, 10), COMPLETED]
    found = spans(*records)
    assert [(span["id"], span["status"]) for span in found if span["id"] in {"a", "root"}] == [
        ("a", "fire"),
        ("root", "OK"),
    ]
    assert found[1]["status"] == "OK"


@pytest.mark.parametrize("level", ["debug", "info", "success", "warning"])
def test_milder_levels_are_no_errors(level: str) -> None:
    found = spans(message(2, "x", level), rec.Event(at(2), *OUT, "e", level, {}), COMPLETED)
    assert found[0]["status"] == "OK"


def test_why_a_run_failed_goes_before_an_earlier_danger() -> None:
    found = spans(message(2, "fire", "danger"), rec.RunEnded(at(10), "failed", "out of memory"))
    assert found[0]["status"] == "out of memory"


def test_credentials_are_replaced_wherever_they_stand() -> None:
    secret = "password=hunter2hunter2"
    found = spans(
        rec.ActionNamed(at(1), secret),
        rec.StepStarted(at(1), STEP_A, b"", secret),
        rec.Message(at(1), *OUT, secret, "danger", secret),
        rec.Event(at(1), *OUT, secret, "danger", {secret: [secret]}, f"/x?{secret}", secret),
        rec.ExceptionRecorded(at(1), *OUT, "E", secret, f"raise E('{secret}')"),
        rec.Progress(at(1), *OUT, secret, 1, 2),
        rec.Metrics(at(1), *OUT, secret, {secret: 1}),
        rec.StepEnded(at(1), STEP_A, "skipped", secret),
        rec.RunEnded(at(1), "failed", secret),
        origin=origin_of(name=secret),
    )
    assert len(found) == 3
    assert "hunter2" not in repr(found)


# -- progress


def test_progress_is_a_phase_from_its_first_report_to_its_total() -> None:
    assert spans(progress(1, 0), progress(2, 5), progress(4, 10)) == [phase((1.0, 4.0), 10)]


def test_phase_belongs_to_the_step_in_which_it_began() -> None:
    began = rec.Progress(at(2), STEP_A, b"", "train", 1, 10)
    assert spans(STARTED, began, ENDED, progress(4, 10)) == [step(), phase((2.0, 4.0), 10, parent="a")]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([5, 10, 0, 10], [phase((0, 1), 10), phase((2, 3), 10, number=2)]),
        ([1, 6, 1], [phase((0, 1), 6, None), phase((2, 10), 1, None, number=2)]),
        ([0, 6, 1], [phase((0, 1), 6, None), phase((2, 10), 1, None, number=2)]),
        ([0, 6, 5, 7], [phase((0, 10), 7, None)]),
        ([0, 10, 9, 10], [phase((0, 1), 10)]),
        ([10, 10], [phase((0, 0), 10)]),
        ([0.5, 9.75], [phase((0, 10), 9.75, None)]),
    ],
    ids=["after its end", "to the first", "to less than half", "out of order", "late", "repeated", "fractions"],
)
def test_category_that_starts_over_is_a_new_phase_and_a_late_report_is_not(
    reports: list[float], expected: list[dict[str, Any]]
) -> None:
    found = spans(*(progress(second, current) for second, current in enumerate(reports)), COMPLETED)
    assert found == [*expected, root()]


def test_total_that_changes_is_the_final_one_and_after_the_end_a_new_phase() -> None:
    first, second, third, _ = spans(
        progress(1, 1, 4), progress(2, 5, 5), progress(3, 6, 8), progress(4, 8, 8), progress(5, 2**63, 2**64 - 1),
        COMPLETED,
    )  # fmt: skip
    keys = [f"synapse.progress.{name}" for name in ("current", "total", "ratio")]
    assert [[span["attributes"][key] for key in keys] for span in (first, second, third)] == [
        [5, 5, 1.0],
        [8, 8, 1.0],
        [2.0**63, 2.0**64, 0.5],
    ]


def test_progress_that_failed_ends_its_phase_once_and_a_retry_is_a_new_one() -> None:
    failure = progress(2, 4, failed=True)
    found = spans(progress(1, 4), failure, failure, progress(3, 5), progress(4, 10))
    assert found == [phase((1.0, 2.0), 4, "progress failed"), phase((3.0, 4.0), 10, number=2)]


def test_failure_of_what_was_complete_is_shown() -> None:
    found = spans(progress(1, 10), progress(2, 10, failed=True))
    assert found == [phase((1.0, 1.0), 10), phase((2.0, 2.0), 10, "progress failed", number=2)]


@pytest.mark.parametrize(("status", "shown"), [("completed", None), ("failed", "bad"), ("crashed", "bad")])
def test_phase_left_open_ends_with_the_run(status: str, shown: str | None) -> None:
    found = spans(progress(1, 4), rec.RunEnded(at(10), status, "bad"))
    assert found[0] == phase((1.0, 10.0), 4, shown)


def test_a_thousand_categories_are_a_thousand_phases() -> None:
    found = spans(*(progress(1, 1, category=f"c\x1f{n}") for n in range(1000)), COMPLETED)
    assert len({span["id"] for span in found}) == 1001


def test_progress_of_nothing_is_not_divided() -> None:
    (found,) = spans(progress(1, 0, 0))
    assert repr(found["attributes"]["synapse.progress.ratio"]) == "nan"


# -- parts


def test_hundred_events_are_sent_in_a_part() -> None:
    found = spans(STARTED, *(message(2 + n / 128, str(n), span=STEP_A) for n in range(101)), ENDED)
    first = [held(2 + n / 128, str(n)) for n in range(100)]
    assert found == [
        part(1, "load", STEP_A, (2.0, 2 + 99 / 128), first),
        step(events=[held(2 + 100 / 128, "100")]),
    ]


def test_events_are_sent_a_minute_after_the_start_and_after_the_last_part() -> None:
    found = spans(message(1), message(59), rec.Heartbeat(at(60)), message(61), rec.Heartbeat(at(119)), message(120))
    assert found == [
        part(1, "train", ROOT, (1.0, 59.0), [held(1.0), held(59.0)]),
        part(2, "train", ROOT, (61.0, 61.0), [held(61.0)]),
    ]


def test_each_span_hands_over_at_its_own_time() -> None:
    late = rec.StepStarted(at(30), STEP_A, b"", "load")
    found = spans(late, message(31, span=STEP_A), message(32), rec.Heartbeat(at(61)), progress(91, 1))
    assert found == [
        part(1, "train", ROOT, (32.0, 32.0), [held(32.0)]),
        part(1, "load", STEP_A, (31.0, 31.0), [held(31.0)]),
    ]


def test_large_events_are_sent_before_they_are_a_hundred() -> None:
    found = spans(*(message(n, "x" * 32_000) for n in range(9)))
    assert [len(span["events"]) for span in found] == [9]


def test_a_limit_of_events_makes_smaller_parts() -> None:
    found = spans(message(1), message(2), message(3), origin=origin_of(AttributeLimits(events=2)))
    assert found == [part(1, "train", ROOT, (1.0, 2.0), [held(1.0), held(2.0)])]


# -- clocks


def test_clock_that_goes_back_keeps_spans_and_events_in_order() -> None:
    found = spans(
        rec.StepStarted(at(5), STEP_A, b"", "load"),
        message(3, span=STEP_A),
        message(9, span=STEP_A),
        rec.StepEnded(at(4), STEP_A, "completed"),
        progress(5, 1),
        progress(3, 10),
        rec.RunEnded(at(-1), "completed"),
    )
    assert found == [
        step(time=(5.0, 9.0), events=[held(5.0), held(9.0)]),
        phase((5.0, 5.0), 10),
        root(time=(0.0, 0.0)),
    ]


def test_clock_that_goes_back_does_not_put_a_part_off() -> None:
    found = spans(rec.StepStarted(at(3600), STEP_A, b"", "load"), message(10, span=STEP_A), rec.Heartbeat(at(70)))
    assert found == [part(1, "load", STEP_A, (3600.0, 3600.0), [held(3600.0)])]


# -- limits


def test_limits_bind_spans_and_events_and_what_was_dropped_is_counted() -> None:
    origin = origin_of(AttributeLimits(count=2, value_length=3))
    records = [
        rec.Event(at(1), *OUT, "event", "info", {"a": "long", "b": 1, "c": 2}),
        rec.Metrics(at(1), *OUT, "fit", {"a": 1, "b": 2}),
        COMPLETED,
    ]
    (span,) = fold(SpanProjection(origin), records)
    assert (dict(span.attributes), span._attributes.dropped) == (
        {"synapse.metric.fit.a": 1, "synapse.run.status": "com"},
        1,
    )
    (event,) = span.events
    assert (dict(event.attributes), event.dropped_attributes) == ({"a": "lon", "synapse.level": "inf"}, 2)


# -- what a collector refused


def test_refused_span_is_sent_without_its_events_and_they_in_a_part_that_is_halved() -> None:
    (span,) = fold(SpanProjection(origin_of()), [message(1, "1"), message(2, "2"), message(3, "3"), COMPLETED])
    bare, events = split_span(span)
    first, second = split_span(events)
    assert [shown_span(one) for one in (bare, events)] == [
        root(),
        {
            "name": "train part",
            "id": derived_id(ROOT, "events").hex(),
            "parent": "root",
            "time": (0.0, 10.0),
            "attributes": {"synapse.part": 0},
            "events": [held(1.0, "1"), held(2.0, "2"), held(3.0, "3")],
        },
    ]
    assert [shown_span(one)["events"] for one in (first, second)] == [
        [held(1.0, "1")],
        [held(2.0, "2"), held(3.0, "3")],
    ]
    assert len({one.context.span_id for one in (bare, events, first, second)}) == 4
    assert (split_span(bare), split_span(first), split_span("a log record")) == ([], [], [])


# -- state


def snapshots(records: Iterable[rec.Record]) -> list[bytes]:
    projection = SpanProjection(origin_of())
    states = []
    for record in records:
        projection.project(record, 0)
        states.append(projection.snapshot())
    return states


def test_state_does_not_grow_with_the_records() -> None:
    metrics = rec.Metrics(START, *OUT, "fit", {f"loss {n}": 0.5 for n in range(100)})
    kinds = [progress(0, 1), metrics, message(0), rec.DevEvent(START, *OUT, "x"), rec.Heartbeat(START)]
    states = snapshots(msgspec.structs.replace(kinds[n % 5], t=at(n)) for n in range(5000))
    assert max(map(len, states[4000:])) <= max(map(len, states[:1000])) + 64


def test_parts_are_never_reused_when_a_projection_goes_on_from_a_snapshot() -> None:
    projection, ids = SpanProjection(origin_of()), set()
    for n in range(500):
        projection = SpanProjection(origin_of(), projection.snapshot())
        found: list[ReadableSpan] = projection.project(message(n), n)
        ids |= {span.context.span_id for span in found if span.context}
    assert len(ids) == 8


def test_final_numbers_stay_integers_in_a_snapshot() -> None:
    before = SpanProjection(origin_of())
    before.project(progress(1, 4), 0)
    (span, _) = SpanProjection(origin_of(), before.snapshot()).project(COMPLETED, 1)
    assert span.attributes is not None
    assert [type(span.attributes[f"synapse.progress.{name}"]) for name in ("current", "total")] == [int, int]


def test_times_of_parts_go_up() -> None:
    found = spans(*(message(n * 7) for n in range(100)))
    assert all(one["time"][1] < other["time"][0] for one, other in pairwise(found))


def test_run_is_named_after_its_action_where_that_is_said() -> None:
    """What executes an action opens the run before it knows its name; a category says of which kind it is."""
    named = rec.ActionNamed(at(1), "fit", "neural_net", True)
    (span,) = spans(named, COMPLETED)
    assert span["name"] == "fit"
    assert {key: span["attributes"][key] for key in ("synapse.action", "synapse.action.category")} == {
        "synapse.action": "fit",
        "synapse.action.category": "neural_net",
    }
