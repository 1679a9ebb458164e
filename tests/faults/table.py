"""The table of the fault suite: what became of the records under each fault, and what the plugin noticed of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from faults.kit import Outcome, Place
from faults.ledger import Ledger

HEADER = (
    *("fault", "mode", "tries", "accepted", "delivered", "dead-lettered", "dropped", "lost"),
    *("longest call ms", "longest end s"),
)


@dataclass
class Row:
    """One fault in one mode, summed over its tries."""

    tries: int = 0
    accepted: int = 0
    delivered: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    lost: int = 0
    longest_call: float = 0.0
    longest_end: float = 0.0

    def add(self, outcome: Outcome, ledger: Ledger) -> None:
        """Add a try."""
        self.tries += 1
        self.accepted += len(ledger.accepted)
        self.delivered += len(ledger.delivered)
        self.dead_lettered += len(ledger.dead_lettered)
        self.dropped += ledger.dropped
        self.lost += len(ledger.missing)
        self.longest_call = max(self.longest_call, outcome.longest_call)
        self.longest_end = max(self.longest_end, outcome.end_delay or 0.0)

    def cells(self) -> tuple[str, ...]:
        """What is printed."""
        counts = (self.tries, self.accepted, self.delivered, self.dead_lettered, self.dropped, self.lost)
        return (*(f"{count:,}" for count in counts), f"{self.longest_call * 1000:.2f}", f"{self.longest_end:.2f}")


@dataclass
class FaultTable:
    """Rows by fault, then by mode, in the order in which they came."""

    rows: dict[str, dict[str, Row]] = field(default_factory=dict)

    def add(self, fault: str, place: Place, outcome: Outcome, ledger: Ledger) -> None:
        """Take down a try, and check its accounting."""
        self.add_unchecked(fault, place, outcome, ledger)
        ledger.check()

    def add_unchecked(self, fault: str, place: Place, outcome: Outcome, ledger: Ledger) -> None:
        """Take down a try that may lose something: one by hand."""
        self.rows.setdefault(fault, {}).setdefault(place.shipper, Row()).add(outcome, ledger)

    def lines(self) -> list[str]:
        """The table as text: what is counted to the right."""
        rows = [(fault, mode, *row.cells()) for fault, modes in self.rows.items() for mode, row in modes.items()]
        cells = [HEADER, *rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [_line(row, widths) for row in cells]
        return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(f"{cell:{'<' if at < 2 else '>'}{widths[at]}}" for at, cell in enumerate(row)).rstrip()
