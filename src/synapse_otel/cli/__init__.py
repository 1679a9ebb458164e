"""The command line: ``synapse-otel``, one file per command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Args:
        arguments: What follows the program's name; by default, what the process was started with.

    Raises:
        SystemExit: Always: 0 done, 1 something failed, 2 bad usage, 130 and 143 interrupted.
    """
    # gRPC's core writes its own log to standard error; what it has to say is in the errors that we print.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from synapse_otel.cli.app import invoke  # typer and rich, only for a command

    sys.exit(invoke(arguments))
