"""Bad ends that a real Prometheus gets to know long after they happened."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends import journaled
from backends.prometheus import CONFIG, Prometheus, running_prometheus
from backends.servers import wait_for
from cli.kit import SECOND, identity, write_journal
from synapse_otel.journal import records as rec

HOUR = 3600 * SECOND
AGO = {"completed": 2 * HOUR, "failed": 3 * HOUR, "crashed": 6 * 24 * HOUR}
"""How long ago each run began; it ended ten seconds later."""

SEVERITY = {"failed": "warning", "crashed": "critical"}


@pytest.fixture
def prometheus_now(prometheus: Path, tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus with the alerts, which looks every second, and tells an end for ten."""
    rules = (CONFIG.parent / "alerts.yaml").read_text()
    (tmp_path / "alerts.yaml").write_text(rules.replace("interval: 30s", "interval: 1s").replace("15m", "10s"))
    shutil.copy(CONFIG, tmp_path)
    with running_prometheus(prometheus, tmp_path / "prometheus", tmp_path / CONFIG.name) as started:
        yield started


def test_a_bad_end_is_told_when_it_is_pushed(
    prometheus_now: Prometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure of hours ago and a crash of days ago raise the alert when they arrive, for its time and not again."""
    environ = prometheus_now.env() | {"SYNAPSE_OTEL_JOURNAL_DIR": str(tmp_path / "journals")}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for number, (status, ago) in enumerate(AGO.items(), 1):
        write_ended_run(tmp_path / "journals", status, time.time_ns() - ago, number)
        assert journaled.push(f"job-{status}")[0] == 0
        if severity := SEVERITY.get(status):
            news = (f"job-{status}", severity, "10")
            wait_for(lambda news=news: news in told(prometheus_now), f"{status} is told")
    wait_for(lambda: not told(prometheus_now), "all that is bad has been told")
    known = prometheus_now.query("instance:synapse_run_duration_seconds:bad_end")
    assert {one["metric"]["synapse_run_status"] for one in known} == set(SEVERITY)


def write_ended_run(root: Path, status: str, started: int, number: int) -> None:
    """Write the journal of a run; that of a crashed one is left without an end."""
    who = identity(f"job-{status}", started=started, number=number)
    who.resource.update({"service.name": "trainer", "service.instance.id": who.journal_id})
    last = started + 10 * SECOND
    records = [rec.Message(last, b"", b"", "the last message", "info")]
    write_journal(root, who, *records, *([] if status == "crashed" else [rec.RunEnded(last, status)]))


def told(prometheus: Prometheus) -> set[tuple[str, ...]]:
    """Return the job and severity of each alert of a failure, and how many seconds the run had taken."""
    return {
        (alert["labels"]["job_id"], alert["labels"]["severity"], f"{float(alert['value']):.0f}")
        for alert in prometheus.get("alerts")["alerts"]
        if alert["labels"]["alertname"] == "RunFailed" and alert["state"] == "firing"
    }
