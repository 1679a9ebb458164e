"""A `RunView` as the page shows it: plain values, most of them text, redacted, with control characters made visible."""

from __future__ import annotations

import shlex
from collections import Counter
from functools import partial
from typing import Any

from synapse_otel.cli import units
from synapse_otel.cli.html.charts import charts
from synapse_otel.cli.html.messages import messages
from synapse_otel.cli.html.spans import spans
from synapse_otel.cli.looks import STATUS
from synapse_otel.cli.strings import in_strings
from synapse_otel.cli.terminal import Terminal
from synapse_otel.cli.timeline import distinct_errors
from synapse_otel.cli.view import ProcessView, ProgressView, RunView
from synapse_otel.projection.progress import remaining
from synapse_otel.projection.redaction import Redactor

MOST_BARS = 1000
MOST_EXCEPTIONS = 10


def document(view: RunView, redactor: Redactor, now: int) -> dict[str, Any]:
    """Return what the template and the scripts of the page are given.

    Args:
        view: The run.
        redactor: Takes credentials out of it.
        now: The current time in nanoseconds.
    """
    text = in_strings(
        redactor.text,
        {
            "run": _run(view, now),
            "failure": _failure(view),
            "problems": _problems(view),
            "processes": _processes(view, now),
            "spans": spans(view),
            "progress": _progress(view),
            "delivery": _delivery(view),
        },
    )
    redacted = {**text, "charts": charts(view, redactor), "messages": messages(view, redactor)}
    shown: dict[str, Any] = in_strings(partial(Terminal().clean, lines=True), redacted)
    return shown


def _run(view: RunView, now: int) -> dict[str, Any]:
    running = view.ended is None
    facts = [("job", view.job_id), ("trace", view.trace_id), ("started", units.moment(view.started))]
    if view.action and view.action != view.name:
        facts.insert(0, ("action", view.action))
    if running:
        facts.append(("last record", f"{units.between(view.last, now)} ago"))
    else:
        facts.append(("ended", units.moment(view.end)))
    if len(view.processes) == 1:
        facts.append(("process", _process_name(view.processes[0])))
    return {
        "name": view.name,
        "status": view.status,
        "sign": STATUS.get(view.status, ("?", ""))[0],
        "took": units.between(view.started, now if running else view.end),
        "facts": facts,
        "made": units.moment(now),
        "zone": f"UTC{units.iso(view.started)[-6:]}",
    }


def _process_name(process: ProcessView) -> str:
    return f"{'worker ' if process.worker else ''}pid {process.pid} on {process.host}"


def _processes(view: RunView, now: int) -> list[dict[str, Any]]:
    pids = Counter(process.pid for process in view.processes)
    measured = {series.process for series in view.metrics}
    return [
        {
            "number": number,
            "name": _process_name(process),
            "short": f"pid {process.pid}" if pids[process.pid] == 1 else _process_name(process),
            "status": process.status,
            "sign": STATUS.get(process.status, ("?", ""))[0],
            "took": units.between(process.started, now if process.ended is None else process.ended),
            "records": units.count(process.records, "record"),
            "has_curves": process.journal_id in measured,
        }
        for number, process in enumerate(view.processes)
    ]


def _failure(view: RunView) -> dict[str, Any] | None:
    if view.status not in {"failed", "crashed", "cancelled"}:
        return None
    distinct = sorted(distinct_errors(view.exceptions), key=lambda found: found.t)
    last = units.clock(view.processes[0].last)
    silent = f"The process ended without a word at {last}, when its last record was written."
    return {
        "message": view.message or ("" if view.status != "crashed" else silent),
        "exceptions": [
            {"where": found.step or "", "at": units.clock(found.t), "stacktrace": found.stacktrace.rstrip()}
            for found in distinct[-MOST_EXCEPTIONS:]
        ],
        "hidden": len(distinct[:-MOST_EXCEPTIONS]),
    }


def _problems(view: RunView) -> list[str]:
    damaged = [
        f"{units.count(process.damaged, 'record')} of process {process.pid} could not be read"
        for process in view.processes
        if process.damaged
    ]
    removed = [
        f"{units.count(process.removed, 'earlier record')} of process {process.pid} went when they had been delivered"
        for process in view.processes
        if process.removed
    ]
    return [*view.problems, *damaged, *removed]


def _progress(view: RunView) -> dict[str, Any]:
    numbers = {process.journal_id: number for number, process in enumerate(view.processes)}
    shown = view.progress[-MOST_BARS:]
    return {
        "rows": [_bar(one, numbers[one.process], going_on=view.goes_on(one)) for one in shown],
        "hidden": len(view.progress) - len(shown),
    }


def _bar(one: ProgressView, process: int, *, going_on: bool) -> dict[str, Any]:
    left = remaining(one.current - one.first, one.last - one.started, one.total - one.current) if going_on else None
    return {
        "category": one.category,
        "process": process,
        "status": "running" if going_on else one.status,
        "percent": round(100 * min(1.0, one.current / one.total), 1) if one.total else 0.0,
        "amount": f"{units.number(one.current)} / {units.number(one.total)}",
        "took": units.between(one.started, one.last),
        "left": "" if left is None else f"{units.duration(left)} left",
    }


def _delivery(view: RunView) -> dict[str, str]:
    report = view.report
    if not any(process.sent for process in view.processes):
        state = f"{units.count(report.pending, 'record')} kept on the machine, nothing was sent"
    else:
        state = f"{report.delivered:,} of {units.count(report.accepted, 'record')} delivered"
        state += f", {report.pending:,} pending" if report.pending else ""
    job, is_over = shlex.quote(view.job_id), view.ended is not None
    return {
        "state": state,
        "lost": units.lost(report.dead_lettered, report.dropped),
        "push": f"synapse-otel push {job}" if report.pending and is_over else "",
        "retry": f"synapse-otel push --dead-letters {job}" if report.dead_lettered and is_over else "",
    }
