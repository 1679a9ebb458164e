"""Runs that are killed with SIGKILL at a random moment while they report: is everything there afterwards?

A plugin counts in a shared map the calls that have returned. Every other one reports in a tight loop and is killed
within 50 ms, in the middle of a call more often than not; the others report for up to a second and are shipped
meanwhile. With the agent nobody does anything afterwards, and the time is that from the kill until the run is closed
as crashed and everything is there; else, and where both are killed, another process starts, or `synapse-otel push`
runs, and the time is that from its start. Where the agent alone is killed, it is that from the end of the plugin.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import directory, parser, percentile, table

from faults.kills import CLOSED_WITHIN, Killed, kill_one
from faults.kit import Place
from synapse_otel.testing import Collector


def rows(killed: list[Killed]) -> list[list[object]]:
    """The sums."""
    times = sorted(one.seconds for one in killed)
    ledgers = [one.ledger for one in killed]
    accepted = [len(ledger.accepted) for ledger in ledgers]
    calls = sorted(one.outcome.longest_call * 1000 for one in killed)
    statuses = sorted({status for ledger in ledgers for status in ledger.statuses.values()})
    return [
        ["runs", len(killed)],
        *([f"  closed as {name}", sum(name in ledger.statuses.values() for ledger in ledgers)] for name in statuses),
        ["reports accepted (their call had returned)", sum(accepted)],
        ["  in the smallest and in the largest run", f"{min(accepted):,} and {max(accepted):,}"],
        ["reports lost", sum(len(ledger.missing) for ledger in ledgers)],
        ["reports that nobody made", sum(len(one.arrived - one.accepted - one.under_way) for one in ledgers)],
        ["reports doubled (under different ids)", sum(ledger.doubled for ledger in ledgers)],
        ["items sent again, not the same in every field", sum(ledger.differing for ledger in ledgers)],
        ["all there, median s", percentile(times, 0.5)],
        ["all there, longest s", times[-1]],
        [f"  of the runs within {CLOSED_WITHIN:g} s", sum(seconds <= CLOSED_WITHIN for seconds in times)],
        ["the longest call, median ms", percentile(calls, 0.5)],
        ["the longest call of all, ms", calls[-1]],
    ]


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=50, help="how many are killed")
    options.add_argument("--shipper", choices=("thread", "agent"), default="thread", help="who sends")
    options.add_argument("--kill", choices=("plugin", "agent", "both"), default="plugin", help="who is killed")
    options.add_argument("--push", action="store_true", help="recover with `synapse-otel push`, not by a next start")
    options.add_argument("--seed", type=int, default=None, help="of the random moments")
    chosen = options.parse_args()
    if chosen.shipper == "thread" and chosen.kill != "plugin":
        options.error("without an agent there is none to be killed")
    random.seed(chosen.seed)
    with directory() as path, Collector(max_items=10_000_000) as collector:
        place = Place(path, chosen.shipper)
        killed = [kill_one(place, collector, number, chosen.kill, push=chosen.push) for number in range(chosen.runs)]
        place.close()
        left = [file for file in place.journal_dir.glob("[!.]*/**/*") if file.is_file()]
    title = f"Runs shipped by the {chosen.shipper}; killed with SIGKILL while they reported: {chosen.kill}"
    table(f"{title}{'; recovered by push' * chosen.push}.", ["what", "count"], rows(killed))
    print(f"\nfiles left in the journal directory: {len(left)}")


if __name__ == "__main__":
    main()
