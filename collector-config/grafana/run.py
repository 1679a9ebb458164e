"""The dashboard *Run*: one run, from its progress to the health of its telemetry."""

from __future__ import annotations

import cells
import links
import panels
import queries
import run_signals
import targets
import variables
from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync

SCOPE = queries.ONE_RUN
OWN = f"{SCOPE}, {queries.NO_WORKERS}"


def dashboard() -> Dashboard:
    """Return the dashboard."""
    board = (
        Dashboard("Synapse run")
        .uid(links.RUN)
        .description("One run of a Synapse plugin: progress, metrics, messages, traces, and its telemetry's health.")
        .tags(["synapse"])
        .time("now-6h", "now")
        .refresh("10s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .links([links.to_runs(), links.to_traces(), links.to_logs()])
    )
    choices = [variables.service(), variables.job(), variables.category(SCOPE), variables.metric()]
    for variable in [*variables.data_sources(), *choices, variables.severity(), variables.silent_after()]:
        board.with_variable(variable)
    for title, group in _groups().items():
        board.with_row(Row(title))
        for panel in group:
            board.with_panel(panel)
    return board


def _groups() -> dict[str, list]:
    return {
        "$job_id": [
            _state().span(8).height(5),
            _progress().span(6).height(5),
            _eta().span(5).height(5),
            _heartbeat().span(5).height(5),
        ],
        "Progress": [
            _phases().span(8).height(9),
            _progress_over_time().span(16).height(9),
            _items().span(24).height(7),
        ],
        "Metrics": [run_signals.values().span(24).height(8), run_signals.metric().span(24).height(9)],
        "Messages": [run_signals.severities().span(24).height(6), run_signals.messages().span(24).height(13)],
        "Traces": [run_signals.traces().span(24).height(8)],
        "Telemetry": [
            run_signals.records().span(24).height(6),
            run_signals.lag().span(12).height(7),
            run_signals.journal().span(12).height(7),
            run_signals.processes().span(24).height(8),
        ],
    }


def _state() -> stat.Panel:
    about = "The state of the run and its duration; of each attempt where the job was tried again."
    return panels.states("State", about, "s").with_target(targets.instant(queries.state(OWN), "{{synapse_run_status}}"))


def _progress() -> stat.Panel:
    about = "The progress of the category that is furthest from its end."
    query = targets.instant(queries.progress_of_runs(SCOPE), "progress")
    return _value("Progress", about, "percentunit").with_target(query)


def _eta() -> stat.Panel:
    about = "The time that the slowest category still needs at its rate so far, while the run goes on."
    return _value("ETA", about, "s").with_target(targets.instant(queries.eta_of_runs(SCOPE), "ETA"))


def _heartbeat() -> stat.Panel:
    about = "The time since the run was last heard of, or since it ended."
    return _value("Last heartbeat", about, "s").with_target(targets.instant(queries.since_heartbeat(OWN), "ago"))


def _value(title: str, about: str, unit: str) -> stat.Panel:
    return panels.number(title, about, unit).text_mode(BigValueTextMode.VALUE)


def _phases() -> bargauge.Panel:
    about = "How far each category is, with the rank of the worker that reports it."
    return panels.bars("Phases", about).with_target(
        targets.instant(queries.of_phases("synapse_progress_ratio"), targets.CATEGORY)
    )


def _progress_over_time() -> timeseries.Panel:
    about = "How far each category was, at each report and each heartbeat."
    query = targets.over_time(queries.of_phases("synapse_progress_ratio", "$__interval"), targets.CATEGORY)
    panel = panels.lines("Progress over time", about, "percentunit").min(0).max(1).data_links(links.of_run())
    return panel.with_target(query)


def _items() -> table.Panel:
    about = "How many items of each category are done, how many there are, and the time that the rest needs."
    columns = {
        "synapse_category": "category",
        "synapse_rank": "rank",
        "Value #A": "done",
        "Value #B": "total",
        "Value #C": "ETA",
        "instance": "instance",
    }
    done, total = (queries.of_phases(f"synapse_progress_{name}") for name in ("current", "total"))
    eta = queries.of_phases("synapse_progress_eta_seconds", "$silent_after")
    return (
        panels.rows("Items", about)
        .targets(targets.rows(done, total, eta))
        .transformations([panels.joined(), *panels.only(columns)])
        .override_by_name("ETA", cells.seconds())
    )
