"""A function as an action: it estimates pi by throwing points at a square, and reports as it goes.

    synapse-otel run examples/function_action.py --params '{"batches": 200}'

`ctx` takes everything that is to be known of a run: progress and metrics for every batch, messages for the user, an
event for the file that was written. Parameters are checked before anything runs: try `{"batches": 0}`.
"""

import json
import math
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel, DirectoryPath, Field

from synapse_otel import RuntimeContext, action


class PiParams(BaseModel):
    batches: int = Field(default=100, ge=1)
    points_per_batch: int = Field(default=10_000, ge=1)
    seed: int = 0
    output_dir: DirectoryPath | None = Field(default=None, description="A new temporary directory by default.")


@action(params=PiParams, description="Estimate pi from random points")
def estimate_pi(params: PiParams, ctx: RuntimeContext) -> dict[str, Any]:
    ctx.log_message(f"Throwing {params.batches} batches of {params.points_per_batch} points")
    random, inside, estimate = Random(params.seed), 0, math.nan
    for batch in range(1, params.batches + 1):
        inside += sum(math.hypot(random.random(), random.random()) <= 1 for _ in range(params.points_per_batch))
        estimate = 4 * inside / (batch * params.points_per_batch)
        ctx.set_progress(batch, params.batches, "batches")
        ctx.set_metrics({"estimate": estimate, "error": abs(estimate - math.pi)}, "pi")
    directory = params.output_dir or Path(tempfile.mkdtemp(prefix="estimate_pi-"))
    report = directory / "pi.json"
    report.write_text(json.dumps({"pi": estimate, **params.model_dump(mode="json")}))
    ctx.log("report_written", {"bytes": report.stat().st_size}, file=str(report))
    ctx.log_message(f"Pi is about {estimate:.4f}", "success")
    return {"pi": estimate, "report": str(report)}
