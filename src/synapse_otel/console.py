"""The logger that shows a run to a person: live bars on a terminal, plain lines in a pipe or a file."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from synapse_otel.logger import BaseLogger, ProgressTrack, StepHandle
from synapse_otel.models import ActionStatus, LogLevel, ProgressData, RunStatus
from synapse_otel.values import plain, text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from synapse_otel.projection.redaction import Redactor

REFRESH_SECONDS = 0.25
"""How often the live bars are drawn."""

_LAST_FRAME = 1.0
"""Seconds that the end waits for a frame that is being drawn: a terminal that was stopped takes none."""

LINE_SECONDS = 1.0
"""How often, at most, a category gets a line of its own in a pipe; each tenth of the way gets one anyway."""

_UNCATEGORISED = "progress"
_LONGEST_VALUE = 200

# style, symbol where the encoding has it, symbol where it has not
_LOOK = {
    LogLevel.DEBUG: ("dim", "·", "."),
    LogLevel.INFO: ("blue", "ℹ", "i"),
    LogLevel.SUCCESS: ("green", "✔", "+"),
    LogLevel.WARNING: ("yellow", "⚠", "!"),
    LogLevel.DANGER: ("red", "✖", "x"),
    LogLevel.ERROR: ("red", "✖", "x"),
    LogLevel.CRITICAL: ("bold red", "✖", "x"),
}

# Control characters of a message would move the cursor, clear the screen or retitle the terminal.
_CONTROLS = {code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)] if chr(code) not in "\t\n"}


class ConsoleLogger(BaseLogger):
    """Shows progress, metrics, messages and events on standard output.

    On a terminal each category has a bar, with the latest metrics below, and messages are printed above. Elsewhere
    there are plain lines, at most one per category and second. Secrets are replaced, control characters are shown, and
    an output that is closed or broken is the end of the output, not of the run.

    Args:
        console: The rich console to print on; one of standard output by default.
        dev_events: Whether to show developer events and messages at the level DEBUG.
        redactor: What takes the secrets out; one with the default patterns by default.
        says_end: Whether to say how the run ended, where it did not complete.
    """

    def __init__(
        self,
        console: Console | None = None,
        dev_events: bool = False,
        *,
        redactor: Redactor | None = None,
        says_end: bool = True,
    ) -> None:
        super().__init__()
        from rich import get_console

        from synapse_otel.projection.redaction import Redactor

        self._printer = _Printer(console or get_console(), redactor or Redactor())
        self._dev_events = dev_events
        self._says_end = says_end
        self._display: _Display = _LiveDisplay(self._printer) if self._printer.is_live else _LineDisplay(self._printer)
        _followed_into_forks.add(self)

    def set_progress(
        self, current: float, total: float, category: str | None = None, *, step: str | None = None
    ) -> None:
        """Show progress; see `BaseLogger.set_progress`."""
        self._display.progress(self._report(current, total, category, step))

    def _log_impl(
        self,
        event: str,
        data: dict[str, Any],
        file: str | None,
        step: str | None,  # noqa: ARG002  # the shape of every such method
        level: LogLevel,
    ) -> None:
        if level is LogLevel.DEBUG and not self._dev_events:
            return
        style = _LOOK[level][0]
        if event == "message" and "content" in data:
            self._printer.message(level, text(data["content"]))
        elif event == "dev_event" and "message" in data:
            self._printer.event("[dev]", text(data["message"]), data.get("data") or {}, None, style)
        elif event != "run_ended" or data:
            self._printer.event("event", f"{event}:" if data or file else event, data, file, style)

    def _on_progress(self, progress: ProgressData, category: str | None) -> None:  # noqa: ARG002  # the shape of every such method
        self._display.progress(self._tracks[category])

    def _on_metrics(self, category: str, metrics: dict[str, Any]) -> None:
        self._display.metrics(category, metrics)

    def _on_step_start(self, step: StepHandle) -> None:
        if not self._is_finished:
            self._printer.line(f"[step] {step.name}", "bold")

    def _on_step_end(self, step: StepHandle) -> None:
        if self._is_finished or step.status is ActionStatus.COMPLETED:
            return
        reason = f": {step.error}" if step.error else ""
        style = "red" if step.status is ActionStatus.FAILED else "dim"
        self._printer.line(f"[step] {step.name} {step.status}{reason}", style)

    def _on_finish(self) -> None:
        self._display.close()
        if self._says_end and self._status is not RunStatus.COMPLETED:
            reason = "" if self._error is None else f": {type(self._error).__name__}: {text(self._error)}"
            self._printer.line(f"[run] {self._status}{reason}", "red")

    def _after_fork(self) -> None:
        """A forked child has neither the thread that draws nor, for certain, the locks of the console: it prints lines.

        Where the parent draws bars, they would draw over the child's progress, so it shows none.
        """
        self._printer.renew()
        self._display = self._display.in_child()

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets: a logger of its own standard output."""
        return {"job_id": self._job_id, "dev_events": self._dev_events, "finished": self._is_finished}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(dev_events=state["dev_events"])  # type: ignore[misc]  # a copy begins as a new one
        self._job_id, self._is_finished = state["job_id"], state["finished"]
        if self._is_finished:
            self._finish_token.clear()


