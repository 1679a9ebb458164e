import math
from typing import Any

import msgspec
import pytest

from projection.rendering import MS, START, at, fold, origin_of, points
from synapse_otel.journal import records as rec
from synapse_otel.projection import names
from synapse_otel.projection.metrics import MetricProjection, metric_name

OUT = (b"", b"")


def progress(seconds: float, current: float, total: float = 10, failed: bool = False) -> rec.Progress:
    return rec.Progress(at(seconds), *OUT, "train", current, total, failed)


def gauges(seconds: float, current: float, total: float = 10, eta: float | None = None) -> list[tuple[Any, ...]]:
    values = {"current": current, "total": total, "ratio": current / total, "eta": eta}
    return [
        (f"synapse.progress.{name}", ("train",), seconds, value) for name, value in values.items() if value is not None
    ]


def run(seconds: float, status: str = "running", name: str = "train") -> list[tuple[Any, ...]]:
    return [
        ("synapse.run.active", (), seconds, int(status == "running")),
        ("synapse.run.duration", (status, name), seconds, seconds),
    ]


def delivery(seconds: float, **counts: int) -> list[tuple[Any, ...]]:
    return [(f"synapse_otel.records.{name}", (), seconds, value) for name, value in counts.items()]


def journal(seconds: float, size: int, lag: float) -> list[tuple[Any, ...]]:
    return [("synapse_otel.journal.size", (), seconds, size), ("synapse_otel.delivery.lag", (), seconds, lag)]


def metrics(values: dict[str, Any], t: int = START, category: str = "fit") -> rec.Metrics:
    return rec.Metrics(t, *OUT, category, values)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (progress(1, 4), gauges(1, 4)),
        (progress(1, 2.5), gauges(1, 2.5)),
        (progress(1, 10), gauges(1, 10, eta=0.0)),
        (progress(1, 4, failed=True), gauges(1, 4)),
        (progress(1, 2**64 - 1, 2**64 - 1), gauges(1, 2.0**64, 2.0**64, eta=0.0)),
        (
            metrics({"loss": 0.5, "n": 7, "ok": True, "eval": {"acc": 0.9}, "name": "x"}),
            [
                ("synapse.metric.loss", ("fit", "loss"), 0.0, 0.5),
                ("synapse.metric.n", ("fit", "n"), 0.0, 7),
                ("synapse.metric.ok", ("fit", "ok"), 0.0, 1),
                ("synapse.metric.eval.acc", ("fit", "eval.acc"), 0.0, 0.9),
            ],
        ),
        (
            metrics({"Val Loss (ä)": 1, "": 2, "big": 2**64 - 1}),
            [
                ("synapse.metric.Val_Loss____", ("fit", "Val Loss (ä)"), 0.0, 1),
                ("synapse.metric.", ("fit", ""), 0.0, 2),
                ("synapse.metric.big", ("fit", "big"), 0.0, 2.0**64),
            ],
        ),
        (rec.RunStarted(at(1)), run(1)),
        (rec.Heartbeat(at(1)), run(1)),
        (rec.Heartbeat(at(1), {"accepted": 3, "pending": 1}), [*run(1), *delivery(1, accepted=3, pending=1)]),
        (rec.RunEnded(at(1), "completed"), run(1, "completed")),
        (rec.RunEnded(at(1), "crashed", "x"), run(1, "crashed")),
        (rec.RunEnded(at(1), "failed", "x", {"dropped": 2}), [*run(1, "failed"), *delivery(1, dropped=2)]),
        (rec.Heartbeat(at(9), {"size": 4096, "oldest": at(6.5)}), [*run(9), *journal(9, 4096, 2.5)]),
        (rec.Heartbeat(at(9), {"size": 0, "oldest": 0}), [*run(9), *journal(9, 0, 0.0)]),
        (
            rec.RunEnded(at(1), "failed", "x", {"oldest": at(2)}),
            [*run(1, "failed"), ("synapse_otel.delivery.lag", (), 1, 0.0)],
        ),
        (rec.StepStarted(at(1), b"\1" * 8, b"", "load"), []),
        (rec.StepEnded(at(1), b"\1" * 8, "completed"), []),
        (rec.Event(at(1), *OUT, "e", "info", {"n": 1}), []),
        (rec.Message(at(1), *OUT, "x", "info"), []),
        (rec.DevEvent(at(1), *OUT, "x", {"n": 1}), []),
        (rec.ExceptionRecorded(at(1), *OUT, "E", "x", ""), []),
        (rec.LogEnded(at(1), *OUT), []),
        (rec.Dropped(at(1), {"metrics": 3}), []),
        (rec.ActionNamed(at(1), "train"), []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, rec.Record) else "",
)
def test_record_becomes_points(record: rec.Record, expected: list[tuple[Any, ...]]) -> None:
    assert points(record) == expected


