"""Finds runs in the journal directory by what a person calls them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from synapse_otel.cli import units
from synapse_otel.cli.errors import CliError
from synapse_otel.journal.directory import JournalPath, escape, journals_of, runs
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.reader import JournalReader

_TRACE_DIGITS = 16
_SHORTEST_TRACE = 4
_MOST_SHOWN = 8
_ESCAPED_WHOLE = 80


def newest_first(found: list[Path]) -> list[Path]:
    """Return run directories, the one that started last at the front."""
    return sorted(found, key=started, reverse=True)


def started(run: Path) -> int:
    """Return when a run started, in nanoseconds; of one that cannot be read, when its directory was changed."""
    known = []
    for journal in journals_of(run):
        try:
            known.append(JournalReader(journal).identity().started)
        except (JournalError, OSError):
            continue
    try:
        return min(known) if known else run.stat().st_mtime_ns
    except OSError:
        return 0


def job_of(run: Path) -> str:
    """Return the job of a run directory, as its name says it."""
    return unquote(run.name.rpartition("~")[0] or run.name)


def is_running(run: Path) -> bool:
    """Return whether a run goes on, see `goes_on`."""
    return goes_on((_is_worker(journal), journal.is_live()) for journal in journals_of(run))


def goes_on(processes: Iterable[tuple[bool, bool]]) -> bool:
    """Return whether a run goes on, given of each of its processes whether it is a worker and whether it lives.

    A run is what its first process does: workers that outlive it do not count, but where they are all there is.
    """
    known = list(processes)
    leading = [lives for is_worker, lives in known if not is_worker]
    return any(leading or (lives for _, lives in known))


def _is_worker(journal: JournalPath) -> bool:
    try:
        return JournalReader(journal).identity().worker
    except (JournalError, OSError):
        return True  # it may just begin; what can be read tells more


def one(root: Path, wanted: str | None, *, prefer_running: bool = False) -> tuple[Path, list[Path]]:
    """Return the run that is called `wanted`, and the other ones of the same job; for None the latest of all.

    Args:
        root: The journal directory.
        wanted: A job id or the beginning of one, the name of a run directory, or a trace id.
        prefer_running: Whether one that is running comes before a later one that is not.

    Raises:
        CliError: There is none, or there are runs of several jobs; it says which there are.
    """
    if wanted is None:
        return _chosen(newest_first(_some_runs(root)), prefer_running=prefer_running), []
    found = newest_first(matching(root, wanted))
    jobs = {job_of(run) for run in found}
    if len(jobs) > 1:
        raise CliError(f"{wanted!r} is the beginning of {len(jobs)} jobs, which one?\n{_listed(found)}")
    chosen = _chosen(found, prefer_running=prefer_running)
    return chosen, [run for run in found if run != chosen]


def _chosen(latest: list[Path], *, prefer_running: bool) -> Path:
    return next((run for run in latest if prefer_running and is_running(run)), latest[0])


def matching(root: Path, wanted: str) -> list[Path]:
    """Return all runs that are called `wanted`, by the first of its meanings that fits any.

    Raises:
        CliError: There is none; it says which there are.
    """
    there = _some_runs(root)
    whole = escape(wanted)
    beginning = whole[:_ESCAPED_WHOLE] if len(whole) > _ESCAPED_WHOLE else whole
    meanings = (
        [run for run in there if run.name == wanted],
        [run for run in there if run.name.rpartition("~")[0] == whole],
        [run for run in there if run.name.startswith((wanted, beginning))],
        [run for run in there if _is_trace(run, wanted.lower())],
    )
    found = next((runs for runs in meanings if runs and wanted), None)
    if found is None:
        raise CliError(f"no run is called {wanted!r} in {root}; the latest are:\n{_listed(newest_first(there))}")
    return found


def _is_trace(run: Path, wanted: str) -> bool:
    return len(wanted) >= _SHORTEST_TRACE and run.name.rpartition("~")[2].startswith(wanted[:_TRACE_DIGITS])


def _some_runs(root: Path) -> list[Path]:
    found = runs(root)
    if not found:
        raise CliError(f"there are no runs in {root}")
    return found


def _listed(found: list[Path]) -> str:
    lines = [f"  {job_of(run)}  started {units.moment(started(run))}  ({run.name})" for run in found[:_MOST_SHOWN]]
    if len(found) > _MOST_SHOWN:
        lines.append(f"  and {len(found) - _MOST_SHOWN} more: synapse-otel runs")
    return "\n".join(lines)
