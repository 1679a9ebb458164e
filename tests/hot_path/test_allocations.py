"""Calls leave nothing behind in the memory of the process, and give the garbage collector nothing to do."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hot_path.counted import CALLS
from synapse_otel import RuntimeContext, TelemetrySettings

COUNT = 5_000
TIMES = 5
"""The other threads of a run do something now and then, so that of several counts the least is that of the calls."""
OTHERS = COUNT // 100
"""More than other threads hold for the moment, less than what one call in a hundred would leave behind."""


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[RuntimeContext]:
    """A run that nobody ships."""
    settings = TelemetrySettings(journal_dir=tmp_path, shipper="off")
    with RuntimeContext.open("allocations", settings=settings) as ctx:
        yield ctx


@pytest.fixture
def growth(ctx: RuntimeContext, request: pytest.FixtureRequest) -> list[tuple[int, int, int]]:
    """What thousands of calls add: blocks of memory, what counts towards a collection of garbage, collections."""
    call, collections = CALLS[request.param], 0

    def collected(phase: str, _info: object) -> None:
        nonlocal collections
        collections += phase == "start"

    def count() -> tuple[int, int, int]:
        return sys.getallocatedblocks(), gc.get_count()[0], collections

    call(ctx, range(1, COUNT))
    found = []
    gc.callbacks.append(collected)
    try:
        for first in range(COUNT, (TIMES + 1) * COUNT, COUNT):
            before = count()
            call(ctx, range(first, first + COUNT))
            found.append(tuple(after - earlier for after, earlier in zip(count(), before, strict=True)))
    finally:
        gc.callbacks.remove(collected)
    return found


@pytest.mark.parametrize("growth", CALLS, indirect=True)
def test_a_call_leaves_nothing_behind(growth: list[tuple[int, int, int]]) -> None:
    """Not one call in a hundred leaves a block of memory in use, and no garbage was looked for."""
    blocks, counted, collections = (min(column) for column in zip(*growth, strict=True))
    assert (blocks < OTHERS, counted < OTHERS, collections) == (True, True, 0), growth
