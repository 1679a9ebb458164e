"""The ways in which a plugin's process ends by itself; each is run after its calls were made."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import os
import signal
import sys
import threading

from process_child import Run, begin

from synapse_otel import RunStatus

MADE_UP = "a made-up error"


def segmentation_fault(run: Run) -> None:
    """Die in native code."""
    faulthandler.disable()
    faulthandler._sigsegv()  # type: ignore[attr-defined]  # CPython's own, for tests


def abort(run: Run) -> None:
    """Die as a failed assertion in native code does."""
    faulthandler.disable()
    os.abort()


def os_exit(run: Run) -> None:
    """Leave at once, without any handler."""
    os._exit(3)


def uncaught_exception(run: Run) -> None:
    """Fail."""
    raise ValueError(MADE_UP)


def sys_exit(run: Run) -> None:
    """Leave with a code of success."""
    sys.exit()


def sys_exit_in_with(run: Run) -> None:
    """Leave out of a `with` block."""
    with run.ctx:
        sys.exit(4)


def exception_in_with(run: Run) -> None:
    """Fail in a `with` block, and go on."""
    with contextlib.suppress(ValueError), run.ctx:
        raise ValueError(MADE_UP)


def never_finished(run: Run) -> None:
    """Come to the end of the program."""


def collected(run: Run) -> None:
    """Lose the context, without a word."""
    object.__setattr__(run, "ctx", None)
    gc.collect()


def finished_twice(run: Run) -> None:
    """End the run, and end it again, in every way there is."""
    with run.ctx:
        run.ctx.end_log()
        run.ctx.end_log()
        run.ctx.logger.finish()
        run.ctx.logger.finish()
    run.ctx.logger.finish()


def threads_running(run: Run) -> None:
    """Come to the end of the program while a thread goes on that the interpreter waits for."""
    calls = run.calls(worker=1)
    threading.Thread(target=calls.make, args=(200, 0.001)).start()


def asynchronous(run: Run) -> None:
    """End with the event loop, which cancels the tasks that are left."""

    async def make(worker: int) -> None:
        calls = run.calls(worker)
        while True:
            calls.make_one()
            await asyncio.sleep(0)

    async def main() -> None:
        async with run.ctx:
            tasks = [asyncio.create_task(make(worker)) for worker in range(1, 9)]
            await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def terminated(run: Run) -> None:
    """Be ended by a signal that nobody handles."""
    signal.raise_signal(signal.SIGTERM)


def signalled(run: Run) -> None:
    """Go on until a signal comes, which nobody handles."""
    run.calls(worker=1).make(pause=run.options["pause"])


def handler_that_leaves(run: Run) -> None:
    """Go on until a signal comes, whose handler leaves."""

    def leave(number: int, frame: object) -> None:
        run.note_end()
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signalled(run)


def handler_that_finishes(run: Run) -> None:
    """Go on until a signal comes, whose handler ends the run in the middle of what it does, and leaves."""

    def finish(number: int, frame: object) -> None:
        run.note_end()
        run.ctx.logger.finish(RunStatus.CANCELLED)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, finish)
    signalled(run)


def main(name: str) -> None:
    """Open a run, make its calls, and end as `name` says."""
    run = begin()
    run.calls().make(run.options["calls"], run.options["pause"])
    run.note_end()
    globals()[name](run)
