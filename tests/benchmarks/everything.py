"""Everything that is measured beside the peers, as one table and one picture: what `make bench` runs.

Each part can be run by itself and told more: `calls.py`, `conditions.py`, `lives.py`, `training.py`, `deliveries.py`,
`shipping.py`, and `tests/hot_path` counts instructions.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1]))

import calls
import conditions
import deliveries
import lives
import shipping
import training
from bench import parser, table, verdict
from environments import OURS
from peer import Peer, prepared
from picture import draw
from receiver import receiver

from hot_path.callgrind import instructions
from hot_path.counted import CALLS as COUNTED

DOCS = Path(__file__).parents[2] / "docs"
Row: TypeAlias = tuple[str, dict[str, object]]
"""What is measured, and the figures by the peers' names."""

BUDGETS = {
    **{f"{name}, share of by hand": call.share for name, call in calls.CALLS.items()},
    "training, % slower": training.BUDGET,
}


def cost_rows(costs: Mapping[str, Mapping[str, calls.Cost]]) -> Iterable[Row]:
    """The rows of the calls."""
    for call, by_peer in costs.items():
        for place, what in enumerate(("median", "p99", "p99.9")):
            yield f"{call}, {what} us", {peer: cost[place] for peer, cost in by_peer.items()}
        yield f"{call}, share of by hand", {peer: cost.share for peer, cost in by_peer.items()}


def instruction_row(name: str = "ours, offline") -> Iterable[Row]:
    """What calls are in machine instructions, which no load of the machine changes."""
    if not shutil.which("valgrind"):
        print("not measured, for want of Valgrind: instructions")
        return
    with tempfile.TemporaryDirectory() as path:
        _, *counts = instructions(Path(path), 400)
    for call, count in zip(COUNTED, counts[: len(COUNTED)], strict=True):
        if call in calls.CALLS:
            yield f"{call}, machine instructions", {name: count}


def life_rows(found: Mapping[str, lives.Life]) -> Iterable[Row]:
    """The rows of beginnings and ends."""
    for what, unit in (("imported", "import, ms"), ("opened", "start of a run, ms"), ("ended", "end of a run, ms")):
        yield unit, {peer: getattr(life, what) for peer, life in found.items()}
    yield "memory at the start, MiB", {peer: life.memory for peer, life in found.items()}
    yield f"memory after {lives.CALLS:,} reports, MiB", {peer: life.later for peer, life in found.items()}


def training_rows(found: Mapping[str, training.Slowdown]) -> Iterable[Row]:
    """The rows of the training."""
    yield "training, us added to a batch", {peer: one.added for peer, one in found.items()}
    yield "  standard error of that", {peer: one.error for peer, one in found.items()}
    yield "training, % slower", {peer: one.percent for peer, one in found.items()}


def delivery_rows(peers: Iterable[Peer]) -> Iterable[Row]:
    """The rows of what arrives."""
    speaking = [peer for peer in peers if peer.speaks_otlp]
    for scene, run in deliveries.SCENES.items():
        found = {peer.name: run(peer) for peer in speaking}
        yield f"{scene}: reported", {peer: one.reported for peer, one in found.items()}
        yield f"{scene}: lost", {peer: one.reported - one.arrived for peer, one in found.items()}
        if scene == "outage":
            yield f"{scene}: longest call, ms", {peer: one.longest for peer, one in found.items()}


def shipping_rows(count: int = 50_000, rounds: int = 3) -> Iterable[Row]:
    """The rows of the CPU that sending takes, in this process."""
    with receiver() as endpoint:
        measured = [shipping.measure(endpoint, count) for _ in range(rounds)]
    best = {name: min(one[name] for one in measured) for name in measured[0]}
    names = {"ours: calls and delivery": "ours, thread", "by hand: calls and delivery": "by hand"}
    yield "messages sent per CPU second", {peer: int(count / best[name]) for name, peer in names.items()}


def rows(peers: list[Peer], say: Callable[[str], None]) -> tuple[list[Row], Mapping[str, Mapping[str, calls.Cost]]]:
    """Measure everything."""
    say("calls")
    costs = calls.all_calls(peers)
    found = [*cost_rows(costs), *instruction_row()]
    say("beginnings and ends")
    found += life_rows(lives.lives(peers))
    say("training")
    found += training_rows(training.slowdowns(peers))
    say("deliveries")
    found += delivery_rows(peers)
    say("shipping")
    found += shipping_rows()
    return found, costs


def printed(found: list[Row], peers: list[Peer]) -> None:
    """Print the table."""
    names = [peer.name for peer in peers]
    lines: list[list[object]] = []
    for name, figures in found:
        budget = BUDGETS.get(name)
        worst = max((float(str(value)) for peer, value in figures.items() if peer.startswith("ours")), default=0.0)
        lines.append([name, *map(figures.get, names), budget, verdict(worst, budget) if budget else None])
    table(
        "Ours and its peers, each in an environment of its own, interleaved; '-' is what a peer has not, or was not"
        "\nmeasured: of deliveries only those were that speak OTLP. JobLogger's backend takes 5 ms to answer; wandb is"
        "\noffline; mlflow tracks to SQLite.",
        ["what", *names, "budget", "ours"],
        lines,
    )


def main() -> None:
    """Measure, print, and write the table and the picture."""
    options = parser(__doc__)
    options.add_argument("--into", type=Path, default=DOCS, help="where benchmark.txt and benchmark.svg are written")
    chosen = options.parse_args()
    peers = prepared()
    versions = [version for version, environment in OURS.items() if environment.prepare()]
    found, costs = rows(peers, lambda what: print(f"Measuring {what} ...", flush=True))
    print("Measuring calls under conditions ...", flush=True)
    medians = conditions.measured(versions, conditions.ROUNDS, conditions.CALLS_IN_BLOCK)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        printed(found, peers)
        conditions.printed(medians, versions)
    print(text.getvalue())
    (chosen.into / "benchmark.txt").write_text(text.getvalue().lstrip("\n"))
    draw(costs, [peer.name for peer in peers], chosen.into / "benchmark.svg")


if __name__ == "__main__":
    main()
