"""What became of numbered records: each is where it belongs at the collector, or a dead letter, or reported dropped."""

from __future__ import annotations

import base64
import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.plugin import KINDS, STRIDE
from synapse_otel.journal.directory import journals
from synapse_otel.testing import Collector, Item, LogRecord, Point, Span
from synapse_otel.testing.signals import SIGNALS, WIRES

SIGNALS_OF = {
    "message": {"logs", "traces"},
    "event": {"logs", "traces"},
    "dev_event": {"logs"},
    "metrics": {"metrics"},
}


@dataclass(frozen=True)
class Ledger:
    """The numbers of one job.

    Attributes:
        accepted: Those whose calls have returned.
        delivered: Those that really arrived in every signal that they belong to.
        dead_lettered: Those that did not, and are in a dead letter.
        dropped: How many are reported as dropped.
        under_way: Those whose calls had not returned when the process died: they may have arrived.
        arrived: All that arrived anywhere.
        doubled: How many arrived under different ids.
        differing: How many items arrived again with the same id and other content.
        progress: The highest progress that arrived, by category.
        statuses: `synapse.run.status` of the spans that have one, by the span's name.
    """

    accepted: frozenset[int]
    delivered: frozenset[int]
    dead_lettered: frozenset[int] = frozenset()
    dropped: int = 0
    under_way: frozenset[int] = frozenset()
    arrived: frozenset[int] = frozenset()
    doubled: int = 0
    differing: int = 0
    progress: Mapping[str, float] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> frozenset[int]:
        """Those of which nobody knows anything, beyond as many as are reported as dropped."""
        unknown = self.accepted - self.delivered - self.dead_lettered
        return frozenset() if len(unknown) <= self.dropped else unknown

    @property
    def is_settled(self) -> bool:
        """Whether all is there, and the end of the run as well."""
        return not self.missing and bool(self.statuses)

    def check(self) -> None:
        """Accepted is delivered, dead-lettered or reported as dropped; and nothing is there that nobody logged."""
        assert not self.missing, f"{len(self.missing)} of {len(self.accepted)} lost: {sorted(self.missing)[:20]}"
        assert len(self.accepted) == len(self.delivered & self.accepted) + len(self.dead_lettered) + self.dropped
        assert self.arrived <= self.accepted | self.under_way, "something arrived that nobody logged"
        assert self.doubled == 0, f"{self.doubled} records arrived under different ids"
        assert self.differing == 0, f"{self.differing} items arrived again with the same id and another content"


def ledger(
    collectors: Iterable[Collector],
    returned: Iterable[int],
    journal_dir: Path,
    *,
    job: str = "job-1",
    dropped: int = 0,
    kinds: tuple[str, ...] = KINDS,
    signals: Iterable[str] = SIGNALS,
) -> Ledger:
    """Compare what was called with what arrived.

    Args:
        collectors: Where it can have arrived.
        returned: How many calls of each worker have returned.
        journal_dir: Where dead letters are.
        job: Whose records.
        dropped: How many are reported as dropped.
        kinds: What the numbers went to, in turn.
        signals: Which signals are sent.
    """
    items = [item for collector in collectors for item in arrived_items(collector) if item.resource["job_id"] == job]
    found = {signal: numbers(items, signal) for signal in SIGNALS}
    dead = dead_letters(journal_dir, job)
    returned = tuple(returned)
    accepted = {
        w * STRIDE + made: kinds[made % len(kinds)] for w, count in enumerate(returned) for made in range(count)
    }
    wanted = {number: SIGNALS_OF[kind] & set(signals) for number, kind in accepted.items()}
    delivered = {number for number, where in wanted.items() if all(number in found[signal] for signal in where)}
    buried = {n for n, where in wanted.items() if all(n in found[s] or n in dead[s] for s in where)}
    return Ledger(
        accepted=frozenset(accepted),
        delivered=frozenset(delivered),
        dead_lettered=frozenset(buried - delivered),
        dropped=dropped,
        under_way=frozenset(w * STRIDE + count for w, count in enumerate(returned)),
        arrived=frozenset(number for counted in found.values() for number in counted),
        doubled=sum(count - 1 for counted in found.values() for count in counted.values()),
        differing=differing(items),
        progress=progress(items),
        statuses={
            item.name: item.attributes["synapse.run.status"]
            for item in items
            if isinstance(item, Span) and "synapse.run.status" in item.attributes
        },
    )


