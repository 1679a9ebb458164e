"""Programs that use up the memory that their process may have."""

from __future__ import annotations

import resource
from typing import Any

from process_child import Run, begin

MEBIBYTE = 2**20
ENOUGH = 6 * MEBIBYTE
"""Less than a segment, but something: the encoder of protobuf, in C, does not survive without."""


def no_address_space_left(run: Run) -> None:
    """Report with nothing left for a segment of the journal, and on when there is something again."""
    run.calls().make(run.options["calls"] // 4)
    hoard = _all_but(ENOUGH, more=48 * MEBIBYTE)
    run.calls(worker=1).make(run.options["calls"])
    hoard.clear()
    run.calls(worker=2).make(run.options["calls"])
    run.finish()


def _all_but(left: int, more: int) -> list[Any]:
    """Limit the address space to `more` bytes than now, and take all of it but `left` bytes."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.RLIM_INFINITY))
    hoard: list[Any] = []
    try:
        while True:
            hoard.append(bytearray(MEBIBYTE))
    except MemoryError:
        del hoard[: left // MEBIBYTE]
    return hoard


def until_killed(run: Run) -> None:
    """Report, and take more and more memory, until the kernel ends it."""
    calls, hoard = run.calls(), []
    while True:
        for _ in range(10):
            calls.make_one()
        hoard.append(bytearray(MEBIBYTE))


def main(name: str) -> None:
    """Open a run, and do as `name` says."""
    globals()[name](begin())
