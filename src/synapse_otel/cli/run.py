"""``synapse-otel run``: execute an action, show its progress, say what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synapse_otel.cli.errors import FAILED, INTERRUPTED, TERMINATED, CliError

if TYPE_CHECKING:
    from synapse_otel.cli.terminal import Terminal
    from synapse_otel.export.settings import TelemetrySettings
    from synapse_otel.otel_logger import OTelLogger
    from synapse_otel.projection.redaction import Redactor


def run(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The action: package.module:action or path/file.py:action; without :action, the only one there is.",
        ),
    ],
    params: Annotated[
        str, typer.Option(metavar="JSON|@FILE", help="Its parameters, a JSON object; @- reads standard input.")
    ] = "{}",
    job_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The job that the run belongs to.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The run's name; by default the action's.", show_default=False)
    ] = None,
) -> None:
    """Run an action, with live progress and a summary at the end.

    The current directory and the file's folder are importable. Exits with 0 when the action completed, 1 when it
    failed, 2 for bad usage, 130 after Ctrl-C. A second Ctrl-C does not wait for the delivery.
    """
    from synapse_otel.cli.configuration import load_redactor, load_settings
    from synapse_otel.cli.params import read_params
    from synapse_otel.cli.terminal import Terminal

    settings = load_settings()
    terminal = Terminal(load_redactor(settings))
    action, checked = _load(target, read_params(params), terminal)
    raise typer.Exit(_execute(action, checked, job_id, name or _action_name(action), settings, terminal))


def _load(target: str, params: dict[str, Any], terminal: Terminal) -> tuple[Callable[..., Any], Any]:
    """Return the action and its checked parameters; what the person's own code raises meanwhile is shown."""
    from synapse_otel.cli import tracebacks
    from synapse_otel.cli.params import checked_params
    from synapse_otel.cli.target import load_action

    try:
        action = load_action(target)
        return action, checked_params(_model(action), params)
    except (KeyboardInterrupt, CliError):
        raise
    except BaseException as error:  # noqa: BLE001  # the person's module, and the validators of their model
        tracebacks.trim(error)
        tracebacks.show(terminal, error)
        terminal.error(f"{target} cannot be loaded")
        raise typer.Exit(FAILED) from None


def _execute(
    action: Callable[..., Any],
    params: Any,
    job_id: str | None,
    name: str,
    settings: TelemetrySettings,
    terminal: Terminal,
) -> int:
    from synapse_otel.cli import interrupts, run_summary
    from synapse_otel.cli.configuration import load_plan

    plan = load_plan(settings)
    logger = _logger(job_id, name, settings, plan.redactor)
    with interrupts.ending_on_sigterm():
        outcome = _attempt(action, params, logger)
        interrupts.patiently(lambda: _finish(logger, outcome), lambda: _is_recorded(logger))
    _explain(outcome.error, terminal)
    run_summary.show(terminal, logger, plan, outcome.result, outcome.took)
    return _exit_code(outcome.error)


@dataclass(slots=True)
class _Outcome:
    """What an action returned, or what ended it, after how many seconds."""

    result: Any = None
    error: BaseException | None = None
    took: float = 0.0


def _attempt(action: Callable[..., Any], params: Any, logger: OTelLogger) -> _Outcome:
    from synapse_otel.actions import run_action
    from synapse_otel.context import RuntimeContext
    from synapse_otel.environment import PluginEnvironment
    from synapse_otel.sdk.local import is_sdk_action, run_sdk_action

    outcome, began = _Outcome(), time.monotonic()
    try:
        if is_sdk_action(action):
            outcome.result = run_sdk_action(action, params, logger)
        else:
            outcome.result = run_action(action, params, RuntimeContext(logger, PluginEnvironment.from_environ()))
    except BaseException as error:  # noqa: BLE001  # whatever ends the action ends the run
        outcome.error = error
    outcome.took = time.monotonic() - began
    return outcome


def _finish(logger: OTelLogger, outcome: _Outcome) -> None:
    from synapse_otel.cli import tracebacks
    from synapse_otel.context import run_outcome

    if outcome.error is not None:
        tracebacks.trim(outcome.error)
    logger.finish(run_outcome(outcome.error), outcome.error)


def _explain(error: BaseException | None, terminal: Terminal) -> None:
    from synapse_otel.cli import tracebacks

    if isinstance(error, SystemExit):
        if isinstance(error.code, str):
            terminal.note(error.code, "")
    elif error is not None and not isinstance(error, KeyboardInterrupt):
        tracebacks.show(terminal, error)


def _logger(job_id: str | None, name: str, settings: TelemetrySettings, redactor: Redactor) -> OTelLogger:
    from synapse_otel.console import ConsoleLogger
    from synapse_otel.otel_logger import OTelLogger

    console = ConsoleLogger(redactor=redactor, says_end=False)  # the summary says it
    try:
        return OTelLogger(job_id=job_id, name=name, console=console, settings=settings)
    except ValueError as error:
        raise CliError(str(error)) from error


def _is_recorded(logger: OTelLogger) -> bool:
    """Return whether the end of the run is in the journal: what follows is only its delivery."""
    from synapse_otel.journal.format import JournalError
    from synapse_otel.journal.recovery import ending

    try:
        return logger.journal is None or ending(logger.journal).ended
    except JournalError:  # delivered, and removed
        return True


def _exit_code(error: BaseException | None) -> int:
    from synapse_otel.cli.interrupts import Terminated

    if isinstance(error, KeyboardInterrupt):
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return 0
    return FAILED


def _model(action: Callable[..., Any]) -> Any:
    from synapse_otel import actions

    return getattr(action, "params_model", None) if isinstance(action, type) else actions.params_model(action)


def _action_name(action: Callable[..., Any]) -> str:
    from synapse_otel import actions

    if isinstance(action, type):
        return str(getattr(action, "action_name", None) or action.__name__)
    return actions.action_name(action)
