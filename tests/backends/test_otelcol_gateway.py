"""The gateway keeps what it has answered for, whatever happens to it and behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends import arrivals
from backends.arrivals import Arrived
from backends.otelcol import GatewayFiles, gateway_before, own_values
from backends.servers import free_port, wait_for
from synapse_otel import RuntimeContext
from synapse_otel.testing import Collector, Point, Refuse, Slow, Status


@pytest.fixture
def files(tmp_path: Path) -> GatewayFiles:
    return GatewayFiles.create(tmp_path / "files", "127.0.0.1")


def report(ctx: RuntimeContext, numbers: range) -> None:
    for number in numbers:
        ctx.log_message(f"message {number}")
        ctx.set_metrics({"number": number}, "training")


def check_nothing_is_lost(far_end: Collector, expected: Arrived, numbers: int) -> None:
    """All arrived, and what arrived twice is the same to the last field."""
    wait_for(lambda: len(set(far_end.messages)) == numbers, "every message arrives", 60)
    wait_for(lambda: arrivals.at(far_end).unique() == expected.unique(), "every record arrives", 60)
    assert sorted(set(far_end.messages)) == sorted(f"message {number}" for number in range(numbers))
    assert {point.value for point in far_end.points_of("synapse.metric.number")} == set(range(numbers))


def test_what_was_answered_survives_an_outage_behind_and_a_kill(
    otelcol: Path, files: GatewayFiles, journal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost when the backends are away, and the gateway is killed meanwhile, in the middle of a run."""
    port = str(free_port())
    with (
        Collector() as far_end,
        gateway_before(far_end, otelcol, files, tmp_path / "gateway", GATEWAY_METRICS_PORT=port) as between,
        arrivals.pointed(monkeypatch, **between.env("http/protobuf")),
    ):
        with RuntimeContext.open("job-1", "train") as ctx:
            report(ctx, range(100))
            wait_for(lambda: len(far_end.messages) == 100, "the first messages arrive")
            far_end.stop()
            report(ctx, range(100, 200))
            assert ctx.flush(20)
            assert sum(size > 0 for size in own_values(port, "otelcol_exporter_queue_size")) >= 2  # logs, metrics
            between.server.kill()
            report(ctx, range(200, 300))
            assert not ctx.flush(0.5)
            between.server.start()
            report(ctx, range(300, 400))
            assert ctx.flush(20)
            assert len(far_end.messages) == 100
            far_end.start()
        expected = arrivals.sent_directly(journal_dir, tmp_path / "again")

        check_nothing_is_lost(far_end, expected, 400)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_kills_in_the_middle_of_deliveries_lose_nothing(
    protocol: str,
    otelcol: Path,
    files: GatewayFiles,
    journal_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A gateway that is killed again and again while it delivers loses nothing; what it repeats is identical."""
    with (
        Collector() as far_end,
        gateway_before(far_end, otelcol, files, tmp_path / "gateway") as between,
        arrivals.pointed(monkeypatch, **between.env(protocol)),
    ):
        with RuntimeContext.open("job-1", "train") as ctx:
            for round_ in range(3):
                with far_end.failing(Slow(0.5)):
                    report(ctx, range(round_ * 100, round_ * 100 + 100))
                    assert ctx.flush(20)
                    wait_for(lambda: in_delivery(far_end), "the gateway delivers")
                    between.server.kill()
                between.server.start()
        expected = arrivals.sent_directly(journal_dir, tmp_path / "again")

        check_nothing_is_lost(far_end, expected, 300)
        assert arrivals.at(far_end).count() > expected.count()


def in_delivery(far_end: Collector) -> bool:
    """Return whether a request is there that is not answered yet."""
    return any(request.status is None for request in far_end.requests)


def test_an_orderly_stop_keeps_what_is_undelivered(
    otelcol: Path, files: GatewayFiles, journal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for a backend that is away waits through a restart, too."""
    with (
        Collector() as far_end,
        gateway_before(far_end, otelcol, files, tmp_path / "gateway") as between,
        arrivals.pointed(monkeypatch, **between.env("grpc")),
    ):
        far_end.stop()
        with RuntimeContext.open("job-1", "train") as ctx:
            report(ctx, range(100))
        between.server.stop()
        far_end.start()
        between.server.start()
        expected = arrivals.sent_directly(journal_dir, tmp_path / "again")

        check_nothing_is_lost(far_end, expected, 100)


@pytest.mark.parametrize("status", [400, 500])
def test_what_a_backend_refuses_is_counted(
    status: int, otelcol: Path, files: GatewayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that the Collector holds to be refused for good is dropped; the gateway's own metrics tell."""
    port = str(free_port())
    with (
        Collector() as far_end,
        gateway_before(far_end, otelcol, files, tmp_path, GATEWAY_METRICS_PORT=port) as between,
        arrivals.pointed(monkeypatch, **between.env("grpc")),
    ):
        far_end.fail(Status(status), times=1, signal="metrics")
        with RuntimeContext.open("job-1") as ctx:
            ctx.set_metrics({"refused": 1}, "training")
            failed = "otelcol_exporter_send_failed_metric_points"
            (dropped,) = wait_for(lambda: own_values(port, failed), "the refusal is counted")
            ctx.set_metrics({"taken": 1}, "training")
        far_end.wait_for(lambda c: c.points_of("synapse.metric.taken"))

    (refused,) = [request for request in far_end.requests if request.status == status]
    assert dropped == refused.items
    assert far_end.points_of("synapse.metric.refused") == []


def is_stuck(item: object) -> bool:
    return isinstance(item, Point) and item.metric == "synapse.metric.stuck"


def test_a_request_that_is_not_taken_holds_up_no_other(
    otelcol: Path, files: GatewayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a backend answers one request with 503 again and again, later ones arrive; in the end it does, too."""
    with (
        Collector() as far_end,
        gateway_before(far_end, otelcol, files, tmp_path) as between,
        arrivals.pointed(monkeypatch, **between.env("grpc")),
        RuntimeContext.open("job-1") as ctx,
    ):
        with far_end.failing(Refuse(is_stuck, 503), signal="metrics"):
            ctx.set_metrics({"stuck": 1}, "training")
            wait_for(lambda: [request for request in far_end.requests if request.status == 503], "it is refused")
            ctx.set_metrics({"free": 2}, "training")
            wait_for(lambda: far_end.points_of("synapse.metric.free"), "the later one arrives")
            assert far_end.points_of("synapse.metric.stuck") == []
        wait_for(lambda: far_end.points_of("synapse.metric.stuck"), "it is taken at last")


def test_a_gateway_that_is_short_of_memory_is_tried_again(
    otelcol: Path,
    files: GatewayFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The memory limiter's refusal is no loss: the run keeps its records until there is room."""
    with Collector() as far_end, gateway_before(far_end, otelcol, files, tmp_path, GATEWAY_MEMORY_MIB="2") as between:
        wait_for(lambda: "Memory usage is above" in between.server.output(), "the gateway is short of memory")
        environ = {**between.env("http/protobuf"), "SYNAPSE_OTEL_FINISH_TIMEOUT": "0.1"}
        with arrivals.pointed(monkeypatch, **environ), RuntimeContext.open("job-1") as ctx:
            report(ctx, range(10))
            assert not ctx.flush(2)
            assert ctx.report().dropped == ctx.report().dead_lettered == 0
        assert "memory" in caplog.text
        assert far_end.requests == []
    with Collector() as far_end, gateway_before(far_end, otelcol, files, tmp_path) as between:
        with arrivals.pointed(monkeypatch, **between.env("http/protobuf")):
            RuntimeContext.open("job-2").logger.finish()
        far_end.wait_for(lambda c: len(c.messages) == 10)
