"""MLflow, tracking to a file of the directory that it is run in: metrics only, which is what it has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow


class Mlflow:
    """The methods of a `RuntimeContext` that have a counterpart."""

    def __init__(self) -> None:
        mlflow.set_tracking_uri(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
        mlflow.start_run()
        self._step = 0

    def set_progress(self, current: float, total: float, category: str) -> None:
        mlflow.log_metrics({f"{category}/current": current, f"{category}/total": total}, step=int(current))

    def set_metrics(self, value: Mapping[str, Any], category: str) -> None:
        self._step += 1
        mlflow.log_metrics({f"{category}/{key}": number for key, number in value.items()}, step=self._step)

    def close(self) -> None:
        """End it."""
        mlflow.end_run()


def open_target(variant: str) -> Any:
    """Open it."""
    assert variant == "default"
    return Mlflow()
