"""The ways from one view of a run to another: metrics, logs, traces, and the other dashboard."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import queries
from grafana_foundation_sdk.builders.dashboard import DashboardLink

RUNS, RUN = "synapse-runs", "synapse-run"
"""The uids of the dashboards."""

SAME_SOURCES = "${prometheus:queryparam}&${loki:queryparam}&${tempo:queryparam}"


def run_url(job_id: str) -> str:
    """Return the address of the dashboard of a run; `job_id` is a variable of Grafana."""
    return f"/d/{RUN}?${{__url_time_range}}&{SAME_SOURCES}&var-job_id={job_id}"


def traces_url(job_id: str) -> str:
    """Return the address of the traces of a run in Explore."""
    query = {"queryType": "traceql", "tableType": "traces", "limit": 20}
    return _explore("tempo", query | {"query": queries.TRACES_OF_RUN.replace("$job_id", job_id)})


def logs_url(job_id: str) -> str:
    """Return the address of the log records of a run in Explore."""
    return _explore("loki", {"expr": f'{{service_name=~".+"}} | job_id="{job_id}"'})


def of_value() -> list[dict[str, object]]:
    """Return where a cell leads that holds a job_id."""
    # Grafana can encode a value for an address, but not for JSON in one as well: a job_id with a quote or a backslash
    # leads only to its dashboard.
    job_id = "${__value.text:percentencode}"
    urls = {"The run": run_url(job_id), "Its traces": traces_url(job_id), "Its logs": logs_url(job_id)}
    return [{"title": title, "url": url} for title, url in urls.items()]


def of_run() -> list[DashboardLink]:
    """Return where the charts of a run lead."""
    return [to_traces(), to_logs()]


def to_runs() -> DashboardLink:
    """Return the link to the dashboard of all runs."""
    return _shown("All runs", "apps", f"/d/{RUNS}?${{__url_time_range}}&{SAME_SOURCES}")


def to_traces() -> DashboardLink:
    """Return the link to the traces of the run."""
    return _shown("Traces", "gf-traces", traces_url("${job_id:percentencode}"))


def to_logs() -> DashboardLink:
    """Return the link to the log records of the run."""
    return _shown("Logs", "gf-logs", logs_url("${job_id:percentencode}"))


def _shown(title: str, icon: str, url: str) -> DashboardLink:
    # Without a placement a link is shown; the one that the builder begins with puts it into a menu.
    return DashboardLink(title).icon(icon).tooltip(title).url(url).placement(None)


def _explore(kind: str, query: dict[str, object]) -> str:
    """Return the address of Explore with one query; the variables in it are left to Grafana."""
    source = {"type": kind, "uid": f"${{{kind}}}"}
    pane = {
        "datasource": source["uid"],
        "queries": [{"refId": "A", "datasource": source} | query],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    parts = re.split(r"(\$\{[^}]+\})", json.dumps({"run": pane}, separators=(",", ":")))
    return "/explore?schemaVersion=1&panes=" + "".join(
        part if part.startswith("${") else quote(part, safe="") for part in parts
    )
