"""The plugin of the fault suite: it makes numbered calls, times each, and notes in a shared map which have returned.

Run as a program it does what its argument says, and leaves its own account in a file. Programs of their own import it
(`tests/faults` is on their path) and do as `main` does, in another way.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

KINDS = ("message", "event", "dev_event", "metrics")
STRIDE = 1_000_000
"""The numbers of a worker (a thread, a forked child) begin at its own multiple of this."""
MOST_WORKERS = 64
WARNINGS, END = 2 * MOST_WORKERS, 2 * MOST_WORKERS + 1
"""Counters beyond those of the workers: how often the log said something, and whether the calls are to end."""
COUNTERS_SIZE = 8 * (END + 1)
IN_STEP = 50
ENDLESS = 10**9


def open_counters(path: str) -> Any:
    """Map the counters: of each worker how many calls have returned, and the nanoseconds of the longest; two more."""
    # One store each: what `struct` writes into a map is zero for a moment.
    return memoryview(mmap.mmap(os.open(path, os.O_RDWR), COUNTERS_SIZE)).cast("Q")


class Calls:
    """Numbered calls of one worker.

    Args:
        ctx: A `RuntimeContext`, or what has its methods.
        counters: What `open_counters` gave.
        worker: Which worker it is, below 64.
        kinds: What the numbers go to, in turn.
    """

    def __init__(self, ctx: Any, counters: Any, worker: int = 0, kinds: tuple[str, ...] = KINDS) -> None:
        self._ctx = ctx
        self._counters = counters
        self._worker = worker
        self._kinds = kinds
        self._made = 0

    def make(self, count: int = ENDLESS, pause: float = 0.0) -> None:
        """Make calls: progress and a numbered one each time, a step around every 50.

        Args:
            count: How many numbers.
            pause: Seconds between two.
        """
        for _ in range(0, count, IN_STEP):
            step = self._open_step()
            for _ in range(min(IN_STEP, count - self._made)):
                if self._counters[END]:
                    break
                self._timed(self._ctx.set_progress, self._made + 1, count, f"worker {self._worker}")
                self.make_one()
                time.sleep(pause)
            if step is not None:
                self._timed(step.__exit__, None, None, None)
            if self._counters[END]:
                break

    def make_one(self) -> None:
        """Make the next numbered call."""
        number = self._worker * STRIDE + self._made
        kind = self._kinds[self._made % len(self._kinds)]
        if kind == "message":
            self._timed(self._ctx.log_message, f"message {number}")
        elif kind == "event":
            self._timed(self._ctx.log, "numbered", {"number": number})
        elif kind == "dev_event":
            self._timed(self._ctx.log_dev_event, "numbered", {"number": number})
        else:
            self._timed(self._ctx.set_metrics, {"number": number}, "faults")
        self._made += 1
        self._counters[2 * self._worker] = self._made

    def _open_step(self) -> Any:
        if not hasattr(self._ctx, "step"):
            return None
        step = self._ctx.step(f"step {self._made}")
        self._timed(step.__enter__)
        return step

    def _timed(self, call: Callable[..., object], *arguments: Any) -> None:
        began = time.perf_counter_ns()
        call(*arguments)
        took = time.perf_counter_ns() - began
        if took > self._counters[2 * self._worker + 1]:
            self._counters[2 * self._worker + 1] = took


class Warnings(logging.Handler):
    """Keeps what is said under `synapse_otel`, and counts it."""

    def __init__(self, counters: Any = None) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._counters = counters
        logging.getLogger("synapse_otel").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        if record.exc_info:
            self.said.append(logging.Formatter().formatException(record.exc_info))
        if self._counters is not None:
            self._counters[WARNINGS] = len(self.said)


def finish(ctx: Any, options: dict[str, Any], warnings: Warnings) -> None:
    """End the run, and leave an account of it."""
    account: dict[str, Any] = {"ended": time.monotonic()}
    if hasattr(ctx, "report"):
        ctx.logger.finish()
        by_kind = ctx.report().by_kind
        fields = ("accepted", "delivered", "pending", "dropped", "dead_lettered")
        account["report"] = {kind: [getattr(counts, name) for name in fields] for kind, counts in by_kind.items()}
    else:
        ctx.close()
    account["warnings"] = warnings.said
    with open(options["account"], "w") as file:
        json.dump(account, file)


def open_context(options: dict[str, Any]) -> Any:
    """Open the run, ours or the one by hand."""
    if options["by_hand"]:
        from peers.hand import ByHand

        return ByHand(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])
    from synapse_otel import RuntimeContext

    return RuntimeContext.open(options["job"], "faulty")


def main() -> None:
    """Open a run, make the calls, end it."""
    faulthandler.enable()  # a plugin that hangs is ended with SIGABRT, and says where it was
    options = json.loads(sys.argv[1])
    counters = open_counters(options["counters"])
    warnings = Warnings(counters)
    ctx = open_context(options)
    workers = [Calls(ctx, counters, worker, tuple(options["kinds"])) for worker in range(options["workers"])]
    threads = [threading.Thread(target=other.make, args=(options["calls"], options["pause"])) for other in workers[1:]]
    for thread in threads:
        thread.start()
    workers[0].make(options["calls"], options["pause"])
    for thread in threads:
        thread.join()
    finish(ctx, options, warnings)


if __name__ == "__main__":
    main()
