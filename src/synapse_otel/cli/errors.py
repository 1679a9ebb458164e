"""What ends a command with a message instead of a traceback."""

from __future__ import annotations

FAILED = 1
USAGE = 2
INTERRUPTED = 130
TERMINATED = 143


class CliError(Exception):
    """The command cannot go on; the message says what was expected, what was found and where.

    Args:
        message: For the person, over as many lines as it needs.
        code: What the process exits with.
    """

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code
