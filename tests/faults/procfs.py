"""What the kernel knows of processes, and what lies in a directory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

MIB = 1024 * 1024


def resident(pid: int) -> tuple[float, float]:
    """MiB of a process in memory: all, and without what is mapped from files; nothing where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    fields = dict(line.split(":", 1) for line in lines)
    if "VmRSS" not in fields:  # it has ended, and nobody has asked for its exit code yet
        return 0.0, 0.0
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["RssAnon"].split()[0]) / 1024


def disk_use(path: Path) -> float:
    """MiB that the files under `path` occupy."""
    total = 0
    for file in path.rglob("*"):
        with contextlib.suppress(OSError):  # it may be removed meanwhile
            total += file.stat().st_blocks * 512
    return total / MIB


_PR_SET_CHILD_SUBREAPER = 36


@contextlib.contextmanager
def descendants_end(patience: float) -> Iterator[list[str]]:
    """Wait, after the block, for all processes that were started in it, however they detached themselves.

    Args:
        patience: How many seconds.

    Yields:
        What is filled with the command lines of those that are left then.
    """
    before, left = _children(), []
    _adopt_orphans(True)
    try:
        yield left
        deadline = time.monotonic() + patience
        while (found := _alive(_children() - before)) and time.monotonic() < deadline:
            time.sleep(0.02)
        left += [_command(pid) for pid in found]
    finally:
        _adopt_orphans(False)


def _adopt_orphans(adopt: bool) -> None:
    """Say whether this process becomes the parent of those below it whose parent ends, in the place of init."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _children() -> set[int]:
    """The processes whose parent this one is."""
    return {int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == os.getpid()}


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it has just ended


def _alive(children: set[int]) -> list[int]:
    """Those of our children that have not ended; of those that have the kernel keeps nothing after this."""
    return [pid for pid in children if os.waitpid(pid, os.WNOHANG) == (0, 0)]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
