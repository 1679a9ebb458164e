"""Servers of this suite in processes of their own, whose interpreter lock is not that of what they serve."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection


@contextlib.contextmanager
def served_elsewhere(serve: Callable[[Connection], None]) -> Iterator[Connection]:
    """Run `serve` in a process of its own while the block runs; gives the other end of its pipe."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that a child that could not start is an EOFError here and no endless wait
    try:
        yield ours
    finally:
        process.kill()
        process.join()
