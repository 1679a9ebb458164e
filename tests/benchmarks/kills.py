"""Processes that are killed with SIGKILL at a random moment while they log: is every message there afterwards?

A child counts in a shared map the messages whose call has returned. Every other run logs in a tight loop and is killed
within 50 ms, in the middle of a call more often than not; the others log in small bursts for up to a second and ship
meanwhile. Then another process starts, or `synapse-otel push` runs, and what arrived is compared.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

from bench import directory, environment, parser, percentile, table
from remote_collector import Arrived, RemoteCollector, remote_collector

from synapse_otel import RuntimeContext, TelemetrySettings

_CHILD = """
import mmap, os, sys, time
from synapse_otel import RuntimeContext
job, file, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
counter = memoryview(mmap.mmap(os.open(file, os.O_RDWR), 8)).cast("Q")  # one store: struct would write zeros first
ctx = RuntimeContext.open(job, "victim")
number = 0
with ctx.step("loop"):
    while True:
        ctx.log_message(f"message {number}")
        number += 1
        counter[0] = number
        if pause and number % 100 == 0:
            time.sleep(pause)
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one killed run."""

    returned: int
    arrived: Arrived
    seconds: float

    @property
    def lost(self) -> int:
        """Messages whose call had returned and that are not there, in log records or on spans."""
        expected = range(self.returned)
        return sum(number not in self.arrived.numbers or number not in self.arrived.on_spans for number in expected)

    @property
    def doubled(self) -> int:
        """Messages that are there twice, under different ids."""
        counters = (self.arrived.numbers, self.arrived.on_spans)
        return sum(count - 1 for counter in counters for count in counter.values())

    @property
    def unexpected(self) -> int:
        """Messages beyond the one whose call the kill interrupted."""
        return sum(number > self.returned for number in self.arrived.numbers)


def kill_one(job: str, path: Path, endpoint: str, *, tight: bool) -> int:
    """Run a child, kill it, return how many of its calls had returned."""
    file = path / f"{job}.counter"
    file.write_bytes(bytes(8))
    child_environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "SYNAPSE_OTEL_JOURNAL_DIR": str(path / "runs"),
    }
    pause = 0.0 if tight else 0.005
    child = subprocess.Popen([sys.executable, "-c", _CHILD, job, str(file), str(pause)], env=child_environment)
    fd = os.open(file, os.O_RDONLY)
    with mmap.mmap(fd, 8, prot=mmap.PROT_READ) as counter:
        while _count(counter) == 0 and child.poll() is None:
            time.sleep(0.0005)
        time.sleep(random.uniform(0, 0.05 if tight else 1.0))
        child.send_signal(signal.SIGKILL)
        child.wait()
        os.close(fd)
        return _count(counter)


def _count(counter: Any) -> int:
    return int.from_bytes(counter[:8], sys.byteorder)


def recover_by_start(path: Path, endpoint: str, done: Callable[[], bool], timeout: float) -> None:
    """Let the next run of the same user recover what the dead one left."""
    with environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint):
        context = RuntimeContext.open("next", "next", settings=TelemetrySettings(journal_dir=path / "runs"))
    with context:
        deadline = time.monotonic() + timeout
        while not done() and time.monotonic() < deadline:
            time.sleep(0.02)


def recover_by_push(path: Path, endpoint: str, done: Callable[[], bool], timeout: float) -> None:
    """Send what the dead one left with the command line."""
    command = which("synapse-otel") or str(Path(sys.executable).parent / "synapse-otel")
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "SYNAPSE_OTEL_JOURNAL_DIR": str(path / "runs")}
    subprocess.run([command, "push"], env={**os.environ, **variables}, check=True, capture_output=True, timeout=timeout)
    done()


def measure(number: int, path: Path, collector: RemoteCollector, recover: Callable[..., None]) -> Outcome:
    """Kill one run, recover it, compare."""
    job = f"job-{number}"
    collector.call("clear")
    children: list[Arrived] = []
    returned = kill_one(job, path, collector.endpoint, tight=number % 2 == 0)

    def done() -> bool:
        children.append(collector.arrived(job))
        arrived = children[-1]
        return bool(arrived.status) and len(arrived.numbers) >= returned and len(arrived.on_spans) >= returned

    began = time.perf_counter()
    recover(path, collector.endpoint, done, 60)
    return Outcome(returned, children[-1], time.perf_counter() - began)


def report(outcomes: list[Outcome], by: str) -> None:
    """Print the sums."""
    times = sorted(outcome.seconds for outcome in outcomes)
    accepted = [outcome.returned for outcome in outcomes]
    rows = [
        ["runs killed", len(outcomes)],
        ["messages accepted (their call had returned)", sum(accepted)],
        ["  in the smallest and in the largest run", f"{min(accepted):,} and {max(accepted):,}"],
        ["messages delivered, distinct", sum(len(outcome.arrived.numbers) for outcome in outcomes)],
        ["  of them from a call that the kill interrupted", sum(len(o.arrived.numbers) - o.returned for o in outcomes)],
        ["messages lost", sum(outcome.lost for outcome in outcomes)],
        ["messages doubled (under different ids)", sum(outcome.doubled for outcome in outcomes)],
        ["messages nobody logged", sum(outcome.unexpected for outcome in outcomes)],
        ["records sent again, with the same id", sum(outcome.arrived.repeated for outcome in outcomes)],
        ["  of them not the same in every field", sum(outcome.arrived.differing for outcome in outcomes)],
        ["runs closed as crashed", sum(outcome.arrived.status == "crashed" for outcome in outcomes)],
        ["recovery, median s", percentile(times, 0.5)],
        ["recovery, longest s", times[-1]],
    ]
    table(f"Processes killed with SIGKILL while they log, recovered by {by}.", ["what", "count"], rows)


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=50, help="processes to kill")
    options.add_argument("--push", action="store_true", help="recover with `synapse-otel push`, not by a next start")
    options.add_argument("--seed", type=int, default=None, help="of the random moments")
    chosen = options.parse_args()
    random.seed(chosen.seed)
    recover = recover_by_push if chosen.push else recover_by_start
    with directory() as path, remote_collector() as collector:
        outcomes = [measure(number, path, collector, recover) for number in range(chosen.runs)]
        left = [file for file in (path / "runs").rglob("*") if file.is_file()]
    report(outcomes, "synapse-otel push" if chosen.push else "the next start")
    print(f"\nfiles left in the journal directory: {len(left)}")


if __name__ == "__main__":
    main()
