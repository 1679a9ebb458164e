"""Runs commands of the command line one after another in this process, within a bound of memory; its argument is JSON.

Told `commands`, each a list of arguments, and `memory` in bytes, it prints a JSON line for each: what it exited with or
failed with, and the seconds of the processor that it took. What the commands print themselves goes where `output` says.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time
from typing import Any


def outcome(arguments: list[str], output: Any) -> dict[str, Any]:
    """Run one command."""
    from synapse_otel.cli import main

    began, result, printed = time.process_time(), None, io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            main(arguments)
    except SystemExit as exit_:
        result = exit_.code
    except BaseException as error:
        result = f"{type(error).__name__}: {error}"
    output.write(f"{printed.getvalue()}\n")
    return {"command": arguments, "result": result, "seconds": time.process_time() - began}


def main() -> None:
    """Run them all."""
    told = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (told["memory"], told["memory"]))
    with open(told["output"], "a") as output:
        for arguments in told["commands"]:
            print(json.dumps(outcome(arguments, output)), flush=True)


if __name__ == "__main__":
    main()
