from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.prometheus import running_prometheus
from backends.real_runs import STATES, real_runs
from backends.servers import wait_for
from backends.shown import SILENT_AFTER, Shown, values


@pytest.fixture(scope="session")
def shown(prometheus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The dashboards on runs of every kind, when each is in its state."""
    folder = tmp_path_factory.mktemp("shown")
    with running_prometheus(prometheus, folder / "prometheus") as server, real_runs(server, folder) as real:
        reported = time.time()

        def settled() -> Shown | None:
            now = Shown(server, real, time.time())
            if now.moment < reported + SILENT_AFTER:
                return None  # what looks back so far would still see something move
            states = values(now.runs("Runs"), "job_id", "synapse_run_status")
            return now if set(states) == {(f"job.{kind}", state) for kind, state in STATES.items()} else None

        yield wait_for(settled, "each run is in its state, the silent one at last")
