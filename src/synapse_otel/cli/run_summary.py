"""The end of ``synapse-otel run``: what became of the run, its result, and where its telemetry is."""

from __future__ import annotations

import json
import shlex
from typing import Any

from rich.text import Text

from synapse_otel.cli import units
from synapse_otel.cli.looks import status_text
from synapse_otel.cli.show_json import portable
from synapse_otel.cli.terminal import Terminal, columns, fitted
from synapse_otel.export.plan import ShippingPlan
from synapse_otel.models import DeliveryReport
from synapse_otel.otel_logger import OTelLogger
from synapse_otel.values import DEFAULT_LIMITS, plain, text

_LONGEST_RESULT = 2000


def show(terminal: Terminal, logger: OTelLogger, plan: ShippingPlan, result: object, took: float) -> None:
    """Print the summary.

    Args:
        terminal: Where to.
        logger: The run's logger, which is finished.
        plan: Where the run was sent.
        result: What the action returned; None is not shown.
        took: How long it ran, in seconds.
    """
    terminal.line()
    terminal.line(status_text(logger.status.value), Text(f" in {units.duration(took)}"))
    rows = []
    if logger.failure is not None:
        rows.append(("error", Text(terminal.clean(reason(logger.failure)), "red")))
    if result is not None:
        rows.append(("result", Text(compact(terminal, result))))
    job = shlex.quote(terminal.clean(logger.job_id or ""))
    rows += [("telemetry", line) for line in _telemetry(terminal, logger, plan, job)]
    names = [name if at == 0 or rows[at - 1][0] != name else "" for at, (name, _) in enumerate(rows)]
    for line in columns([[Text(f"  {name}", "dim"), row[1]] for name, row in zip(names, rows, strict=True)]):
        terminal.line(line)


def reason(error: BaseException) -> str:
    """Return in one line why a run did not complete."""
    if isinstance(error, SystemExit):
        return f"exit status {error.code}"
    said = " ".join(text(error).split())
    return fitted(f"{type(error).__name__}: {said}" if said else type(error).__name__, _LONGEST_RESULT)


def compact(terminal: Terminal, result: object) -> str:
    """Return a result as JSON on one line, without secrets."""
    values: Any = plain(result, DEFAULT_LIMITS)
    redacted = terminal.redactor.value(values) if terminal.redactor else values
    if isinstance(redacted, str):
        return fitted(terminal.clean(redacted), _LONGEST_RESULT)
    return fitted(terminal.clean(json.dumps(portable(redacted), ensure_ascii=False)), _LONGEST_RESULT)


def _telemetry(terminal: Terminal, logger: OTelLogger, plan: ShippingPlan, job: str) -> list[Text]:
    from synapse_otel.export.settings import sdk_disabled

    if sdk_disabled():
        return [Text("off: OTEL_SDK_DISABLED is true")]
    kept, report = logger.journal is not None, logger.report()
    if not plan.sends:
        return [Text(f"kept in the journal: synapse-otel show {job}") if kept else _gone(report)]
    sent = f"{report.delivered:,} of {units.count(report.accepted, 'record')} sent to {_endpoints(plan)}"
    lines = [Text(terminal.clean(sent))]
    if report.pending:
        push = Text(f"{report.pending:,} kept, to be sent later: synapse-otel push {job}", "yellow")
        lines.append(push if kept else _gone(report))
    lines += [Text(lost, "red") for lost in _lost(report, job)]
    if plan.keep and kept:
        lines.append(Text(f"to see it: synapse-otel show {job}", "dim"))
    return lines


def _gone(report: DeliveryReport) -> Text:
    found = units.count(report.pending + report.dropped, "record")
    return Text(f"{found} not kept: the journal could not be written, see synapse-otel doctor", "yellow")


def _lost(report: DeliveryReport, job: str) -> list[str]:
    refused = f"{units.lost(report.dead_lettered, 0)}: synapse-otel push --dead-letters {job}"
    refused = refused if report.dead_lettered else ""
    dropped = f"{report.dropped:,} dropped for lack of space" if report.dropped else ""
    return [line for line in (refused, dropped) if line]


def _endpoints(plan: ShippingPlan) -> str:
    """Return where signals go, each place once, without the path that belongs to a signal."""
    places: dict[str, None] = {}
    for settings in plan.signals.values():
        if settings.exporter == "console":
            places["the console"] = None
        elif settings.exporter == "otlp":
            places[settings.endpoint.removesuffix(f"/v1/{settings.signal}")] = None
    return ", ".join(places)
