"""A run reaches a collector whole, whatever the collector does, over both protocols."""

from __future__ import annotations

import logging
import math
import threading
import time
from pathlib import Path

import pytest

from synapse_otel import OTelLogger, RuntimeContext, TelemetrySettings
from synapse_otel.testing import (
    Collector,
    DropConnection,
    Fault,
    Garbage,
    PartialSuccess,
    Refuse,
    Slow,
    Status,
)


def numbered(collector: Collector) -> list[int]:
    """The numbers in the messages that arrived, without what arrived twice."""
    return sorted({int(body.split()[1]) for body in collector.messages})


def in_span_events(collector: Collector) -> list[int]:
    """The numbers in the messages on the spans."""
    events = {(span.span_id, e.time_ns, e.attributes["message"]) for span in collector.spans for e in span.events}
    return sorted(int(message.split()[1]) for _, _, message in events)


def log_numbered(ctx: RuntimeContext, count: int) -> None:
    for number in range(count):
        ctx.log_message(f"message {number}")


def test_everything_reported_arrives(collector: Collector) -> None:
    """Each call of the API is found again in the signal that the mapping names."""
    with RuntimeContext.open("job-1", "train") as ctx:
        ctx.set_progress(1, 10, "epochs")
        ctx.set_metrics({"loss": 0.5, "nan": math.nan}, "training")
        ctx.log("saved", {"epoch": 1}, file="model.pt")
        ctx.log_message("low memory", "warning")
        ctx.log_dev_event("built", {"layers": 12})
        ctx.end_log()
        assert ctx.flush(10)
        assert ctx.report().pending == 0
    run = collector.span("train")
    assert run.status == "ok"
    assert run.attributes["synapse.run.status"] == "completed"
    assert [event.name for event in run.events] == ["saved", "message"]
    assert collector.span("epochs").parent_span_id == run.span_id
    assert collector.span("run started").trace_id == run.trace_id
    assert [log.event_name for log in collector.logs] == [
        "saved",
        "synapse.message",
        "synapse.dev_event",
        "synapse.run.ended",
    ]
    assert {log.resource["job_id"] for log in collector.logs} == {"job-1"}
    assert [point.value for point in collector.points_of("synapse.metric.loss")] == [0.5]
    assert math.isnan(collector.points_of("synapse.metric.nan")[0].value)
    assert [point.value for point in collector.points_of("synapse.run.active")] == [1, 0]


def test_a_run_tells_that_it_lives_and_how_it_is_delivered(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every interval, and at its end, a run says that it lives, for how long, and what became of its records."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "300")
    with RuntimeContext.open("job-1", "train") as ctx:
        ctx.log_message("taken")
        assert ctx.flush(10)
        with collector.failing(Refuse(lambda item: getattr(item, "body", "") == "refused"), signal="logs"):
            ctx.log_message("refused")
            assert ctx.flush(10)
        assert collector.wait_for(lambda found: len(found.points_of("synapse_otel.records.delivered")) >= 3)
    lives = [point.value for point in collector.points_of("synapse.run.active")]
    assert lives == [1] * (len(lives) - 1) + [0]
    running = collector.points_of("synapse.run.duration", **{"synapse.run.status": "running"})
    (ended,) = collector.points_of("synapse.run.duration", **{"synapse.run.status": "completed"})
    took = [point.value for point in (*running, ended)]
    assert (took, len(running), ended.attributes["synapse.run.name"]) == (sorted(took), len(lives) - 1, "train")
    last = {
        name: collector.points_of(f"synapse_otel.records.{name}")[-1].value
        for name in ("accepted", "delivered", "pending", "dropped", "dead_lettered")
    }
    assert last["accepted"] == ctx.report().accepted - 1  # its end is what tells
    assert (last["dropped"], last["dead_lettered"]) == (0, ctx.report().dead_lettered) == (0, 1)
    assert last["accepted"] == last["delivered"] + last["pending"] + last["dead_lettered"]


def test_a_delivered_journal_is_removed(collector: Collector, journal_dir: Path) -> None:
    """With an endpoint, nothing is left on the disk of a run that was delivered."""
    with RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 10)
    assert numbered(collector) == list(range(10))
    assert list(journal_dir.glob("[!.]*")) == []


def test_a_burst_arrives_whole(collector: Collector) -> None:
    """A burst of messages in a tight loop is delivered to the last one, each once, in requests under 4 MiB."""
    with RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 20_000)
        assert ctx.flush(60)
        report = ctx.report()
    assert report.by_kind["message"].delivered == 20_000
    assert [int(body.split()[1]) for body in collector.messages] == list(range(20_000))
    assert in_span_events(collector) == list(range(20_000))
    assert max(request.size for request in collector.requests) < 4 * 1024 * 1024


