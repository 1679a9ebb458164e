"""A program whose clock jumps back an hour, for everybody in its process: the machine's cannot be moved for a test."""

from __future__ import annotations

import time

HOUR = 3600
_time, _time_ns = time.time, time.time_ns
_back = 0


def main(name: str) -> None:
    """Make a third of the calls, then the others an hour before."""
    global _back
    time.time = lambda: _time() - _back
    time.time_ns = lambda: _time_ns() - _back * 10**9
    from process_child import begin  # whoever imports these functions by their names imports ours

    run = begin()
    calls, count, pause = run.calls(), run.options["calls"], run.options["pause"]
    calls.make(count // 3, pause)
    _back = HOUR
    run.calls(worker=1).make(count - count // 3, pause)
    run.finish()
