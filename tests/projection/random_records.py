"""Random records of a run, in any order: what a writer could have said, and what it never would."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from projection.rendering import MS, ROOT, START
from synapse_otel.journal import records as rec

SPANS = [ROOT, b"", b"\0" * 8, b"short", *(bytes([number]) * 8 for number in range(10, 16))]
ACTIVE = [b"", b"\xbb" * 24, bytes(24), b"\xbb" * 16, b"x"]
KEYS = ["level", "Level", "", "a", "a.b", "b", "data.level"]
KEYS += ["synapse.level", "file.path", "log.record.uid", "synapse.step"]
GAPS = [0, 1, 999_999, MS, 17 * MS, 1_000 * MS, 20_000 * MS, 61_000 * MS, -1, -MS, -3_600_000 * MS]

spans = st.sampled_from(SPANS)
active = st.sampled_from(ACTIVE)
texts = st.text(max_size=8)
names = st.sampled_from(["load", "fit", "a\x1fb", "\0", "ä", "run", ""]) | texts
keys = st.sampled_from(KEYS) | texts
levels = st.sampled_from(["debug", "info", "success", "warning", "danger", "error", "critical", "other"])
statuses = st.sampled_from(["completed", "failed", "cancelled", "crashed", "skipped"])
steps = st.none() | names
integers = st.sampled_from([0, 1, 7, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]) | st.integers(-9, 99)
numbers = integers | st.floats() | st.booleans()
amounts = st.sampled_from([0, 1, 2, 5, 9, 10, 100, 0.5, 2**63, 2**64 - 1])
plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
data = st.dictionaries(keys, plain, max_size=4)
t = st.just(0)

records: st.SearchStrategy[rec.Record] = st.one_of(
    st.builds(rec.RunStarted, t),
    st.builds(rec.RunEnded, t, statuses, texts),
    st.builds(rec.StepStarted, t, spans, spans, names),
    st.builds(rec.StepEnded, t, spans, statuses, texts),
    st.builds(rec.Progress, t, spans, active, names, amounts, amounts, st.booleans()),
    st.builds(rec.Metrics, t, spans, active, names, data),
    st.builds(rec.Event, t, spans, active, names, levels, data, st.none() | texts, steps),
    st.builds(rec.Message, t, spans, active, texts, levels, steps),
    st.builds(rec.DevEvent, t, spans, active, texts, st.none() | data),
    st.builds(rec.ExceptionRecorded, t, spans, active, names, texts, texts),
    st.builds(rec.LogEnded, t, spans, active),
    st.builds(rec.Heartbeat, t),
    st.builds(rec.Dropped, t, st.dictionaries(names, st.integers(1, 9), min_size=1, max_size=2)),
    st.builds(rec.ActionNamed, t, names),
)


@st.composite
def runs(draw: st.DrawFn, size: int = 40) -> list[rec.Record]:
    """Records of one run with their times, also of clocks that jump. No id of a step is used again after its end."""
    entries = st.tuples(st.sampled_from(GAPS), records, st.sampled_from([1] * 19 + [150]))
    drawn = draw(st.lists(entries, min_size=draw(st.integers(0, size)), max_size=size))  # else five on average
    run: list[rec.Record] = []
    now, used = START + 10 * 3_600_000 * MS, set[bytes]()
    for gap, record, times in drawn:
        now += gap
        if isinstance(record, rec.StepStarted):
            if record.span in used:
                continue
            used.add(record.span)
        repeated = times if isinstance(record, rec.Message) else 1
        run += [msgspec.structs.replace(record, t=now)] * repeated
    return run
