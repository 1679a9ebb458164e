"""Tables as Grafana makes them of the answers to several queries: joined by its "merge", with the columns that stay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backends.grafana import View

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """The answer to one query: its fields, which it has without a row, too, and its rows."""

    fields: list[str]
    rows: list[Row]


def rows(view: View, title: str) -> list[Row]:
    """Return the rows of a panel by the names of their columns; None is a cell that stays empty."""
    (panel,) = [one for one in view.dashboard["panels"] if one["title"] == title]
    merge, only, organize = panel["transformations"]
    assert (merge["id"], only["id"], organize["id"]) == ("merge", "filterFieldsByName", "organize")
    frames = [_frame(view.show(title, target["refId"]), f"Value #{target['refId']}") for target in panel["targets"]]
    there = {field for frame in frames for field in frame.fields}
    place, called = organize["options"]["indexByName"], organize["options"]["renameByName"]
    columns = sorted(there.intersection(only["options"]["include"]["names"]), key=place.__getitem__)
    return [{called.get(field, field): row.get(field) for field in columns} for row in merged(frames)]


def merged(frames: Sequence[Frame]) -> list[Row]:
    """Join rows that agree in all fields that every frame has, where no other field of theirs contradicts."""
    common = [field for field in frames[0].fields if all(field in frame.fields for frame in frames)]
    found: list[Row] = []
    alike: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in (row for frame in frames for row in frame.rows):
        others = alike[tuple(row[field] for field in common)]
        fitting = [other for other in others if all(other.get(field) in (None, row[field]) for field in row)]
        for other in fitting:
            other.update(row)
        if not fitting:
            others.append(dict(row))
            found.append(others[-1])
    return found


def _frame(answer: list[dict[str, Any]], value: str) -> Frame:
    """Return an answer as Grafana puts it into a table: with fields for the time, each label, and the value."""
    labels = [*dict.fromkeys(label for one in answer for label in sorted(one["metric"]))]
    filled = [{label: one["metric"].get(label, "") for label in labels} for one in answer]
    rows = [
        {"Time": one["value"][0], **metric, value: float(one["value"][1])}
        for one, metric in zip(answer, filled, strict=True)
    ]
    return Frame(["Time", *labels, value], rows)
