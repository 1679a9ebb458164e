"""How the tests of process and disk faults start their programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faults.kit import Place, Plugin


def start(place: Place, env: Mapping[str, str], program: str, job: str = "job-1", **options: Any) -> Plugin:
    """Run a program of a module beside this one.

    Args:
        place: Where.
        env: What `Place.env` gave.
        program: The module and what its `main` is told: `process_ends.abort`.
        job: The job id.
        **options: As `Place.start` has them.
    """
    module, _, name = program.partition(".")
    return place.start(env, job, code=f"from {module} import main; main({name!r})", **options)
