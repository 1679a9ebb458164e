"""The example of a function as an action."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from synapse_otel.testing import Telemetry


@pytest.fixture
def estimate_pi(load: Callable[[str, str], Any]) -> Any:
    return load("function_action", "estimate_pi")


def test_everything_it_reports_arrives(
    estimate_pi: Any, run: Any, telemetry: Telemetry, outline: Any, tmp_path: Path
) -> None:
    """The run, its progress, a sample per batch, the messages and the event with its file reach the collector."""
    result = run(estimate_pi, batches=40, points_per_batch=500, output_dir=tmp_path)
    report = tmp_path / "pi.json"
    estimates = telemetry.collector.points_of("synapse.metric.estimate")
    assert outline() == ["ok estimate_pi", "  ok batches"]
    assert len(estimates) == len(telemetry.collector.points_of("synapse.metric.error")) == 40
    assert result == {"pi": estimates[-1].value, "report": str(report)}
    assert result["pi"] == pytest.approx(math.pi, abs=0.1)
    assert telemetry.messages == ["Throwing 40 batches of 500 points", f"Pi is about {result['pi']:.4f}"]
    written = next(log for log in telemetry.logs if log.event_name == "report_written")
    assert written.attributes["file.path"] == str(report)
    assert json.loads(report.read_text())["pi"] == result["pi"]


def test_wrong_parameters_are_refused(estimate_pi: Any, run: Any, telemetry: Telemetry, outline: Any) -> None:
    """Nothing is executed with parameters that do not fit the model, and the run has failed."""
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        run(estimate_pi, batches=0)
    assert outline() == ["error run"]
    assert telemetry.messages == []
