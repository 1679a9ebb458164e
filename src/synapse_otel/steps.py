"""Workflows of steps: run in order, skipped where they need not run, rolled back in reverse when one fails."""

from __future__ import annotations

import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from synapse_otel.context import RuntimeContext, one_level
from synapse_otel.logger import describe, one_category
from synapse_otel.models import LogLevel
from synapse_otel.values import text

if TYPE_CHECKING:
    from synapse_otel.logger import StepHandle


@dataclass
class StepResult:
    """What a step has done.

    Attributes:
        success: Whether it did what it should.
        data: What it has to say.
        error: Why it failed.
        rollback_data: What its `rollback` needs.
        skipped: Whether there was nothing to do.
        timestamp: When it ended.
    """

    success: bool = True
    data: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    rollback_data: dict[str, Any] = field(default_factory=dict)
    skipped: bool = False
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class BaseStepContext:
    """What the steps of one workflow share. Subclass it, as a dataclass, with the state of yours.

    Its methods report to the runtime context, with the step that is running as the default category.

    Attributes:
        runtime_ctx: Where everything is reported to.
        step_results: The results of the steps so far.
        errors: What else went wrong, such as rollbacks that failed.
        current_step: The name of the step that is running.
        current_step_order: Its place in the workflow, from 0.
    """

    runtime_ctx: RuntimeContext
    step_results: list[StepResult] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    current_step: str | None = field(default=None, init=False)
    current_step_order: int | None = field(default=None, init=False)

    def set_progress(
        self, current: float, total: float, category: str | None = None, *, step: str | None = None
    ) -> None:
        """Report progress of the running step, or of another category; see `RuntimeContext.set_progress`."""
        self.runtime_ctx.set_progress(current, total, self._category(category, step))

    def set_metrics(self, value: Mapping[str, Any], category: str | None = None, *, step: str | None = None) -> None:
        """Report metrics of the running step, or of another category; see `RuntimeContext.set_metrics`."""
        self.runtime_ctx.set_metrics(value, self._category(category, step))

    def log(
        self,
        event: str,
        data: Mapping[str, Any],
        file: str | os.PathLike[str] | None = None,
        level: LogLevel | str = LogLevel.INFO,
    ) -> None:
        """Record an event; see `RuntimeContext.log`."""
        self.runtime_ctx.log(event, data, file, level)

    def log_message(
        self, message: object, context: LogLevel | str = "info", *, level: LogLevel | str | None = None
    ) -> None:
        """Record a message to the user; see `RuntimeContext.log_message`."""
        self.runtime_ctx.log_message(message, one_level(context, level), step=self.current_step)

    def log_dev_event(self, message: object, data: Mapping[str, Any] | None = None) -> None:
        """Record something for the plugin's developer; see `RuntimeContext.log_dev_event`."""
        self.runtime_ctx.log_dev_event(message, data)

    def _category(self, category: str | None, step: str | None) -> str | None:
        name = one_category(category, step)
        return self.current_step if name is None else name

    def _set_current_step(self, name: str | None, order: int | None = None) -> None:
        self.current_step, self.current_step_order = name, order


C = TypeVar("C", bound=BaseStepContext)


class BaseStep(ABC, Generic[C]):
    """A step of a workflow. Define `execute`; the rest has defaults.

    `name` and the shares of the progress may be overridden by a class attribute or by a property. The type argument is
    the context that the workflow's steps share.
    """

    @property
    def name(self) -> str:
        """The step's name; by default the class's, so that `LoadDataStep` is `load_data`."""
        bare = re.sub(r"(?<=.)Step$", "", type(self).__name__)
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", bare).lower()

    @property
    def progress_weight(self) -> float:
        """The step's share of the workflow's progress, relative to the others' weights."""
        return 1.0

    @property
    def progress_proportion(self) -> int:
        """The step's share of a whole job's progress in percent, where the Synapse backend shows one."""
        return 0

    @abstractmethod
    def execute(self, context: C) -> StepResult:
        """Do the step.

        Args:
            context: What the steps share.

        Returns:
            What was done. A result without success fails the workflow, as an exception does.
        """

    def can_skip(self, context: C) -> bool:  # noqa: ARG002  # the shape of every such method
        """Whether there is nothing to do."""
        return False

    def rollback(self, context: C, result: StepResult) -> None:
        """Undo the step, because it or a later one has failed.

        Args:
            context: What the steps share.
            result: What `execute` returned.
        """


