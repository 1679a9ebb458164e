"""Makes each call many times, between two marks, for a tool that counts what the machine does in between.

A mark is a call of `getsid`, which nobody else makes.
"""

from __future__ import annotations

import gc
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from synapse_otel import RuntimeContext, TelemetrySettings

Block = Callable[[Any, Iterable[int]], None]

METRICS = {"loss": 0.53, "accuracy": 0.81, "lr": 0.001}
DATA = {"epoch": 3, "loss": 0.53, "path": "model.pt"}
NESTED = {"epoch": 3, "optimizer": {"name": "adam", "betas": [0.9, 0.999]}, "shape": (3, 224, 224)}
DETAILS = {"layer": "conv1", "size": 4096}
TOTAL = 1_000_000_000
CATEGORIES, NAMES, PAST = 1_000, 10_000, 20_000
"""Of what there is much in the second half of the counts."""


def set_progress(ctx: RuntimeContext, numbers: Iterable[int]) -> None:
    for number in numbers:
        ctx.set_progress(number, TOTAL, "train")


def set_progress_of_step(ctx: RuntimeContext, numbers: Iterable[int]) -> None:
    for number in numbers:
        ctx.set_progress(number / TOTAL, 1.0)


def set_metrics(ctx: RuntimeContext, numbers: Iterable[int]) -> None:
    for _ in numbers:
        ctx.set_metrics(METRICS, "train")


def set_metrics_of_step(ctx: RuntimeContext, numbers: Iterable[int]) -> None:
    for _ in numbers:
        ctx.set_metrics(METRICS)


def log(ctx: RuntimeContext, numbers: Iterable[int]) -> None:
    for _ in numbers:
        ctx.log("checkpoint", DATA)


def log_nested(ctx: RuntimeContext, numbers: Iterable[int]) -> None:
    for _ in numbers:
        ctx.log("checkpoint", NESTED)


def log_message(ctx: RuntimeContext, numbers: Iterable[int]) -> None:
    for _ in numbers:
        ctx.log_message("loaded the batch number 17")


def log_dev_event(ctx: RuntimeContext, numbers: Iterable[int]) -> None:
    for _ in numbers:
        ctx.log_dev_event("cache miss", DETAILS)


CALLS: dict[str, Block] = {
    block.__name__: block
    for block in (
        set_progress,
        set_progress_of_step,
        set_metrics,
        set_metrics_of_step,
        log,
        log_nested,
        log_message,
        log_dev_event,
    )
}


class Record(msgspec.Struct, array_like=True, gc=False):
    """What the reference writes: as much as a message."""

    t: int
    span: bytes
    parent: bytes
    text: str
    level: str


class Reference:
    """The least that a crash-proof record takes: encoded, framed, checked, and stored in a map under a lock."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 4096)
        self._lock = threading.RLock()
        self._encode = msgspec.msgpack.Encoder().encode
        self._pack = struct.Struct("<II").pack

    def write(self, text: str) -> None:
        """Write a record."""
        payload = self._encode(Record(time.time_ns(), b"12345678", b"", text, "info"))
        frame = self._pack(len(payload), crc32(payload)) + payload
        with self._lock:
            self._map[0 : len(frame)] = frame


def reference(target: Reference, numbers: Iterable[int]) -> None:
    """As a call, but of the reference."""
    for _ in numbers:
        target.write("loaded the batch number 17")


def fill(ctx: RuntimeContext) -> None:
    """Have many categories, names of metrics, and records."""
    for number in range(CATEGORIES):
        ctx.set_progress(1, 2, f"category {number}")
        ctx.set_metrics({f"metric {number} {name}": 0.5 for name in range(NAMES // CATEGORIES)}, f"category {number}")
    for number in range(PAST):
        ctx.log_message(f"message {number}")


def main(directory: Path, count: int) -> None:
    """Count each call, and the reference; each call once more when there is much of everything."""
    settings = TelemetrySettings(journal_dir=directory, shipper="off")
    ctx = RuntimeContext.open("counted", "counted", settings=settings)
    first = 1

    def block(call: Block, target: Any) -> None:
        nonlocal first
        call(target, range(first, first + count))  # the first calls of a kind have more to do
        numbers = range(first + count, first + 2 * count)
        first += 2 * count
        os.getsid(0)
        call(target, numbers)
        os.getsid(0)

    gc.disable()
    block(reference, Reference())
    with ctx.step("epoch"):
        for call in CALLS.values():
            block(call, ctx)
        fill(ctx)
        for call in CALLS.values():
            block(call, ctx)
    ctx.logger.finish()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
