"""Does memory stay flat over millions of calls? Each place in a process of its own, measured by the kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import MIB, directory, ours, parser, table, verdict
from receiver import receiver

from faults.procfs import disk_use, resident

BUDGET = 10.0
CHECKPOINTS = 20
WARM_UP = 2
"""Checkpoints before the first one that counts: both maps of a segment are resident then."""
PLACES = ("offline", "offline, quota", "thread", "agent")


def watch(path: Path, count: int, step: Callable[[int, int], None]) -> tuple[list[tuple[float, float]], float]:
    """Make `count` calls in portions; return what was resident after each, and the most that was on the disk."""
    samples, most = [], 0.0
    portion = max(1, count // CHECKPOINTS)
    for first in range(0, count, portion):
        step(first, min(first + portion, count))
        samples.append(resident(os.getpid()))
        most = max(most, disk_use(path))
    return samples, most


def row(name: str, path: Path, count: int, step: Callable[[int, int], None]) -> list[object]:
    """Measure one kind of call."""
    began = time.perf_counter()
    samples, most = watch(path, count, step)
    took = time.perf_counter() - began
    counted = samples[WARM_UP:] or samples
    growth = max(sample[0] for sample in counted) - counted[0][0]
    private = max(sample[1] for sample in counted) - counted[0][1]
    flat = verdict(max(growth, private), BUDGET)
    return [name, count, took, samples[0][0], samples[-1][0], growth, private, BUDGET, flat, most]


def measure(place: str, progress: int, metrics: int, endpoint: str | None) -> None:
    """In the child: all calls, the rows as JSON."""
    settings: dict[str, Any] = {"quota_bytes": 16 * MIB} if "quota" in place else {}
    if endpoint:
        settings["shipper"] = place
    with directory() as path:
        variant = ours("memory", path, endpoint, **settings)
        ctx = variant.target

        def report_progress(first: int, end: int) -> None:
            for number in range(first, end):
                ctx.set_progress(number, progress, "train")

        def report_metrics(first: int, end: int) -> None:
            for number in range(first, end):
                ctx.set_metrics({"loss": number / metrics}, "train")
            variant.drain()  # the time is that of the calls and of the delivery

        rows = [
            row(f"{place}: set_progress", path, progress, report_progress),
            row(f"{place}: set_metrics", path, metrics, report_metrics),
        ]
        dropped = ctx.report().dropped
        variant.close()
        rows[0] += [None, None]
        rows[1] += [disk_use(path), dropped]
    print(json.dumps(rows))


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--progress", type=int, default=10_000_000, help="progress reports")
    options.add_argument("--metrics", type=int, default=1_000_000, help="metric reports, of one key each")
    options.add_argument("--places", nargs="*", choices=PLACES, default=[*PLACES], help="where the records go")
    options.add_argument("--endpoint", help="of a receiver that runs already")
    options.add_argument("--child", choices=PLACES, help="measure one place in this process; for internal use")
    chosen = options.parse_args()
    if chosen.child:
        measure(chosen.child, chosen.progress, chosen.metrics, chosen.endpoint)
        return
    rows = []
    with receiver() as own:
        for place in chosen.places:
            command = [sys.executable, __file__, "--child", place]
            command += ["--progress", str(chosen.progress), "--metrics", str(chosen.metrics)]
            if not place.startswith("offline"):
                command += ["--endpoint", chosen.endpoint or own]
            child = subprocess.run(command, capture_output=True, text=True, check=True)
            sys.stderr.write(child.stderr)
            rows += json.loads(child.stdout)
    table(
        f"Memory over many calls, in MiB: at the first and the last of {CHECKPOINTS} looks, the most it grew after the"
        f" first {WARM_UP + 1},\nand without mapped files. On the disk: the most there was, and what was left after"
        " finish().",
        [
            "place: call",
            "calls",
            "s",
            "first",
            "last",
            "growth",
            "private",
            "budget",
            "flat",
            "disk",
            "left",
            "dropped",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
