"""The alert rules on real runs: what they ask for has the names and labels that runs send.

What a bad end raises, and when, is in test_alerts_of_late_ends.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from backends.shown import SILENT_AFTER, Shown, values

RULES = Path(__file__).parents[3] / "collector-config" / "prometheus" / "alerts.yaml"
FIRING = {
    # The run that goes on has reported all its progress at its begin.
    "RunStalled": {("job.running",)},
    "instance:synapse_run_duration_seconds:bad_end": {("job.failed",), ("job.crashed",)},
    "RunSilent": {("job.silent",)},
    "TelemetryDelayed": set(),
    "TelemetryDropped": set(),
}


@pytest.mark.parametrize("name", FIRING)
def test_the_right_runs_raise_it(shown: Shown, name: str) -> None:
    """With windows as short as the runs of the tests, each rule finds the runs that it is about."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    for rule in (rule for rule in group["rules"] if name in (rule.get("alert"), rule.get("record"))):
        expr = re.sub(r"\b(2m|3m|15m)\b", f"{SILENT_AFTER}s", rule["expr"])
        assert set(values(shown.prometheus.query(expr, shown.moment), "job_id")) == FIRING[name]


def test_nothing_is_dropped_because_it_is_counted_as_none(shown: Shown) -> None:
    """The counts that the alert looks at are there, and they are zero."""
    for fate in ("dropped", "dead_lettered"):
        counts = shown.prometheus.query(f"last_over_time(synapse_otel_records_{fate}[5m])", shown.moment)
        assert set(values(counts, "job_id", "instance").values()) == {0}


def test_no_telemetry_is_delayed_because_its_lag_is_small(shown: Shown) -> None:
    """The lag that the alert looks at is there, for every process, and it is a matter of seconds."""
    lags = values(
        shown.prometheus.query("last_over_time(synapse_otel_delivery_lag_seconds[5m])", shown.moment), "instance"
    )
    told = {(process.instance,) for kind in shown.real.processes.values() for process in kind if process.deliveries}
    assert set(lags) == told
    assert 0 <= min(lags.values()) <= max(lags.values()) < 60