def test_point_names_its_job_and_its_gauge_says_what_it_counts() -> None:
    (current, *_) = fold(MetricProjection(origin_of()), [progress(1, 4)])
    assert (current.instrument, current.point.attributes) == (
        ("synapse.progress.current", "{item}", "Items done in a category"),
        {"job_id": "job-1", "synapse.category": "train"},
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324])
def test_odd_numbers_are_kept(value: float) -> None:
    ((*_, found),) = points(metrics({"loss": value}))
    assert repr(found) == repr(value)


# -- remaining time


@pytest.mark.parametrize(
    ("reports", "eta"),
    [
        ([(0, 0), (2, 400)], 3.0),
        ([(0, 500), (1, 750)], 1.0),
        ([(0, 400), (2, 400)], None),
        ([(5, 0), (3, 400)], None),
        ([(0, 0), (1, 800), (2, 0), (4, 100)], 18.0),
        ([(0, 500), (1, 800), (2, 700)], 3.0),
        ([(0, 0), (1, 5e-324)], None),
        ([(0, 0), (1, 500), (2, 1000)], 0.0),
    ],
    ids=["steady", "resumed", "nothing done", "clock went back", "started over", "out of order", "endless", "done"],
)
def test_remaining_time_follows_from_the_rate_since_the_first_report(
    reports: list[tuple[float, float]], eta: float | None
) -> None:
    projection = MetricProjection(origin_of())
    *_, last = [fold(projection, [progress(second, current, 1000)]) for second, current in reports]
    found = {sample.instrument[0]: sample.point.value for sample in last}
    assert found.get("synapse.progress.eta") == eta


def test_what_has_failed_has_no_remaining_time() -> None:
    assert points(progress(0, 0), progress(2, 4), progress(3, 4, failed=True))[-3:] == gauges(3, 4)


# -- one millisecond


def test_samples_of_a_series_in_one_millisecond_are_moved_apart_by_one() -> None:
    found = points(*(metrics({"loss": n}, START + n) for n in range(3)), metrics({"loss": 3}, at(0.005)))
    assert [(round(seconds * 1000, 6), value) for _, _, seconds, value in found] == [
        (0.0, 0),
        (1.0, 1),
        (2.0, 2),
        (5.0, 3),
    ]


def test_time_is_kept_to_the_nanosecond_where_nothing_collides() -> None:
    (sample,) = fold(MetricProjection(origin_of()), [metrics({"loss": 1}, START + 123_456_789)])
    assert sample.point.time_unix_nano == START + 123_456_789


def test_series_of_other_keys_and_categories_do_not_move_each_other() -> None:
    others = [metrics({"a": 3}, category=category) for category in ("other", "fit\x1f", "a")]
    found = points(metrics({"a": 1, "b": 2}), *others)
    assert {seconds for _, _, seconds, _ in found} == {0.0}


def test_series_that_look_the_same_outside_are_one() -> None:
    one, other = ("password=hunter2hunter2", "password=hunter3hunter3")
    found = points(metrics({one: 1, other: 2}), metrics({"a.b": 1, "a": {"b": 2}}))
    assert [(attributes[1], seconds) for _, attributes, seconds, _ in found] == [
        ("password=[REDACTED]", 0.0),
        ("password=[REDACTED]", 0.001),
        ("a.b", 0.0),
        ("a.b", 0.001),
    ]


