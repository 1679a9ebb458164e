"""The steps of one process while its records are read: which are open, and what those were called that have ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from synapse_otel.journal import records as rec

_MOST_ENDED = 1000
"""Steps that are remembered after their end, for what a thread that is late still says in them."""


@dataclass(slots=True)
class StepNames:
    """Knows the names of steps by their spans, in bounded memory however many there are, one after another."""

    _open: dict[bytes, rec.StepStarted] = field(default_factory=dict)
    _ended: dict[bytes, str] = field(default_factory=dict)

    def start(self, record: rec.StepStarted) -> None:
        """Take a step that begins."""
        self._open[record.span] = record

    def end(self, span: bytes) -> None:
        """Take the end of a step."""
        if step := self._open.pop(span, None):
            self._ended[span] = step.name
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def name(self, span: bytes) -> str | None:
        """Return what the step is called; None where there is none."""
        step = self._open.get(span)
        return step.name if step else self._ended.get(span)

    def current(self) -> list[str]:
        """Return the open step that began last and those that it is inside of, the outermost first."""
        chain: dict[bytes, str] = {}
        span = next(reversed(self._open), b"")
        while span not in chain and (step := self._open.get(span)):
            chain[span] = step.name
            span = step.parent
        return list(chain.values())[::-1]