def test_an_outage_loses_nothing(collector: Collector) -> None:
    """What is recorded while the collector is away arrives when it is back, and no call waits for it."""
    with RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 10)
        assert ctx.flush(10)
        collector.stop()
        slowest = 0.0
        for number in range(10, 1000):
            began = time.perf_counter()
            ctx.log_message(f"message {number}")
            slowest = max(slowest, time.perf_counter() - began)
        assert not ctx.flush(0.5)
        assert ctx.report().pending >= 990
        collector.start()
        assert ctx.flush(20)
    assert numbered(collector) == list(range(1000))
    assert slowest < 0.25, "a call waited for the network"


@pytest.mark.parametrize(
    "fault",
    [
        Status(503),
        Status(429, retry_after=1),
        Status(500),
        Status(502),
        Status(408),
        Status(401),
        Status(403),
        DropConnection("headers"),
        DropConnection("body"),
        DropConnection("half_response"),
    ],
    ids=str,
)
def test_what_can_pass_is_tried_again(collector: Collector, fault: Fault) -> None:
    """Errors that say nothing against the records are followed by the same request."""
    collector.fail(fault, times=4)
    with RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 100)
        assert ctx.flush(30)
        assert ctx.report().dead_lettered == 0
    assert numbered(collector) == list(range(100))


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_web_page_is_no_delivery(collector: Collector) -> None:
    """A proxy or captive portal that answers 200 with a page has delivered nothing."""
    collector.fail(Garbage(), times=4)
    with RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 100)
        assert ctx.flush(30)
    assert numbered(collector) == list(range(100))


def test_retry_after_is_honoured(collector: Collector) -> None:
    """The same signal is not sent again before the time that the receiver asked for."""
    collector.fail(Status(429, retry_after=2), times=1, signal="logs")
    with RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 1)
        assert ctx.flush(10)
    first, second = [request for request in collector.requests if request.signal == "logs"][:2]
    assert first.status != 200
    assert 1.9 < second.time - first.time < 4
    assert first.body == second.body


def test_a_poisoned_record_does_not_take_its_neighbours_along(
    collector: Collector, journal_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One refused record among a thousand becomes a dead letter, is counted and said; all the others arrive."""

    def poisoned(item: object) -> bool:
        if getattr(item, "body", None) == "message 500":
            return True
        return any(event.attributes.get("message") == "message 500" for event in getattr(item, "events", ()))

    collector.fail(Refuse(poisoned))
    with caplog.at_level(logging.WARNING, "synapse_otel"), RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 1000)
        assert ctx.flush(30)
        message = ctx.report().by_kind["message"]
        assert (message.accepted, message.delivered, message.dead_lettered) == (1000, 999, 1)
    expected = [number for number in range(1000) if number != 500]
    assert numbered(collector) == expected
    assert in_span_events(collector) == expected
    letters = list(journal_dir.glob("*/*/dead-letters.jsonl"))
    assert [len(file.read_text().splitlines()) for file in letters] == [2], "one for the logs, one for the traces"
    assert sum("dead letter" in record.getMessage() for record in caplog.records) == 2


def test_a_request_that_is_too_large_for_the_receiver_is_divided(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that takes less than 4 MiB gets smaller requests and all of the records."""
    with Collector(max_request_bytes=100_000) as collector:
        for name, value in collector.env(protocol).items():  # type: ignore[arg-type]  # values by name
            monkeypatch.setenv(name, value)
        with RuntimeContext.open("job-1") as ctx:
            log_numbered(ctx, 2000)
            assert ctx.flush(30)
            assert ctx.report().dead_lettered == 0
    assert numbered(collector) == list(range(2000))


def test_rejected_items_of_a_partial_success_are_counted(collector: Collector) -> None:
    """What the receiver says it did not take counts as dead-lettered, not as delivered."""
    collector.fail(PartialSuccess(3, "too old"), times=1, signal="logs")
    with RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 10)
        assert ctx.flush(10)
        message = ctx.report().by_kind["message"]
    assert (message.accepted, message.delivered, message.dead_lettered) == (10, 7, 3)


