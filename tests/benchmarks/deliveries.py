"""What of the messages arrives at a collector, of each peer that speaks OTLP.

- A burst: as many messages as a tight loop makes, to a collector that answers at once, and to one that takes 50 ms.
- Kills: a process that logs a hundred messages a second is killed with SIGKILL. What arrives afterwards
  counts. For ours with threads `synapse-otel push` is run, as another run's start would do; with the agent nothing is.
- An outage: two hundred messages a second for thirty seconds, and no collector in the first twenty. Then the run ends.
"""

from __future__ import annotations

import mmap
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import directory, parser, table
from peer import AGENT, THREAD, Peer, Process, prepared
from remote_collector import RemoteCollector, remote_collector

from synapse_otel.testing import Slow

BURST = 100_000
KILLS = 10
PATIENCE = {AGENT: 10.0}
"""Seconds in which what a killed process left may arrive: by default one, where nobody is left who could send it."""
OUTAGE, RATE, SECONDS = 20.0, 200, 30
SLOW = 0.05


class Delivered(NamedTuple):
    """What became of messages, and the longest call in milliseconds. In a log record or on a span it has arrived."""

    reported: int
    arrived: int
    longest: float


@contextmanager
def one(peer: Peer) -> Iterator[tuple[RemoteCollector, Process]]:
    """A peer with a collector of its own."""
    with directory() as path, remote_collector() as collector:
        process = Process(peer, collector.endpoint, path / "peer")
        try:
            yield collector, process
        finally:
            process.kill()


def burst(peer: Peer, answer: float = 0.0) -> Delivered:
    """Log in a tight loop, then end the run."""
    with one(peer) as (collector, process):
        if answer:
            collector.call("fail", Slow(answer))
        times = process.do("call", call="ctx.log_message(f'message {i}')", count=BURST, whole=True)
        process.do("drain")
        process.end()
        return Delivered(BURST, collector.arrived().anywhere, max(times) / 1e6)


def outage(peer: Peer) -> Delivered:
    """Log while the collector is away at first; then end the run."""
    count = RATE * SECONDS
    with one(peer) as (collector, process):
        collector.call("stop")
        collector.call("start", after=OUTAGE)
        call = "ctx.log_message(f'message {i}')"
        times = process.do("call", call=call, count=count, whole=True, pause=1 / RATE)
        process.do("drain")
        process.end()
        return Delivered(count, collector.arrived().anywhere, max(times) / 1e6)


def kills(peer: Peer, count: int = KILLS) -> Delivered:
    """Kill processes that log, at random moments."""
    returned = arrived = 0
    for _ in range(count):
        with one(peer) as (collector, process):
            path = process.directory / "returned"
            path.write_bytes(bytes(8))
            process.order("report_until_killed", file=str(path), pause=0.01)
            time.sleep(random.uniform(1.0, 3.0))
            process.kill()
            with path.open("r+b") as file:
                done = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")[0]
            if peer == THREAD:
                push = [peer.environment.python.with_name("synapse-otel"), "push"]
                subprocess.run(push, env=process.environ, check=True, capture_output=True)
            deadline = time.monotonic() + PATIENCE.get(peer, 1.0)
            while (found := collector.arrived().anywhere) < done and time.monotonic() < deadline:
                time.sleep(0.1)
            returned, arrived = returned + done, arrived + min(found, done)
    return Delivered(returned, arrived, 0.0)


SCENES = {
    "burst": burst,
    f"burst, {SLOW * 1000:g} ms an answer": lambda peer: burst(peer, SLOW),
    "kills": kills,
    "outage": outage,
}


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--only", nargs="*", choices=[*SCENES], default=[*SCENES], help="which scenes")
    chosen = options.parse_args()
    peers = [peer for peer in prepared() if peer.speaks_otlp]
    rows: list[list[object]] = []
    for name in chosen.only:
        for peer in peers:
            found = SCENES[name](peer)
            rows.append([f"{name}: {peer.name}", *found[:2], found.reported - found.arrived, found.longest])
    table("What arrives.", ["scene", "reported", "arrived", "lost", "longest call, ms"], rows)


if __name__ == "__main__":
    main()
