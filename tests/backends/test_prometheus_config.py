"""The configuration of Prometheus, as Prometheus reads it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from backends.prometheus import CONFIG, Prometheus, running_prometheus
from backends.servers import wait_for


@pytest.fixture(scope="module")
def running(prometheus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with running_prometheus(prometheus, tmp_path_factory.mktemp("prometheus")) as started:
        yield started


def test_the_configuration_is_valid(promtool: Path) -> None:
    """promtool finds nothing wrong in it, nor in the rules that it names."""
    command = [promtool, "check", "config", "--lint=all", "--lint-fatal", CONFIG]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_it_says_is_what_prometheus_does(running: Prometheus) -> None:
    """A running Prometheus has taken every setting, and keeps samples as long as the file says."""
    wanted, taken = yaml.safe_load(CONFIG.read_text()), yaml.safe_load(running.get("status/config")["yaml"])
    assert taken["otlp"].items() >= wanted["otlp"].items()
    assert taken["storage"]["tsdb"]["out_of_order_time_window"] == "1w"
    assert running.get("status/runtimeinfo")["storageRetention"] == "90d or 50GiB"
    assert [group["file"] for group in running.get("rules")["groups"]][:1] == [str(CONFIG.parent / "alerts.yaml")]


def test_nothing_is_scraped_until_somebody_says_what(running: Prometheus) -> None:
    """Without a file in targets/, the job of the older way has no target that would be reported as down."""
    wait_for(lambda: running.get("scrape_pools") == {"scrapePools": ["collector"]}, "the job is set up")
    assert running.get("targets")["activeTargets"] == []
