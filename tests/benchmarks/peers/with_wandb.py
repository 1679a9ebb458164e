"""Weights & Biases, offline: everything is logged to its history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wandb


class Wandb:
    """The methods of a `RuntimeContext` that have a counterpart."""

    def __init__(self) -> None:
        self._run = wandb.init(mode="offline", project="benchmark", settings=wandb.Settings(silent=True, console="off"))

    def set_progress(self, current: float, total: float, category: str) -> None:
        self._run.log({f"{category}/current": current, f"{category}/total": total})

    def set_metrics(self, value: Mapping[str, Any], category: str) -> None:
        self._run.log({f"{category}/{key}": number for key, number in value.items()})

    def log(self, event: str, data: Mapping[str, Any]) -> None:
        self._run.log({f"{event}/{key}": item for key, item in data.items()})

    def log_message(self, message: str) -> None:
        self._run.log({"message": message})

    def close(self) -> None:
        """End it."""
        self._run.finish()


def open_target(variant: str) -> Any:
    """Open it."""
    assert variant == "default"
    return Wandb()
