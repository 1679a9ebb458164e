"""A recorder that is a logger of the Synapse SDK, for those who build their own context."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synapse_sdk.loggers import BaseLogger, ProgressData
from synapse_sdk.plugins.models.logger import LogLevel

from synapse_otel.models import DeliveryReport, RunStatus
from synapse_otel.otel_logger import OTelLogger as Recorder
from synapse_otel.sdk.loggers import reporting
from synapse_otel.sdk.reports import REPORTS
from synapse_otel.sdk.runs import Run, runs

if TYPE_CHECKING:
    from synapse_otel.export.settings import TelemetrySettings


class OTelLogger(BaseLogger):
    """Records a run, for a `synapse_sdk` `RuntimeContext` that somebody makes; no instrumentor is needed.

    Everything that the SDK's loggers take is taken; what they refuse is refused, with the SDK's own errors. The run
    opens here and closes at `finish`, or at the end of the interpreter.

    Args:
        job_id: The job that the run belongs to; by default ``SYNAPSE_JOB_ID``, ``RAY_JOB_ID``, else generated.
        name: The run's name; of a run without one, the action's.
        console: A logger of the SDK that shows the run as well, such as its `ConsoleLogger`.
        settings: How telemetry is recorded and sent; from the environment by default.
        recorder: What records, where that is open already; the other arguments but `console` are then not looked at.

    Raises:
        SettingsError: If a setting is wrong; the message names the variable.
    """

    def __init__(
        self,
        job_id: str | None = None,
        name: str = "run",
        *,
        console: Any = None,
        settings: TelemetrySettings | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__()
        self._console = console
        self._recorder = recorder or Recorder(job_id, name, settings=settings)
        self._job_id = self._recorder.job_id
        self._run = runs.add(Run(self._recorder, "owner"))
        runs.bind(self, self._run)

    @property
    def job_id(self) -> str | None:
        """The job that the run belongs to."""
        return self._recorder.job_id

    @property
    def trace_id(self) -> str:
        """The run's trace id in 32 hexadecimal digits."""
        return self._recorder.trace_id

    def propagation_env(self) -> dict[str, str]:
        """Environment variables that make a child process part of this run."""
        return self._recorder.propagation_env()

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until what was recorded is delivered, at most `timeout` seconds; return whether it is."""
        return self._recorder.flush(timeout)

    def report(self) -> DeliveryReport:
        """What became of everything recorded so far."""
        return self._recorder.report()

    def finish(self, status: RunStatus | None = None, error: BaseException | None = None) -> None:
        """End the run.

        Args:
            status: What became of it; by default what became of the action that it ran, else `completed`.
            error: What it failed with.
        """
        super().finish()
        if status is not None:
            self._recorder.finish(status, error)
        runs.close(self._run, error)

    # What was not sent to the recorder by then is what the SDK's methods do besides: their state, and the console.

    def log_event(self, event: str, data: Mapping[str, Any], file: str | None = None) -> None:
        """Record an event without a level."""
        self._show("log_event", event, data, file)

    def log_metric(self, category: str, key: str, value: float, **metrics: Any) -> None:
        """Record samples of several metrics."""
        self._show("log_metric", category, key, value, **metrics)

    def log_visualization(self, category: str, group: str, index: int, image: str, **meta: Any) -> None:
        """Record where an image is, and how large; not the image."""
        self._show("log_visualization", category, group, index, image, **meta)

    def log_trials(self, data: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Record the table of a tuning's trials."""
        self._show("log_trials", data, **kwargs)

    def log_message(self, message: str, level: LogLevel | None = None, *, context: Any = None) -> None:
        """Record a message to the user."""
        self._show("log_message", message, level, **({} if context is None else {"context": context}))

    def _log_impl(
        self, event: str, data: dict[str, Any], file: str | None, step: str | None, level: LogLevel | None = None
    ) -> None:
        self._show("_log_impl", event, data, file, step, level)

    def _on_progress(self, progress: ProgressData, step: str | None) -> None:
        self._show("_on_progress", progress, step)

    def _on_metrics(self, step: str, metrics: dict[str, Any]) -> None:
        self._show("_on_metrics", step, metrics)

    def _on_finish(self) -> None:
        if self._console is not None:
            self._console.finish()

    def _show(self, method: str, *args: Any, **kwargs: Any) -> None:
        if self._console is not None and hasattr(self._console, method):
            getattr(self._console, method)(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_recorder": None, "_run": None, "_env": self.propagation_env()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        env = state.pop("_env")
        self.__dict__.update(state)
        run = runs.carry_on(env)
        if run is not None:
            self._recorder, self._run = run.core, run
            runs.bind(self, run)


def _inherited(method: str) -> Any:
    @functools.wraps(getattr(BaseLogger, method))
    def call(logger: OTelLogger, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(OTelLogger, logger), method)(*args, **kwargs)

    return call


# Its own methods report, and those that it inherits, whether or not the SDK is instrumented besides.
for _method, _report in REPORTS.items():
    setattr(OTelLogger, _method, reporting(_method, _report, vars(OTelLogger).get(_method) or _inherited(_method)))
