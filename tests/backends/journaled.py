"""What the journals of runs hold, as the samples that a metrics store should have; and journals of long ago."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from backends.prometheus import Prometheus, Sample
from cli.kit import identity, program, write_journal
from synapse_otel.journal import records as rec
from synapse_otel.journal.directory import journals_of, runs
from synapse_otel.journal.reader import START, JournalReader

Curves = dict[tuple[str, ...], list[tuple[int, str]]]
"""Of each job, process, category and key the milliseconds and the values, in a form in which NaN equals NaN."""

NAME = "__name__"


def stored(prometheus: Prometheus, selector: str, *labels: str, seconds: float = 3600) -> Curves:
    """Return the samples in Prometheus by job, process and the values of `labels`."""
    return {
        tuple(series.labels[label] for label in ("job_id", "instance", *labels)): _comparable(series.samples)
        for series in prometheus.samples(selector, seconds)
    }


def metrics(journal_dir: Path) -> Curves:
    """Return what was passed to `set_metrics`, by job, process, category and key."""
    curves: dict[tuple[str, ...], list[Sample]] = defaultdict(list)
    for who, record in _records(journal_dir):
        if isinstance(record, rec.Metrics):
            for key, value in record.values.items():
                _add(curves[who.job_id, who.journal_id, record.category, key], record.t, value)
    return {series: _comparable(samples) for series, samples in curves.items()}


def progress(journal_dir: Path) -> Curves:
    """Return the current values of what was passed to `set_progress`, by job, process and category."""
    curves: dict[tuple[str, ...], list[Sample]] = defaultdict(list)
    for who, record in _records(journal_dir):
        if isinstance(record, rec.Progress):
            _add(curves[who.job_id, who.journal_id, record.category], record.t, record.current)
    return {series: _comparable(samples) for series, samples in curves.items()}


def write_run(root: Path, job: str, times: list[int], number: int = 1) -> Path:
    """Write a finished run with a sample of the loss at each of `times`; the same number is the same process."""
    who = identity(job, started=times[0], number=number)
    who.resource.update({"service.name": "synapse-plugin", "service.instance.id": who.journal_id})
    samples = (rec.Metrics(t, b"", b"", "training", {"loss": at / 4}) for at, t in enumerate(times))
    return write_journal(root, who, *samples, rec.RunEnded(times[-1], "completed")).run


def push(job: str) -> tuple[int, str]:
    """Push a run; return the exit code and what was printed."""
    done = subprocess.run([program(), "push", job], timeout=120, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


def _add(samples: list[Sample], t: int, value: float) -> None:
    """Add a sample; one in the millisecond of another is in the next one, because a store keeps one of each."""
    ms = t // 1_000_000
    samples.append(Sample(max(ms, samples[-1].ms + 1) if samples else ms, float(value)))


def _records(journal_dir: Path) -> Iterator[tuple[rec.Identity, rec.Record]]:
    for run in runs(journal_dir):
        for path in journals_of(run):
            reader, position = JournalReader(path), START
            who = reader.identity()
            while (batch := reader.read(position)).entries:
                position = batch.after
                yield from ((who, entry.record) for entry in batch.entries)


def _comparable(samples: list[Sample]) -> list[tuple[int, str]]:
    return [(sample.ms, sample.value.hex()) for sample in samples]
