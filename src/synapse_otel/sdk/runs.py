"""The runs that are open in this process, and which of them a logger of the Synapse SDK reports to.

A run is opened by an action, by what executes actions (an executor, a pipeline, the process of a Ray job), by a context
that came from another process, or, where none of these is there, by the first report of a logger.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from synapse_otel.context import run_outcome
from synapse_otel.models import RunStatus
from synapse_otel.otel_logger import INSTANCE, RUN_NAME, OTelLogger
from synapse_otel.run_end import close_at_end_of_child
from synapse_otel.sdk.guard import guarded, notices

Opener = Literal["action", "host", "process", "logger", "owner", "carried"]
"""`host`: what executes an action; `owner`: somebody's own `OTelLogger`; `logger`: the first report of any other."""

_NESTED_PATIENCE = 0.25
"""Seconds that the end of a run inside another one waits at most; the outer one delivers what is left."""


@dataclass(eq=False, slots=True)
class Run:
    """A run that is open.

    Attributes:
        core: Records it.
        opened_by: What opened it.
        subject: The action that it runs, or its class while there is no instance; None while there is none.
        step: The name of the step whose span is current.
        error: What its action failed with.
        env: Of a run that was carried here: by what it goes on, should it be needed again after its end.
        owner: The id of the logger that opened it, with which it ends.
    """

    core: OTelLogger
    opened_by: Opener
    subject: object = None
    step: str | None = None
    error: BaseException | None = None
    env: Mapping[str, str] | None = None
    owner: int = 0

    @property
    def is_for_any(self) -> bool:
        """Whether any logger of the process may belong to it, and not only those that are bound to it."""
        return self.opened_by != "logger" and (self.opened_by != "owner" or self.subject is not None)

    @property
    def awaits_action(self) -> bool:
        """Whether the next action is the one that it is there for."""
        return self.subject is None and self.opened_by not in {"action", "carried"}

    def finish(self, status: RunStatus = RunStatus.COMPLETED, error: BaseException | None = None) -> None:
        """End the run, with what its action failed with where it did."""
        failure = self.error if self.error is not None else error
        self.core.finish(status if failure is None else run_outcome(failure), failure)


