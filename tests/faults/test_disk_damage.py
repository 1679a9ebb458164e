"""Journals whose files somebody cuts, writes over or deletes, while their run goes on or afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from faults.disk_damage import cut, readable, scribble
from faults.kit import Place, wait_until
from faults.ledger import Ledger, ledger
from faults.outcome import Outcome
from faults.process_kit import start
from faults.table import FaultTable
from synapse_otel.journal.directory import JournalPath, journals
from synapse_otel.testing import Collector, Status

RUNS = 24
CALLS = 200
Damage = Callable[[JournalPath, random.Random], None]


@pytest.mark.parametrize("damage", [scribble, cut])
def test_orphans_that_are_damaged(damage: Damage, place: Place, fault_table: FaultTable) -> None:
    """Of damaged journals all is delivered that can be read, nothing that nobody wrote, and their runs are closed."""
    with Collector() as collector:
        env = place.env(collector)
        plugin = start(place, {**env, "SYNAPSE_OTEL_SHIPPER": "off"}, "disk_runs.job", workers=RUNS, calls=CALLS)
        plugin.wait_returned(RUNS * CALLS)
        plugin.kill(signal.SIGKILL)
        outcome = plugin.wait()
        left = {}
        for seed, journal in enumerate(journals(place.journal_dir)):
            damage(journal, random.Random(seed))
            left[job_of(journal)] = len(readable(journal))
        place.next_start(env, lambda: all(len(found(place, collector, job).arrived) == left[job] for job in left))
        place.next_start(env, lambda: all(found(place, collector, job).statuses for job in left if left[job]))
        for job, count in left.items():
            of = found(place, collector, job)
            assert (of.arrived <= of.accepted, of.doubled, of.differing) == (True, 0, 0)
            assert (len(of.delivered), of.statuses) == (count, {"faulty": "crashed"} if count else {})
            fault_table.add_unchecked(f"{damage.__name__} orphan", place, outcome, of)


def job_of(journal: JournalPath) -> str:
    return journal.run.name.partition("~")[0]


def found(place: Place, collector: Collector, job: str) -> Ledger:
    """What became of the calls of one of many runs, which are those of one worker."""
    worker = int(job.partition("-")[2])
    return ledger([collector], [0] * worker + [CALLS], place.journal_dir, job=job)


def test_a_journal_that_is_written_over_while_its_run_goes_on(place: Place, fault_table: FaultTable) -> None:
    """The run goes on and ends in time; what was destroyed before it was sent is reported as dropped, to the record."""
    with Collector() as collector:
        env = place.env(collector)
        for seed in range(5):
            with collector.failing(Status(503)):
                plugin = place.start(env, job := f"job-{seed}", calls=600, pause=0.001)
                plugin.wait_returned(400)
                (journal,) = (journal for journal in journals(place.journal_dir) if job_of(journal) == job)
                scribble(journal, random.Random(seed))
            check_damaged(place, collector, fault_table, "scribble live", plugin.wait(), job)


def test_a_journal_directory_that_is_deleted_under_its_run(place: Place, fault_table: FaultTable) -> None:
    """What was not sent yet is sent from where it still is, or reported as dropped; the run goes on as before."""
    with Collector() as collector:
        with collector.failing(Status(503)):
            plugin = place.start(place.env(collector), calls=1000, pause=0.001)
            plugin.wait_returned(500)
            shutil.rmtree(place.journal_dir)
        check_damaged(place, collector, fault_table, "delete live", plugin.wait(), "job-1")


def test_a_journal_that_is_cut_between_two_calls(place: Place, fault_table: FaultTable) -> None:
    """The run goes on in memory, and what was cut off before it was sent is reported as dropped."""
    with Collector() as collector:
        plugin = place.start(place.env(collector), calls=6, pause=1.5)
        plugin.wait_returned(3)
        (journal,) = journals(place.journal_dir)
        os.truncate(journal.segment(1), 0)
        check_damaged(place, collector, fault_table, "cut live", plugin.wait(), "job-1")


def test_a_journal_that_is_cut_in_the_middle_of_calls(place: Place, fault_table: FaultTable) -> None:
    """A store behind the end of a file is a SIGBUS, which no Python program survives: README says so.

    What was sent before is there, and the next start closes the run.
    """
    with Collector() as collector:
        env = place.env(collector)
        plugin = place.start(env, calls=100_000, pause=0.001)
        plugin.wait_returned(400)
        wait_until(lambda: len(arrived(collector)) >= 100, timeout=30)
        (journal,) = journals(place.journal_dir)
        file = journal.segment(journal.segments()[-1])
        os.truncate(file, len(file.read_bytes().rstrip(b"\0")) // 2)
        outcome = plugin.wait()
        assert outcome.exit_code == -signal.SIGBUS
        place.next_start(env, lambda: place.ledger(collector, outcome).statuses)
        settled = place.ledger(collector, outcome)
        assert (settled.statuses, settled.doubled) == ({"faulty": "crashed"}, 0)
        assert len(settled.delivered) >= 100
        fault_table.add_unchecked("cut in a call", place, outcome, settled)


def arrived(collector: Collector) -> frozenset[int]:
    return ledger([collector], [], Path()).arrived


def check_damaged(
    place: Place, collector: Collector, table: FaultTable, fault: str, outcome: Outcome, job: str
) -> None:
    """The plugin noticed nothing, and at least as many as did not arrive are reported as dropped.

    More may be: what was destroyed can have been progress or a step as well.
    """
    replace(outcome, report=None).check_unharmed()
    assert outcome.report
    place.next_start(place.env(collector), lambda: place.ledger(collector, outcome, job=job).statuses, timeout=8)
    settled = place.ledger(collector, outcome, job=job)
    lost = len(settled.accepted - settled.delivered)
    assert lost <= outcome.report.dropped
    table.add(fault, place, outcome, replace(settled, dropped=lost))
