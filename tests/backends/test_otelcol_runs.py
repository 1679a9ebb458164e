"""Runs through the real Collector, with each configuration: what arrives behind it is what was reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends import arrivals
from backends.arrivals import Arrived
from backends.otelcol import GatewayFiles, Otelcol, collecting, gateway
from backends.servers import wait_for
from synapse_otel.testing import Collector


@dataclass(frozen=True)
class Way:
    """A Collector, and what has arrived behind it."""

    collector: Otelcol
    arrived: Callable[[], Arrived]


@contextmanager
def local(program: Path, folder: Path) -> Iterator[Way]:
    files = folder / "files"
    with collecting(program, "local.yaml", folder, TELEMETRY_DIRECTORY=str(files)) as collector:
        yield Way(collector, lambda: arrivals.in_files(files, "traces", "metrics", "logs"))


@contextmanager
def jaeger(program: Path, folder: Path) -> Iterator[Way]:
    files = folder / "files"

    def arrived() -> Arrived:
        kept = arrivals.in_files(files, "metrics", "logs")
        return Arrived(arrivals.at(server).spans, kept.logs, kept.points)

    with (
        Collector(signals=["traces"]) as server,
        collecting(
            program, "jaeger.yaml", folder, JAEGER_ENDPOINT=server.http_endpoint, TELEMETRY_DIRECTORY=str(files)
        ) as collector,
    ):
        yield Way(collector, arrived)


@contextmanager
def grafana(program: Path, folder: Path) -> Iterator[Way]:
    with (
        Collector(signals=["traces"]) as tempo,
        Collector(signals=["logs"]) as loki,
        Collector(signals=["metrics"]) as prometheus,
        collecting(
            program,
            "grafana.yaml",
            folder,
            TEMPO_ENDPOINT=tempo.http_endpoint,
            LOKI_ENDPOINT=loki.http_endpoint,
            METRICS_ENDPOINT=prometheus.http_endpoint,
        ) as collector,
    ):
        yield Way(collector, lambda: arrivals.at(tempo, loki, prometheus))


@contextmanager
def through_gateway(program: Path, folder: Path) -> Iterator[Way]:
    files = GatewayFiles.create(folder / "files", "127.0.0.1")
    with (
        Collector(signals=["traces"]) as traces,
        Collector(signals=["logs"]) as logs,
        Collector(signals=["metrics"]) as metrics,
        gateway(
            program,
            files,
            folder,
            TRACES_ENDPOINT=traces.http_endpoint,
            LOGS_ENDPOINT=logs.http_endpoint,
            METRICS_ENDPOINT=metrics.http_endpoint,
        ) as collector,
    ):
        yield Way(collector, lambda: arrivals.at(traces, logs, metrics))


WAYS: dict[str, Callable[[Path, Path], AbstractContextManager[Way]]] = {
    "local.yaml": local,
    "jaeger.yaml": jaeger,
    "grafana.yaml": grafana,
    "gateway.yaml": through_gateway,
}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest, otelcol: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """Each configuration, running."""
    with WAYS[request.param](otelcol, tmp_path_factory.mktemp("otelcol")) as running:
        yield running


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_run_arrives_as_it_was_reported(
    way: Way, protocol: str, journal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every record arrives once, each to its own backend, and is to the last field what arrives without a Collector."""
    job = f"job-{protocol}"
    with arrivals.pointed(monkeypatch, **way.collector.env(protocol)):
        arrivals.report_a_run(job)
    expected = arrivals.sent_directly(journal_dir, tmp_path / "again")
    wait_for(lambda: way.arrived().of(job).count() >= expected.count(), f"{expected.count()} records arrive")

    arrived = way.arrived().of(job)

    arrivals.check_what_was_reported(arrived)
    assert arrived.written() == expected.written()


def test_local_prints_a_line_for_each_record(otelcol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person sees on the terminal: names, messages and values, and nothing around them."""
    with collecting(otelcol, "local.yaml", tmp_path, TELEMETRY_DIRECTORY=str(tmp_path / "files")) as collector:
        with arrivals.pointed(monkeypatch, **collector.env("grpc")):
            arrivals.report_a_run("job-1")
        printed = collector.server.output()

    assert re.search(r"^Trained, 학습 완료 .*synapse.level=success", printed, re.MULTILINE)
    assert re.search(r"^synapse.metric.loss\{.*synapse.category=training.*\} 0.5$", printed, re.MULTILINE)
    assert re.search(r"^train [0-9a-f]{32} [0-9a-f]{16} .*synapse.run.status=failed", printed, re.MULTILINE)


def test_local_adds_to_its_files(otelcol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Collector that is started again empties no file."""
    files = tmp_path / "files"
    for job in ("job-1", "job-2"):
        with (
            collecting(otelcol, "local.yaml", tmp_path, TELEMETRY_DIRECTORY=str(files)) as collector,
            arrivals.pointed(monkeypatch, **collector.env("http/protobuf")),
        ):
            arrivals.report_a_run(job)
    kept = arrivals.in_files(files, "traces", "metrics", "logs")
    arrivals.check_what_was_reported(kept.of("job-1"))
    arrivals.check_what_was_reported(kept.of("job-2"))
