"""A plugin that does what it is told, and `show --follow` on a terminal or a pipe, each in a process of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

from cli.kit import program

PLUGIN = """
import multiprocessing, os, sys
from synapse_otel import RuntimeContext

with RuntimeContext.open(job_id="job-1", name="train") as ctx:
    print("ready", flush=True)
    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
"""

PATIENCE = 20.0


class Plugin:
    """A plugin in a process of its own, which does what it is told."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PLUGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._wait("ready")

    def do(self, *statements: str) -> None:
        """Execute statements about `ctx`; return when they are done."""
        assert self._process.stdin
        for statement in statements:
            self._process.stdin.write(f"{statement}\n")
            self._wait("done")

    def end(self, error: str | None = None) -> None:
        """End the run, with an exception or well."""
        assert self._process.stdin
        if error:
            self._process.stdin.write(f"raise {error}\n")
        self._process.stdin.close()
        self._process.wait(PATIENCE)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def _wait(self, said: str) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline() == f"{said}\n"


class Follower:
    """`show --follow` in a process of its own, on a terminal of a size or, without one, on a pipe."""

    def __init__(self, *arguments: str, size: tuple[int, int] | None = None) -> None:
        self.seen = ""
        self._fd, end = os.pipe() if size is None else pty.openpty()
        if size is not None:
            self.resize(*size)
        self.process = subprocess.Popen(
            [program(), "show", "--follow", *arguments],
            stdin=subprocess.DEVNULL if size is None else end,
            stdout=end,
            stderr=end,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=None if size is None else _take_terminal,
        )
        os.close(end)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, key: bytes) -> None:
        os.write(self._fd, key)

    def until(self, pattern: str) -> re.Match[str]:
        """Read until something is shown, and return it; what comes before it is forgotten."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen, re.MULTILINE)):
            assert time.monotonic() < deadline, self.seen[-2000:]
            assert self._read(), self.seen[-2000:]
        self.seen = self.seen[found.end() :]
        return found

    def ended(self) -> tuple[int, str]:
        """Return what it exits with, and what it has shown since."""
        while self._read():
            pass
        return self.process.wait(PATIENCE), self.seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self._fd)

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], PATIENCE)[0]:
            raise AssertionError(f"nothing more is shown after {self.seen[-2000:]!r}")
        try:
            chunk = os.read(self._fd, 65536)
        except OSError:  # nobody has the other end of the terminal any more
            chunk = b""
        self.seen += chunk.decode()
        return bool(chunk)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
