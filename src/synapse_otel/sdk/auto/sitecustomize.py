"""Instruments a Python process whose ``PYTHONPATH`` names this folder, as it starts.

A process may lack what that takes; it starts all the same.
"""

import sys
from importlib import import_module
from pathlib import Path

_HERE = Path(__file__).parent.resolve()


def _instrument() -> None:
    try:
        hook = import_module("synapse_otel.sdk.ray").worker_process_setup_hook
    except ImportError:
        return
    hook()


def _make_way() -> None:
    """Import the ``sitecustomize`` that this one stands before."""
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _HERE]
    own = sys.modules.pop(__name__, None)
    try:
        import_module("sitecustomize")
    except ImportError:
        if own is not None:
            sys.modules[__name__] = own


_instrument()
_make_way()