def test_a_signal_that_is_not_served_is_set_aside(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An endpoint for traces only, as Jaeger's, gets the traces; each other signal is tried once and said once."""
    with Collector(signals={"traces"}) as collector:
        for name, value in collector.env(protocol).items():  # type: ignore[arg-type]  # values by name
            monkeypatch.setenv(name, value)
        with caplog.at_level(logging.WARNING, "synapse_otel"), RuntimeContext.open("job-1") as ctx:
            log_numbered(ctx, 10)
            assert ctx.flush(10)
            ctx.log_message("message 10")
            assert ctx.flush(10)
    assert in_span_events(collector) == list(range(11))
    signals = [request.signal for request in collector.requests]
    assert signals.count("logs") == signals.count("metrics") == 1
    assert sum("are not sent" in record.getMessage() for record in caplog.records) == 2


def test_a_slow_collector_slows_nobody_down(collector: Collector) -> None:
    """With 50 ms per answer, calls return at once and all arrives."""
    collector.fail(Slow(0.05))
    with RuntimeContext.open("job-1") as ctx:
        began = time.perf_counter()
        log_numbered(ctx, 5000)
        took = time.perf_counter() - began
        assert ctx.flush(60)
    assert numbered(collector) == list(range(5000))
    assert took < 2


def test_the_end_of_a_run_does_not_wait_for_an_absent_collector(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, journal_dir: Path
) -> None:
    """finish() waits as long as it is told, the rest stays in the journal and the next start delivers it."""
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0.5")
    collector.stop()
    with RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 100)
        began = time.perf_counter()
    assert time.perf_counter() - began < 3
    assert len(list(journal_dir.glob("job-1~*/*/*.seg"))) == 1
    collector.start()
    with RuntimeContext.open("job-2"):
        collector.wait_for(lambda c: numbered(c) == list(range(100)), timeout=20)
        collector.wait_for(lambda c: any(s.resource["job_id"] == "job-1" and s.name == "run" for s in c.spans))
    assert list(journal_dir.glob("job-1~*")) == []


def test_threads_share_a_context(collector: Collector) -> None:
    """What eight threads record at once arrives, each message once."""

    def work(thread: int) -> None:
        for number in range(500):
            ctx.log_message(f"message {thread * 500 + number}")
            ctx.set_metrics({"x": number}, f"thread-{thread}")

    with RuntimeContext.open("job-1") as ctx:
        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ctx.flush(30)
    assert sorted(int(body.split()[1]) for body in collector.messages) == list(range(4000))
    assert len(collector.points_of("synapse.metric.x")) == 4000


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_receiver_that_refuses_everything_costs_no_record(collector: Collector, journal_dir: Path) -> None:
    """Where an empty request is refused as well, as by a TLS port, nothing is buried; all arrives when it is mended."""
    collector.fail(Status(400), times=None)
    with RuntimeContext.open("job-1") as ctx:
        log_numbered(ctx, 100)
        assert not ctx.flush(1.5)
        assert ctx.report().dead_lettered == 0
        collector.heal()
        assert ctx.flush(20)
    assert numbered(collector) == list(range(100))


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_signal_that_was_served_before_is_not_set_aside(collector: Collector) -> None:
    """A 404 after success, as of a proxy that reloads, is followed by another try."""
    with RuntimeContext.open("job-1") as ctx:
        ctx.log_message("message 0")
        assert ctx.flush(10)
        collector.fail(Status(404), times=2)
        ctx.log_message("message 1")
        assert ctx.flush(10)
    assert numbered(collector) == [0, 1]


def test_credentials_in_the_endpoint_are_not_shown(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is said of an endpoint leaves out the user and the password in its URL."""
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0.3")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:made-up@127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    with RuntimeContext.open("job-1") as ctx:
        assert not ctx.flush(1)
    assert "127.0.0.1:9" in caplog.text
    assert "made-up" not in caplog.text


def test_the_counts_of_a_journal_in_memory_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the disk takes nothing and the memory is full, what a heartbeat tells is what the report says."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(tmp_path / "file" / "runs"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    logger = OTelLogger("job-1", settings=TelemetrySettings(finish_timeout=0.1))
    for _ in range(1500):
        logger.log_message("x" * 100_000)
    assert logger._shipper
    counts, report = logger._shipper.counts(), logger.report()
    logger.finish()
    told = {name: getattr(report, name) for name in ("accepted", "delivered", "pending", "dropped", "dead_lettered")}
    assert counts == {**told, "size": 0, "oldest": counts["oldest"]}
    assert counts["oldest"] > logger._identity.started, "the first record was dropped"
    assert counts["accepted"] == 1501 == counts["pending"] + counts["dropped"]
    assert counts["dropped"] > 100
