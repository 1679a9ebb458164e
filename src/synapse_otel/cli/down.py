"""``synapse-otel down``: stops what ``up`` started."""

from __future__ import annotations

from typing import Annotated

import typer


def down(
    volumes: Annotated[bool, typer.Option("--volumes", help="Delete the data, too: all that was sent there.")] = False,
) -> None:
    """Stop Grafana, the Collector and Jaeger that `up` started.

    What Grafana shows is kept for the next `up`, unless --volumes is given; Jaeger keeps its traces in memory, so they
    are gone. Exits with 0 when nothing of it runs any more, 1 otherwise.
    """
    from synapse_otel.cli.compose import Compose, configurations
    from synapse_otel.cli.terminal import Terminal

    compose = Compose(configurations())
    if volumes:
        compose.run("down", "--volumes")
        Terminal().line("stopped, and the data deleted")
    else:
        compose.run("down")
        Terminal().line("stopped; the data is kept for the next up (synapse-otel down --volumes deletes it)")