# ---- printing ---------------------------------------------------------------------------------------------------


class _Printer:
    """Prints lines that anything may be in, on an output that may be anything."""

    def __init__(self, console: Console, redactor: Redactor) -> None:
        self.console = console
        self.redactor = redactor
        # In an interactive session the bars would be drawn over what is being typed.
        typed_into = hasattr(sys, "ps1") or bool(sys.flags.interactive)
        self.is_live = console.is_terminal and not (console.is_dumb_terminal or console.is_jupyter or typed_into)
        self._symbol = 2 if console.options.ascii_only else 1
        self.broken = False

    def message(self, level: LogLevel, content: str) -> None:
        """Print a message: by its symbol and colour on a terminal, by its level elsewhere."""
        look = _LOOK[level]
        if self.is_live:
            self.line(f"{look[self._symbol]} {content}", look[0])
        else:
            self.line(f"[{level.value}] {content}", "")

    def event(self, kind: str, name: str, data: Mapping[str, Any], file: str | None, style: str) -> None:
        """Print an event and its data."""
        parts = [kind, name, self.pairs(data), f"file={file}" if file else ""]
        self.line(" ".join(part for part in parts if part), style)

    def metrics(self, category: str, metrics: Mapping[str, Any]) -> str:
        """Metrics on one line; a number is no secret, whatever it is called."""
        pairs = [
            f"{key}={_short(value)}" if isinstance(value, int | float) else self.pairs({key: value})
            for key, value in list(metrics.items())
        ]
        return " ".join([f"{category}:", *pairs])

    def pairs(self, data: Mapping[str, Any]) -> str:
        """Data on one line, without what its keys say is a secret."""
        shown = self.redactor.value(plain(data))
        return " ".join(f"{key}={_short(value)}" for key, value in shown.items()) if isinstance(shown, dict) else ""

    def line(self, content: str, style: str) -> None:
        """Print text, over as many lines as it has."""
        from rich.text import Text

        self.guarded(lambda: self.console.print(Text(self.clean(content), style), soft_wrap=True))

    def clean(self, content: str) -> str:
        """Text without secrets, control characters, and what the output's encoding does not have."""
        shown: str = self.redactor.text(content).translate(_CONTROLS)
        encoding = self.console.encoding
        try:
            return shown.encode(encoding, "backslashreplace").decode(encoding)
        except LookupError:
            return ascii(shown)

    def guarded(self, write: Callable[[], object]) -> None:
        """Write; what fails is not tried again."""
        if self.broken:
            return
        try:
            write()
        except Exception:  # noqa: BLE001 - a closed file, a full disk, a terminal that is gone: not the plugin's concern
            self.broken = True
        except SystemExit as exit_:  # rich's answer to a broken pipe
            if not isinstance(exit_.__context__, BrokenPipeError):
                raise
            self.broken = True

    def renew(self) -> None:
        """Print on a console with locks of its own, around any that is drawing on standard output."""
        from rich.console import Console

        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            setattr(sys, name, getattr(stream, "rich_proxied_file", stream))
        self.console = Console(file=self.console.file)


def _short(value: Any) -> str:
    """A value within a line."""
    shown = format(value, ".4g") if isinstance(value, float) else value if isinstance(value, str) else repr(value)
    shown = shown.replace("\n", "\\n")
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."


