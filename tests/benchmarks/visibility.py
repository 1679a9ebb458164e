"""How long after its start a run is first seen in Jaeger, in Prometheus and by ``synapse-otel show``.

    python tests/benchmarks/visibility.py

The programs are those of the tests, on this machine; the run has not ended when it is seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from backends import programs
from backends.jaeger import running_jaeger
from backends.prometheus import running_prometheus
from backends.servers import wait_for

RUN = """
import sys, time
from synapse_otel import RuntimeContext
print(time.time(), flush=True)
with RuntimeContext.open(sys.argv[1], "train") as ctx:
    ctx.set_progress(1, 10, "epochs")
    sys.stdin.read()
"""
ROUNDS = 5


def seconds_until(seen: Callable[[str], object], job: str) -> float:
    """Start a run and return the seconds from its start until it is `seen`."""
    process = subprocess.Popen([sys.executable, "-c", RUN, job], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    began = float(process.stdout.readline())
    wait_for(lambda: seen(job), f"{job} is seen", pause=0.02)
    took = time.time() - began
    process.communicate()
    return took


def shows(job: str) -> bool:
    """Return whether the command shows the run."""
    command = [str(Path(sys.executable).with_name("synapse-otel")), "show", job]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main() -> None:
    """Print a line for each place."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        jaeger = stack.enter_context(running_jaeger(programs.JAEGER.find(), folder / "jaeger"))
        prometheus = stack.enter_context(running_prometheus(programs.PROMETHEUS.find(), folder / "prometheus"))
        os.environ |= {
            "SYNAPSE_OTEL_JOURNAL_DIR": str(folder / "runs"),
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{jaeger.otlp_endpoint}/v1/traces",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": prometheus.otlp_endpoint,
            "OTEL_LOGS_EXPORTER": "none",
        }
        places: dict[str, Callable[[str], object]] = {
            "Jaeger": lambda job: jaeger.find(job_id=job),
            "Prometheus": lambda job: prometheus.query(f'synapse_run_active{{job_id="{job}"}}'),
            "synapse-otel show": shows,
        }
        for place, seen in places.items():
            took = [seconds_until(seen, f"{place} {number}") for number in range(ROUNDS)]
            print(f"{place:20} median {median(took):.2f} s, longest {max(took):.2f} s of {ROUNDS}")


if __name__ == "__main__":
    main()
