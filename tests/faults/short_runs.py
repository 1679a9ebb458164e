"""Many short runs in a row: what do they leave behind?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from faults.kit import Place
from faults.procfs import descendants_end
from faults.short import WARM_UP
from synapse_otel.testing import Collector

_PATIENCE = 10.0
"""Seconds in which the agent has to be gone, which the tests let be idle for half a second."""
_KEPT = {".swept"}
"""What says of a journal directory when it was last looked through."""
_PROGRAM = str(Path(__file__).with_name("short.py"))
_ONE = "import short, sys; short.report(int(sys.argv[1]))"


@dataclass
class Left:
    """What is left of short runs.

    Attributes:
        processes: The command lines of processes.
        files: Of the journal directory and the one for temporary files.
        held: What the process of many runs holds more than before them.
        not_arrived: Runs that did not arrive as completed exactly once.
    """

    processes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    not_arrived: list[str] = field(default_factory=list)


def in_one_process(place: Place, count: int) -> Left:
    """Let a process open and close `count` runs, after some more that warm it up."""
    with Collector() as collector, descendants_end(_PATIENCE) as processes:
        before, after = json.loads(_python(place, collector, _PROGRAM, str(count)))
    held = {what: after[what] - before[what] for what in before}
    return Left(processes, _files(place), held, _not_arrived(collector, WARM_UP + count))


def in_processes(place: Place, count: int) -> Left:
    """Let `count` processes be a run each, one after another."""
    with Collector() as collector, descendants_end(_PATIENCE) as processes:
        for number in range(count):
            _python(place, collector, "-c", _ONE, str(number))
    return Left(processes, _files(place), {}, _not_arrived(collector, count))


def _python(place: Place, collector: Collector, *arguments: str) -> str:
    temporary = place.directory / "tmp"
    temporary.mkdir(exist_ok=True)
    env = place.env(collector, TMPDIR=str(temporary), SYNAPSE_OTEL_FINISH_TIMEOUT="30")
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=600).stdout


def _files(place: Place) -> list[str]:
    found = (path for where in ("runs", "tmp") for path in (place.directory / where).rglob("*"))
    return sorted(str(path.relative_to(place.directory)) for path in found if path.name not in _KEPT)


def _not_arrived(collector: Collector, count: int) -> list[str]:
    spans = (span for span in collector.spans if span.attributes.get("synapse.run.status") == "completed")
    arrived = Counter(span.resource["job_id"] for span in spans)
    return [job for job in (f"job-{number}" for number in range(count)) if arrived[job] != 1]
