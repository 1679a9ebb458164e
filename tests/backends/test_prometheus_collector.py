"""A real Collector between a run and a real Prometheus: it sends on, or is scraped, the older way."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends import journaled
from backends.journaled import push, write_run
from backends.otelcol import collecting
from backends.prometheus import CONFIG, Prometheus, running_prometheus
from backends.servers import free_address, wait_for
from cli.kit import SECOND
from synapse_otel import RuntimeContext

WINDOW = 7 * 86_400 * SECOND
"""Of out-of-order samples, as prometheus.yaml has it."""


@pytest.fixture(autouse=True)
def metrics_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "true")


def point_to(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_what_prometheus_refuses_is_singled_out_through_a_collector(
    otelcol: Path, prometheus: Path, protocol: str, journal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Collector hands Prometheus' refusal back, so that the neighbours of what is too old are delivered."""
    with (
        running_prometheus(prometheus, tmp_path / "prometheus") as backend,
        collecting(
            otelcol,
            "grafana.yaml",
            tmp_path / "collector",
            METRICS_ENDPOINT=backend.otlp_endpoint.removesuffix("/v1/metrics"),
        ) as collector,
    ):
        point_to(collector.env(protocol), monkeypatch)
        now = time.time_ns()
        write_run(journal_dir, "now", [now], number=2)
        assert push("now") == (0, "✔ now  3 records sent\n3 records of 1 run sent\n")
        too_old = [now - WINDOW - SECOND + n for n in range(20)]
        write_run(journal_dir, "late", [*too_old, *(now - 600 * SECOND + n * SECOND for n in range(80))])
        code, out = push("late")
        assert (code, out.splitlines()[0]) == (1, "✖ late  81 records sent, 21 left")
        expected = {key: all_[20:] for key, all_ in journaled.metrics(journal_dir).items() if key[0] == "late"}
        labels = ("synapse_category", "synapse_metric_key")
        assert journaled.stored(backend, 'synapse_metric_loss{job_id="late"}', *labels) == expected


@pytest.fixture
def scraping(otelcol: Path, prometheus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the Collector which metrics are sent to."""
    offered = free_address()
    targets = tmp_path / "config" / "targets"
    targets.mkdir(parents=True)
    (targets / "collector.yaml").write_text(f"- targets: [{offered}]\n")
    config = Path(shutil.copy(CONFIG, targets.parent))
    scraped = {"METRICS_EXPORTER": "prometheus", "SCRAPE_ADDRESS": offered}
    with (
        collecting(otelcol, "grafana.yaml", tmp_path / "collector", **scraped) as collector,
        running_prometheus(prometheus, tmp_path / "prometheus", config) as backend,
    ):
        point_to(collector.env("http/protobuf"), monkeypatch)
        yield backend


def test_scraping_keeps_the_last_values_and_runs_apart(scraping: Prometheus) -> None:
    """Of each run the last value and its time are there, under the names that sending has; what was between is not."""
    reported: dict[str, tuple[float, float]] = {}
    for job, total in (("run-1", 3), ("run-2", 7)):
        began = time.time()
        with RuntimeContext.open(job, "train") as ctx:
            for step in range(1, total + 1):
                ctx.set_progress(step, total + 1, "epochs")
                ctx.set_metrics({"loss": total + 1 / step}, "training")
                time.sleep(0.06)
            assert ctx.flush(10)
        reported[job] = (began, time.time())
    ends = {"run-1": 3 + 1 / 3, "run-2": 7 + 1 / 7}
    wait_for(lambda: last_values(scraping, "synapse_metric_loss") == ends, "the last values of both runs")
    assert last_values(scraping, "synapse_progress_current") == {"run-1": 3.0, "run-2": 7.0}
    loss = scraping.samples("synapse_metric_loss")
    for series in loss:
        began, ended = reported[series.labels["job_id"]]
        assert began <= series.samples[-1].ms / 1000 <= ended
        assert {name: series.labels[name] for name in ("job", "synapse_category", "synapse_metric_key")} == {
            "job": "synapse/synapse-plugin",
            "synapse_category": "training",
            "synapse_metric_key": "loss",
        }
    assert len({series.labels["instance"] for series in loss}) == 2
    assert sum(len(series.samples) for series in loss) < 10  # of ten


def last_values(prometheus: Prometheus, name: str) -> dict[str, float]:
    return {series.labels["job_id"]: series.samples[-1].value for series in prometheus.samples(name)}
