"""Instruments a Python process whose ``PYTHONPATH`` names this folder, as it starts.

A process may lack what that takes; it starts all the same.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _instrument() -> None:
    try:
        from synapse_otel.sdk.ray import worker_process_setup_hook
    except ImportError:
        return
    worker_process_setup_hook()


def _make_way() -> None:
    """Import the ``sitecustomize`` that this one stands before."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401  # another one, by now
    except ImportError:
        if own is not None:
            sys.modules["sitecustomize"] = own


_instrument()
_make_way()
