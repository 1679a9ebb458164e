"""``synapse-otel runs``: the runs on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from synapse_otel.cli.glance import RunGlance
    from synapse_otel.cli.terminal import Terminal

ROWS = 20


def runs(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, one object per run.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help=f"How many, 0 for all. By default {ROWS}, and all with --json.", show_default=False
        ),
    ] = None,
) -> None:
    """List the runs in the journal directory, the newest first.

    The columns: job; the run's name or action; status; when it started (local time); how long it took; the latest
    progress; records; what became of them: `kept` (never sent), `delivered`, `pending N`, `dead letters N` (refused
    by the collector), `dropped N` (by the quota).
    """
    from synapse_otel.cli import find
    from synapse_otel.cli.configuration import load_redactor, load_settings
    from synapse_otel.cli.glance import glance
    from synapse_otel.cli.terminal import Terminal
    from synapse_otel.journal import directory

    settings = load_settings()
    terminal = Terminal(load_redactor(settings))
    found = find.newest_first(directory.runs(settings.journal_dir))
    most = (0 if as_json else ROWS) if limit is None else limit
    glances = [glance(run) for run in found[: most or None]]
    if as_json:
        _print_json(glances, terminal)
    elif not found:
        terminal.line(f"no runs in {settings.journal_dir}", style="dim")
    else:
        _print_table(glances, terminal, len(found) - len(glances))


def _print_json(glances: list[RunGlance], terminal: Terminal) -> None:
    import json

    from synapse_otel.cli.show_json import portable
    from synapse_otel.cli.strings import in_strings

    rows = [_object(glance) for glance in glances]
    redacted = in_strings(terminal.redactor.text, rows) if terminal.redactor else rows
    typer.echo(json.dumps(portable(redacted), allow_nan=False, indent=2))


def _object(glance: RunGlance) -> dict[str, object]:
    from synapse_otel.cli import units

    first, progress = glance.first, glance.first.progress
    started = first.identity.started if first.identity else None
    return {
        "job_id": glance.job_id,
        "name": first.identity.name if first.identity else None,
        "action": first.action or None,
        "status": first.status or None,
        "started": None if started is None else units.iso(started),
        "duration_seconds": None if started is None else round((first.last - started) / units.SECOND, 6),
        "progress": progress and {"category": progress.category, "current": progress.current, "total": progress.total},
        "processes": len(glance.journals),
        "records": glance.records,
        "delivery": {
            "sent": glance.delivery.begun,
            "pending": glance.delivery.pending,
            "dead_letters": glance.delivery.dead_letters,
            "dropped": glance.delivery.dropped,
        },
        "directory": str(glance.path),
        "trace_id": first.identity.trace_id.hex() if first.identity else None,
        "problems": glance.problems,
    }


def _print_table(glances: list[RunGlance], terminal: Terminal, hidden: int) -> None:
    from rich.text import Text

    from synapse_otel.cli.terminal import columns

    now = time.time_ns()
    heads = ("job", "run", "status", "started", "took", "progress", "records", "delivery")
    rows = [[Text(head, "dim") for head in heads], *(_row(glance, terminal, now) for glance in glances)]
    width = terminal.width if terminal.out.is_terminal else 0
    for line in columns(rows, right=(4, 6), width=width, flexible=_widest(rows)):
        terminal.line(line)
    for glance in glances:
        for problem in glance.problems:
            terminal.line(f"⚠ {_shown(glance.path, terminal)}: {terminal.clean(problem)}", style="yellow")
    for lost in _lost(glances):
        terminal.line(lost, style="red")
    if hidden:
        terminal.line(f"… and {hidden:,} older: --limit 0", style="dim")


def _lost(glances: list[RunGlance]) -> Iterator[str]:
    from synapse_otel.cli import units
    from synapse_otel.cli.delivery_state import total

    known = total(glance.delivery for glance in glances)
    if known.dead_letters:
        yield f"✖ {units.count(known.dead_letters, 'dead letter')}, to send again: synapse-otel push --dead-letters"
    if known.dropped:
        yield f"✖ {units.count(known.dropped, 'record')} dropped, and why: synapse-otel doctor"


def _row(glance: RunGlance, terminal: Terminal, now: int) -> list[Text]:
    from rich.text import Text

    from synapse_otel.cli import units
    from synapse_otel.cli.looks import status_text
    from synapse_otel.cli.terminal import fitted

    first, delivery = glance.first, glance.delivery
    job = Text(fitted(terminal.clean(glance.job_id), 40))
    if first.identity is None:
        blank = Text("–", "dim")
        settled = Text(str(delivery)) if delivery.begun else blank
        return [job, blank, Text("⚠ unreadable", "yellow") if first.problem else blank, *[blank] * 4, settled]
    end = now if first.status == "running" else first.last
    lost = delivery.dead_letters or delivery.dropped
    return [
        job,
        Text(fitted(terminal.clean(_name(first.identity.name, first.action)), 40)),
        status_text(first.status),
        Text(units.moment(first.identity.started)),
        Text(units.between(first.identity.started, end)),
        Text(_progress(glance, terminal)),
        Text(f"{glance.records:,}"),
        Text(str(delivery), "red" if lost else "yellow" if delivery.begun and delivery.pending else "dim"),
    ]


def _name(name: str, action: str) -> str:
    from synapse_otel.projection.names import DEFAULT_RUN

    return action if action and name in {DEFAULT_RUN, action} else f"{name} ({action})" if action else name


def _progress(glance: RunGlance, terminal: Terminal) -> str:
    from synapse_otel.cli.terminal import fitted
    from synapse_otel.projection.progress import ratio

    progress = glance.first.progress
    if progress is None:
        return ""
    share = f"{100 * ratio(progress.current, progress.total):.0f} %"
    return f"{fitted(terminal.clean(progress.category), 20)} {'failed at ' if progress.failed else ''}{share}"


def _widest(rows: list[list[Text]]) -> int:
    """Return which of the two names gives way on a narrow terminal: the longer one."""
    job, name = (max(row[at].cell_len for row in rows) for at in (0, 1))
    return 0 if job >= name else 1


def _shown(path: Path, terminal: Terminal) -> str:
    return terminal.clean(path.name)
