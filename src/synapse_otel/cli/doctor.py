"""``synapse-otel doctor``: says precisely what keeps telemetry from arriving."""

from __future__ import annotations

import typer

from synapse_otel.cli.errors import FAILED


def doctor() -> None:
    """Check the settings, the journal directory and, with one real request per signal, the way to the collector.

    The way is walked step by step: name, connection, TLS, request; the first step that fails is named, with what to do
    about it. Exits with 0 when all is well or nothing is to be sent, 1 otherwise.
    """
    from synapse_otel.cli.check_agents import check_agents
    from synapse_otel.cli.check_journal import check_journal
    from synapse_otel.cli.check_settings import check_settings
    from synapse_otel.cli.check_signals import check_signals
    from synapse_otel.cli.findings import Findings
    from synapse_otel.cli.terminal import Terminal

    terminal = Terminal()
    findings = Findings(terminal)
    settings, redactor = check_settings(findings)
    terminal.redactor = redactor
    if settings is not None:
        check_journal(settings, findings)
        check_agents(settings, findings)
        check_signals(findings, settings.journal_dir)
    findings.conclude()
    if findings.failed:
        raise typer.Exit(FAILED)
