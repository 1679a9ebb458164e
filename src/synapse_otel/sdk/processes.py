"""What a child process needs to go on in the run of this one."""

from __future__ import annotations

from typing import Any

from synapse_otel.sdk.runs import runs


def propagation_env(ctx: Any = None) -> dict[str, str]:
    """Return environment variables that make a child process part of a run: same trace, same job, same journals.

    A context that is pickled for `multiprocessing` or for a Ray task brings them along by itself.

    Args:
        ctx: A context of the SDK whose run it is; by default the run that is open here.

    Returns:
        The variables; none where no run is open.
    """
    run = runs.current() if ctx is None else runs.of(ctx.logger)
    return {} if run is None else run.core.propagation_env()
