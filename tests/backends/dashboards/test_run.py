"""The dashboard of one run, for runs of every kind: a real Prometheus answers what the run has reported."""

from __future__ import annotations

import math

import pytest

from backends import grafana
from backends.real_runs import KINDS, PROGRESS, STATES
from backends.shown import RUN, RUNS, SILENT_AFTER, Answer, Shown, curves, values


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_of_a_run(shown: Shown, kind: str) -> None:
    """A run's own dashboard shows the state, duration and progress that the table of all runs shows."""
    of_all = shown.view(RUNS, job_id=f"job.{kind}")
    for title, ref in {"State": "A", "Progress": "B"}.items():
        labels = ("instance", "synapse_run_status")
        assert values(shown.run(kind, title), *labels) == values(of_all.show("Runs", ref), *labels)


def test_how_long_ago_a_run_was_heard_of(shown: Shown) -> None:
    """It is a moment for a run that goes on, and more than is allowed for a silent one."""
    ago = {kind: values(shown.run(kind, "Last heartbeat"))[()] for kind in ("running", "silent")}
    assert 0 <= ago["running"] < SILENT_AFTER <= ago["silent"] < 200


def test_a_run_that_is_long_gone_has_still_been_heard_of(shown: Shown) -> None:
    """Minutes after Prometheus has stopped to show its series, the age of its last heartbeat is as exact as before."""
    board, own = RUN, {"job_id": "job.silent"}
    later = shown.moment + 1200
    (ago,) = values(grafana.View(shown.prometheus, board, own, later - 3600, later).show("Last heartbeat")).values()
    (before,) = values(shown.run("silent", "Last heartbeat")).values()
    assert ago == pytest.approx(before + 1200, abs=0.002)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "workers"])
def test_the_phases_of_a_run(shown: Shown, kind: str) -> None:
    """Each category has its share, its items done and its total, as last reported."""
    done = round(10 * PROGRESS[kind])
    assert values(shown.run(kind, "Phases"), "synapse_category") == {("prepare",): 1, ("train",): done / 10}
    assert values(shown.run(kind, "Items"), "synapse_category") == {("prepare",): 2, ("train",): done}
    assert values(shown.run(kind, "Items", "B"), "synapse_category") == {("prepare",): 2, ("train",): 10}
    over_time = curves(shown.run(kind, "Progress over time", interval=20), "synapse_category")
    assert set(over_time["prepare",]) == {1}
    assert [*dict.fromkeys(over_time["train",])] == [0.1, done / 10]


def test_the_estimate_of_a_phase(shown: Shown) -> None:
    """A category that is done needs no time, and one that is not what the run's estimate says."""
    (eta,) = values(shown.run("running", "ETA")).values()
    assert values(shown.run("running", "Items", "C"), "synapse_category") == {("prepare",): 0, ("train",): eta}


