"""Guards the cost of each call with counts of machine instructions, which no other load of the machine changes."""

from __future__ import annotations

import platform
import shutil
import sys

import pytest

from hot_path.callgrind import instructions
from hot_path.counted import CALLS

pytestmark = pytest.mark.skipif(
    not shutil.which("valgrind"), reason="NOT TESTED HERE: what calls cost, for want of Valgrind"
)

COUNT = 400
RATIOS = {
    "set_progress": 0.48,
    "set_progress_of_step": 0.66,
    "set_metrics": 2.54,
    "set_metrics_of_step": 2.71,
    "log": 2.64,
    "log_nested": 4.50,
    "log_message": 1.89,
    "log_dev_event": 2.27,
}
"""What each call takes, in units of `counted.Reference`, with Python 3.11 on x86-64."""
DEARER = 1.25
MUCH = 1.02
"""What many categories, metrics and records may add; two counts of the same differ by less than half of that."""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Instructions per call of each block, the reference first."""
    return instructions(tmp_path_factory.mktemp("counted"), COUNT)


@pytest.mark.skipif(
    (sys.version_info[:2], platform.machine()) != ((3, 11), "x86_64"), reason="the counts are those of Python 3.11"
)
@pytest.mark.parametrize("call", CALLS)
def test_no_call_has_become_a_quarter_dearer_or_cheaper(counted: list[int], call: str) -> None:
    """Each call takes as many instructions as noted; one that has become cheaper is to be noted anew."""
    reference, *calls = counted
    ratio = calls[list(CALLS).index(call)] / reference
    assert RATIOS[call] / DEARER < ratio < RATIOS[call] * DEARER, f"{call} takes {ratio:.3f}, noted is {RATIOS[call]}"


@pytest.mark.parametrize("call", CALLS)
def test_what_there_is_already_costs_nothing(counted: list[int], call: str) -> None:
    """With 1,000 categories, 10,000 metrics and a long past a call costs what it did in the beginning."""
    place = list(CALLS).index(call)
    first, second = counted[1:][place], counted[1:][len(CALLS) + place]
    assert second < first * MUCH, (first, second)
