"""Plugins of the Synapse SDK that use Ray in the ways that plugins do; nothing here knows of telemetry."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import ray
from pydantic import BaseModel
from synapse_sdk.loggers import ConsoleLogger
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.models.logger import LogLevel

REPORTS = 60
KILLED_AFTER = 30


class Params(BaseModel):
    workers: int = 4


@ray.remote(max_retries=0)
def train_shard(ctx: RuntimeContext, rank: int, kill: bool) -> int:
    for step in range(REPORTS):
        if kill and step == KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        ctx.set_progress(step + 1, REPORTS, "shard")
        ctx.set_metrics({"loss": 1000 * rank + step}, "training")
        ctx.log_message(f"{rank}: {step}")
        time.sleep(0.01)
    return rank


class Distributed(BaseAction[Params]):
    """Trains on four workers at once, of which one does not survive."""

    action_name = "distributed"

    def execute(self) -> dict[str, Any]:
        ray.init(num_cpus=self.params.workers, include_dashboard=False, logging_level="error", log_to_driver=False)
        tasks = [train_shard.remote(self.ctx, rank, rank == 3) for rank in range(self.params.workers)]
        done = []
        for task in tasks:
            try:
                done.append(ray.get(task))
            except ray.exceptions.WorkerCrashedError:
                self.log_message("a worker was lost", LogLevel.WARNING)
        return {"done": done}


@ray.remote
class Scorer:
    """An actor that holds a context as long as it lives."""

    def __init__(self, ctx: RuntimeContext) -> None:
        self.ctx = ctx

    def score(self, number: int) -> int:
        self.ctx.log_message(f"scored {number}")
        return number

    def fail(self) -> None:
        self.ctx.log_message("about to fail")
        raise ValueError("a made-up error")

    def stream(self, count: int) -> Iterator[int]:
        for number in range(count):
            self.ctx.log_message(f"streamed {number}")
            yield number
            time.sleep(0.4)

    async def later(self, number: int) -> int:
        self.ctx.log_message(f"later {number}")
        return number


@ray.remote
def alone(number: int) -> int:
    """A task that makes its own context."""
    RuntimeContext(ConsoleLogger(), PluginEnvironment.from_environ()).log_message(f"alone {number}")
    return number
