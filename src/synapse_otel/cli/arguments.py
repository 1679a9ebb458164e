"""Arguments that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

OneRun = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A job id or the beginning of one, a run's directory name or its trace id; by default the latest run.",
        show_default=False,
    ),
]
"""The run that a command is about."""
