"""Starts an agent, in a process that is on its own from then on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from synapse_otel.agent.assignment import Assignment
from synapse_otel.journal.locks import FileLock

_MAIN = Path(__file__).with_name("__main__.py")
_PASSED_ON = ("HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
_PIPE = 60_000
"""Bytes that a pipe takes before anybody reads it."""


def can_start() -> bool:
    """Return whether the interpreter can be started anew: not where a program of its own has Python inside."""
    python = Path(sys.executable or "").name
    return not getattr(sys, "frozen", False) and bool(re.match("python|pypy", python)) and _MAIN.is_file()


def start(given: Assignment, lock: FileLock) -> subprocess.Popen[bytes]:
    """Start an agent, which goes on holding `lock`; return the process that ends when it is on its own.

    Raises:
        OSError: If that is not possible.
    """
    content = msgspec.json.encode(given)
    if len(content) > _PIPE:
        raise OSError(f"the configuration has {len(content)} bytes, expected at most {_PIPE}")
    reading, writing = os.pipe()
    try:
        os.write(writing, len(content).to_bytes(8, "big") + content)
        process = subprocess.Popen(  # noqa: S603  # this interpreter, with a program of ours
            # Isolated: no variable or file of the plugin's surroundings gets code into it.
            [sys.executable, "-I", "-S", str(_MAIN), str(given.root), str(lock.fd)],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            pass_fds=(lock.fd,),
            start_new_session=True,
        )
    finally:
        os.close(reading)
        os.close(writing)
    lock.forget()
    return process
