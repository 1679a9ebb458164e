"""The dashboard of all runs: every query is asked of a real Prometheus, and the answer is what the runs reported."""

from __future__ import annotations

from collections import Counter

from backends import grafana
from backends.real_runs import JOBS, KINDS, PROGRESS, STATES
from backends.shown import RUN, RUNS, Shown, curves, values


def test_every_query_is_answered_for_every_run(shown: Shown) -> None:
    """Each query of each panel has an answer for each kind of run, but for those that have nothing to say."""
    asked = [(title, target["refId"]) for title, target in grafana.targets(RUN, "prometheus")]
    silent = {(kind, *query) for kind in KINDS for query in asked if not shown.run(kind, *query)}
    assert silent == {
        *((kind, *query) for kind in KINDS if kind != "running" for query in (("ETA", "A"), ("Items", "C"))),
        *((kind, "$metric", "B") for kind in KINDS if kind not in ("completed", "running")),
    }
    for title, target in grafana.targets(RUNS, "prometheus"):
        assert shown.runs(title, target["refId"])


def test_the_choices_are_what_the_runs_have(shown: Shown) -> None:
    """The variables offer the services (once, whatever their namespaces), jobs, categories and metrics."""
    runs, run = shown.view(RUNS), shown.view(RUN, job_id="job.completed")
    jobs = sorted(f"job.{kind}" for kind in KINDS)
    categories = ["prepare", "train", "training", "validation"]
    assert {name: runs.options(name) for name in ("service", "job_id", "category")} == {
        "service": ["trainer"],
        "job_id": jobs,
        "category": categories,
    }
    assert {name: run.options(name) for name in ("job_id", "category", "metric")} == {
        "job_id": jobs,
        "category": categories,
        "metric": ["loss", "top-5 acc."],
    }


def test_all_runs_with_their_state_and_duration(shown: Shown) -> None:
    """The table of runs has one row per run, with its name, its state, and the duration that it has reported."""
    answer = shown.runs("Runs")
    labels = ("job", "job_id", "instance", "synapse_run_name", "synapse_run_status")
    found = values(answer, *labels)
    assert set(found) == {
        (JOBS[kind], f"job.{kind}", shown.instance(kind), f"{kind} run", state) for kind, state in STATES.items()
    }
    for (_, job_id, *_), duration in found.items():
        process = shown.real.processes[job_id.removeprefix("job.")][0]
        said = process.durations[-1:] if process.ended else process.durations
        assert duration in said or (job_id == "job.running" and duration > said[0])


def test_all_runs_with_their_progress(shown: Shown) -> None:
    """The progress of a run is that of its least finished category, also where only its workers report."""
    assert values(shown.runs("Runs", "B"), "job_id", "instance") == {
        (f"job.{kind}", shown.instance(kind)): ratio for kind, ratio in (PROGRESS | {"workers": 0.3}).items()
    }
    prepared = values(shown.runs("Runs", "B", category="prepare"), "job_id")
    assert prepared == {(f"job.{kind}",): 1 for kind in PROGRESS}


def test_only_runs_that_go_on_have_an_estimate(shown: Shown) -> None:
    """The estimate is there for the run that goes on, and is that of the category that it waits for."""
    (eta,) = values(shown.runs("Runs", "C"), "job_id", "instance").items()
    assert eta[0] == ("job.running", shown.instance("running"))
    # 6 of 10 items took a tenth of a second and what it takes to wake up, and 3 are left.
    assert 0.05 <= eta[1] < 2
    assert values(shown.run("running", "ETA")) == {(): eta[1]}


def test_runs_are_chosen_by_service_and_job(shown: Shown) -> None:
    """A choice of services or jobs leaves only those; a dot in a job_id is a dot, and several can be chosen."""
    chosen = ["job.failed", "job.silent"]
    assert values(shown.view(RUNS, job_id=chosen).show("Runs by state"), "synapse_run_status") == {
        ("failed",): 1,
        ("silent",): 1,
    }
    assert shown.runs("Runs by state", job_id="job?failed") == []
    assert shown.runs("Runs by state", service="another") == shown.runs("Runs by state", service="rainer") == []
    assert values(shown.runs("Runs by state", service="trainer"), "synapse_run_status") == {
        (state,): count for state, count in Counter(STATES.values()).items()
    }


def test_failures_over_time(shown: Shown) -> None:
    """Each run that failed or crashed is counted once, in the interval of its end."""
    for interval in (1000, 7000, 60_000):
        # Charts end at a whole step: this one at the one after the moment.
        view = grafana.View(shown.prometheus, RUNS, {}, shown.moment - 600, shown.moment + interval / 1000, interval)
        assert {name: sum(points) for name, points in curves(view.show("Failures"), "synapse_run_status").items()} == {
            ("failed",): 1,
            ("crashed",): 1,
        }
