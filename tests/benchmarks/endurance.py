"""Hours of a busy run compressed into minutes: ten million progress reports, a million samples, a million messages.

They go through one context to a collector in another process, which counts what arrives. After each hundredth the run
waits until all is delivered. Memory and disk are looked at from outside, ten times a second.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import directory, parser, table, verdict

from faults.busy import REPORTS
from faults.endurance import Endured, Size, endure, shortcomings
from faults.kit import Place

MEMORY = {"plugin": "the plugin", "private": "  without mapped files", "agents": "the agent"}


def memory(endured: Endured, size: Size) -> list[list[object]]:
    """The rows of what was in memory and on the disk."""
    rows: list[list[object]] = []
    for what, name in MEMORY.items():
        grown = endured.growth(what)
        rows.append([f"{name}: most, MiB", max(getattr(look, what) for look in endured.looks), None, None])
        rows.append([f"{name}: growth after the warm-up, MiB", grown, size.memory, verdict(grown, size.memory)])
    objects, disk = endured.more_objects(), max(look.disk for look in endured.looks)
    rows.append(["the plugin: objects more after the warm-up", objects, size.objects, verdict(objects, size.objects)])
    rows.append(["the journal directory: most, MiB", disk, size.quota, verdict(disk, size.quota)])
    return rows


def counts(endured: Endured, size: Size) -> list[list[object]]:
    """The rows of what arrived and what the run says of it."""
    arrived = endured.arrived
    assert arrived is not None
    wanted = size.batches
    what = [
        ("messages in log records, distinct", arrived.in_logs, wanted),
        ("messages on spans, distinct", arrived.on_spans, wanted),
        ("samples, distinct", arrived.samples, wanted),
        ("the last progress", int(arrived.progress), REPORTS * wanted),
        ("messages and samples that came again", arrived.repeated, 0),
        *((f"records {state}", endured.total(state), 0) for state in ("pending", "dropped", "dead_lettered")),
    ]
    rows: list[list[object]] = [
        [name, number, expected, "met" if number == expected else "NOT MET"] for name, number, expected in what
    ]
    return [*rows, ["records accepted", endured.total("accepted"), None, None]]


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--shipper", choices=("thread", "agent"), default="thread", help="who sends")
    options.add_argument("--batches", type=int, default=Size.batches, help="a message and a sample each, and progress")
    options.add_argument("--portions", type=int, default=Size.portions, help="after each all is delivered")
    chosen = options.parse_args()
    size = Size(batches=chosen.batches, portions=chosen.portions)
    with directory() as path:
        place = Place(path, chosen.shipper)
        endured = endure(place, size)
        place.close()
    table(
        f"{REPORTS * size.batches:,} progress reports, {size.batches:,} samples and {size.batches:,} messages,"
        f" shipped by the {chosen.shipper}, in {endured.seconds:.0f} s.",
        ["what", "measured", "expected", "verdict"],
        [*memory(endured, size), *counts(endured, size)],
    )
    for wrong in shortcomings(endured, size):
        print(wrong)


if __name__ == "__main__":
    main()
