"""The names and labels that a real Prometheus gives to what synapse-otel sends."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from backends.journaled import NAME
from backends.prometheus import Labels, Prometheus
from synapse_otel import RuntimeContext

METRIC_NAMES = {
    "loss": "synapse_metric_loss",
    "Loss": "synapse_metric_Loss",
    "val/acc@5": "synapse_metric_val_acc_5",
    "val_acc 5": "synapse_metric_val_acc_5",
    "val__acc_": "synapse_metric_val_acc",
    "lr.group-0": "synapse_metric_lr_group_0",
    "5": "synapse_metric_5",
    "p95 (ms)": "synapse_metric_p95_ms",
    "errors_total": "synapse_metric_errors_total",
    "win_ratio": "synapse_metric_win_ratio",
    "정확도": "synapse_metric",
    "손실": "synapse_metric",
    "%": "synapse_metric",
    'quoted "\\key"': "synapse_metric_quoted_key",
}
"""What becomes of a key; the label synapse_metric_key has it as it was given, and keeps two of one name apart."""

RUN = {"synapse_run_name": "train"}
EPOCHS = {"synapse_category": "epochs"}
SERIES: list[Labels] = [
    {NAME: "synapse_run_active"},
    {NAME: "synapse_run_duration_seconds", "synapse_run_status": "running", **RUN},
    {NAME: "synapse_run_duration_seconds", "synapse_run_status": "completed", **RUN},
    {NAME: "synapse_progress_current", **EPOCHS},
    {NAME: "synapse_progress_total", **EPOCHS},
    {NAME: "synapse_progress_ratio", **EPOCHS},
    {NAME: "synapse_progress_eta_seconds", **EPOCHS},
    {NAME: "synapse_metric_loss", "synapse_category": "training", "synapse_metric_key": "loss"},
    {NAME: "synapse_otel_records_accepted"},
    {NAME: "synapse_otel_records_delivered"},
    {NAME: "synapse_otel_records_pending"},
    {NAME: "synapse_otel_records_dropped"},
    {NAME: "synapse_otel_records_dead_lettered"},
    {NAME: "synapse_otel_delivery_lag_seconds"},
    {NAME: "synapse_otel_journal_size_bytes"},
]
"""What a run has, besides the labels that all of its series have."""


def series_of(prometheus: Prometheus, job: str) -> list[Labels]:
    """Return the labels of every series of a job, in order."""
    found = prometheus.get("series", **{"match[]": f'{{job_id="{job}"}}', "start": time.time() - 600})
    return sorted(found, key=lambda labels: sorted(labels.items()))


def report_all(job: str) -> None:
    with RuntimeContext.open(job, "train") as ctx:
        ctx.set_progress(1, 3, "epochs")
        time.sleep(0.06)  # an estimate takes two reports, and one is kept every 50 ms
        ctx.set_progress(2, 3, "epochs")
        ctx.set_metrics({"loss": 0.5}, "training")


def test_the_series_of_a_run(prometheus_backend: Prometheus) -> None:
    """A run has the documented series, with the documented labels and no others."""
    report_all("named")
    every, info = [], []
    for labels in series_of(prometheus_backend, "named"):
        (info if labels[NAME] == "target_info" else every).append(labels)
    (instance,) = {labels["instance"] for labels in every}
    common = {
        "job": "synapse/synapse-plugin",
        "instance": instance,
        "job_id": "named",
        "service_name": "synapse-plugin",
        "service_version": "unknown",
        "host_name": socket.gethostname(),
    }
    assert every == sorted(({**common, **own} for own in SERIES), key=lambda labels: sorted(labels.items()))
    sdk = {f"telemetry_{of}_{what}" for of in ("sdk", "distro") for what in ("name", "version")}
    assert [set(labels) - set(common) for labels in info] == [{NAME, "process_pid", "telemetry_sdk_language", *sdk}]


def test_the_readme_has_the_names() -> None:
    """Every name and label that Prometheus shows stands in the README."""
    text = (Path(__file__).parents[2] / "README.md").read_text()
    names = {name for series in SERIES for name in (series[NAME], *series) if name.startswith("synapse")}
    assert {name for name in names - {"synapse_metric_loss"} if f"`{name}`" not in text} == set()


def test_what_a_process_is_becomes_labels(prometheus_backend: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank, trial, plugin, its release and the environment that it is deployed in are labels of every series."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "trainer")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,service.version=1.2")
    monkeypatch.setenv("SYNAPSE_TRIAL_ID", "trial-7")
    monkeypatch.setenv("SYNAPSE_PLUGIN_RELEASE_CODE", "detector@3.1")
    monkeypatch.setenv("RANK", "3")
    report_all("promoted")
    expected = {
        "job": "synapse/trainer",
        "service_name": "trainer",
        "service_version": "1.2",
        "deployment_environment_name": "staging",
        "synapse_trial_id": "trial-7",
        "synapse_plugin_code": "detector",
        "synapse_plugin_version": "3.1",
        "synapse_rank": "3",
    }
    every = [labels for labels in series_of(prometheus_backend, "promoted") if labels[NAME] != "target_info"]
    assert len(every) == len(SERIES)
    assert [{name: labels.get(name) for name in expected} for labels in every] == [expected] * len(every)


def test_the_name_of_a_metric(prometheus_backend: Prometheus) -> None:
    """A key of any characters becomes a valid name; a label has it as it was given, so that no two keys mix."""
    with RuntimeContext.open("keys") as ctx:
        for value, key in enumerate(METRIC_NAMES):
            ctx.set_metrics({key: value}, "validation / top")
    found = prometheus_backend.query('{job_id="keys",synapse_category="validation / top"}', time.time() + 1)
    assert {one["metric"]["synapse_metric_key"]: one["metric"][NAME] for one in found} == METRIC_NAMES
    values = {one["metric"]["synapse_metric_key"]: one["value"][1] for one in found}
    assert values == {key: str(value) for value, key in enumerate(METRIC_NAMES)}