class StepRegistry(Generic[C]):
    """The steps of a workflow, in their order."""

    def __init__(self) -> None:
        self._steps: list[BaseStep[C]] = []

    def register(self, step: BaseStep[C]) -> None:
        """Add a step at the end."""
        self._steps.append(step)

    def unregister(self, name: str) -> None:
        """Remove a step; a name that is not there changes nothing."""
        self._steps = [step for step in self._steps if step.name != name]

    def insert_before(self, before_name: str, step: BaseStep[C]) -> None:
        """Add a step before another.

        Raises:
            ValueError: There is no step `before_name`.
        """
        self._steps.insert(self._index(before_name), step)

    def insert_after(self, after_name: str, step: BaseStep[C]) -> None:
        """Add a step after another.

        Raises:
            ValueError: There is no step `after_name`.
        """
        self._steps.insert(self._index(after_name) + 1, step)

    def get_steps(self) -> list[BaseStep[C]]:
        """The steps in their order, as a new list."""
        return list(self._steps)

    @property
    def total_weight(self) -> float:
        """The sum of the steps' weights."""
        return sum(step.progress_weight for step in self._steps)

    def get_step_orders(self) -> dict[str, int]:
        """The place of each step, from 0, by its name."""
        return {step.name: order for order, step in enumerate(self._steps)}

    def get_step_proportions(self) -> dict[str, int]:
        """The share of a whole job's progress of each step that has one, by its name."""
        return {step.name: step.progress_proportion for step in self._steps if step.progress_proportion > 0}

    def _index(self, name: str) -> int:
        names = [step.name for step in self._steps]
        if name in names:
            return names.index(name)
        raise ValueError(f"there is no step {name!r}; registered are {', '.join(map(repr, names)) or 'none'}")

    def __iter__(self) -> Iterator[BaseStep[C]]:
        return iter(self.get_steps())

    def __len__(self) -> int:
        return len(self._steps)


class Orchestrator(Generic[C]):
    """Runs the steps of a workflow, each as a step of the run.

    When one fails, those that were executed, it included, are rolled back in reverse.

    Args:
        registry: The steps.
        context: What they share.
        progress_callback: Called with the workflow's progress, from 0 to 100 by the steps' weights, and 100: at the
            start and after every step. Typically `lambda current, total: self.set_progress(current, total)`.
        before_step: Called with a step's name and the context, before it is known whether the step can be skipped.
    """

    def __init__(
        self,
        registry: StepRegistry[C],
        context: C,
        progress_callback: Callable[[int, int], None] | None = None,
        before_step: Callable[[str, C], None] | None = None,
    ) -> None:
        self._registry = registry
        self._context = context
        self._progress_callback = progress_callback
        self._before_step = before_step
        self._executed: list[tuple[BaseStep[C], StepResult]] = []

    def execute(self) -> dict[str, Any]:
        """Run the steps.

        Returns:
            `success` (true), `steps_executed` (without the skipped) and `steps_total`.

        Raises:
            RuntimeError: A step has failed; from what it raised, after the rollback.
        """
        steps = self._registry.get_steps()
        progress = _weighted_progress([step.progress_weight for step in steps])
        self._executed = []
        self._report(0)
        for order, step in enumerate(steps):
            self._run(step, order)
            self._report(next(progress))
        return {"success": True, "steps_executed": len(self._executed), "steps_total": len(steps)}

    def _run(self, step: BaseStep[C], order: int) -> None:
        cause: Exception | None = None
        try:
            result = self._run_inside_its_span(step, order)
        except Exception as error:  # noqa: BLE001 - whatever a step raises is its failure
            cause, result = error, self._failure_of(step, text(error) or type(error).__name__)
        finally:
            self._context._set_current_step(None)
        self._context.step_results.append(result)
        if not result.success:
            failed = RuntimeError(f"Step {step.name!r} failed: {result.error}")
            for note in self._roll_back():
                failed.add_note(note)
            raise failed from cause

    def _run_inside_its_span(self, step: BaseStep[C], order: int) -> StepResult:
        with self._context.runtime_ctx.logger.step(step.name) as span:
            span.order = order
            self._context._set_current_step(step.name, order)
            if self._before_step is not None:
                self._before_step(step.name, self._context)
            if step.can_skip(self._context):
                span.skip()
                return StepResult(skipped=True)
            return self._executed_result(step, span)

    def _executed_result(self, step: BaseStep[C], span: StepHandle) -> StepResult:
        """Execute the step; from here on it is one to roll back."""
        self._executed.append((step, StepResult(success=False)))
        result = step.execute(self._context)
        if not isinstance(result, StepResult):
            raise TypeError(f"execute() must return a StepResult, got {describe(result)}")
        self._executed[-1] = step, result
        if not result.success:
            span.fail(result.error)
        elif result.skipped:
            span.skip()
        return result

    def _failure_of(self, step: BaseStep[C], error: str) -> StepResult:
        """The result of a step that raised: the one its rollback gets, if it was executed."""
        if self._executed and self._executed[-1][0] is step:
            self._executed[-1][1].error = error
            return self._executed[-1][1]
        return StepResult(success=False, error=error)

    def _roll_back(self) -> list[str]:
        """Roll back what was executed; one failure does not keep the others from theirs."""
        failures = []
        for step, result in reversed(self._executed):
            try:
                step.rollback(self._context, result)
            except Exception as error:  # noqa: BLE001 - see above
                failures.append(f"Rollback of step {step.name!r} failed: {text(error) or type(error).__name__}")
        self._context.errors.extend(failures)
        return failures

    def _report(self, percent: int) -> None:
        if self._progress_callback is not None:
            self._progress_callback(percent, 100)


def _weighted_progress(weights: list[float]) -> Iterator[int]:
    """The progress after each step in whole percent, never less than before, and 100 after the last."""
    total = sum(weights)
    if not 0 < total < math.inf:
        weights, total = [1.0] * len(weights), len(weights)
    done, percent = 0.0, 0
    for weight in weights[:-1]:
        done += weight
        percent = max(percent, min(100, round(100 * done / total)))
        yield percent
    if weights:
        yield 100
