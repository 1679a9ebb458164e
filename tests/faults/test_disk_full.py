"""Disks that are full, from the first byte or later, that nobody may write to, or that lack what others have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.disk_mounts import image, mounted
from faults.kit import Place
from faults.process_kit import start
from faults.table import FaultTable
from synapse_otel.testing import Collector

NO_SPACE = "[Errno 28] No space left on device"
PATIENCE = 5.0
CALLS = 3000
"""More than go into the first segment of a journal."""


@dataclass(frozen=True)
class Disk:
    """What a journal directory is on.

    Attributes:
        mount: Puts it there.
        said: What the plugin is told about it.
        program: What meets it, where it is the process that has a limit.
    """

    name: str
    mount: Callable[[Path], AbstractContextManager[None]] = lambda _: nullcontext()
    said: str = ""
    program: str = "disk_limits.nothing"


@contextmanager
def small_ext2(where: Path) -> Iterator[None]:
    with mounted(where, "ext2", "loop", image(where.with_name("image"), 256 * 1024)):
        yield


DISKS = (
    Disk("full at the first byte", lambda where: mounted(where, "tmpfs", "size=16k"), NO_SPACE),
    Disk("full later", lambda where: mounted(where, "tmpfs", "size=200k"), NO_SPACE),
    Disk("full later, no fallocate", small_ext2, NO_SPACE),
    Disk("no fallocate", lambda where: mounted(where, "ramfs")),
    Disk("read-only", lambda where: mounted(where, "tmpfs", "ro"), "[Errno 30] Read-only file system"),
    Disk("permission denied", program="disk_limits.without_permission", said="[Errno 13] Permission denied"),
    Disk("limit of file sizes", program="disk_limits.small_files", said="[Errno 27] File too large"),
)


@pytest.mark.parametrize("disk", DISKS, ids=lambda disk: disk.name)
def test_a_disk_that_does_not_take_the_journal(disk: Disk, place: Place, fault_table: FaultTable) -> None:
    """The run goes on, in memory where it must, which is said once; nothing is lost, and no call waits."""
    with disk.mount(place.journal_dir), Collector() as collector:
        # What is in memory goes with the process: the end waits for its delivery.
        env = place.env(collector, SYNAPSE_OTEL_FINISH_TIMEOUT=str(PATIENCE))
        outcome = start(place, env, disk.program, calls=CALLS, pause=0.0001).wait()
        outcome.check_unharmed(finish_timeout=PATIENCE)
        assert [disk.said in warning for warning in outcome.warnings] == [True] * bool(disk.said)
        place.next_start(env, lambda: place.ledger(collector, outcome).is_settled)
        fault_table.add(disk.name, place, outcome, place.ledger(collector, outcome))
        place.close()


def test_a_full_disk_and_no_collector(place: Place, fault_table: FaultTable) -> None:
    """What was in memory when the process ended, and nowhere else, is reported as dropped."""
    with mounted(place.journal_dir, "tmpfs", "size=200k"), Collector() as collector:
        collector.stop()
        env = place.env(collector)
        outcome = start(place, env, "disk_limits.nothing", calls=CALLS, pause=0.0001).wait()
        outcome.check_unharmed()
        collector.start()
        place.next_start(env, lambda: place.ledger(collector, outcome).statuses)
        fault_table.add("full disk, no collector", place, outcome, place.ledger(collector, outcome))
        place.close()
