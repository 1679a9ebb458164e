"""The dashboard *Runs*: all runs, what became of them, and which fail."""

from __future__ import annotations

import cells
import links
import panels
import queries
import targets
import variables
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

SCOPE = queries.ALL_RUNS


def dashboard() -> Dashboard:
    """Return the dashboard."""
    board = (
        Dashboard("Synapse runs")
        .uid(links.RUNS)
        .description("All runs of Synapse plugins: their state, progress and last messages.")
        .tags(["synapse"])
        .time("now-24h", "now")
        .refresh("30s")
    )
    choices = [variables.service(), variables.jobs(), variables.category(SCOPE), variables.silent_after()]
    for variable in [*variables.data_sources(), *choices]:
        board.with_variable(variable)
    for panel in (_by_state().span(12).height(6), _failures().span(12).height(6), _runs().span(24).height(14)):
        board.with_panel(panel)
    return board.with_panel(_last_messages().span(24).height(10))


def _by_state() -> stat.Panel:
    about = "How many runs are in each state. Silent: no heartbeat, and no word that the run has ended."
    query = targets.instant(queries.runs_by_state(SCOPE), "{{synapse_run_status}}")
    return panels.states("Runs by state", about, "short").with_target(query)


def _failures() -> timeseries.Panel:
    about = "Runs that ended as failed or crashed, at the time of their end."
    query = targets.over_time(queries.failures(SCOPE), "{{synapse_run_status}}", least="1m")
    return panels.stacked("Failures", about, cells.STATES).with_target(query)


def _runs() -> table.Panel:
    about = (
        "One row per run, and per attempt of a job that is tried again, the newest first. Progress is that of the "
        "category that is furthest from its end; the duration of a run that goes on is as of its last heartbeat."
    )
    columns = {
        "synapse_run_status": "state",
        "job_id": "job",
        "synapse_run_name": "run",
        "Value #D": "started",
        "Value #B": "progress",
        "Value #C": "ETA",
        "Value #A": "duration",
        "service": "service",
        "instance": "instance",
    }
    own = f"{SCOPE}, {queries.NO_WORKERS}"
    state, started = queries.with_service(queries.state(own)), queries.started(own)
    return (
        panels.rows("Runs", about)
        .targets(targets.rows(state, queries.progress_of_runs(SCOPE), queries.eta_of_runs(SCOPE), started))
        .transformations([panels.joined(), *panels.only(columns)])
        .override_by_name("state", cells.state())
        .override_by_name("job", cells.linked(links.of_value()))
        .override_by_name("started", cells.moment())
        .override_by_name("progress", cells.progress())
        .override_by_name("ETA", cells.seconds())
        .override_by_name("duration", cells.seconds())
        .sort_by(panels.by("started"))
    )


def _last_messages() -> table.Panel:
    # LogQL has no limit per job: `topk` and `last_over_time` take numbers, not lines.
    about = (
        "The last message or event of each job, of the 5,000 latest of all: a job that has been quiet while others "
        "said more is not here, but on its own dashboard."
    )
    columns = {"job_id": "job", "Time (first)": "time", "severity_text (first)": "severity", "Line (first)": "message"}
    first = {"operation": "aggregate", "aggregations": ["first"]}
    by_job = {"job_id": {"operation": "groupby", "aggregations": []}}
    return (
        panels.rows("Last messages", about)
        .with_target(targets.log_records(queries.LAST_MESSAGES, 5000))
        .transformations(
            [
                DataTransformerConfig("extractFields", options={"source": "labels", "format": "json"}),
                # Loki gives the newest record first.
                DataTransformerConfig(
                    "groupBy",
                    options={"fields": by_job | dict.fromkeys(("Time", "severity_text", "Line"), first)},
                ),
                *panels.only(columns),
            ]
        )
        .override_by_name("job", [*cells.linked(links.of_value()), *cells.wide(260)])
        .override_by_name("time", cells.wide(180))
        .override_by_name("severity", cells.wide(110))
    )
