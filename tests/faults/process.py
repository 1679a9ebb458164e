"""A plugin in a process of its own, and waiting for what it does."""

from __future__ import annotations

import json
import mmap
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from faults.outcome import Outcome
from faults.plugin import COUNTERS_SIZE, END, MOST_WORKERS, WARNINGS
from synapse_otel.models import Counts, DeliveryReport

HERE = Path(__file__).parent
_TICK = 0.01


class Plugin:
    """A plugin in a process of its own; `Place.start` makes it.

    Args:
        env: Its whole environment.
        directory: Where its files are kept.
        code: A program to run instead of `plugin.py`.
        options: What the program is told.
    """

    def __init__(self, env: Mapping[str, str], directory: Path, code: str | None, options: dict[str, Any]) -> None:
        directory.mkdir()
        self._stderr = directory / "stderr"
        self._account = directory / "account.json"
        counters = directory / "counters"
        counters.write_bytes(bytes(COUNTERS_SIZE))
        with counters.open("r+b") as file:
            self._counters = memoryview(mmap.mmap(file.fileno(), COUNTERS_SIZE)).cast("Q")
        told = json.dumps({**options, "counters": str(counters), "account": str(self._account)})
        program = [str(HERE / "plugin.py")] if code is None else ["-c", code]
        with self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", *program, told], env=env, stderr=stderr, stdin=subprocess.DEVNULL
            )

    @property
    def returned(self) -> tuple[int, ...]:
        """How many calls of each worker have returned by now, up to the last worker that made any."""
        counted = [self._counters[2 * worker] for worker in range(MOST_WORKERS)]
        return tuple(counted[: max((worker for worker, made in enumerate(counted, 1) if made), default=0)])

    def wait_returned(self, calls: int, timeout: float = 30.0) -> None:
        """Wait until so many calls have returned."""
        self._wait_for(lambda: sum(self.returned) >= calls, f"{calls} calls have returned", timeout)

    def wait_warned(self, times: int = 1, timeout: float = 30.0) -> None:
        """Wait until its log has said something so often."""
        self._wait_for(lambda: self._counters[WARNINGS] >= times, f"{times} warnings were logged", timeout)

    def end(self) -> None:
        """Let it make no further call, and end as if it had made all."""
        self._counters[END] = 1

    def close(self) -> None:
        """Kill it, if it is there still."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _wait_for(self, holds: Callable[[], bool], what: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not holds():
            assert self.process.poll() is None, f"the plugin ended before {what}: {self._stderr.read_text()}"
            assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
            time.sleep(_TICK)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal."""
        self.process.send_signal(how)

    def wait(self, timeout: float = 60.0) -> Outcome:
        """Wait for the end of the process; one that hangs is ended and fails the test with where it was."""
        try:
            exit_code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill(signal.SIGABRT)  # faulthandler prints the stacks
            self.process.wait()
            raise AssertionError(f"the plugin hangs: {self._stderr.read_text()}") from None
        ended = time.monotonic()
        account = json.loads(self._account.read_text()) if self._account.exists() else {}
        report = account.get("report")
        return Outcome(
            returned=self.returned,
            longest_call=max(self._counters[2 * worker + 1] for worker in range(MOST_WORKERS)) / 1e9,
            exit_code=exit_code,
            stderr=self._stderr.read_text(),
            end_delay=ended - account["ended"] if account else None,
            report=DeliveryReport({kind: Counts(*of) for kind, of in report.items()}) if report else None,
            warnings=account.get("warnings", []),
        )


def wait_until(holds: Callable[[], object], timeout: float) -> None:
    """Wait until something holds; looking takes at most a quarter of the time."""
    deadline = time.monotonic() + timeout
    while True:
        began = time.monotonic()
        if holds():
            return
        assert time.monotonic() < deadline, f"not true within {timeout:g} s"
        time.sleep(max(_TICK, 3 * (time.monotonic() - began)))
