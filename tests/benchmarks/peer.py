"""Peers, each in a process of its own that does what it is told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environments import LOGFIRE, MLFLOW, SYNAPSE, WANDB, Environment

WORKER = Path(__file__).parent / "peers" / "worker.py"


@dataclass(frozen=True)
class Peer:
    """Something to measure.

    Attributes:
        name: What its figures are called.
        module: A module beside the worker.
        variant: What its `open_target` is given.
        environment: What it is installed in.
        environ: Variables of its process.
        lacks: Calls that it has no counterpart of.
        speaks_otlp: Whether what it reports arrives at a collector.
    """

    name: str
    module: str
    variant: str = "default"
    environment: Environment = SYNAPSE
    environ: dict[str, str] = field(default_factory=dict, hash=False)
    lacks: frozenset[str] = frozenset()
    speaks_otlp: bool = False


def ours(name: str, shipper: str, environment: Environment = SYNAPSE, variant: str = "default") -> Peer:
    """Ours, with a shipper."""
    environ = {"SYNAPSE_OTEL_SHIPPER": shipper}
    return Peer(name, "ours", variant, environment, environ, speaks_otlp=shipper != "off")


AGENT = ours("ours, agent", "agent")
THREAD = ours("ours, thread", "thread")
OFFLINE = ours("ours, offline", "off")
BY_HAND = Peer("by hand", "hand", speaks_otlp=True)
PEERS = (
    AGENT,
    THREAD,
    OFFLINE,
    BY_HAND,
    Peer("NoOpLogger", "with_synapse", "NoOpLogger"),
    Peer("ConsoleLogger", "with_synapse", "ConsoleLogger"),
    Peer("JobLogger", "with_synapse", "JobLogger"),
    Peer("logfire", "with_logfire", environment=LOGFIRE, speaks_otlp=True),
    Peer("wandb", "with_wandb", environment=WANDB, lacks=frozenset({"log_dev_event"})),
    Peer("mlflow", "with_mlflow", environment=MLFLOW, lacks=frozenset({"log", "log_message", "log_dev_event"})),
)


def prepared(names: Iterable[str] = ()) -> list[Peer]:
    """Prepare the environments of the peers of these names, by default of all; return those for which there is one.

    Raises:
        SystemExit: There is no Python for ours.
    """
    wanted = [peer for peer in PEERS if not names or peer.name in names]
    ready = {
        environment: environment.prepare()
        for environment in dict.fromkeys([SYNAPSE, *(peer.environment for peer in wanted)])
    }
    if not ready[SYNAPSE]:
        raise SystemExit(f"the benchmark needs one of Python {', '.join(SYNAPSE.pythons)}, for the Synapse SDK")
    return [peer for peer in wanted if ready[peer.environment]]


class Process:
    """A peer that runs.

    Args:
        peer: Which.
        endpoint: Of a collector.
        directory: An empty one of its own.

    Attributes:
        environ: Its environment variables.
        imported: Nanoseconds that its import took.
        opened: Nanoseconds that opening it took then.
    """

    def __init__(self, peer: Peer, endpoint: str, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.peer, self.directory = peer, directory
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.environ = {
            **keep,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "SYNAPSE_OTEL_JOURNAL_DIR": str(directory / "journals"),
            "OTEL_SERVICE_NAME": "benchmark",
            **peer.environ,
        }
        self._answers, theirs = os.pipe()
        interpreter = str(peer.environment.python)
        command = [interpreter, "-W", "ignore", str(WORKER), peer.module, peer.variant, str(theirs)]
        self._log = directory / "stderr"
        with self._log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, env=self.environ, cwd=directory, stdin=subprocess.PIPE, stderr=stderr, pass_fds=[theirs]
            )
        os.close(theirs)
        self.imported, self.opened = self._answer()

    def do(self, what: str, **more: Any) -> array[int]:
        """Have a method of the worker do something; return its answer."""
        self.order(what, **more)
        return self._answer()

    def order(self, what: str, **more: Any) -> None:
        """Have a method of the worker begin to do something."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
            self._process.stdin.flush()

    def end(self) -> int:
        """Have it end; return the nanoseconds that the end of the peer took."""
        assert self._process.stdin
        self._process.stdin.close()
        (took,) = self._answer()
        self._process.wait(60)
        return took

    def kill(self) -> None:
        """Kill it with SIGKILL, if it lives, and let go what is left of it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(OSError):
            os.close(self._answers)

    def _answer(self) -> array[int]:
        numbers = array("q")
        numbers.frombytes(self._read(struct.unpack("<q", self._read(8))[0]))
        return numbers

    def _read(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            chunk = os.read(self._answers, size - len(content))
            if not chunk:
                raise SystemExit(f"{self.peer.name} ended:\n{self._log.read_text()}")
            content += chunk
        return content


@contextlib.contextmanager
def running(peers: Sequence[Peer], endpoint: str, directory: Path) -> Iterator[list[Process]]:
    """Run the peers while the block runs; then they end as they do."""
    processes: list[Process] = []
    try:
        processes += (Process(peer, endpoint, directory / peer.name) for peer in peers)
        yield processes
        for process in processes:
            process.end()
    finally:
        for process in processes:
            process.kill()
