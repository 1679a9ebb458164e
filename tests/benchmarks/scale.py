"""What much of something costs: runs, records, names, processes; each with a tenth of it beside it.

What grows linearly takes ten times as long with ten times as much, less what it takes with nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import US, directory, environment, ours, parser, table
from receiver import receiver
from remote_collector import remote_collector

from faults.agents import end_agents
from faults.procfs import disk_use, resident
from synapse_otel.agent.state import agents

Row: TypeAlias = list[object]
BIN = Path(sys.executable).with_name("synapse-otel")

_OPEN = """
import json, sys, time
import synapse_otel
began = time.perf_counter()
ctx = synapse_otel.RuntimeContext.open("new", "new")
opened = time.perf_counter()
ctx.log_message("at work")
logged = time.perf_counter()
ctx.logger.finish()
print(json.dumps([opened - began, time.perf_counter() - logged]))
"""
_WORKER = """
import json, sys, time
import synapse_otel
clock, times = time.perf_counter_ns, []
with synapse_otel.RuntimeContext.open("job-" + sys.argv[1], "worker") as ctx:
    for number in range(int(sys.argv[2])):
        began = clock()
        ctx.log_message(f"message {sys.argv[1]}-{number}")
        times.append(clock() - began)
        time.sleep(0.001)
times.sort()
report = ctx.report()
print(json.dumps([times[len(times) // 2], times[-len(times) // 1000], report.accepted, report.dropped]))
"""


def seconds(*command: object) -> float:
    """How long a command takes."""
    began = time.perf_counter()
    subprocess.run([str(part) for part in command], capture_output=True, check=True)
    return time.perf_counter() - began


@contextmanager
def kept(**variables: str) -> Iterator[Path]:
    """A journal directory that the environment names, whose runs are kept."""
    with directory() as path, environment(SYNAPSE_OTEL_JOURNAL_DIR=str(path), **variables):
        yield path


def old_runs(count: int) -> Row:
    """A directory of runs that ended: what a new run, `runs` and `show` take beside them."""
    with kept(SYNAPSE_OTEL_SHIPPER="off") as path:
        for number in range(count):
            variant = ours(f"run {number}", path, shipper="off")
            variant.target.set_progress(1, 2, "train")
            variant.target.set_metrics({"loss": 0.5}, "train")
            variant.target.log_message("done")
            variant.close()
        done = subprocess.run([sys.executable, "-c", _OPEN], capture_output=True, text=True, check=True)
        opened, ended = json.loads(done.stdout)
        listed = seconds(BIN, "runs"), seconds(BIN, "runs", "--limit", "0")
        return [f"{count:,}", opened, ended, *listed, seconds(BIN, "show", "new"), disk_use(path)]


def records(count: int) -> Row:
    """A run of many records: recording them, with nobody who sends; then `show`, and `push`."""
    with kept(SYNAPSE_OTEL_QUOTA_BYTES=str(2**40), SYNAPSE_OTEL_KEEP_DELIVERED="true") as path:
        variant = ours("long", path, shipper="off", quota_bytes=2**40)
        began = time.perf_counter()
        for number in range(count):
            variant.target.set_metrics({"loss": number / count}, "train")
        recorded = time.perf_counter() - began
        variant.close()
        size, listed, shown = disk_use(path), seconds(BIN, "runs"), seconds(BIN, "show", "benchmark")
        with receiver() as endpoint, environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint):
            pushed = seconds(BIN, "push", "--timeout", "3600")
        return [f"{count:,}", recorded, size, listed, shown, pushed, int(count / pushed)]


def names(categories: int, in_each: int) -> Row:
    """Many categories and metrics: what a report of each takes, once they are known; then `show`, and sending."""
    with kept() as path, receiver() as endpoint:
        variant = ours("wide", path, endpoint, shipper="thread", keep_delivered=True)
        samples = [{f"metric {number} {name}": 0.5 for name in range(in_each)} for number in range(categories)]
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            for number, values in enumerate(samples):
                variant.target.set_progress(1, 2, f"category {number}")
                variant.target.set_metrics(values, f"category {number}")
            taken.append(time.perf_counter() - began)
        began = time.perf_counter()
        variant.drain()
        drained = time.perf_counter() - began
        variant.close()
        each = 1e6 * min(taken[1:]) / categories
        return [f"{categories:,} with {categories * in_each:,}", each, drained, seconds(BIN, "show", "benchmark")]


def processes(count: int, messages: int = 2_000) -> Row:
    """Many runs at once, each in a process of its own, shipped by one agent."""
    with kept(SYNAPSE_OTEL_SHIPPER="agent") as path, remote_collector() as collector:
        with environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, SYNAPSE_OTEL_FINISH_TIMEOUT="120"):
            began = time.perf_counter()
            command = [sys.executable, "-c", _WORKER]
            started = [
                subprocess.Popen([*command, str(number), str(messages)], stdout=subprocess.PIPE, text=True)
                for number in range(count)
            ]
            most = watch(path, started)
            found = [json.loads(process.communicate()[0]) for process in started]
            took = time.perf_counter() - began
        end_agents(path)
        medians, tails, _, dropped = (sorted(column) for column in zip(*found, strict=True))
        lost = count * messages - collector.arrived().in_logs
        return [f"{count:,}", took, medians[count // 2] / US, tails[count // 2] / US, *most, sum(dropped), lost]


def watch(path: Path, started: Sequence[subprocess.Popen[str]]) -> tuple[int, float]:
    """Look at the agents until all have ended: how many there were at most, and their memory in MiB."""
    number, memory = 0, 0.0
    while any(process.poll() is None for process in started):
        pids = [agent.pid for agent in agents(path)]
        number = max(number, len(pids))
        with suppress(OSError):
            memory = max(memory, sum(resident(pid)[0] for pid in pids))
        time.sleep(0.1)
    return number, memory


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=1_000, help="old runs")
    options.add_argument("--records", type=int, default=10_000_000, help="records of a run")
    options.add_argument("--categories", type=int, default=1_000, help="categories, with ten metrics each")
    options.add_argument("--processes", type=int, default=64, help="runs at once")
    chosen = options.parse_args()
    table(
        "A journal directory with old runs that were kept, seconds.",
        ["old runs", "open", "end", "runs", "runs of all", "show", "MiB"],
        [old_runs(count) for count in (0, chosen.runs // 10, chosen.runs)],
    )
    table(
        "A run of many records, seconds.",
        ["records", "recorded in", "MiB", "runs", "show", "push", "pushed per s"],
        [records(count) for count in (chosen.records // 10, chosen.records)],
    )
    table(
        "Many categories and metrics: microseconds for progress and ten metrics of one; seconds for the rest.",
        ["categories, metrics", "a report, us", "delivered in", "show"],
        [names(count, 10) for count in (chosen.categories // 10, chosen.categories)],
    )
    table(
        "Runs at once, of 2,000 messages in two seconds each: seconds, calls in microseconds, memory in MiB.",
        ["processes", "all ended in", "median", "p99.9", "agents", "their memory", "dropped", "lost"],
        [processes(count) for count in (chosen.processes // 8, chosen.processes)],
    )


if __name__ == "__main__":
    main()
