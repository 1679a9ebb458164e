"""The tables that join several queries, as Grafana joins them: a real Prometheus answers, and every row is whole."""

from __future__ import annotations

import math
import socket

import pytest

from backends import grafana
from backends.grafana_tables import Row, rows
from backends.real_runs import KINDS, PROGRESS, STATES
from backends.shown import RUN, RUNS, Shown, values

TABLES = {"Runs", "Items", "Values", "Processes"}


def of_run(shown: Shown, kind: str, title: str, *order: str) -> list[Row]:
    """Return the rows of a table of one run, ordered by some of their columns."""
    found = rows(shown.view(RUN, job_id=f"job.{kind}"), title)
    return sorted(found, key=lambda row: [row[column] for column in order])


def test_these_are_all_tables_that_join() -> None:
    """No other panel of the dashboards joins queries."""
    panels = [panel for board in (RUNS, RUN) for panel in board["panels"]]
    joining = {panel["title"] for panel in panels if "'merge'" in str(panel.get("transformations"))}
    assert joining == TABLES


def test_runs(shown: Shown) -> None:
    """There is a row for each run, with what it is, when it began, how far it is, and the service by its name."""
    found = {row["job"]: row for row in rows(shown.view(RUNS), "Runs")}
    assert len(found) == len(rows(shown.view(RUNS), "Runs")) == len(KINDS)
    (eta,) = values(shown.runs("Runs", "C")).values()
    for kind, state in STATES.items():
        process = shown.real.processes[kind][0]
        row = found[f"job.{kind}"]
        assert row == {
            "state": state,
            "job": f"job.{kind}",
            "run": f"{kind} run",
            "started": pytest.approx(process.started / 1e6, abs=2),
            "progress": (PROGRESS | {"workers": 0.3})[kind],
            "ETA": eta if kind == "running" else None,
            "duration": row["duration"] if kind == "running" else pytest.approx(process.durations[-1]),
            "service": "trainer",
            "instance": process.instance,
        }


def test_runs_of_long_ago(shown: Shown) -> None:
    """When Prometheus has long stopped to show their series, runs are known to have begun when they did."""
    later = shown.moment + 3600
    view = grafana.View(shown.prometheus, RUNS, {}, later - 7200, later)
    assert {row["job"]: row["started"] for row in rows(view, "Runs")} == {
        f"job.{kind}": pytest.approx(shown.real.processes[kind][0].started / 1e6, abs=2) for kind in KINDS
    }


def test_the_newest_run_comes_first() -> None:
    """The table of runs is sorted by the time of their begin, which is shown as a time."""
    (panel,) = [panel for panel in RUNS["panels"] if panel["title"] == "Runs"]
    assert panel["options"]["sortBy"] == [{"displayName": "started", "desc": True}]
    (shown_as,) = [one for one in panel["fieldConfig"]["overrides"] if one["matcher"]["options"] == "started"]
    assert {"id": "unit", "value": "dateTimeAsIso"} in shown_as["properties"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "workers"])
def test_items(shown: Shown, kind: str) -> None:
    """There is a row for each category, with the items done, their total, and the time for the rest."""
    instance, done = shown.instance(kind), round(10 * PROGRESS[kind])
    etas = values(shown.run(kind, "Items", "C"), "synapse_category")
    assert of_run(shown, kind, "Items", "category") == [
        {"category": "prepare", "done": 2, "total": 2, "ETA": etas.get(("prepare",)), "instance": instance},
        {"category": "train", "done": done, "total": 10, "ETA": etas.get(("train",)), "instance": instance},
    ]


def test_values(shown: Shown) -> None:
    """There is a row for each metric of each category, with its last value and its range."""
    instance = {"instance": shown.instance("completed")}
    assert of_run(shown, "completed", "Values", "metric", "category") == [
        {"metric": "loss", "category": "training", "last": 0.25, "least": 0.25, "greatest": 1} | instance,
        {"metric": "loss", "category": "validation", "last": 0.5, "least": 0.5, "greatest": 0.5} | instance,
        {"metric": "top-5 acc.", "category": "validation", "last": 0.875, "least": 0.875, "greatest": 0.875} | instance,
    ]
    training = of_run(shown, "running", "Values", "metric", "category")[0]
    assert (training["last"], training["least"], training["greatest"]) == (math.inf, 0.5, math.inf)


def test_tables_of_workers(shown: Shown) -> None:
    """Each worker has rows of its own, with its rank."""
    _, *workers = shown.real.processes["workers"]
    whose = [{"rank": str(rank), "instance": worker.instance} for rank, worker in enumerate(workers)]
    assert of_run(shown, "workers", "Items", "rank") == [
        {"category": "train", "done": 3, "total": 10, "ETA": None} | whose[0],
        {"category": "train", "done": 6, "total": 10, "ETA": None} | whose[1],
    ]
    assert of_run(shown, "workers", "Values", "rank") == [
        {"metric": "loss", "category": "training", "last": 1.5, "least": 1.5, "greatest": 1.5} | whose[0],
        {"metric": "loss", "category": "training", "last": 2.5, "least": 2.5, "greatest": 2.5} | whose[1],
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_processes(shown: Shown, kind: str) -> None:
    """There is a row for each process, with its state, where it runs, and when it was heard of."""
    own, *workers = shown.real.processes[kind]
    whose = [(own, {"worker": "", "rank": ""} if workers else {})]
    whose += [(worker, {"worker": "true", "rank": str(rank)}) for rank, worker in enumerate(workers)]
    wanted = [
        {"state": STATES[kind], "run": f"{kind} run", "host": socket.gethostname(), "pid": process.pid}
        | {"instance": process.instance, "last heartbeat": pytest.approx(100, abs=100)}
        | {"duration": pytest.approx(process.durations[-1], abs=60 if kind == "running" else 0.001)}
        | labels
        for process, labels in sorted(whose, key=lambda one: one[0].instance)
    ]
    assert of_run(shown, kind, "Processes", "instance") == wanted
