"""The rows of a run's progress, metrics and timeline, as `show` prints them and as they are followed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.text import Text

from synapse_otel.cli import units
from synapse_otel.cli.looks import LEVEL
from synapse_otel.cli.terminal import Terminal, fitted
from synapse_otel.cli.view import LineView, ProgressView, SeriesView

_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Rows:
    """Makes rows of what comes from a run, which is cleaned for the terminal."""

    terminal: Terminal

    def progress(
        self, one: ProgressView, suffix: str = "", *, goes_on: bool, bar: int, longest: int = _LONGEST_NAME
    ) -> list[Text]:
        """Return the cells of a category: name of so many columns at most, bar of so many, percentage, count."""
        ratio = min(1.0, one.current / one.total) if one.total else 0.0
        style = {"failed": "red", "completed": "green"}.get(one.status, "cyan" if goes_on else "yellow")
        done = round(ratio * bar)
        # What is left is told by its colour, and where there are none by its sign.
        left = ("━" * (bar - done), "bright_black") if self.terminal.has_colours else ("·" * (bar - done), "")
        return [
            Text(f"  {fitted(self.terminal.clean(one.category), longest)}{suffix}"),
            Text.assemble(("━" * done, style), left),
            Text(f"{100 * ratio:.0f} %"),
            Text(f"{units.number(one.current)}/{units.number(one.total)}"),
        ]

    def series(self, series: SeriesView, suffix: str, spark: int) -> list[Text]:
        """Return the cells of a metric: name, curve of so many columns, first, last, min, max, samples, not finite."""
        some = series.samples > series.not_finite
        first, last = series.as_reported(series.first), series.as_reported(series.last)
        low, high = (series.as_reported(value) if some else None for value in (series.low, series.high))
        name = f"  {self.terminal.clean(series.category)}/{self.terminal.clean(series.key)}{suffix}"
        return [
            Text(fitted(name, 2 * _LONGEST_NAME)),
            Text(units.sparkline(series.values, spark), "cyan"),
            *(_value(value) for value in (first, last, low, high)),
            Text(f"{series.samples:,}"),
            Text(f"{series.not_finite:,} not finite" if series.not_finite else "", "red"),
        ]

    def line(self, line: LineView, time: str, *, lines: bool = True) -> Text:
        """Return a line of the timeline; a message keeps its own `lines`, or is on one."""
        sign, style = LEVEL.get(line.level, ("·", "dim"))
        text = Text.assemble("  ", (time, "dim"), "  ", (f"{sign} ", style))
        content = self.terminal.clean(line.text, lines=lines).replace("\n", f"\n{' ' * (len(time) + 6)}")
        match line.kind:
            case "event":
                text.append(content, f"{style} bold" if style not in {"dim", "blue"} else "bold")
            case "metrics":
                text.append(f"metrics {content}", "bold")
            case _:
                text.append(content, style if line.level not in {"info", "success"} else "")
        if line.data and line.kind != "dropped":
            text.append(f"  {self.terminal.pairs(dict(line.data))}", "dim")
        if line.file:
            text.append(f"  {self.terminal.clean(line.file)}", "dim underline")
        return text


def _value(value: float | None) -> Text:
    if value is None:
        return Text("–", "dim")
    return Text(units.number(value), "" if math.isfinite(value) else "red")
