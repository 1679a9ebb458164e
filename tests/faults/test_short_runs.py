"""Short runs leave nothing behind; `tests/benchmarks/short_runs.py` does the same with 200 of them."""

from __future__ import annotations

from faults.kit import Place
from faults.short_runs import Left, in_one_process, in_processes

RUNS = 40
PROCESSES = 8


def test_runs_of_one_process_leave_nothing_behind(place: Place) -> None:
    """Neither thread, descriptor, map, object, file nor process is left, and each run has arrived."""
    left = in_one_process(place, RUNS)
    assert left.held.pop("maps") < RUNS // 4  # the allocator's own
    assert left.held.pop("objects") < 5 * RUNS  # caches that fill up; a run that is kept has seven times as many
    assert left == Left(held={"threads": 0, "descriptors": 0})


def test_runs_of_many_processes_leave_nothing_behind(place: Place) -> None:
    """Neither file nor process is left, and each run has arrived."""
    assert in_processes(place, PROCESSES) == Left()
