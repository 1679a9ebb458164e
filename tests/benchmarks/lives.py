"""What a run costs beside its calls, of each peer: import, beginning, memory, end; the medians of fresh processes."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from bench import MIB, MS, directory, parser, table
from peer import Peer, Process, prepared
from receiver import receiver

ROUNDS, CALLS = 5, 20_000
CALL = "ctx.set_metrics(metrics, 'train')"


class Life(NamedTuple):
    """Milliseconds and MiB.

    Attributes:
        imported: What it takes to import the peer.
        opened: What it takes to open it.
        ended: What it takes to end it, when all but a last message has been sent.
        memory: What is resident when it is open.
        later: The same after 20,000 reports of metrics, or as many as a slow peer makes in a second.
    """

    imported: float
    opened: float
    ended: float
    memory: float
    later: float


def live(process: Process) -> Life:
    """Let a process live."""
    (memory,) = process.do("memory")
    process.do("call", call=CALL, count=CALLS)
    process.do("drain")
    (later,) = process.do("memory")
    process.do("call", call=CALL, count=1, whole=True)
    ended = process.end()
    return Life(process.imported / MS, process.opened / MS, ended / MS, memory / MIB, later / MIB)


def lives(peers: Sequence[Peer], rounds: int = ROUNDS) -> dict[str, Life]:
    """The medians by peer, of processes that take turns."""
    found = defaultdict[str, list[Life]](list)
    with directory() as path, receiver() as endpoint:
        for number in range(rounds):
            for peer in peers:
                process = Process(peer, endpoint, path / str(number) / peer.name)
                try:
                    found[peer.name].append(live(process))
                finally:
                    process.kill()
    return {peer: Life(*map(statistics.median, zip(*all_of_it, strict=True))) for peer, all_of_it in found.items()}


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=ROUNDS, help="processes of each peer")
    chosen = options.parse_args()
    found = lives(prepared(), chosen.rounds)
    table(
        f"Milliseconds and MiB, medians of {chosen.rounds} processes.",
        ["peer", "import", "open", "end", "memory", "later"],
        [[name, *life] for name, life in found.items()],
    )


if __name__ == "__main__":
    main()
