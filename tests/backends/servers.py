"""Programs that run as servers on loopback, on free ports, for as long as a test needs them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import requests


def free_port() -> int:
    """Return a port of loopback that nobody listens on, below those that the system gives to outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def free_address() -> str:
    """Return ``127.0.0.1:<free port>``."""
    return f"127.0.0.1:{free_port()}"


T = TypeVar("T")


def wait_for(look: Callable[[], T], what: str | Callable[[], str], seconds: float = 30.0, pause: float = 0.05) -> T:
    """Return what `look` returns as soon as it is true; fail with `what` when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what if isinstance(what, str) else what()}"
        time.sleep(pause)


class Server:
    """A program of others as a process; what it prints goes to ``<folder>/<name>.log``.

    Args:
        command: The program and its arguments.
        folder: Its working directory and home; kept between restarts.
        ready: A URL that answers 200, or addresses that are listened on, when the program is ready.
        environ: Variables beside PATH and HOME.
    """

    def __init__(
        self,
        command: Iterable[object],
        folder: Path,
        ready: str | Iterable[str],
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.command = [str(part) for part in command]
        self.folder = folder
        self.name = Path(self.command[0]).name
        self.log = folder / f"{self.name}.log"
        self._ready = ready if isinstance(ready, str) else list(ready)
        self._environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self._is_ready, lambda: f"{self.name} is ready; its log:\n{self.output()[-3000:]}", 60)

    def stop(self) -> None:
        """Ask it to end, and wait for it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process
        return self._process.pid

    def output(self) -> str:
        """Return what it has printed, over all its starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def _is_ready(self) -> bool:
        assert self._process
        assert self._process.poll() is None, f"{self.name} ended:\n{self.output()[-3000:]}"
        if isinstance(self._ready, str):
            return _answers(self._ready)
        return all(_listens(address) for address in self._ready)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Run `server` until the block is left."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _listens(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
