"""What it costs to begin and to end: the import, opening a run, finishing it; each in fresh processes."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time

from bench import directory, environment, parser, table, verdict
from receiver import receiver

HEAVY = ("grpc", "requests", "typer", "rich", "pydantic_settings", "opentelemetry.sdk")
IMPORT_BUDGET = 150.0

_MODULES = f"import sys, synapse_otel; print([name for name in {HEAVY!r} if name in sys.modules])"
_RUN = """
import json, time
import synapse_otel
def run(number):
    began = time.perf_counter()
    ctx = synapse_otel.RuntimeContext.open(f"job-{number}", "start")
    opened = time.perf_counter()
    ctx.log_message("message")
    logged = time.perf_counter()
    ctx.logger.finish()
    return [1000 * (opened - began), 1000 * (time.perf_counter() - logged)]
print(json.dumps([run(0), run(1)]))
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run another interpreter."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)


def wall(code: str) -> float:
    """Milliseconds that an interpreter takes to run `code`."""
    began = time.perf_counter()
    python("-c", code)
    return 1000 * (time.perf_counter() - began)


def import_time() -> float:
    """Milliseconds of `import synapse_otel` with everything under it, as the interpreter tells."""
    stderr = python("-X", "importtime", "-c", "import synapse_otel").stderr
    found = re.search(r"\|\s+(\d+) \| synapse_otel$", stderr, re.MULTILINE)
    assert found, "the interpreter did not tell the import time"
    return int(found[1]) / 1000


def slowest(count: int) -> list[list[object]]:
    """The modules with the most time of their own in the import."""
    stderr = python("-X", "importtime", "-c", "import synapse_otel").stderr
    modules = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", stderr, re.MULTILINE)
    ordered = sorted(((int(own) / 1000, name) for own, name in modules), reverse=True)
    return [[name, own] for own, name in ordered[:count]]


def imports(count: int) -> list[list[object]]:
    """The rows of the import."""
    told = [import_time() for _ in range(count)]
    own = [wall("import synapse_otel") - wall("pass") for _ in range(count)]
    heavy = python("-c", _MODULES).stdout.strip()
    return [
        ["import synapse_otel, -X importtime, ms", min(told), statistics.median(told), IMPORT_BUDGET, _met(told)],
        [
            "import synapse_otel, less an empty interpreter, ms",
            min(own),
            statistics.median(own),
            IMPORT_BUDGET,
            _met(own),
        ],
        [f"of {', '.join(HEAVY)}", heavy, None, "[]", "met" if heavy == "[]" else "NOT MET"],
    ]


def _met(samples: list[float]) -> str:
    return verdict(min(samples), IMPORT_BUDGET)


def runs(name: str, count: int, endpoint: str | None) -> list[list[object]]:
    """The rows of opening and finishing, in a fresh process and once more in the same."""
    samples = []
    for _ in range(count):
        with directory() as path:
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "SYNAPSE_OTEL_JOURNAL_DIR": str(path)}
            with environment(**variables):
                samples.append(json.loads(python("-c", _RUN).stdout))
    rows: list[list[object]] = []
    for what, place in (
        ("open, first", (0, 0)),
        ("finish, first", (0, 1)),
        ("open, again", (1, 0)),
        ("finish, again", (1, 1)),
    ):
        times = [sample[place[0]][place[1]] for sample in samples]
        rows.append([f"{name}: {what}, ms", min(times), statistics.median(times), None, None])
    return rows


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--repeat", type=int, default=15, help="processes for each figure")
    options.add_argument("--modules", type=int, default=0, help="also list so many of the slowest modules")
    chosen = options.parse_args()
    python("-c", "import synapse_otel")  # compiled and in the page cache
    rows = imports(chosen.repeat) + runs("offline", chosen.repeat, None)
    with receiver() as endpoint:
        rows += runs("with a collector", chosen.repeat, endpoint)
    table(
        f"Beginning and ending, of {chosen.repeat} fresh processes.", ["what", "best", "median", "budget", "best"], rows
    )
    if chosen.modules:
        table("The slowest modules of the import, time of their own.", ["module", "ms"], slowest(chosen.modules))


if __name__ == "__main__":
    main()
