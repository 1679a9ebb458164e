"""The example of a workflow of steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synapse_otel.testing import Telemetry


@pytest.fixture
def upload(load: Callable[[str, str], Any]) -> Any:
    return load("step_workflow", "UploadAction")


def collected_at(telemetry: Telemetry) -> Path:
    """The directory that the files were collected in."""
    return Path(next(log for log in telemetry.logs if log.event_name == "files_collected").attributes["file.path"])


def test_the_steps_are_spans_of_the_run(
    upload: Any, run: Any, telemetry: Telemetry, outline: Any, tmp_path: Path
) -> None:
    """Each step is a span with its phase below it, the skipped one too, and the files have arrived."""
    storage = tmp_path / "storage"
    storage.mkdir()
    result = run(upload, files=4, output_dir=storage)
    assert result == {"success": True, "steps_executed": 3, "steps_total": 4}
    assert outline() == [
        "ok upload",
        "  ok progress",
        "  ok collect",
        "    ok collect",
        "  ok read_metadata",
        "  ok upload",
        "    ok upload",
        "  ok register",
    ]
    assert telemetry.collector.span("read_metadata").attributes["synapse.step.status"] == "skipped"
    assert [point.value for point in telemetry.collector.points_of("synapse.metric.bytes")] == [16, 32, 48, 64]
    assert telemetry.messages == ["Uploaded 4 files"]
    images = [f"image_00{number}.txt" for number in range(1, 5)]
    assert sorted(path.name for path in storage.iterdir()) == [*images, "manifest.txt"]
    assert (storage / "manifest.txt").read_text().split() == images
    assert sorted(path.name for path in collected_at(telemetry).iterdir()) == images


def test_a_failure_undoes_what_was_done(
    upload: Any, run: Any, telemetry: Telemetry, outline: Any, tmp_path: Path
) -> None:
    """When the third step fails, the executed ones are rolled back in reverse, and no file is left."""
    storage = tmp_path / "storage"
    storage.mkdir()
    error = r"^Step 'upload' failed: \[Errno 28\] no space left in the storage: 'image_003.txt'$"
    with pytest.raises(RuntimeError, match=error):
        run(upload, files=4, fail=True, output_dir=storage)
    assert outline() == [
        "error upload",
        "  error progress",
        "  ok collect",
        "    ok collect",
        "  ok read_metadata",
        "  error upload",
        "    error upload",
    ]
    assert telemetry.messages == [
        "Rolled back: removed 2 uploaded files",
        "Rolled back: removed 4 collected files",
    ]
    assert [point.value for point in telemetry.collector.points_of("synapse.metric.bytes")] == [16, 32]
    assert list(storage.iterdir()) == []
    assert not collected_at(telemetry).exists()
