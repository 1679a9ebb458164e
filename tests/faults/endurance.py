"""Hours of a busy run compressed: does it stay within its memory and its disk, and does everything arrive?"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.agents import agents
from faults.busy import REPORTS
from faults.kit import Place
from faults.procfs import MIB, disk_use, resident
from faults.tally import Arrived, TallyingCollector, tallying_collector

_LOOK = 0.1
"""Seconds between two looks at the processes and the disk."""
_WARM_UP = 0.2
"""The share of a run after which memory must not grow any more."""


@dataclass(frozen=True)
class Size:
    """How much is reported, and what it may take.

    Attributes:
        batches: Each is a message, a sample of a metric and ten progress reports.
        portions: After each of them all is delivered before the run goes on.
        text: Characters of a message.
        quota: MiB of the journal directory, fewer than are written altogether.
        memory: MiB by which a process may grow after the warm-up.
        objects: Python objects by which the plugin may grow after the warm-up.
    """

    batches: int = 1_000_000
    portions: int = 100
    text: int = 100
    quota: int = 32
    memory: float = 10.0
    objects: int = 2_000


@dataclass(frozen=True)
class Look:
    """MiB at one moment: of the plugin, of it without mapped files, of the agents, and on the disk."""

    portion: int
    plugin: float
    private: float
    agents: float
    disk: float


@dataclass
class Endured:
    """What was seen of a run.

    Attributes:
        looks: At regular intervals, and at the end of each portion.
        objects: Those of the plugin at the end of each portion.
        report: What the plugin's `report()` says at the end, by kind.
        arrived: What the collector has.
        seconds: From the first call to the end of the run.
    """

    looks: list[Look] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)
    report: dict[str, dict[str, int]] = field(default_factory=dict)
    arrived: Arrived | None = None
    seconds: float = 0.0

    def growth(self, what: str) -> float:
        """MiB by which something grew beyond its highest in the warm-up."""
        warm = _WARM_UP * len(self.objects)
        before = max(getattr(look, what) for look in self.looks if look.portion < warm)
        return max(getattr(look, what) for look in self.looks if look.portion >= warm) - before

    def more_objects(self) -> int:
        """Objects by which the plugin grew, from the end of the warm-up to the end of the last portion."""
        return self.objects[-1] - self.objects[int(_WARM_UP * len(self.objects))]

    def total(self, state: str) -> int:
        """Records in a state, of all kinds."""
        return sum(counts[state] for counts in self.report.values())


def endure(place: Place, size: Size) -> Endured:
    """Let a run report, and watch it."""
    command = [sys.executable, str(Path(__file__).with_name("busy.py"))]
    arguments = [str(size.batches), str(size.portions), str(size.text)]
    with tallying_collector() as collector:
        env = place.env(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            SYNAPSE_OTEL_QUOTA_BYTES=str(size.quota * MIB),
            SYNAPSE_OTEL_FINISH_TIMEOUT="60",
        )
        with subprocess.Popen(
            [*command, *arguments], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as plugin:
            endured = _watch(plugin, place, collector)
    assert plugin.returncode == 0
    return endured


def _watch(plugin: subprocess.Popen[str], place: Place, collector: TallyingCollector) -> Endured:
    endured, began = Endured(), time.monotonic()
    for said in _said(plugin):
        endured.looks.append(_look(plugin.pid, len(endured.objects), place.journal_dir))
        if "objects" in said:
            assert said["delivered"], "not delivered within ten minutes"
            endured.objects.append(said["objects"])
        endured.report = said.get("report", endured.report)
    endured.seconds = time.monotonic() - began
    endured.arrived = collector.arrived()
    return endured


def _said(plugin: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Yield what the plugin says, and nothing in between; then let it go on."""
    assert plugin.stdin is not None
    assert plugin.stdout is not None
    while True:
        if not select.select([plugin.stdout], [], [], _LOOK)[0]:
            yield {}
        elif line := plugin.stdout.readline():
            yield json.loads(line)
            plugin.stdin.write("\n")
            plugin.stdin.flush()
        else:
            return


def _look(pid: int, portion: int, journal_dir: Path) -> Look:
    shipping = sum(resident(agent)[0] for agent in agents(journal_dir))
    return Look(portion, *resident(pid), shipping, disk_use(journal_dir))


def shortcomings(endured: Endured, size: Size) -> list[str]:
    """What is wrong with a run, nothing if all is well."""
    return [*_lost(endured, size.batches), *_grown(endured, size)]


def _lost(endured: Endured, batches: int) -> Iterable[str]:
    wanted = Arrived(batches, batches, batches, 0, REPORTS * batches, ["completed"])
    if endured.arrived != wanted:
        yield f"{endured.arrived} arrived, expected {wanted}"
    for state in ("pending", "dropped", "dead_lettered"):
        if endured.total(state):
            yield f"{endured.total(state)} records {state}: {endured.report}"
    for kind in ("message", "metrics"):
        if endured.report[kind]["delivered"] != batches:
            yield f"{kind}: {endured.report[kind]}, expected {batches} delivered"


def _grown(endured: Endured, size: Size) -> Iterable[str]:
    for what in ("plugin", "private", "agents"):
        if (grown := endured.growth(what)) > size.memory:
            yield f"{what}: {grown:.1f} MiB more in memory, expected at most {size.memory}"
    if (more := endured.more_objects()) > size.objects:
        yield f"{more} objects more in the plugin, expected at most {size.objects}"
    if (most := max(look.disk for look in endured.looks)) > size.quota:
        yield f"{most:.1f} MiB on the disk, expected at most {size.quota}"