def _count(track: ProgressTrack) -> str:
    return (
        f"{track.current:g}/{track.total:g}" if isinstance(track.current, float) else f"{track.current}/{track.total}"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# ---- progress and metrics ---------------------------------------------------------------------------------------


class _Display(Protocol):
    """How progress and metrics are shown. Both calls are made as often as the plugin reports."""

    def progress(self, track: ProgressTrack) -> None: ...

    def metrics(self, category: str, metrics: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...

    def in_child(self) -> _Display:
        """The display of a forked child; this one is its parent's."""


class _NoDisplay:
    def progress(self, track: ProgressTrack) -> None:
        pass

    def metrics(self, category: str, metrics: Mapping[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass

    def in_child(self) -> _Display:
        return self


class _LineDisplay:
    """Lines: the first and the last report of a category, each tenth of the way, and else one per second."""

    def __init__(self, printer: _Printer) -> None:
        self._printer = printer
        # By category: when the next line is due, and the tenth of the way and the status that the last one has shown.
        self._progress: dict[str | None, tuple[float, int, str]] = {}
        self._metrics: dict[str, float] = {}
        self._unshown: dict[str, Mapping[str, Any]] = {}

    def progress(self, track: ProgressTrack) -> None:
        tenth = int(10 * track.current / track.total) if track.total else 0
        due, shown, status = self._progress.get(track.category, (0.0, -1, ""))
        if track.updated_at < due and tenth == shown and track.status == status:
            return
        self._progress[track.category] = track.updated_at + LINE_SECONDS, tenth, track.status
        self._printer.line(f"[progress] {_progress_line(track)}", "")

    def metrics(self, category: str, metrics: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now < self._metrics.get(category, 0.0):
            self._unshown[category] = metrics
            return
        self._metrics[category] = now + LINE_SECONDS
        self._unshown.pop(category, None)
        self._show(category, metrics)

    def close(self) -> None:
        for category, metrics in self._unshown.items():
            self._show(category, metrics)
        self._unshown.clear()

    def in_child(self) -> _Display:
        return self

    def _show(self, category: str, metrics: Mapping[str, Any]) -> None:
        self._printer.line(f"[metrics] {self._printer.metrics(category, metrics)}", "")


def _progress_line(track: ProgressTrack) -> str:
    data = track.snapshot()
    parts = [f"{track.category or _UNCATEGORISED}: {_count(track)} ({data.percent:g}%)"]
    if data.status == "failed":
        parts.append("failed")
    if data.elapsed_time is not None:
        parts.append(f"elapsed {_clock(data.elapsed_time)}")
    if data.status == "running" and data.time_remaining is not None:
        parts.append(f"remaining {_clock(data.time_remaining)}")
    return " ".join(parts)


class _LiveDisplay:
    """A bar for each category and a line of its latest metrics, drawn by a thread from what was reported last."""

    def __init__(self, printer: _Printer) -> None:
        self._printer = printer
        self._tracks: dict[str | None, ProgressTrack] = {}
        self._metrics: dict[str, Mapping[str, Any]] = {}
        self._live: Live | None = None
        self._thread = threading.Thread(target=self._draw, name="synapse-otel-console", daemon=True)
        self._starting = threading.Lock()
        self._stopped = threading.Event()

    def progress(self, track: ProgressTrack) -> None:
        if track.category not in self._tracks:
            self._tracks[track.category] = track
            self._start()

    def metrics(self, category: str, metrics: Mapping[str, Any]) -> None:
        if category not in self._metrics:
            self._metrics[category] = metrics
            self._start()

    def close(self) -> None:
        self._stopped.set()
        atexit.unregister(self.close)
        if self._live is not None:
            self._printer.broken = False  # also then: it gives sys.stdout back, which it took to print above the bars
            self._printer.guarded(self._live.stop)
            # Python aborts when it ends while a thread writes to standard output, as the last frame may be.
            if self._thread.is_alive() and self._thread is not threading.current_thread():
                self._thread.join(_LAST_FRAME)

    def in_child(self) -> _Display:
        atexit.unregister(self.close)
        return _LineDisplay(self._printer) if self._live is None else _NoDisplay()

    def _start(self) -> None:
        with self._starting:
            if self._live is None and not self._stopped.is_set():
                self._live = _live_area(self._printer.console, self._frame)
                self._printer.guarded(partial(_started, self._live))
                atexit.register(self.close)  # or the terminal is left without a cursor
                self._thread.start()

    def _draw(self) -> None:
        while self._live is not None and not self._printer.broken and not self._stopped.wait(REFRESH_SECONDS):
            with _drawing:
                self._printer.guarded(self._live.refresh)

    def _frame(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        bars = Table.grid(padding=(0, 1))
        for track in list(self._tracks.values()):
            bars.add_row(*_bar(track, self._printer.clean(track.category or _UNCATEGORISED), now))
        metrics = [
            Text(self._printer.clean(self._printer.metrics(category, values)), "cyan", no_wrap=True)
            for category, values in list(self._metrics.items())
        ]
        return Group(bars, *metrics)


def _live_area(console: Console, frame: Callable[[], RenderableType]) -> Live:
    from rich.live import Live

    return Live(console=console, get_renderable=frame, auto_refresh=False)


def _started(live: Live) -> None:
    from rich.errors import LiveError

    with suppress(LiveError):  # before rich 14.1 a console has one live area: another logger's
        live.start()


def _bar(track: ProgressTrack, name: str, now: float) -> list[RenderableType]:
    """The cells of a category's row: name, bar, percentage, count, elapsed and remaining time."""
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    running = track.status == "running"
    remaining = track.time_remaining
    note = {"failed": "failed", "completed": "done"}.get(track.status, "" if remaining is None else _clock(remaining))
    return [
        Text(name.replace("\n", " "), no_wrap=True),
        ProgressBar(total=track.total or 1, completed=track.current, width=30),
        Text(f"{track.snapshot().percent:3.0f}%", "magenta"),
        Text(_count(track)),
        Text(_clock((now if running else track.updated_at) - track.started_at), "yellow"),
        Text(note, "red" if track.status == "failed" else "cyan"),
    ]


_followed_into_forks: weakref.WeakSet[ConsoleLogger] = weakref.WeakSet()


def _follow_into_fork() -> None:
    for logger in list(_followed_into_forks):
        logger._after_fork()


# A fork waits for the frame that is being drawn: else the child would find the lock of standard output held by a thread
# that it does not have, and hang at its first print.
_drawing = threading.RLock()
os.register_at_fork(before=_drawing.acquire, after_in_parent=_drawing.release, after_in_child=_drawing.release)
os.register_at_fork(after_in_child=_follow_into_fork)
