from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synapse_otel import run_action
from synapse_otel.testing import Span, Telemetry

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples write by default, here and in processes that are started."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr("tempfile.tempdir", str(path))
    return path


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """Import an example and return what it calls so: `load("train_digits", "train_digits")`."""

    def load(example: str, name: str) -> Any:
        spec = importlib.util.spec_from_file_location(f"example_{example}", EXAMPLES / f"{example}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return getattr(module, name)

    return load


@pytest.fixture
def run(telemetry: Telemetry) -> Callable[..., Any]:
    """Run an action as a run of its own, which has arrived at the collector when the result is returned."""

    def run(action: Any, /, **params: Any) -> Any:
        with telemetry.open(name="run") as ctx:
            return run_action(action, params, ctx)

    return run


@pytest.fixture
def outline(telemetry: Telemetry) -> Callable[[], list[str]]:
    """The spans that arrived as lines, `status name` indented by depth, children in the order of their start."""

    def lines(parent: str, depth: int) -> list[str]:
        children = sorted((span for span in telemetry.spans if span.parent_span_id == parent), key=started)
        return [line for span in children for line in (f"{'  ' * depth}{span.status} {span.name}", *below(span, depth))]

    def below(span: Span, depth: int) -> list[str]:
        return lines(span.span_id, depth + 1)

    return lambda: [line for line in lines("", 0) if not line.endswith(" run started")]


def started(span: Span) -> tuple[int, int]:
    return span.start_ns, -span.end_ns