class Runs:
    """The open runs of the process. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._of: dict[int, tuple[Any, Run]] = {}
        self._jobs: dict[int, tuple[Any, str]] = {}
        self._open: list[Run] = []
        self._left: deque[Run] = deque()
        self._current: ContextVar[tuple[Run | None, int]] = ContextVar("synapse_otel_sdk_run", default=(None, 0))
        self._unusable = False

    # -- which run

    def of(self, logger: object) -> Run | None:
        """Return the run that a logger reports to, opened where there is none; None where none can be opened."""
        run, its_logger = self._current.get()
        if run is not None and its_logger == id(logger) and not run.core.is_finished:
            return run  # of several at a time on one logger, that of the running context
        known = self._of.get(id(logger))
        if known is not None and not known[1].core.is_finished:
            return known[1]
        if known is not None and known[1].env is not None:
            return self._carried_again(logger, known[1].env)
        return self.current() or self._opened_by_report(logger)

    def bound(self, logger: object) -> Run | None:
        """Return the open run that is this logger's, if there is one."""
        known = self._of.get(id(logger))
        return None if known is None or known[1].core.is_finished else known[1]

    def current(self) -> Run | None:
        """Return the run of the running context, else the latest that is open; of a thread, that is all we know."""
        own = self.of_context()
        if own is not None:
            return own
        return next((run for run in reversed(self._open) if run.is_for_any and not run.core.is_finished), None)

    def of_context(self) -> Run | None:
        """Return the open run of the running context."""
        run = self._current.get()[0]
        return None if run is None or run.core.is_finished else run

    def note_job(self, logger: object, job_id: object) -> None:
        """Remember the job that the context of a logger belongs to."""
        self._finish_left()
        if job_id is not None:
            self._jobs[id(logger)] = self._reference(logger, self._jobs), str(job_id)

    # -- opening and closing

    def open(
        self, opened_by: Opener, name: str, *, job_id: str | None = None, parent_env: Mapping[str, str] | None = None
    ) -> Run | None:
        """Open a run; None where the settings are wrong, which is said once."""
        if self._unusable:
            return None
        outer = self.of_context()
        if job_id is None and outer is not None:
            job_id = outer.core.job_id
        try:
            core = OTelLogger(job_id, name, parent_env=parent_env)
        except ValueError as error:  # a wrong setting, which will not get right by itself
            notices.error("nothing is recorded: %s", error)
            self._unusable = True
            return None
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not end a plugin that knows nothing of us
            notices.error("a run is not recorded: %s", error)
            return None
        if outer is not None:
            core.patience = min(core.patience, _NESTED_PATIENCE)
        return self.add(Run(core, opened_by))

    def open_for_process(self, name: str) -> None:
        """Open the run that this process is, and make it the current one of the thread that begins it."""
        self._current.set((self.open("process", name), 0))

    def add(self, run: Run) -> Run:
        """Take a run that somebody opened."""
        with self._lock:
            self._open = [open_ for open_ in self._open if not open_.core.is_finished]
            self._open.append(run)
        return run

    def close(self, run: Run, error: BaseException | None = None) -> None:
        """End a run, with what ended it."""
        run.finish(run_outcome(error), error)
        with self._lock:
            self._open = [open_ for open_ in self._open if open_ is not run]
        if run.env is None:
            for key, (_, bound) in list(self._of.items()):
                if bound is run:
                    self._of.pop(key, None)

    def close_aside(self, run: Run) -> None:
        """End a run without waiting for its delivery, in a thread: nobody here is to wait for it."""
        run.core.patience = min(run.core.patience, _NESTED_PATIENCE)
        with guarded("a run is ended with its process"):
            threading.Thread(target=self.close, args=(run,), name="synapse-otel close", daemon=True).start()

    def bind(self, logger: object, run: Run) -> None:
        """Let a logger report to a run, as long as both live."""
        self._of[id(logger)] = self._reference(logger, self._of), run

    @contextmanager
    def running(self, run: Run, logger: object = None) -> Iterator[None]:
        """Make a run the current one, and that of a logger; the logger goes back to its former one."""
        before = None if logger is None else self.bound(logger)
        if logger is not None:
            self.bind(logger, run)
        token = self._current.set((run, 0 if logger is None else id(logger)))
        try:
            yield
        finally:
            with suppress(ValueError):  # a generator may be closed in another context
                self._current.reset(token)
            if before is not None and not before.core.is_finished and self.bound(logger) in {None, run}:
                self.bind(logger, before)

    def logger_finished(self, logger: object) -> None:
        """The SDK's logger is finished: the run that it opened ends."""
        run = self.bound(logger)
        if run is not None and run.opened_by == "logger" and run.owner == id(logger):
            self.close(run)

    # -- other processes

    def carry_on(self, env: Mapping[str, str]) -> Run | None:
        """Return the run that a context from another process belongs to, or from this one: a copy.

        A process has one run for each that is carried here; one that is carried no more ends when another comes.

        Args:
            env: What `OTelLogger.propagation_env` gave there.
        """
        job_id, trace_id = env.get("SYNAPSE_JOB_ID"), env.get("TRACEPARENT", "").split("-")[1:2]
        with self._lock:
            for run in self._open:
                if run.core.is_finished:
                    continue
                if run.core.instance_id == env.get(INSTANCE):
                    return run
                if run.opened_by == "carried" and (run.core.job_id, [run.core.trace_id]) == (job_id, trace_id):
                    return run
            former = [run for run in self._open if run.opened_by == "carried"]
            carried = self.open("carried", env.get(RUN_NAME, "run"), job_id=job_id, parent_env=env)
            if carried is not None:
                carried.env = env
                close_at_end_of_child(carried.core)
        for run in former:
            self.close_aside(run)
        return carried

    def _carried_again(self, logger: object, env: Mapping[str, str]) -> Run | None:
        run = self.carry_on(env)
        if run is not None:
            self.bind(logger, run)
        return run

    def waiting(self) -> list[Run]:
        """Return the open runs that nothing in this process ends but the end of it."""
        return [run for run in self._open if run.opened_by in {"carried", "logger"} and not run.core.is_finished]

    def end_of_instrumentation(self) -> None:
        """End the runs that loggers opened: nothing will report to them any more."""
        self._unusable = False
        for run in [run for run in self._open if run.opened_by == "logger"]:
            self.close(run)

    # -- inside

    def _opened_by_report(self, logger: object) -> Run | None:
        self._finish_left()
        with self._lock:
            known = self.bound(logger)
            if known is not None:  # opened meanwhile by another thread
                return known
            if {RUN_NAME, "TRACEPARENT"} <= os.environ.keys():
                run = self.carry_on(dict(os.environ))
            else:
                run = self.open("logger", "run", job_id=self._job_of(logger))
            if run is not None:
                if run.opened_by == "logger":
                    run.owner = id(logger)
                    run.core.leave_context()  # what else happens in this thread is not a part of it
                self.bind(logger, run)
        return run

    def _job_of(self, logger: object) -> str | None:
        known = self._jobs.get(id(logger))
        found = known[1] if known is not None else getattr(logger, "_job_id", None)
        return None if found is None else str(found)

    def _reference(self, logger: object, table: dict[int, Any]) -> Any:
        """Return what tells when a logger is gone: its entry goes with it, before another one gets its id."""
        key = id(logger)
        try:
            return weakref.ref(logger, lambda _: self._forget(table, key))
        except TypeError:
            return logger  # it cannot be referred to weakly, so it stays

    def _forget(self, table: dict[int, Any], key: int) -> None:
        # Called by the garbage collector, inside of anything: no locks, and nothing that waits.
        _, what = table.pop(key, (None, None))
        if isinstance(what, Run) and what.owner == key:
            self._left.append(what)

    def _finish_left(self) -> None:
        """End the runs whose loggers are gone."""
        with suppress(IndexError):
            while True:
                self.close_aside(self._left.popleft())

    def _after_fork_in_child(self) -> None:
        self._lock = threading.RLock()


def plain_name(value: object) -> str | None:
    """Return a name or category of the SDK as text: of a member of an enum its value; None of anything else."""
    value = value.value if isinstance(value, Enum) else value
    return value if isinstance(value, str) else None


runs = Runs()
"""Those of this process."""

os.register_at_fork(after_in_child=runs._after_fork_in_child)
