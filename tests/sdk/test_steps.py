"""A span for every step of a workflow."""

from __future__ import annotations

from typing import Any

import pytest
from synapse_sdk.loggers import NoOpLogger
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.steps import BaseStep, BaseStepContext, Orchestrator, StepRegistry, StepResult
from synapse_sdk.plugins.steps.utils import LoggingStep

from sdk.arrived import records
from synapse_otel.testing import Collector, Span

pytestmark = pytest.mark.usefixtures("instrumented")


class Step(BaseStep[BaseStepContext]):
    """A step that does what it is told."""

    def __init__(self, name: str, outcome: Any = None, *, skip: bool = False, undo: Exception | None = None) -> None:
        self._name, self._outcome, self._skip, self._undo = name, outcome, skip, undo

    @property
    def name(self) -> str:
        return self._name

    @property
    def progress_weight(self) -> float:
        return 0.5

    def can_skip(self, context: BaseStepContext) -> bool:
        return self._skip

    def execute(self, context: BaseStepContext) -> StepResult:
        context.log(f"in_{self.name}", {})
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome or StepResult()

    def rollback(self, context: BaseStepContext, result: StepResult) -> None:
        context.log(f"undone_{self.name}", {})
        if self._undo:
            raise self._undo


def execute(*steps: BaseStep[Any]) -> dict[str, Any]:
    registry: StepRegistry[Any] = StepRegistry()
    for step in steps:
        registry.register(step)
    ctx = RuntimeContext(logger=NoOpLogger(), env=PluginEnvironment({}), job_id="job-1")
    try:
        return Orchestrator(registry, BaseStepContext(runtime_ctx=ctx), ctx.set_progress).execute()
    finally:
        ctx.logger.finish()


def steps_of(collector: Collector) -> list[Span]:
    return sorted(
        (span for span in collector.spans if "synapse.step.status" in span.attributes), key=lambda s: s.start_ns
    )


def states(collector: Collector) -> list[tuple[str, str, str, str]]:
    return [(s.name, s.attributes["synapse.step.status"], s.status, s.status_message) for s in steps_of(collector)]


def test_steps_are_spans_and_what_is_said_inside_is_theirs(collector: Collector) -> None:
    """One after the other, under the run; a skipped one is there and says so."""
    execute(Step("load"), Step("convert", skip=True), Step("fit"))
    assert states(collector) == [
        ("load", "completed", "ok", ""),
        ("convert", "skipped", "ok", ""),
        ("fit", "completed", "ok", ""),
    ]
    by_id = {span.span_id: span.name for span in collector.spans}
    assert {record.event_name: by_id[record.span_id] for record in collector.logs} == {
        "in_load": "load",
        "in_fit": "fit",
    }
    assert parents(collector) == {"load": "run", "convert": "run", "fit": "run"}


def parents(collector: Collector) -> dict[str, str]:
    by_id = {span.span_id: span.name for span in collector.spans}
    return {span.name: by_id[span.parent_span_id] for span in steps_of(collector)}


@pytest.mark.parametrize(
    ("outcome", "message"),
    [(StepResult(success=False, error="no data"), "no data"), (ValueError("bad data"), "ValueError: bad data")],
)
def test_a_failed_step_and_the_rollback_are_seen(outcome: Any, message: str, collector: Collector) -> None:
    """The step has the reason, with its exception where there was one; the rollbacks follow in reverse."""
    with pytest.raises(RuntimeError, match="Step 'fit' failed"):
        execute(Step("load"), Step("fit", outcome), Step("never"))
    assert states(collector) == [
        ("load", "completed", "ok", ""),
        ("fit", "failed", "error", message),
        ("rollback fit", "completed", "ok", ""),
        ("rollback load", "completed", "ok", ""),
    ]
    fit = steps_of(collector)[1]
    assert [event.name for event in fit.events] == [
        "in_fit",
        *(["exception"] if isinstance(outcome, Exception) else []),
    ]
    assert [record[0] for record in records(collector) if record[0] != "exception"] == [
        "in_load",
        "in_fit",
        "undone_fit",
        "undone_load",
    ]


def test_a_rollback_that_fails_is_seen(collector: Collector) -> None:
    """The SDK goes on with the others; the failure is on its span."""
    with pytest.raises(RuntimeError, match="Step 'fit' failed"):
        execute(Step("load"), Step("save", undo=OSError("gone")), Step("fit", ValueError("bad")))
    assert [(name, status) for name, _, status, _ in states(collector)][3:] == [
        ("rollback fit", "ok"),
        ("rollback save", "error"),
        ("rollback load", "ok"),
    ]


def test_a_step_inside_another_one_is_a_part_of_it(collector: Collector) -> None:
    """The SDK's wrappers of steps make one span, with the name that the workflow knows."""
    execute(LoggingStep(Step("load")))
    assert states(collector) == [("logged_load", "completed", "ok", "")]
    assert [record[0] for record in records(collector)] == ["step_start", "in_load", "step_end"]


def test_workflows_nest(collector: Collector) -> None:
    """A step may execute a workflow: its steps are children of that step."""

    class Outer(Step):
        def execute(self, context: BaseStepContext) -> StepResult:
            registry: StepRegistry[Any] = StepRegistry()
            registry.register(Step("inner"))
            Orchestrator(registry, context, lambda current, total: None).execute()
            return super().execute(context)

    execute(Outer("outer"), Step("next"))
    assert parents(collector) == {"outer": "run", "inner": "outer", "next": "run"}
