"""Plugins that are written with the Synapse SDK alone, for the tests."""

from __future__ import annotations

import time
from typing import Any

from pydantic import BaseModel
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.models.logger import LogLevel


class Params(BaseModel):
    epochs: int = 3


class Train(BaseAction[Params]):
    """Reports in every way that an action can."""

    action_name = "train"
    category = "neural_net"

    def execute(self) -> dict[str, Any]:
        for epoch in range(self.params.epochs):
            self.set_progress(epoch + 1, self.params.epochs, "epochs")
            self.set_metrics({"loss": 1 / (epoch + 1)}, "training")
        self.log_metric("validation", "epoch", 2, accuracy=0.5)
        self.log("saved", {"path": "model.pt"}, "model.pt")
        self.log_message("trained", LogLevel.SUCCESS)
        self.ctx.log_dev_event("layers", {"count": 12})
        self.ctx.end_log()
        return {"loss": 1 / self.params.epochs}


class Broken(BaseAction[Params]):
    """Fails."""

    action_name = "broken"

    def execute(self) -> dict[str, Any]:
        self.log_message("about to fail", LogLevel.WARNING)
        raise ValueError("a made-up error")


class Endless(BaseAction[Params]):
    """Does not end by itself, but after a minute."""

    action_name = "endless"

    def execute(self) -> None:
        self.log_message("started")
        time.sleep(60)
