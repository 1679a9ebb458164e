"""The panels of the dashboard *Run* with what the run sends: metrics, messages, traces, and how that goes."""

from __future__ import annotations

import cells
import links
import panels
import queries
import targets
from grafana_foundation_sdk.builders import logs, stat, table, timeseries
from grafana_foundation_sdk.models.common import BigValueGraphMode, BigValueTextMode
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig


def values() -> table.Panel:
    """Return the table of metrics."""
    about = "The last value of each metric, and the range of its values; NaN counts as the last, but not in the range."
    columns = {
        "synapse_metric_key": "metric",
        "synapse_category": "category",
        "synapse_rank": "rank",
        "Value #A": "last",
        "Value #B": "least",
        "Value #C": "greatest",
        "instance": "instance",
    }
    last, greatest = (queries.metrics(f"{name}_over_time") for name in ("last", "max"))
    least = queries.metrics("min_over_time", reduce="min")
    return (
        panels.rows("Values", about)
        .targets(targets.rows(last, least, greatest))
        .transformations([panels.joined(), *panels.only(columns)])
    )


def metric() -> timeseries.Panel:
    """Return the chart of a metric, repeated for each that is chosen."""
    about = (
        "Every sample where the time range is short enough, else the last one of each interval. A red dot on the upper "
        "edge: a sample in this interval is NaN or infinite."
    )
    return (
        panels.lines("$metric", about, "short")
        .targets(
            [
                targets.over_time(queries.metrics("last_over_time", "$__interval"), targets.CATEGORY, least="10ms"),
                targets.over_time(queries.not_finite(), f"{targets.CATEGORY} not finite", "B", least="10ms"),
            ]
        )
        .override_by_query("B", cells.marks())
        .data_links(links.of_run())
        .repeat("metric")
        .repeat_direction("h")
        .max_per_row(3)
    )


def severities() -> timeseries.Panel:
    """Return the chart of log records by severity."""
    about = "How many messages, events and developer's events there are of each severity."
    query = targets.log_counts(queries.LOGS_BY_SEVERITY, "{{severity_text}}")
    return panels.stacked("Messages by severity", about, cells.SEVERITIES).with_target(query)


def messages() -> logs.Panel:
    """Return the log records."""
    about = "What the run has said. The details of a record lead to its trace."
    return panels.log_records("Messages", about).with_target(targets.log_records(queries.LOGS_OF_RUN, 1000))


def traces() -> table.Panel:
    """Return the traces."""
    about = "The traces of the run; the trace id opens the waterfall. A run that goes on has finished parts in it."
    return panels.rows("Traces", about).with_target(targets.traces(queries.TRACES_OF_RUN))


def records() -> stat.Panel:
    """Return what became of the records of the run."""
    about = (
        "What became of the records of all processes: accepted by a call, delivered, pending in the journal, dropped "
        "for lack of space, refused by the receiver (dead-lettered). As of the last heartbeat of each process, or of "
        "its end if it told, when its very last records were still pending."
    )
    query = targets.over_time(queries.records(), "{{__name__}}")
    short = DataTransformerConfig(
        "renameByRegex", options={"regex": "synapse_otel_records_(.+)", "renamePattern": "$1"}
    )
    return (
        panels.number("Records", about, "short")
        .graph_mode(BigValueGraphMode.AREA)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .with_target(query)
        .transformations([short])
    )


def lag() -> timeseries.Panel:
    """Return the chart of how far the delivery is behind."""
    about = (
        "The age of the oldest record that a process has not delivered yet, of the signal that is furthest behind. It "
        "grows while a signal is not taken: the journal keeps everything until it is."
    )
    query = targets.over_time(queries.of_telemetry("synapse_otel_delivery_lag_seconds"), "{{instance}}")
    return panels.lines("Delivery lag", about, "s").min(0).with_target(query)


def journal() -> timeseries.Panel:
    """Return the chart of what the journals take."""
    about = (
        "The bytes that the journal of each process takes on its disk; SYNAPSE_OTEL_QUOTA_BYTES bounds all together."
    )
    query = targets.over_time(queries.of_telemetry("synapse_otel_journal_size_bytes"), "{{instance}}")
    return panels.lines("Journal", about, "bytes").min(0).with_target(query)


def processes() -> table.Panel:
    """Return the processes of the run."""
    about = "The processes of the run, its workers too: their state, where they run, and when they were last heard of."
    columns = {
        "synapse_run_status": "state",
        "synapse_run_name": "run",
        "synapse_worker": "worker",
        "synapse_rank": "rank",
        "Value #A": "duration",
        "Value #B": "last heartbeat",
        "host_name": "host",
        "process_pid": "pid",
        "instance": "instance",
    }
    exprs = [of_processes(queries.ONE_RUN) for of_processes in (queries.state, queries.since_heartbeat, queries.where)]
    return (
        panels.rows("Processes", about)
        .targets(targets.rows(*exprs))
        .transformations([panels.joined(), *panels.only(columns)])
        .override_by_name("state", cells.state())
        .override_by_name("duration", cells.seconds())
        .override_by_name("last heartbeat", cells.seconds())
    )
