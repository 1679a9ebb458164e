"""How an agent is asked: lines in a named pipe. Nothing is answered: what it does shows in the locks and cursors."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

Request: TypeAlias = Literal["ship", "flush", "release", "look"]
"""``ship`` this journal while its process lives; ``flush`` it now; ``release`` it; ``look`` for what others left."""

_REQUESTS: tuple[Request, ...] = ("ship", "flush", "release", "look")
_CHUNK = 64 * 1024
_LONGEST = 4096


def ring(bell: Path, request: Request, journal: str = "") -> bool:
    """Ask the agent that listens at `bell`; return False where nobody does, or it cannot take more for now.

    Args:
        bell: The pipe.
        request: What is asked for.
        journal: The journal it is about, as ``<run>/<journal id>``.
    """
    with contextlib.ExitStack() as opened:
        try:
            fd = _open(bell, os.O_WRONLY, opened)
            # A reader of our own, so that one that goes away just now does not get this process a SIGPIPE.
            _open(bell, os.O_RDONLY, opened)
            if not stat.S_ISFIFO(os.fstat(fd).st_mode):
                return False
            os.write(fd, f"{request} {journal}\n".encode())
        except OSError:
            return False
    return True


def _open(bell: Path, mode: int, opened: contextlib.ExitStack) -> int:
    fd = os.open(bell, mode | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    opened.callback(os.close, fd)
    return fd


class Bell:
    """The listening end: takes lines apart.

    Args:
        fd: The pipe, which does not block.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""

    def requests(self) -> Iterator[tuple[Request, str]]:
        """Yield what was asked for meanwhile; what is no request is passed over."""
        while data := self._read():
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._rest = self._rest[-_LONGEST:]
            for line in lines:
                word, _, journal = line.decode("ascii", "replace").partition(" ")
                for request in _REQUESTS:
                    if word == request:
                        yield request, journal

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return b""
