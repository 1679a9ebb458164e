"""Runs and processes side by side in a real Prometheus: nobody's samples are another's."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from backends import journaled
from backends.prometheus import Prometheus
from backends.servers import wait_for
from synapse_otel import RuntimeContext

WORKERS = """
    import multiprocessing, sys, time
    from synapse_otel import RuntimeContext

    def work(ctx, number):
        for step in range(1, 6):
            ctx.set_progress(step, 5 * number, "batches")
            ctx.set_metrics({"loss": number + step / 10}, "training")
            time.sleep(0.06)  # progress is kept every 50 ms

    if __name__ == "__main__":
        with RuntimeContext.open(sys.argv[1], "train") as ctx:
            method = multiprocessing.get_context(sys.argv[2])
            children = [method.Process(target=work, args=(ctx, number)) for number in (1, 2)]
            for child in children:
                child.start()
            work(ctx, 3)
            for child in children:
                child.join()
                assert child.exitcode == 0
"""


def the_progress(prometheus: Prometheus, jobs: str) -> journaled.Curves:
    return journaled.stored(prometheus, f'synapse_progress_current{{job_id=~"{jobs}"}}', "synapse_category")


def the_metrics(prometheus: Prometheus, jobs: str) -> journaled.Curves:
    selector = f'synapse_metric_loss{{job_id=~"{jobs}"}}'
    return journaled.stored(prometheus, selector, "synapse_category", "synapse_metric_key")


def test_two_runs_at_once_do_not_mix(prometheus_backend: Prometheus, journal_dir: Path) -> None:
    """Two runs of one service that report the same categories at the same time have each their own series."""

    def run(job: str, total: int) -> None:
        with RuntimeContext.open(job, "train") as ctx:
            for step in range(1, 6):
                ctx.set_progress(step, total, "epochs")
                ctx.set_metrics({"loss": total + step / 10}, "training")
                time.sleep(0.06)
            assert ctx.flush(10)

    threads = [threading.Thread(target=run, args=(f"run-{total}", total)) for total in (10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress = the_progress(prometheus_backend, "run-.+")
    assert progress == journaled.progress(journal_dir)
    assert {series[0]: len(samples) for series, samples in progress.items()} == {"run-10": 5, "run-20": 5}
    assert the_metrics(prometheus_backend, "run-.+") == journaled.metrics(journal_dir)
    totals = prometheus_backend.query('synapse_progress_total{job_id=~"run-.+"}', time.time() + 1)
    assert {found["metric"]["job_id"]: found["value"][1] for found in totals} == {"run-10": "10", "run-20": "20"}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_one_run_do_not_mix(
    prometheus_backend: Prometheus, journal_dir: Path, tmp_path: Path, method: str
) -> None:
    """A run and its two worker processes that report the same categories have one job and three instances."""
    program = tmp_path / "workers.py"
    program.write_text(textwrap.dedent(WORKERS))
    job = f"by-{method}"
    subprocess.run([sys.executable, str(program), job, method], check=True, timeout=60)
    expected = journaled.progress(journal_dir)
    wait_for(lambda: the_progress(prometheus_backend, job) == expected, "the progress of all processes")
    assert [len(samples) for samples in expected.values()] == [5, 5, 5]
    assert {series[0] for series in expected} == {job}
    assert the_metrics(prometheus_backend, job) == journaled.metrics(journal_dir)
    lowest = prometheus_backend.query(f'min_over_time(synapse_metric_loss{{job_id="{job}"}}[1m])', time.time() + 1)
    assert sorted(float(found["value"][1]) for found in lowest) == [1.1, 2.1, 3.1]
    alive = prometheus_backend.query(f'last_over_time(synapse_run_active{{job_id="{job}"}}[5m])', time.time() + 1)
    assert sorted((found["metric"].get("synapse_worker", ""), found["value"][1]) for found in alive) == [
        ("", "0"),
        ("true", "0"),
        ("true", "0"),
    ]
