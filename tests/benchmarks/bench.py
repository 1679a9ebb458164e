"""What the benchmarks share: tables, statistics, and places to record to."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from synapse_otel import RuntimeContext, TelemetrySettings

US = 1_000
MS = 1_000_000
MIB = 1024 * 1024


@dataclass(frozen=True)
class Variant:
    """Something to measure, in a context of its own, so that no variant's span is current in another one.

    Attributes:
        name: What its rows are called.
        target: Has the methods of a `RuntimeContext`.
        context: Where it was opened, and is to be called.
        drain: Waits until nothing of it is under way.
        close: Ends it.
    """

    name: str
    target: Any
    context: Context
    drain: Callable[[], object]
    close: Callable[[], object]


def ours(name: str, directory: Path, endpoint: str | None = None, **settings: Any) -> Variant:
    """A run of ours in this process, shipped to `endpoint` or kept offline."""
    context = Context()
    with environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint):
        chosen = TelemetrySettings(journal_dir=directory, **settings)
        ctx = context.run(RuntimeContext.open, "benchmark", name, settings=chosen)
    drain = (lambda: ctx.flush(600)) if endpoint else (lambda: None)
    return Variant(name, ctx, context, drain, lambda: context.run(ctx.logger.finish))


@contextlib.contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """Set environment variables while the block runs; None takes one away."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A directory on the disk for journals, removed afterwards; TMPDIR moves it."""
    path = Path(tempfile.mkdtemp(prefix="synapse-otel-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def timer_overhead() -> int:
    """Nanoseconds between two looks at the clock with nothing in between."""
    clock = time.perf_counter_ns
    samples = []
    for _ in range(20_000):
        began = clock()
        samples.append(clock() - began)
    return int(statistics.median(samples))


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """The value below which `fraction` of the sorted values are."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def verdict(value: float, budget: float) -> str:
    """Whether a value is within its budget."""
    return "met" if value <= budget else "NOT MET"


def parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark; options show their defaults."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )


def machine() -> str:
    """What the figures depend on, in a line."""
    sdk = version("opentelemetry-sdk")
    return f"Python {platform.python_version()}, OpenTelemetry SDK {sdk}, {os.cpu_count()} cores"


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: the first column to the left, all others to the right."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    print(f"\n{title}\n({machine()})\n")
    for number, row in enumerate(cells):
        others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *others]).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    sys.stdout.flush()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
