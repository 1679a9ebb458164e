"""The example of a class as an action."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synapse_otel.testing import Telemetry


def test_everything_it_reports_arrives(
    load: Callable[[str, str], Any], run: Any, telemetry: Telemetry, outline: Any, tmp_path: Path
) -> None:
    """Every item is in the file or skipped with a warning, and counted in progress and metrics."""
    result = run(load("class_action", "ExportAction"), items=25, unlabelled_every=10, output_dir=tmp_path)
    path = tmp_path / "annotations.jsonl"
    collector = telemetry.collector
    assert result == {"exported": 23, "skipped": 2, "path": str(path)}
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [
        *range(1, 10),
        *range(11, 20),
        *range(21, 26),
    ]
    assert outline() == ["ok export", "  ok export"]
    assert [(log.severity_text, log.body) for log in telemetry.logs if log.event_name == "synapse.message"] == [
        ("info", "Exporting 25 items"),
        ("warning", "Item 10 has no label: skipped"),
        ("warning", "Item 20 has no label: skipped"),
        ("success", "Exported 23 of 25 items"),
    ]
    assert [point.value for point in collector.points_of("synapse.metric.skipped")] == [0] * 9 + [1] * 10 + [2] * 6
    assert collector.points_of("synapse.metric.exported")[-1].value == 23
    assert collector.points_of("synapse.progress.current")[-1].value == 25
    written = next(log for log in telemetry.logs if log.event_name == "export_written")
    assert written.attributes["file.path"] == str(path)
