"""The process of an agent. It is run by its path, so that nothing is imported before it is on its own."""

from __future__ import annotations

import json
import os
import signal
import sys


def main() -> None:
    """Detach from the process that started this one, take the assignment from standard input, and serve."""
    if os.fork():
        os._exit(0)  # so the agent is no child of the plugin: a plugin that waits for its children does not see it
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    size = int.from_bytes(_read(8), "big")
    content = _read(size)
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    sys.path[:] = json.loads(content)["path"]

    from synapse_otel.agent.serve import serve

    serve(content, lock=int(sys.argv[2]))


def _read(size: int) -> bytes:
    data = b""
    while len(data) < size and (chunk := os.read(0, size - len(data))):
        data += chunk
    return data


if __name__ == "__main__":
    main()
