"""The Collectors without a queue answer with the backend's own answer, so that the run's journal is the queue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from backends import arrivals
from backends.otelcol import Otelcol, collecting
from backends.servers import free_address, wait_for
from synapse_otel import RuntimeContext
from synapse_otel.testing import Collector, Point, Refuse, Status

PROTOCOLS = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])


@contextmanager
def grafana_before(far_end: Collector, program: Path, folder: Path, **environ: str) -> Iterator[Otelcol]:
    """A Collector that sends all signals to one far end."""
    endpoints = dict.fromkeys(("TEMPO_ENDPOINT", "LOKI_ENDPOINT", "METRICS_ENDPOINT"), far_end.http_endpoint)
    with collecting(program, "grafana.yaml", folder, **endpoints, **environ) as collector:
        yield collector


def report(ctx: RuntimeContext) -> None:
    for number in range(50):
        ctx.log_message(f"message {number}")
        ctx.set_metrics({"number": number}, "training")


@PROTOCOLS
def test_an_outage_behind_and_a_kill_lose_nothing(
    protocol: str, otelcol: Path, journal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a backend or the Collector is away the run keeps its records, and everything arrives in the end."""
    with (
        Collector() as far_end,
        grafana_before(far_end, otelcol, tmp_path / "collector") as between,
        arrivals.pointed(monkeypatch, **between.env(protocol)),
    ):
        with RuntimeContext.open("job-1") as ctx:
            report(ctx)
            for interruption in (far_end.stop, between.server.kill, far_end.start):
                interruption()
                report(ctx)
                assert not ctx.flush(0.5)
            between.server.start()
            assert ctx.flush(20)
        expected = arrivals.sent_directly(journal_dir, tmp_path / "again")
        arrived = arrivals.at(far_end)

    assert len(expected.logs) == 200
    assert arrived.unique() == expected.unique()


@PROTOCOLS
def test_what_a_backend_refuses_is_singled_out(
    protocol: str, otelcol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal of one sample is seen through the Collector, so that only this sample is set aside, and is named."""
    with (
        Collector() as far_end,
        grafana_before(far_end, otelcol, tmp_path) as between,
        arrivals.pointed(monkeypatch, **between.env(protocol)),
    ):
        far_end.fail(Refuse(lambda item: isinstance(item, Point) and item.value == 13, message="out of order"))
        with RuntimeContext.open("job-1") as ctx:
            for number in range(100):
                ctx.set_metrics({"number": number}, "training")
            assert ctx.flush(20)
            report = ctx.report()
        values = {point.value for point in far_end.points_of("synapse.metric.number")}

    assert (report.dead_lettered, report.pending, report.dropped) == (1, 0, 0)
    assert values == set(range(100)) - {13}


@PROTOCOLS
def test_an_error_of_a_backend_is_tried_again(
    protocol: str, otelcol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP 500, which a queue in the Collector would answer by dropping the request, loses nothing."""
    with (
        Collector() as far_end,
        grafana_before(far_end, otelcol, tmp_path) as between,
        arrivals.pointed(monkeypatch, **between.env(protocol)),
    ):
        far_end.fail(Status(500), times=3)
        with RuntimeContext.open("job-1") as ctx:
            report(ctx)
            assert ctx.flush(20)
            assert ctx.report().dead_lettered == 0

    assert far_end.messages == [f"message {number}" for number in range(50)]


def test_prometheus_can_scrape_the_collector(otelcol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older way: the last value of each series, under Prometheus' names, with the time of the sample."""
    address = free_address()
    with (
        Collector(signals=["traces", "logs"]) as far_end,
        grafana_before(far_end, otelcol, tmp_path, METRICS_EXPORTER="prometheus", SCRAPE_ADDRESS=address) as between,
        arrivals.pointed(monkeypatch, **between.env("http/protobuf")),
    ):
        before = time.time_ns() // 1_000_000
        with RuntimeContext.open("job-1") as ctx:
            for loss in (0.9, 0.5, float("nan")):
                ctx.set_metrics({"loss": loss, "lr": 0.1}, "training")
            ctx.set_progress(3, 4, "epochs")
            assert ctx.flush(20)
            text = wait_for(lambda: scraped(address), "the samples can be scraped")
        after = time.time_ns() // 1_000_000

    series = {line.split("{")[0]: line for line in text.splitlines() if line.startswith("synapse_")}
    loss = series["synapse_metric_loss"]
    assert 'job="synapse/synapse-plugin"' in loss
    assert 'job_id="job-1"' in loss
    assert 'synapse_category="training"' in loss
    assert 'synapse_metric_key="loss"' in loss
    assert "otel_scope" not in loss
    value, stamp = loss.rpartition("} ")[2].split()
    assert value == "NaN"
    assert before <= int(stamp) <= after
    assert series["synapse_progress_ratio"].split("} ")[1].startswith("0.75 ")


def scraped(address: str) -> str:
    """Return what Prometheus would read, once all of it is there."""
    text = requests.get(f"http://{address}/metrics", timeout=5).text
    return text if "synapse_metric_loss" in text and "synapse_progress_ratio" in text else ""
