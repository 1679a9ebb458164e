"""Does what it is told with one peer, in a process and an environment of its own.

It needs nothing but the peer. Orders are JSON, a line each on standard input; answers are integers, through a pipe:
after its start the nanoseconds of the import and of the opening, then one answer to each order, and when there are no
more orders the nanoseconds of the end.
"""

from __future__ import annotations

import gc
import importlib
import json
import mmap
import os
import random
import struct
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# As timeit does it: the call stands in the loop itself, so that nothing but it is measured.
BLOCK = """
def block(ctx, clock, numbers, times):
    for i in numbers:
        began = clock()
        {call}
        times.append(clock() - began)
        {pause}
"""
LONGEST_BLOCK = 1e9
"""Nanoseconds that a block of a slow peer may last; it makes fewer calls then, but this many at least:"""
FEWEST = 30
Clock = Callable[[], int]


def arguments(call: str) -> dict[str, Any]:
    """What stands in the calls."""
    known: dict[str, Any] = {
        "metrics": {"loss": 0.53, "accuracy": 0.81, "lr": 0.001},
        "nested_metrics": {"loss": {"train": 0.53, "val": 0.61}, "lr": 0.001},
        "data": {"epoch": 3, "loss": 0.53, "path": "model.pt"},
        "nested": {"epoch": 3, "optimizer": {"name": "adam", "betas": [0.9, 0.999]}, "shape": (3, 224, 224)},
        "details": {"layer": "conv1", "size": 4096},
    }
    if "scalars" in call:
        numpy = importlib.import_module("numpy")
        known["scalars"] = {"loss": numpy.float64(0.53), "accuracy": numpy.float32(0.81), "step": numpy.int64(3)}
    return known


class Worker:
    """Carries out orders.

    Args:
        target: Has methods of a `RuntimeContext`.
    """

    def __init__(self, target: Any) -> None:
        self._target = target
        self._first = 1
        self._training: Any = None

    def call(
        self, call: str, count: int, threads: int = 1, *, whole: bool = False, pause: float = 0.0
    ) -> Iterable[int]:
        """The nanoseconds of each of so many calls, or fewer of a slow peer, in so many threads at once.

        With `whole` it is as many calls as told, whatever they take, the first one the number 1.
        """
        namespace: dict[str, Any] = arguments(call)
        namespace["sleep"] = time.sleep
        exec(BLOCK.format(call=call, pause=f"sleep({pause})" if pause else ""), namespace)
        block, warm = namespace["block"], array("q")
        if not whole:
            block(self._target, time.perf_counter_ns, self._numbers(FEWEST), warm)
            count = max(FEWEST, min(count, int(LONGEST_BLOCK * len(warm) / sum(warm))))
        parts = [array("q") for _ in range(threads)]
        workers = [
            threading.Thread(target=block, args=(self._target, time.perf_counter_ns, self._numbers(count), part))
            for part in parts[1:]
        ]
        gc.collect()
        for worker in workers:
            worker.start()
        block(self._target, time.perf_counter_ns, self._numbers(count), parts[0])
        for worker in workers:
            worker.join()
        return sum(parts[1:], parts[0])

    def busy(self) -> Iterable[int]:
        """Compute in pure Python beside all that comes, for ever."""
        threading.Thread(target=compute, daemon=True).start()
        return ()

    def drain(self) -> Iterable[int]:
        """Wait until nothing is under way, as far as the peer can tell."""
        if hasattr(self._target, "drain"):
            self._target.drain()
        return ()

    def memory(self) -> Iterable[int]:
        """The bytes that are resident."""
        return (int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE,)

    def train(self, pairs: int) -> Iterable[int]:
        """Learn so many pairs of batches, reporting after one of each, which chance chooses.

        Returns the nanoseconds of the one that reported and of the other one, pair by pair.
        """
        if self._training is None:
            self._training = importlib.import_module("network").Training()
        times = array("q")
        for number in range(pairs):
            first = random.random() < 0.5
            one = self._batch(number, pairs, report=first)
            other = self._batch(number, pairs, report=not first)
            times.extend((one, other) if first else (other, one))
        return times

    def _batch(self, number: int, total: int, *, report: bool) -> int:
        began = time.perf_counter_ns()
        loss = self._training.step()
        if report:
            self._target.set_progress(number + 1, total, "train")
            self._target.set_metrics({"loss": loss, "accuracy": 1 - loss, "lr": 0.001}, "train")
        return time.perf_counter_ns() - began

    def report_until_killed(self, file: str, pause: float) -> Iterable[int]:
        """Log numbered messages until killed; the number of those whose call has returned is in the file."""
        with open(file, "r+b") as opened:
            returned = memoryview(mmap.mmap(opened.fileno(), 8)).cast("q")
        target, number = self._target, 0
        while True:
            number += 1
            target.log_message(f"message {number}")
            returned[0] = number
            time.sleep(pause)

    def _numbers(self, count: int) -> range:
        first, self._first = self._first, self._first + count
        return range(first, first + count)


def compute() -> None:
    """Compute in pure Python for ever."""
    while True:
        sum(number * number for number in range(1000))


def answer(pipe: int, numbers: Iterable[int]) -> None:
    """Write an answer."""
    content = array("q", numbers).tobytes()
    content = struct.pack("<q", len(content)) + content
    while content:
        content = content[os.write(pipe, content) :]


def main(peer: str, variant: str, pipe: int) -> None:
    """Open the peer, and do as told until there is nothing more to do."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # of a peer that talks, to nobody
    clock = time.perf_counter_ns
    began = clock()
    module = importlib.import_module(peer)
    imported = clock()
    target = module.open_target(variant)
    answer(pipe, (imported - began, clock() - imported))
    worker = Worker(target)
    for line in sys.stdin:
        order = json.loads(line)
        answer(pipe, getattr(worker, order.pop("do"))(**order))
    began = clock()
    target.close()
    answer(pipe, (clock() - began,))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
