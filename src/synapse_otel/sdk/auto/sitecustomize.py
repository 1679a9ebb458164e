"""Instruments a Python process whose ``PYTHONPATH`` names this folder, as it starts.

A process may lack what that takes, or what it has may be broken: it starts all the same.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

_HERE = Path(__file__).parent.resolve()


def _instrument() -> None:
    try:
        import_module("synapse_otel.sdk.ray").worker_process_setup_hook()
    except ImportError:
        return
    except Exception as error:  # noqa: BLE001  # a start-up is no place to fail for telemetry
        sys.stderr.write(f"synapse-otel: this process is not instrumented: {error!r}\n")


def _make_way() -> None:
    """Import the ``sitecustomize`` that this one stands before."""
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != _HERE]
    own = sys.modules.pop(__name__, None)
    try:
        import_module("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        if own is not None:
            sys.modules[__name__] = own


def _leave_no_gap() -> None:
    """Take out what is left of a ``PYTHONPATH`` that was empty before: to Python, that is the current folder."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if paths and not paths[-1]:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        if str(Path.cwd()) in sys.path[: len(paths) + 1]:
            sys.path.remove(str(Path.cwd()))


_leave_no_gap()
_make_way()  # the next one may be OpenTelemetry's, which instruments too
_instrument()