def test_clock_that_goes_back_does_not_put_a_series_out_of_order() -> None:
    found = points(metrics({"a": 1}, at(10)), metrics({"a": 2}, at(5)), metrics({"a": 3}, at(20)))
    assert [seconds for _, _, seconds, _ in found] == [10.0, 10.001, 20.0]


# -- heartbeats


def test_heartbeat_repeats_where_progress_stands_every_interval() -> None:
    found = points(
        rec.RunStarted(at(0)),
        progress(1, 4),
        rec.Heartbeat(at(15)),
        rec.Heartbeat(at(60)),
        rec.Heartbeat(at(75)),
        rec.Heartbeat(at(120)),
    )
    assert found == [*run(0), *gauges(1, 4), *run(60), *gauges(60, 4), *run(120), *gauges(120, 4)]


def test_delivery_is_told_every_interval() -> None:
    beats = [rec.Heartbeat(at(second), {"delivered": second}) for second in (15, 60, 75)]
    found = points(rec.RunStarted(at(0)), *beats)
    assert found == [*run(0), *run(60), *delivery(60, delivered=60)]


def test_run_is_called_what_its_action_names_it() -> None:
    named = [rec.ActionNamed(at(1), "fit", names_run=True), rec.ActionNamed(at(2), "evaluate")]
    assert points(rec.RunStarted(at(0)), *named, rec.RunEnded(at(3), "completed")) == [
        *run(0),
        *run(3, "completed", "fit"),
    ]
    nameless = origin_of(name="run")
    found = points(rec.ActionNamed(at(1), "fit"), rec.RunEnded(at(3), "completed"), origin=nameless)
    assert found == run(3, "completed", "fit")


def test_worker_says_that_it_is_one() -> None:
    samples = fold(MetricProjection(origin_of(worker=True)), [rec.RunStarted(at(0)), progress(1, 4)])
    about_workers = {sample.instrument[0] for sample in samples if sample.point.attributes.get(names.WORKER) is True}
    assert about_workers == {"synapse.run.active", "synapse.run.duration"}


def test_interval_is_the_one_that_is_set() -> None:
    assert points(rec.RunStarted(at(0)), rec.Heartbeat(at(15)), interval=15) == [*run(0), *run(15)]


def test_clock_that_goes_back_does_not_make_the_run_look_dead() -> None:
    late = [(name, attributes, 3600.001, value) for name, attributes, _, value in run(15)]
    assert points(rec.RunStarted(at(3600)), rec.Heartbeat(at(15))) == [*run(3600), *late]


def test_run_that_has_ended_lives_no_more() -> None:
    assert points(rec.RunEnded(at(1), "completed"), rec.Heartbeat(at(100))) == run(1, "completed")


# -- names and credentials


def test_name_of_a_gauge_is_short_enough_and_of_allowed_characters() -> None:
    name = metric_name("a/b-c.d e\n" * 100)
    assert name.startswith(f"{names.METRIC_PREFIX}a/b-c.d_e_a/b")
    assert len(name) == 255


def test_credentials_are_neither_in_attributes_nor_in_names() -> None:
    secret = "password=hunter2hunter2"
    found = fold(MetricProjection(origin_of()), [metrics({secret: 1}, category=secret), progress(1, 1)])
    assert "hunter2" not in repr(found)


# -- state


def test_state_does_not_grow_with_the_records_of_a_series() -> None:
    projection, sizes = MetricProjection(origin_of()), []
    for n in range(2000):
        kind = progress(0, n % 100, 100) if n % 2 else metrics({"loss": 0.5})
        projection.project(msgspec.structs.replace(kind, t=START + n * 10 * MS), n)
        sizes.append(len(projection.snapshot()))
    assert max(sizes[200:]) == max(sizes[:200])


def test_points_of_distributed_training_say_whose_they_are() -> None:
    """The rank is an attribute of every point, because a stock Prometheus has no other label to tell ranks by."""
    (found,) = fold(MetricProjection(origin_of(resource={"synapse.rank": 3})), [metrics({"loss": 0.5})])
    assert found.point.attributes == {
        "job_id": "job-1",
        "synapse.rank": 3,
        "synapse.category": "fit",
        "synapse.metric.key": "loss",
    }
