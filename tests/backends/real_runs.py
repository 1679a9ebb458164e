"""Runs of every kind, each by a process of its own, sent to a real Prometheus: what dashboards have to show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backends.prometheus import Prometheus
from backends.servers import wait_for
from synapse_otel.journal import records as rec
from synapse_otel.journal.directory import journals_of, runs
from synapse_otel.journal.reader import START, JournalReader

INTERVAL = 0.5
"""Seconds between two heartbeats."""

PROGRAM = """
    import math, multiprocessing, os, signal, sys, time
    from synapse_otel import RuntimeContext

    DONE = {"completed": 10, "failed": 4, "cancelled": 3, "crashed": 5, "silent": 6, "running": 7}
    LOSS = {"completed": [1.0, 0.5, math.nan, 0.25], "running": [0.5, math.inf]}

    def work(ctx, kind):
        ctx.set_progress(2, 2, "prepare")
        ctx.set_progress(1, 10, "train")
        time.sleep(0.1)  # what is done since the first report gives the rate
        ctx.set_progress(DONE[kind], 10, "train")
        for loss in LOSS.get(kind, [0.75]):
            ctx.set_metrics({"loss": loss}, "training")
            time.sleep(0.02)
        ctx.set_metrics({"loss": 0.5, "top-5 acc.": 0.875}, "validation")

    def worker(ctx, rank):
        ctx.set_progress(3 * (rank + 1), 10, "train")
        ctx.set_metrics({"loss": 1.5 + rank}, "training")

    def work_with_workers(ctx):
        spawn = multiprocessing.get_context("spawn")
        for rank in (0, 1):
            os.environ["RANK"] = str(rank)
            child = spawn.Process(target=worker, args=(ctx, rank))
            child.start()
            child.join()
            assert child.exitcode == 0

    def main(kind):
        with RuntimeContext.open(f"job.{kind}", f"{kind} run") as ctx:
            if kind == "workers":
                return work_with_workers(ctx)
            work(ctx, kind)
            time.sleep(1.5)  # for some heartbeats
            assert ctx.flush(30)
            if kind == "silent":  # dies with nothing under way: what it has recorded is what there is to see
                while ctx.report().pending:
                    ctx.flush(30)
                os.kill(os.getpid(), signal.SIGKILL)
            print("reported", flush=True)
            if kind == "failed":
                raise ValueError("a made-up error")
            if kind == "cancelled":
                raise KeyboardInterrupt
            if kind != "completed":
                sys.stdin.read()  # goes on, until it is told or killed

    if __name__ == "__main__":
        main(sys.argv[1])
"""
STATES = {kind: kind for kind in ("completed", "failed", "cancelled", "crashed", "silent", "running")} | {
    "workers": "completed"
}
"""The kinds of runs, and the state that each of them is in at last."""

JOBS = dict.fromkeys(STATES, "synapse/trainer") | {"failed": "team-a/trainer", "cancelled": "/trainer"}
"""The label `job` of each of them: the namespace of their service, which may be empty, and its name."""

PROGRESS = {"completed": 1, "failed": 0.4, "cancelled": 0.3, "crashed": 0.5, "silent": 0.6, "running": 0.7}
"""How far each run is that reports by itself, in the category that it is last in."""

KINDS = tuple(STATES)
KILLED = ("crashed", "silent")


@dataclass
class Process:
    """What one process has recorded.

    Args:
        instance: Its `service.instance.id`.
        pid: Its id.
        started: When it began, in nanoseconds since 1970.
        durations: How many seconds it had run at its begin, at each heartbeat, and at its end.
        deliveries: What it knew then of its own records.
        ended: Whether it has said that it ended, or somebody has for it.
    """

    instance: str
    pid: str
    started: int
    durations: list[float] = field(default_factory=list)
    deliveries: list[dict[str, int]] = field(default_factory=list)
    ended: bool = False


@dataclass
class RealRuns:
    """What the runs have recorded.

    Args:
        folder: Where each run has its journals.
        processes: Each process by the kind of its run; workers come last, by rank.
    """

    folder: Path
    processes: dict[str, list[Process]] = field(default_factory=dict)

    def read(self) -> None:
        """Read the journals."""
        for kind in KINDS:
            paths = [path for run in runs(self.folder / kind) for path in journals_of(run)]
            readers = sorted(map(JournalReader, paths), key=lambda one: (one.identity().worker, one.identity().started))
            self.processes[kind] = [_process(reader) for reader in readers]


def _process(reader: JournalReader) -> Process:
    identity, position = reader.identity(), START
    process = Process(identity.journal_id, str(identity.resource["process.pid"]), identity.started)
    while (batch := reader.read(position)).entries:
        position = batch.after
        for entry in batch.entries:
            match entry.record:
                case rec.RunStarted(t):
                    process.durations.append((t - identity.started) / 1e9)
                case rec.Heartbeat(t) | rec.RunEnded(t) as record:
                    process.durations.append((t - identity.started) / 1e9)
                    process.deliveries += [record.delivery] if record.delivery else []
                    process.ended = isinstance(record, rec.RunEnded)
    return process


@contextmanager
def real_runs(prometheus: Prometheus, folder: Path) -> Iterator[RealRuns]:
    """Let a run of each kind report; the running one goes on until the block is left."""
    program = folder / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    processes = {kind: _start(program, kind, prometheus, folder) for kind in KINDS}
    try:
        assert processes["crashed"].stdout.readline() == "reported\n"
        processes["crashed"].send_signal(signal.SIGKILL)
        codes = {kind: process.wait(60) for kind, process in processes.items() if kind != "running"}
        ended = {"completed": 0, "failed": 1, "cancelled": -signal.SIGINT, "workers": 0}
        assert codes == ended | dict.fromkeys(KILLED, -signal.SIGKILL)
        assert processes["running"].stdout.readline() == "reported\n"
        _wait_for_all(prometheus)
        found = RealRuns(folder)
        found.read()
        yield found
    finally:
        for process in processes.values():
            if process is not processes["running"]:
                process.kill()
            process.communicate("")


def _start(program: Path, kind: str, prometheus: Prometheus, folder: Path) -> subprocess.Popen[str]:
    with (folder / f"{kind}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, program, kind],
            env=_environ(kind, prometheus, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def _environ(kind: str, prometheus: Prometheus, folder: Path) -> dict[str, str]:
    ours = {
        "OTEL_SERVICE_NAME": "trainer",
        "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={JOBS[kind].rpartition('/')[0]}",
        "OTEL_METRIC_EXPORT_INTERVAL": str(round(INTERVAL * 1000)),
        "SYNAPSE_OTEL_JOURNAL_DIR": str(folder / kind),  # one each, so that no other start closes the silent run
        "SYNAPSE_OTEL_SHIPPER": "thread" if kind == "silent" else "agent",  # which would close it too
        "SYNAPSE_OTEL_KEEP_DELIVERED": "true",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SYNAPSE_"))}
    return inherited | ours | prometheus.env()


def _wait_for_all(prometheus: Prometheus) -> None:
    ended = 'count(last_over_time(synapse_run_active{job_id!~"job.(running|silent)"}[5m]) == 0)'
    wait_for(lambda: [one["value"][1] for one in prometheus.query(ended)] == ["7"], "all processes have ended")
    beats = 'count_over_time(synapse_run_active{job_id="job.running"}[5m]) > 2'
    wait_for(lambda: prometheus.query(beats), "heartbeats of the run that goes on")
