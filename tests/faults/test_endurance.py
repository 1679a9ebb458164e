"""The endurance run of `tests/benchmarks/endurance.py`, at a hundredth of its size."""

from __future__ import annotations

from faults.endurance import Size, endure, shortcomings
from faults.kit import Place

# Long messages, so that segments are left, delivered and removed within few of them.
SMALL = Size(batches=8_000, portions=10, text=2_000, quota=20)


def test_a_busy_run_stays_within_its_memory_and_disk_and_everything_arrives(place: Place) -> None:
    """Neither plugin nor agent keeps anything of what was delivered; nothing is lost, and nothing sent twice."""
    assert shortcomings(endure(place, SMALL), SMALL) == []
