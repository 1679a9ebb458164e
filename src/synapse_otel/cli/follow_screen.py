"""A run that is followed on a terminal: a screen of its own, drawn over, which is gone afterwards."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType, TracebackType

from rich.console import ConsoleDimensions
from rich.live import Live
from rich.text import Text

from synapse_otel.cli import units
from synapse_otel.cli.follow_frame import Frame
from synapse_otel.cli.follow_run import FollowedRun
from synapse_otel.cli.terminal import Terminal, encodable
from synapse_otel.cli.view import RunView

_FOOTER = "Ctrl-C leaves this view; the run goes on"
MOST_LINES = 200
"""Lines of the timeline that the tallest terminal has room for."""


class Screen:
    """Draws the run when something in it has changed, and leaves the terminal as it was.

    Args:
        terminal: Where to.
        run: The run.
    """

    reading_seconds = 0.2
    """How long to read a long journal before what is known is drawn."""

    def __init__(self, terminal: Terminal, run: FollowedRun) -> None:
        self._terminal = terminal
        self._run = run
        self._live = Live(
            console=terminal.out, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._drawn: list[Text] = []
        self._drawn_for: tuple[object, ...] = ()

    def __enter__(self) -> Screen:
        self._live.start()
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, self._suspend)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if signal.getsignal(signal.SIGTSTP) == self._suspend:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        self._live.stop()

    def wait(self, seconds: float) -> None:
        """Wait for something new."""
        time.sleep(seconds)

    def update(self, *, is_behind: bool) -> None:
        """Draw the run as it is now, unless that is on the screen already."""
        now, size = time.time_ns(), self._terminal.out.size
        drawn_for = (size, is_behind, now // units.SECOND, *self._run.state)
        if drawn_for != self._drawn_for:
            self._drawn_for, self._drawn = drawn_for, self._lines(now, size, is_behind)
            self._live.update(Text("\n", no_wrap=True, overflow="crop").join(self._drawn), refresh=True)

    def leave(self) -> None:
        """Print what was on the screen last."""
        for line in self._drawn[:-2]:
            self._terminal.line(line)

    def at_the_end(self, view: RunView) -> RunView:
        """Return what to show when the run has ended: all there is, since the screen is gone."""
        return view

    def _suspend(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # what a handler gets
        """Give the shell its screen back for as long as Ctrl-Z lasts."""
        self._live.stop()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._live.start()
        self._drawn_for = ()

    def _lines(self, now: int, size: ConsoleDimensions, is_behind: bool) -> list[Text]:
        if not self._run.is_readable:
            return [Text("waiting for the first record", "dim")]
        footer = f"reading, {self._run.records:,} records so far" if is_behind else _FOOTER
        frame = Frame(self._terminal, size.width, size.height, now)
        lines = frame.lines(self._run.glimpse(min(MOST_LINES, size.height)), self._run.current_steps(), footer)
        return [encodable(self._terminal.out, line) for line in lines]
