"""A limit of the memory that processes have together, above which the kernel kills one: a control group, v2 or v1."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PATIENCE = 5.0
"""Seconds in which the last process of a group that was killed is gone."""


@contextmanager
def memory_limit(limit: int) -> Iterator[Path | None]:
    """Make a group whose processes get `limit` bytes together.

    Args:
        limit: Bytes.

    Yields:
        The file that takes the ids of processes to be in it; None where no group can be had.
    """
    group = _create(limit)
    try:
        yield group and group / "cgroup.procs"
    finally:
        if group:
            _remove(group)


def _create(limit: int) -> Path | None:
    for parent, name, value in _parents(limit):
        group = parent / f"faults-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / name).write_text(value)
            with suppress(OSError):  # there may be no swap to keep out of
                (group / "memory.swap.max").write_text("0")
            return group
        except OSError:
            group.rmdir()
    return None


def _parents(limit: int) -> Iterator[tuple[Path, str, str]]:
    """Where a group may be made, and the file that limits it."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield Path("/sys/fs/cgroup/memory") / path.lstrip("/"), "memory.limit_in_bytes", str(limit)
        elif not controllers:
            yield Path("/sys/fs/cgroup") / path.lstrip("/"), "memory.max", str(limit)
            yield Path("/sys/fs/cgroup"), "memory.max", str(limit)


def _remove(group: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
