"""``synapse-otel up``: Grafana and Jaeger on this machine."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from synapse_otel.cli.errors import FAILED, CliError

if TYPE_CHECKING:
    from pathlib import Path

    from synapse_otel.cli.terminal import Terminal

ENDPOINT = "http://127.0.0.1:4318"
GRAFANA = "http://127.0.0.1:3000/d/synapse-runs"
JAEGER = "http://127.0.0.1:16686"


def up() -> None:
    """Start Grafana, the Collector and Jaeger on this machine, in containers, and say how to send to them.

    It takes Docker with its compose plugin, and the ports 3000, 4317, 4318, 9090 and 16686 of 127.0.0.1; the first
    start downloads the images. Returns when all is ready. Exits with 1 when it could not be started.
    """
    from synapse_otel.cli.compose import configurations
    from synapse_otel.cli.terminal import Terminal

    folder = configurations()
    try:
        _start(folder)
    except CliError as error:
        raise CliError(f"{error}\n\n{_alternatives(folder)}", error.code) from None
    _print_next_steps(Terminal())


def _start(folder: Path) -> None:
    from synapse_otel.cli.compose import PORTS, Compose, taken_ports

    compose = Compose(folder)
    if not compose.is_running() and (taken := taken_ports()):
        names = ", ".join(f"{port} ({PORTS[port]})" for port in taken)
        raise CliError(f"another program listens on 127.0.0.1, on what is needed here: {names}\nStop it first", FAILED)
    compose.run("up", "--detach", "--wait")


def _alternatives(folder: Path) -> str:
    local, jaeger = (shlex.quote(str(folder / name)) for name in ("local.yaml", "jaeger-v2.yaml"))
    return (
        "Without Docker:\n"
        "  synapse-otel show --follow            a run, live, from its journal\n"
        "  synapse-otel report RUN -o run.html   a run as a page\n"
        "or a program of your own, the OpenTelemetry Collector or Jaeger:\n"
        f"  otelcol-contrib --config={local}\n"
        f"  jaeger --config={jaeger}"
    )


def _print_next_steps(terminal: Terminal) -> None:
    terminal.line("Ready. What has this in its environment is shown there:")
    terminal.line(f"  export OTEL_EXPORTER_OTLP_ENDPOINT={ENDPOINT}", style="bold")
    terminal.line()
    terminal.line(f"  {GRAFANA}   all runs, in Grafana")
    terminal.line(f"  {JAEGER:{len(GRAFANA)}}   their traces, in Jaeger")
    terminal.line()
    terminal.line("  synapse-otel push   sends the runs that are in the journal")
    terminal.line("  synapse-otel down   stops it; what was sent is kept")
