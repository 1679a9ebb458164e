"""Runs an asynchronous action to its end, so that a signal is noticed while it waits."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any


async def interruptible(awaitable: Awaitable[Any]) -> Any:
    """Await `awaitable`; a signal wakes the event loop meanwhile."""
    with _woken_by_signals():
        return await awaitable


@contextmanager
def _woken_by_signals() -> Iterator[None]:
    """Have every signal wake the running loop, if this is the main thread and nobody else has asked for that.

    `asyncio.run` handles SIGINT, but nothing wakes its loop: a Ctrl-C between the loop's last look and its wait, or one
    that the kernel gives to another thread, is noticed when the wait is over, which can be a minute.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    if before != -1:
        signal.set_wakeup_fd(before)
    loop.add_reader(reader, reader.recv, 4096)
    try:
        yield
    finally:
        loop.remove_reader(reader)
        if before == -1 and (since := signal.set_wakeup_fd(-1)) != writer.fileno():
            signal.set_wakeup_fd(since)
        reader.close()
        writer.close()
