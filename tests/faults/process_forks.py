"""Programs whose processes fork or spawn others, which go on in the same run: `workers` of them, or in pools as many
pieces of work, each with an own number.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import plugin
from process_child import Run, begin

THREADS = 4
PATIENCE = 20.0


def leave_at_once() -> None:
    """Without any handler, as a forked child should."""
    os._exit(0)


def die() -> None:
    """As the out-of-memory killer has it."""
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    """As any program does."""
    sys.exit()


def fork_while_threads_write(run: Run) -> None:
    """Fork children while threads write without a pause; they end in three ways."""
    count, stop = run.options["workers"], threading.Event()
    threads = [_writer(run, count + number, stop) for number in range(1, THREADS + 1)]
    ends: tuple[tuple[Callable[[], None], int], ...] = ((leave_at_once, 0), (die, signal.SIGKILL), (leave, 0))
    children = {_fork(run, number, ends[number % 3][0]): ends[number % 3][1] for number in range(1, count + 1)}
    ended = {child: _wait(child) for child in children}
    stop.set()
    for thread in threads:
        thread.join()
    assert ended == children, [status for child, status in ended.items() if status != children[child]]


def fork_in_the_middle_of_a_request(run: Run) -> None:
    """Fork while the pools of connections are held, as the threads that send do for a moment, and leave as usual."""
    run.calls().make(run.options["calls"])
    run.ctx.flush()
    pools = [thing for thing in gc.get_objects() if isinstance(thing, queue.Queue)]
    for pool in pools:
        pool.mutex.acquire()
    child = _fork(run, 1, leave)
    for pool in pools:
        pool.mutex.release()
    assert _wait(child) == 0


def _writer(run: Run, worker: int, stop: threading.Event) -> threading.Thread:
    calls = run.calls(worker)

    def write() -> None:
        while not stop.wait(0.0005):
            calls.make_one()

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def _fork(run: Run, worker: int, end: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        run.calls(worker).make(run.options["calls"])
        end()
    return child


def _wait(child: int) -> int:
    """Wait for a child; one that hangs is ended, and says where it was."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGABRT)
    return os.waitpid(child, 0)[1]


def spawned_pool(run: Run) -> None:
    """Share the work with a pool of spawned processes."""
    _pool(run, "spawn")


def forked_pool(run: Run) -> None:
    """Share the work with a pool of forked processes."""
    _pool(run, "fork")


def _pool(run: Run, method: str) -> None:
    workers = range(1, run.options["workers"] + 1)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        list(pool.map(work, [run.ctx] * len(workers), [run.options] * len(workers), workers))


def work(ctx: Any, options: dict[str, Any], worker: int) -> None:
    """What a process of a pool does."""
    calls = plugin.Calls(ctx, plugin.open_counters(options["counters"]), worker, tuple(options["kinds"]))
    calls.make(options["calls"])


def main(name: str) -> None:
    """Open a run, do as `name` says, and finish it."""
    run = begin()
    globals()[name](run)
    run.finish()
