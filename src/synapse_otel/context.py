"""The one object that a plugin holds: its logger, its environment, its clients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from synapse_otel.environment import PluginEnvironment
from synapse_otel.logger import BaseLogger, StepHandle, check_level, describe
from synapse_otel.models import DeliveryReport, LogLevel, RunStatus

if TYPE_CHECKING:
    from types import TracebackType

    from synapse_otel.export.settings import TelemetrySettings


@dataclass
class RuntimeContext:
    """What an action gets: where it reports to, how it is configured, what it may talk to.

    As a context manager, plain or `async`, it finishes the logger at the end of the block, with what became of it: an
    exception fails the run, an interrupt or a cancellation cancels it; neither is swallowed.

    Attributes:
        logger: Where everything is reported to.
        env: The configuration.
        job_id: The job that the run belongs to; the logger's by default.
        client: A client of the Synapse backend.
        agent_client: A client of the Synapse agent.
        checkpoint: The pretrained model to start from, with `category` and `path`.
    """

    logger: BaseLogger
    env: PluginEnvironment
    job_id: str | None = None
    client: Any = None
    agent_client: Any = None
    checkpoint: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.job_id is None:
            self.job_id = getattr(self.logger, "job_id", None)

    @classmethod
    def open(
        cls,
        job_id: str | None = None,
        name: str = "run",
        *,
        env: PluginEnvironment | Mapping[str, Any] | None = None,
        console: bool = False,
        client: Any = None,
        agent_client: Any = None,
        checkpoint: dict[str, Any] | None = None,
        settings: TelemetrySettings | None = None,
    ) -> Self:
        """A context that records to OpenTelemetry: `with RuntimeContext.open("job-1", "train") as ctx: ...`.

        Args:
            job_id: The job that the run belongs to; from `SYNAPSE_JOB_ID` or `RAY_JOB_ID`, or generated, by default.
            name: The run's name, which its root span is called.
            env: The configuration; the process's environment variables by default.
            console: Whether to show the run on the terminal, too.
            client: A client of the Synapse backend.
            agent_client: A client of the Synapse agent.
            checkpoint: The pretrained model to start from, with `category` and `path`.
            settings: How telemetry is recorded and sent; from the environment by default.

        Raises:
            ValueError: A setting is wrong; the message names it.
        """
        from synapse_otel.otel_logger import OTelLogger

        if not isinstance(env, PluginEnvironment):
            env = PluginEnvironment.from_environ() if env is None else PluginEnvironment(env)
        logger = OTelLogger(job_id=job_id, name=name, console=console, settings=settings)
        return cls(logger, env, logger.job_id, client, agent_client, checkpoint)

    def set_progress(
        self, current: float, total: float, category: str | None = None, *, step: str | None = None
    ) -> None:
        """Report progress.

        Args:
            current: What is done, from 0 to `total`. A report of 0 starts the category over.
            total: What there is to do, greater than 0.
            category: What progresses; the current step by default.
            step: Another name of `category`.

        Raises:
            TypeError: A number or the category is of the wrong type, or `category` and `step` differ.
            ValueError: `total` is not greater than 0, or `current` not between 0 and `total`.
            RuntimeError: The run is finished.
        """
        if step is None:
            self.logger.set_progress(current, total, category)
        else:
            self.logger.set_progress(current, total, category, step=step)

    def set_metrics(self, value: Mapping[str, Any], category: str | None = None, *, step: str | None = None) -> None:
        """Report metrics: one sample of each key.

        Args:
            value: The samples by their keys.
            category: What they measure; by default the current step, or `default` outside of any.
            step: Another name of `category`.

        Raises:
            TypeError: `value` is no mapping, the category no string, or `category` and `step` differ.
            ValueError: The category is empty.
            RuntimeError: The run is finished.
        """
        if step is None:
            self.logger.set_metrics(value, category)
        else:
            self.logger.set_metrics(value, category, step=step)

    def log(
        self,
        event: str,
        data: Mapping[str, Any],
        file: str | os.PathLike[str] | None = None,
        level: LogLevel | str = LogLevel.INFO,
    ) -> None:
        """Record an event.

        Args:
            event: The event's name.
            data: What is to be known of it.
            file: The path of a file it is about.
            level: A `LogLevel`, or its value as a string in any case.

        Raises:
            TypeError: `level` is none, `event` is no string or `data` no mapping.
            ValueError: `event` is empty.
            RuntimeError: The run is finished.
        """
        self.logger.log(level, event, data, file)

    def log_message(
        self,
        message: object,
        context: LogLevel | str = "info",
        *,
        level: LogLevel | str | None = None,
        step: str | None = None,
    ) -> None:
        """Record a message to the user.

        Args:
            message: The text; anything else is converted with `str`.
            context: A `LogLevel`, or its value as a string in any case, such as `warning`.
            level: Another name of `context`.
            step: The step it belongs to; the current one by default.

        Raises:
            TypeError: The level is none, or `context` and `level` are given and differ.
            RuntimeError: The run is finished.
        """
        if level is None and step is None:
            self.logger.log_message(message, context)
        else:
            self.logger.log_message(message, one_level(context, level), step=step)

    def log_dev_event(self, message: object, data: Mapping[str, Any] | None = None) -> None:
        """Record something for the plugin's developer; users do not see it.

        Args:
            message: The text; anything else is converted with `str`.
            data: What is to be known of it.

        Raises:
            TypeError: `data` is neither a mapping nor None.
            RuntimeError: The run is finished.
        """
        self.logger.log_dev_event(message, data)

    def end_log(self) -> None:
        """Say that the plugin has done its work; saying it again, or after the end, changes nothing."""
        self.logger.end_log()

    def step(self, name: str) -> StepHandle:
        """A step of the run: `with ctx.step("load"): ...`; inside, it is the default category.

        Args:
            name: The step's name.

        Raises:
            TypeError: `name` is no string.
            ValueError: `name` is empty.
            RuntimeError: The run is finished.
        """
        return self.logger.step(name)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until what was reported is delivered.

        Args:
            timeout: How long to wait at most, in seconds.

        Returns:
            Whether all was delivered.
        """
        return self.logger.flush(timeout)

    def report(self) -> DeliveryReport:
        """What became of everything reported so far."""
        return self.logger.report()

    @property
    def trace_id(self) -> str | None:
        """The run's trace id in 32 hexadecimal digits, or None."""
        return self.logger.trace_id

    def propagation_env(self) -> dict[str, str]:
        """Environment variables that make a child process part of this run."""
        return self.logger.propagation_env()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.logger.finish(run_outcome(exc), exc)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import asyncio

        # finish() may wait for a collector, and the event loop must not. But a coroutine that is being closed may not
        # await, and other event loops have no threads that asyncio could use.
        if isinstance(exc, GeneratorExit) or not _in_asyncio():
            self.logger.finish(run_outcome(exc), exc)
        else:
            self.logger.leave_context()
            await asyncio.to_thread(self.logger.finish, run_outcome(exc), exc)


def one_level(context: LogLevel | str, level: LogLevel | str | None) -> LogLevel:
    """The level from its two spellings, of which `context` has the default `info`.

    Raises:
        TypeError: One of them is no level, or both are given and differ.
    """
    if level is None:
        return check_level(context, "context")
    chosen = check_level(level)
    if context != "info" and check_level(context, "context") is not chosen:
        raise TypeError(
            f"context and level are two names of one argument, got context={describe(context)} and "
            f"level={describe(level)}"
        )
    return chosen


def run_outcome(exc: BaseException | None) -> RunStatus:
    """What becomes of a run whose block ends with `exc`."""
    if exc is None:
        return RunStatus.COMPLETED
    if issubclass(type(exc), SystemExit):
        code = getattr(exc, "code", None)
        return RunStatus.COMPLETED if code is None or (type(code) is int and code == 0) else RunStatus.FAILED
    return RunStatus.CANCELLED if _is_cancellation(exc) else RunStatus.FAILED


def _is_cancellation(exc: BaseException) -> bool:
    import asyncio

    return issubclass(type(exc), KeyboardInterrupt | GeneratorExit | asyncio.CancelledError)


def _in_asyncio() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