def test_workers_are_told_apart(shown: Shown) -> None:
    """What two workers report of one category are two bars, two lines and two rows, by rank."""
    assert values(shown.run("workers", "Phases"), "synapse_category", "synapse_rank") == {
        ("train", "0"): 0.3,
        ("train", "1"): 0.6,
    }
    assert values(shown.run("workers", "Values"), "synapse_metric_key", "synapse_category", "synapse_rank") == {
        ("loss", "training", "0"): 1.5,
        ("loss", "training", "1"): 2.5,
    }
    own, *workers = shown.real.processes["workers"]
    assert set(values(shown.run("workers", "Processes"), "instance", "synapse_worker", "synapse_rank")) == {
        (own.instance, "", ""),
        *((worker.instance, "true", str(rank)) for rank, worker in enumerate(workers)),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_processes_of_a_run(shown: Shown, kind: str) -> None:
    """Each process has its state, its process id, and a last heartbeat."""
    processes = shown.real.processes[kind]
    labels = ("instance", "synapse_run_status", "synapse_run_name")
    assert set(values(shown.run(kind, "Processes"), *labels)) == {
        (process.instance, STATES[kind], f"{kind} run") for process in processes
    }
    assert set(values(shown.run(kind, "Processes", "C"), "instance", "process_pid")) == {
        (process.instance, process.pid) for process in processes
    }
    instances = {(process.instance,) for process in processes}
    assert set(values(shown.run(kind, "Processes", "B"), "instance")) == instances


def test_every_sample_of_a_metric(shown: Shown) -> None:
    """In steps that are fine enough, a metric's chart has each sample, those that are no numbers marked."""
    answer = shown.run("completed", "$metric", interval=20, metric="loss")
    assert str(curves(answer, "synapse_category")) == str(
        {("training",): [1.0, 0.5, math.nan, 0.25], ("validation",): [0.5]}
    )
    marks = shown.run("completed", "$metric", "B", interval=20, metric="loss")
    assert curves(marks, "synapse_category") == {("training",): [1]}
    (not_a_number,) = [time for time, value in _points(answer, "training") if value == "NaN"]
    assert [time for time, _ in _points(marks, "training")] == [not_a_number]


def test_a_sample_that_is_no_number_is_not_hidden_by_later_ones(shown: Shown) -> None:
    """In coarse steps, a mark stands where NaN is not the last sample of the interval; infinity is marked too."""
    whole = grafana.View(
        shown.prometheus, RUN, {"job_id": "job.completed"}, shown.moment - 1e6, shown.moment + 1e3, 1_000_000
    )
    assert curves(whole.show("$metric"), "synapse_metric_key", "synapse_category")["loss", "training"][-1] == 0.25
    assert sum(curves(whole.show("$metric", "B"), "synapse_category")["training",]) >= 1
    assert curves(shown.run("running", "$metric", "B"), "synapse_category") == {("training",): [1]}


def test_the_values_of_metrics(shown: Shown) -> None:
    """Each metric has its last value and its range, under the key that the plugin gave, whatever is in it."""
    labels = ("synapse_metric_key", "synapse_category")
    last, least, greatest = (values(shown.run("completed", "Values", ref), *labels) for ref in "ABC")
    others = {("loss", "validation"): 0.5, ("top-5 acc.", "validation"): 0.875}
    assert last == {("loss", "training"): 0.25} | others
    assert least == {("loss", "training"): 0.25} | others
    assert greatest == {("loss", "training"): 1.0} | others
    one = shown.run("completed", "Values", metric="top-5 acc.")
    assert values(one, *labels) == {("top-5 acc.", "validation"): 0.875}
    one = shown.run("completed", "Values", category=["training"])
    assert values(one, *labels) == {("loss", "training"): 0.25}


@pytest.mark.parametrize("later", [0, 600])
@pytest.mark.parametrize("kind", ["completed", "failed", "cancelled", "workers"])
def test_the_health_of_the_telemetry(shown: Shown, kind: str, later: int) -> None:
    """What became of the records of a run is what its processes counted at their end, all together, however late."""
    at_end = [process.deliveries[-1] for process in shown.real.processes[kind]]
    fates = ("accepted", "delivered", "pending", "dropped", "dead_lettered")
    # Charts end at a whole step: this one at the one after the moment.
    moment = shown.moment + later + 5
    view = grafana.View(shown.prometheus, RUN, {"job_id": f"job.{kind}"}, moment - 900, moment, 5000)
    last = {one["metric"]["__name__"]: one["values"][-1] for one in view.show("Records")}
    assert last == {
        f"synapse_otel_records_{fate}": [moment // 5 * 5, str(sum(counts.get(fate, 0) for counts in at_end))]
        for fate in fates
    }
    assert float(last["synapse_otel_records_accepted"][1]) > 0


@pytest.mark.parametrize("kind", ["completed", "workers"])
def test_the_lag_and_the_size_of_the_journals(shown: Shown, kind: str) -> None:
    """Each process has the size of its journal as it was at its end, and the lag that it had then."""
    processes = shown.real.processes[kind]
    last = {process.instance: process.deliveries[-1] for process in processes}
    sizes, lags = (curves(shown.run(kind, title), "instance") for title in ("Journal", "Delivery lag"))
    assert {instance: points[-1] for (instance,), points in sizes.items()} == {
        instance: told["size"] for instance, told in last.items()
    }
    assert {instance: points[-1] > 0 for (instance,), points in lags.items()} == {
        instance: told["oldest"] > 0 for instance, told in last.items()
    }


def _points(answer: Answer, category: str) -> list[tuple[float, str]]:
    (found,) = [one["values"] for one in answer if one["metric"]["synapse_category"] == category]
    return [(time, value) for time, value in found]