def progress(items: Iterable[Item]) -> dict[str, float]:
    """The highest progress of each category."""
    points = [item for item in items if isinstance(item, Point) and item.metric == "synapse.progress.current"]
    highest: dict[str, float] = {}
    for point in points:
        category = point.attributes["synapse.category"]
        highest[category] = max(point.value, highest.get(category, 0))
    return highest


def arrived_items(collector: Collector) -> list[Item]:
    """Everything that arrived."""
    return [*collector.spans, *collector.logs, *collector.points]


def numbers(items: Iterable[Item], signal: str) -> Counter[int]:
    """The numbers in the items of a signal, as often as they are there under different ids."""
    found = {numbered for item in items for numbered in _numbered(item)}
    return Counter(number for (of, *_), number in found if of == signal)


def carried(item: Item) -> set[int]:
    """The numbers that an item carries."""
    return {number for _, number in _numbered(item)}


def _numbered(item: Item) -> Iterable[tuple[tuple[Any, ...], int]]:
    """The numbers that an item carries, each with what tells it from others."""
    match item:
        case LogRecord():
            number = _number(item.attributes, item.body)
            uid = item.attributes.get("log.record.uid", id(item))
            return [] if number is None else [(("logs", uid), number)]
        case Span():
            found = ((event, _number(event.attributes, event.attributes.get("message"))) for event in item.events)
            # Of a span that was refused the events go on in another one: their time tells them apart.
            return [(("traces", event.time_ns, event.name), number) for event, number in found if number is not None]
        case Point() if item.metric.endswith("metric.number"):
            return [(("metrics", item.time_ns), int(item.value))]
        case _:
            return []


def _number(attributes: Mapping[str, Any], text: object) -> int | None:
    if "number" in attributes:
        return int(attributes["number"])
    return int(text.split()[1]) if isinstance(text, str) and text.startswith("message ") else None


def differing(items: Iterable[Item]) -> int:
    """How many items came again with the same id and another content, by which a backend would lose something."""
    same: defaultdict[object, list[Item]] = defaultdict(list)
    for item in items:
        match item:
            case LogRecord() if "log.record.uid" in item.attributes:
                same[item.attributes["log.record.uid"]].append(item)
            case Span():
                same[item.span_id].append(item)
            case Point():
                series = (item.metric, str(sorted(item.attributes.items())), item.resource.get("service.instance.id"))
                same[series, item.time_ns].append(item)
    return sum(repr(other) != repr(first) for first, *others in same.values() for other in others)  # NaN is not NaN


def dead_letters(journal_dir: Path, job: str) -> dict[str, set[int]]:
    """The numbers of a job in the dead letters under a journal directory, by signal."""
    found: dict[str, set[int]] = {signal: set() for signal in SIGNALS}
    wires = {wire.signal: wire for wire in WIRES}
    for letter in _letters(journal_dir):
        wire = wires[letter["signal"]]
        items = wire.decode(wire.request.FromString(base64.b64decode(letter["request"])))
        found[wire.signal] |= set(numbers((item for item in items if item.resource["job_id"] == job), wire.signal))
    return found


def _letters(journal_dir: Path) -> Iterator[dict[str, Any]]:
    """Read dead letters while somebody may write the next one, or remove journals that were delivered."""
    for journal in journals(journal_dir):
        with contextlib.suppress(FileNotFoundError):
            written, _, _ = journal.dead_letters.read_text().rpartition("\n")
            yield from map(json.loads, written.splitlines())
