"""``synapse-otel push``: send what is undelivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from synapse_otel.cli.errors import FAILED, INTERRUPTED, CliError

if TYPE_CHECKING:
    from pathlib import Path

    from synapse_otel.cli.pushing import Pushed
    from synapse_otel.cli.terminal import Terminal
    from synapse_otel.export.plan import ShippingPlan
    from synapse_otel.export.settings import TelemetrySettings

PATIENCE = 30.0


def push(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Job ids, beginnings of one, directory names or trace ids; by default all runs.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="How long to wait, all in all, for a collector that does not take anything."
        ),
    ] = PATIENCE,
    dead_letters: Annotated[
        bool,
        typer.Option(
            "--dead-letters",
            help="Instead send again, as it was, what the collector refused for good; what it takes goes.",
        ),
    ] = False,
) -> None:
    """Send what is undelivered: runs that were kept, interrupted, or crashed.

    A run that crashed is closed as such first. One that is still running is left alone. Delivered runs are kept for
    `show`, within the quota, unless SYNAPSE_OTEL_KEEP_DELIVERED is false. Exits with 0 when everything was delivered,
    1 when something is left, 2 when no endpoint is configured.
    """
    from synapse_otel.cli.configuration import load_plan, load_redactor, load_settings
    from synapse_otel.cli.pushing import Pusher
    from synapse_otel.cli.retrying import Retrier
    from synapse_otel.cli.terminal import Terminal

    settings = load_settings()
    terminal = Terminal(load_redactor(settings))
    plan = load_plan(settings)
    _check_sends(plan)
    found = _wanted_runs(settings, wanted or [])
    results: list[Pushed] = []
    code = 0
    pusher = Retrier(plan, timeout) if dead_letters else Pusher(plan, timeout)
    try:
        with _Display(terminal, pusher.noun) as display:
            for run in found:
                results.append(pusher.push(run, display.moved))
                display.done(results[-1])
    except KeyboardInterrupt:
        terminal.note("interrupted: what is not sent stays in the journal")
        code = INTERRUPTED
    finally:
        pusher.close()
    _print_total(terminal, results, pusher.noun)
    raise typer.Exit(code or (FAILED if any(pushed.left for pushed in results) else 0))


def _check_sends(plan: ShippingPlan) -> None:
    from synapse_otel.export.settings import sdk_disabled

    if sdk_disabled():
        raise CliError("nothing is sent: OTEL_SDK_DISABLED is true")
    if not plan.sends:
        raise CliError(
            "no endpoint is configured: set OTEL_EXPORTER_OTLP_ENDPOINT, for example\n"
            "  export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318"
        )


def _wanted_runs(settings: TelemetrySettings, wanted: list[str]) -> list[Path]:
    """Return the runs to send, the oldest first."""
    from synapse_otel.cli import find
    from synapse_otel.journal import directory

    if not wanted:
        return find.newest_first(directory.runs(settings.journal_dir))[::-1]
    named = {run for name in wanted for run in find.matching(settings.journal_dir, name)}
    return find.newest_first(list(named))[::-1]


class _Display:
    """A line for each run when it is done, and on a terminal a bar for the one that is being sent."""

    def __init__(self, terminal: Terminal, noun: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._terminal = terminal
        self._noun = noun
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[reason]}", style="dim", markup=False),
            console=terminal.out,
            transient=True,
            disable=not terminal.is_live,
        )
        self._task = self._bars.add_task("", total=None, visible=False, reason="")

    def __enter__(self) -> _Display:
        self._bars.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._bars.stop()

    def moved(self, job: str, sent: int, of: int, reason: str) -> None:
        """Show how far a run has come."""
        from synapse_otel.cli.terminal import fitted

        shown = fitted(self._terminal.clean(reason), max(10, self._terminal.width - 80))
        self._bars.update(
            self._task, description=self._terminal.clean(job), total=of, completed=sent, visible=True, reason=shown
        )

    def done(self, pushed: Pushed) -> None:
        """Print what became of a run."""
        from rich.text import Text

        from synapse_otel.cli import units

        self._bars.update(self._task, visible=False)
        clean = self._terminal.clean
        if pushed.is_idle:
            return
        sign, style = ("✖", "red") if pushed.left else ("✔", "green") if pushed.sent else ("·", "dim")
        parts = [f"{units.count(pushed.sent, self._noun)} sent"] if pushed.sent else []
        parts += [f"{pushed.left:,} left"] if pushed.left else []
        first, *notes = [", ".join(parts), *pushed.notes] if parts else pushed.notes
        self._terminal.line(Text(f"{sign} ", style), Text(clean(pushed.job), "bold"), "  ", clean(first))
        for note in notes:
            self._terminal.line(f"    {clean(note)}", style="dim")


def _print_total(terminal: Terminal, results: list[Pushed], noun: str) -> None:
    from synapse_otel.cli import units

    sent, left = (sum(getattr(pushed, what) for pushed in results) for what in ("sent", "left"))
    runs = sum(1 for pushed in results if pushed.sent)
    if not sent and not left:
        terminal.line("nothing to send", style="dim")
        return
    rest = f", {left:,} left" if left else ""
    terminal.line(f"{units.count(sent, noun)} of {units.count(runs, 'run')} sent{rest}", style="bold")
