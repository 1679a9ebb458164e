"""What the doctor finds, line by line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.text import Text

from synapse_otel.cli import units
from synapse_otel.cli.network import StepError
from synapse_otel.cli.terminal import Terminal

_NAME = 12


class Step:
    """A step while it is taken; `found` is what it shows when it succeeds."""

    def __init__(self) -> None:
        self.found = ""


class Findings:
    """Prints findings and counts what is wrong.

    Args:
        terminal: Where to.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.failed = 0
        self.warned = 0
        self._begun = False

    def section(self, title: str, detail: str = "") -> None:
        """Begin a section."""
        if self._begun:
            self._terminal.line()
        self._begun = True
        self._terminal.line(Text(title, "bold"), "  " if detail else "", Text(self._terminal.clean(detail), "dim"))

    def good(self, name: str, text: str, took: float | None = None) -> None:
        """Say that something is as it should be."""
        self._line("✔", "green", name, text, took)

    def plain(self, text: str) -> None:
        """Say something that is neither good nor bad."""
        self._terminal.line(f"  {self._terminal.clean(text)}")

    def skipped(self, name: str, text: str) -> None:
        """Say what was not tried."""
        self._line("·", "dim", name, text)

    def warn(self, name: str, text: str, hint: str = "") -> None:
        """Say what may be wrong."""
        self.warned += 1
        self._line("⚠", "yellow", name, text)
        self._hint(hint)

    def bad(self, name: str, text: str, hint: str = "", took: float | None = None) -> None:
        """Say what is wrong."""
        self.failed += 1
        self._line("✖", "red", name, text, took)
        self._hint(hint)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Take a step, and say how long it took and what it found, or why it failed.

        Raises:
            StepError: Again, when it has been said.
        """
        step, began = Step(), time.monotonic()
        try:
            yield step
        except StepError as error:
            self.bad(name, str(error), error.hint, time.monotonic() - began)
            raise
        self.good(name, step.found, time.monotonic() - began)

    def conclude(self) -> None:
        """Say how much is wrong altogether."""
        self._terminal.line()
        if self.failed:
            amount = f"{self.failed} {'thing is' if self.failed == 1 else 'things are'} wrong"
            self._terminal.line(f"✖ {amount}", style="bold red")
        elif self.warned:
            self._terminal.line(f"✔ nothing is wrong, {units.count(self.warned, 'warning')}", style="bold yellow")
        else:
            self._terminal.line("✔ all is well", style="bold green")

    def _line(self, sign: str, style: str, name: str, text: str, took: float | None = None) -> None:
        line = Text.assemble("  ", (f"{sign} ", style), f"{name:<{_NAME}}")
        line.append(self._terminal.clean(text), style if style == "red" else "")
        if took is not None:
            line.append(f"  {units.duration(took)}", "dim")
        self._terminal.line(line)

    def _hint(self, hint: str) -> None:
        if hint:
            self._terminal.line(f"{' ' * (_NAME + 4)}{self._terminal.clean(hint)}")
