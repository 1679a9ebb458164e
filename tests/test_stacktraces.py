"""Exceptions as text."""

from __future__ import annotations

from synapse_otel import BaseAction, RuntimeContext, run_action
from synapse_otel.stacktraces import stacktrace


class Failing(BaseAction):  # type: ignore[type-arg]  # as users write it
    def execute(self) -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error


def test_the_frames_are_the_plugins() -> None:
    """Those of ours, between the caller and the action, are left out; causes are shown."""
    ctx = RuntimeContext.open()
    try:
        run_action(Failing, {}, ctx)
    except ValueError as error:
        shown = stacktrace(error)
    ctx.logger.finish()
    assert "/synapse_otel/" not in shown
    assert shown.count("in execute") == 2
    assert shown.index("KeyError: 'inner'") < shown.index("direct cause") < shown.index("ValueError: outer")


def test_what_cannot_be_printed_is_said() -> None:
    """An exception whose text raises does no harm."""

    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Hostile" in stacktrace(Hostile())
