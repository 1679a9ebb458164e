"""The dashboards on real runs, at one moment, and what their panels show then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends import grafana
from backends.prometheus import Prometheus
from backends.real_runs import RealRuns

SILENT_AFTER = 5
"""Seconds, ten intervals between heartbeats: the machine that tests is a busy one."""

RUNS, RUN = map(grafana.load, grafana.DASHBOARDS)

Answer = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Shown:
    """The dashboards at one moment, when all runs have settled."""

    prometheus: Prometheus
    real: RealRuns
    moment: float

    def runs(self, title: str, ref: str = "A", **chosen: str) -> Answer:
        """Return what a panel of all runs shows."""
        return self.view(RUNS, **chosen).show(title, ref)

    def run(self, kind: str, title: str, ref: str = "A", interval: int = 1000, **chosen: str | list[str]) -> Answer:
        """Return what a panel of one run shows."""
        return self.view(RUN, interval=interval, job_id=f"job.{kind}", **chosen).show(title, ref)

    def view(self, board: dict[str, Any], *, interval: int = 1000, **chosen: str | list[str]) -> grafana.View:
        """Return a dashboard over the last minutes."""
        own = {"silent_after": f"{SILENT_AFTER}s"} | chosen
        return grafana.View(self.prometheus, board, own, self.moment - 200, self.moment, interval)

    def instance(self, kind: str) -> str:
        """Return the instance of a run's own process."""
        return self.real.processes[kind][0].instance


def values(answer: Answer, *labels: str) -> dict[tuple[str, ...], float]:
    """Return the results of an instant query by some of their labels; none may be there twice."""
    found = [(tuple(one["metric"].get(label, "") for label in labels), float(one["value"][1])) for one in answer]
    assert len(dict(found)) == len(found), found
    return dict(found)


def curves(answer: Answer, *labels: str) -> dict[tuple[str, ...], list[float]]:
    """Return the points of a range query by some of their labels; none may be there twice."""
    found = [
        (tuple(one["metric"].get(label, "") for label in labels), [float(value) for _, value in one["values"]])
        for one in answer
    ]
    assert len(dict(found)) == len(found), found
    return dict(found)
