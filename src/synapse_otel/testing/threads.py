"""Threads that never keep an interpreter alive and that a server can wait for."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Lock, Thread, current_thread
from time import monotonic
from typing import Any


class Threads(Executor):
    """A daemon thread per task.

    gRPC's usual pool is a ThreadPoolExecutor: a few requests that never end would exhaust it, and the interpreter waits
    for its threads at exit.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[Thread] = set()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a task in a thread of its own."""
        future: Future[Any] = Future()
        thread = Thread(target=self._run, args=(future, fn, args, kwargs), name="otlp-collector-request", daemon=True)
        with self._lock:
            self._running.add(thread)
        thread.start()
        return future

    def _run(self, future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks the future, as executors do
            future.set_exception(error)
        finally:
            with self._lock:
                self._running.discard(current_thread())

    def join(self, timeout: float) -> None:
        """Wait for all threads, at most `timeout` seconds."""
        deadline = monotonic() + timeout
        with self._lock:
            running = list(self._running)
        for thread in running:
            thread.join(max(0.0, deadline - monotonic()))
