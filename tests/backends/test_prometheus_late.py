"""What reaches a real Prometheus late: after an outage, out of order, and too late."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from backends import journaled
from backends.journaled import push, write_run
from backends.prometheus import Prometheus, running_prometheus
from cli.kit import SECOND, only_journal
from synapse_otel import RuntimeContext

DAY = 86_400 * SECOND
WINDOW = 7 * DAY
"""As prometheus.yaml has it."""


@pytest.fixture
def backend(prometheus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prometheus]:
    """A Prometheus of its own, whose newest sample is of now, and where metrics are sent to."""
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "true")
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "1")
    with running_prometheus(prometheus, tmp_path / "prometheus") as started:
        for name, value in started.env().items():
            monkeypatch.setenv(name, value)
        with RuntimeContext.open("now") as ctx:
            assert ctx.flush(10)
        yield started


def loss(prometheus: Prometheus, job: str) -> journaled.Curves:
    selector = f'synapse_metric_loss{{job_id="{job}"}}'
    return journaled.stored(prometheus, selector, "synapse_category", "synapse_metric_key", seconds=20 * 86_400)


def requests_of(prometheus: Prometheus) -> dict[str, int]:
    """Return how many OTLP requests were answered, by HTTP status."""
    text = requests.get(f"{prometheus.url}/metrics", timeout=10).text
    found = re.findall(
        r'^prometheus_http_requests_total\{code="(\d+)",handler="/api/v1/otlp/v1/metrics"\} (\d+)', text, re.M
    )
    return {code: int(number) for code, number in found}


def test_a_run_that_outlives_prometheus_is_whole_after_push(backend: Prometheus, journal_dir: Path) -> None:
    """What a run reports while Prometheus is down, and after the run has ended, is there after `push`."""
    with RuntimeContext.open("outage", "train") as ctx:
        ctx.set_metrics({"loss": 1}, "training")
        assert ctx.flush(10)
        backend.server.kill()
        for number in range(500):
            ctx.set_metrics({"loss": 1 / (number + 2)}, "training")
    backend.server.start()
    code, out = push("outage")
    assert (code, out.splitlines()[-1]) == (0, out.splitlines()[0].split("  ")[1].replace("sent", "of 1 run sent"))
    expected = {series: samples for series, samples in journaled.metrics(journal_dir).items() if series[0] == "outage"}
    assert loss(backend, "outage") == expected
    assert [len(samples) for samples in expected.values()] == [501]


def test_samples_older_than_those_of_their_series_are_taken(
    backend: Prometheus, journal_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Within the window a journal of days ago fills in before newer samples of the same series, whole."""
    now, elsewhere = time.time_ns(), tmp_path / "elsewhere"
    write_run(elsewhere, "late", [now - 60 * SECOND + n * SECOND // 100 for n in range(100)])
    write_run(journal_dir, "late", [now - 3 * DAY + n * SECOND // 100 for n in range(1000)])
    with monkeypatch.context() as moved:
        moved.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(elsewhere))
        assert push("late")[0] == 0
    assert push("late") == (0, "✔ late  1002 records sent\n1002 records of 1 run sent\n")
    ((series, older),) = journaled.metrics(journal_dir).items()
    ((_, newer),) = journaled.metrics(elsewhere).items()
    assert loss(backend, "late") == {series: older + newer}
    assert (len(older), len(newer)) == (1000, 100)


def test_what_is_sent_twice_is_there_once(backend: Prometheus, journal_dir: Path) -> None:
    """A journal that is sent again, because the answers were lost, changes nothing and is not refused."""
    run = write_run(journal_dir, "twice", [time.time_ns() - 60 * SECOND + n * SECOND // 100 for n in range(1000)])
    for _ in range(2):
        assert push("twice")[0] == 0
        only_journal(run).cursor("metrics").unlink()
    assert loss(backend, "twice") == journaled.metrics(journal_dir)
    counted = 'count_over_time(synapse_metric_loss{job_id="twice"}[5m])'
    assert [found["value"][1] for found in backend.query(counted, time.time())] == ["1000"]


def test_samples_beyond_the_window_are_singled_out_and_named(backend: Prometheus, journal_dir: Path) -> None:
    """What is too old is refused, kept as dead letters and named by `push`; all else of its run is delivered."""
    limit = time.time_ns() - WINDOW
    old = [limit - 3600 * SECOND + n * SECOND // 100 for n in range(200)]
    good = [limit + 3600 * SECOND + n * SECOND // 100 for n in range(800)]
    run = write_run(journal_dir, "too-late", old + good)
    before = requests_of(backend)
    code, out = push("too-late")
    after = requests_of(backend)
    assert code == 1
    place = backend.otlp_endpoint.removesuffix("/v1/metrics")
    assert out == (
        "✖ too-late  801 records sent, 201 left\n"
        f"    a refused record (metrics) is kept as a dead letter: {place}: HTTP 400: too old sample\n"
        "    when that is mended: synapse-otel push --dead-letters\n"
        "801 records of 1 run sent, 201 left\n"
    )
    ((series, samples),) = journaled.metrics(journal_dir).items()
    assert loss(backend, "too-late") == {series: samples[200:]}
    letters = [json.loads(line) for line in only_journal(run).dead_letters.read_text().splitlines()]
    assert sorted({letter["seq"] for letter in letters}) == list(range(201))  # the run's start, and 200 samples
    assert after["200"] - before["200"] < 20
    assert after["400"] < 2.1 * 201  # halving meets each refused record about twice
