"""Short runs, one after another: is a process, thread, descriptor, object or file left behind, and is each run there?

Once in one process, and once as a process each. The processes are waited for as long as the agent may be idle: every
one of them that detached itself is known all the same.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import directory, parser, table

from faults.kit import Place
from faults.short_runs import Left, in_one_process, in_processes


def row(name: str, seconds: float, left: Left) -> list[object]:
    """What is left of some runs."""
    held = [left.held.get(what) for what in ("threads", "descriptors", "maps", "objects")]
    return [name, seconds, len(left.processes), len(left.files), *held, len(left.not_arrived)]


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=200, help="how many of each")
    options.add_argument("--shipper", choices=("thread", "agent"), nargs="*", default=["thread", "agent"])
    chosen = options.parse_args()
    rows = []
    for shipper in chosen.shipper:
        for name, run in (("in one process", in_one_process), ("a process each", in_processes)):
            with directory() as path:
                place, began = Place(path, shipper), time.monotonic()
                left = run(place, chosen.runs)
                place.close()
            rows.append(row(f"{shipper}, {name}", time.monotonic() - began, left))
            for what in (*left.processes, *left.files, *left.not_arrived):
                print(f"left: {what}")
    table(
        f"What {chosen.runs} short runs leave behind.",
        ["runs", "s", "processes", "files", "threads", "descriptors", "maps", "objects", "not arrived"],
        rows,
    )


if __name__ == "__main__":
    main()
