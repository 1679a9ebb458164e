"""Programs whose threads go on where the run, or the interpreter, ends under them."""

from __future__ import annotations

import threading
import time

from process_child import Run, begin


def finished_meanwhile(run: Run) -> None:
    """End the run, twice at once, while threads are in the middle of their calls; each goes on until it is refused."""
    refusals: list[str] = []

    def work(worker: int) -> None:
        calls = run.calls(worker)
        try:
            while True:
                calls.make_one()
                time.sleep(run.options["pause"])
        except RuntimeError as error:
            refusals.append(str(error))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(1, run.options["workers"])]
    threads.append(threading.Thread(target=run.ctx.logger.finish))
    for thread in threads[:-1]:
        thread.start()
    time.sleep(0.1)
    threads[-1].start()
    run.finish()
    for thread in threads:
        thread.join()
    assert len(refusals) == run.options["workers"] - 1
    assert all(refusal.endswith("finish() was called") for refusal in refusals), refusals


def daemons_running(run: Run) -> None:
    """Come to the end of the program while threads go on that the interpreter does not wait for."""
    for worker in range(1, run.options["workers"]):
        threading.Thread(target=run.calls(worker).make, kwargs={"pause": run.options["pause"]}, daemon=True).start()
    time.sleep(0.1)
    run.note_end()


def interrupted(run: Run) -> None:
    """Go on after every interrupt, which comes in the middle of a call, as another worker."""
    for worker in range(1, run.options["workers"]):
        calls = run.calls(worker)
        try:
            while True:
                calls.make_one()
                time.sleep(run.options["pause"])
        except KeyboardInterrupt:
            pass
    run.finish()


def main(name: str) -> None:
    """Open a run, and do as `name` says."""
    globals()[name](begin())
