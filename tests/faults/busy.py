"""A busy run: it reports in a tight loop, in portions; after each it waits for the delivery and says how it stands.

Run as a program by `endurance`, which answers with a line before the next portion begins.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from synapse_otel import RuntimeContext

REPORTS = 10
"""Progress reports for each message and each sample of the metric."""


def make_calls(ctx: RuntimeContext, first: int, end: int, batches: int, filler: str) -> None:
    """Report as a training does, batch by batch."""
    for number in range(first, end):
        for report in range(1, REPORTS + 1):
            ctx.set_progress(REPORTS * number + report, REPORTS * batches, "train")
        ctx.set_metrics({"number": number}, "train")
        ctx.log_message(f"message {number}{filler}")


def main() -> None:
    """Report, and say after each portion how many objects there are and what became of the records."""
    batches, portions, length = map(int, sys.argv[1:])
    filler = (" as it goes on" * length)[:length]
    with RuntimeContext.open("job-1", "endurance") as ctx:
        for portion in range(portions):
            make_calls(ctx, batches * portion // portions, batches * (portion + 1) // portions, batches, filler)
            delivered = ctx.flush(600)
            say(objects=sys.getallocatedblocks(), delivered=delivered)
    say(report={kind: asdict(counts) for kind, counts in ctx.report().by_kind.items()})


def say(**what: object) -> None:
    """Tell, and wait for the answer."""
    print(json.dumps(what), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
