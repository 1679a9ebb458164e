"""How the fault suite is written: real plugins in real processes, and an account of every record.

    def test_503(place: Place, fault_table: FaultTable) -> None:
        with Collector() as collector:
            env = place.env(collector)
            collector.fail(Status(503))
            plugin = place.start(env, pause=0.002)                # or with calls=400, then it ends by itself
            plugin.wait_warned()                                  # or wait_returned(100), kill(signal.SIGKILL)
            plugin.end()
            outcome = plugin.wait()                               # raises where it hangs
            outcome.check_unharmed()                              # exit code, no traceback, the budgets
            collector.heal()
            place.next_start(env, until=lambda: place.ledger(collector, outcome).is_settled)    # or place.push(env)
            fault_table.add("503", place, outcome, place.ledger(collector, outcome))            # checks it as well

- `place` is a directory with an empty journal directory in it, once for each `shipper` ("thread", "agent"); an agent
  that a test left is ended afterwards. Only `SYNAPSE_OTEL_SHIPPER` differs, so a test holds for both.
- The plugin (`plugin.py`) makes numbered calls of all kinds and progress beside them, in steps, on `workers` threads.
  `code=` runs a program of your own instead, with `import plugin` and the same options in `sys.argv[1]`: make the
  calls with `plugin.Calls`, end with `plugin.finish` or in any other way (then `Outcome.report` is None).
- Which calls had returned is known after any death: it is in a shared map (`Outcome.returned`, for each worker).
- `ledger` compares by content: a number is delivered when it is in every signal that it belongs to, and dead-lettered
  when the request that holds it is in the dead-letter file. `Ledger.check()` is the accounting.
- `fault_table.add` takes the row of `pytest tests/faults --fault-table`; rows of the same fault and mode are summed.
- `@pytest.mark.long_fault` is for what takes long: it is left out without `--long-faults`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.agents import end_agents
from faults.ledger import Ledger, ledger
from faults.outcome import CALL_BUDGET, END_BUDGET, FINISH_TIMEOUT, Outcome, check_report
from faults.plugin import ENDLESS, KINDS
from faults.process import HERE, Plugin, wait_until
from synapse_otel.testing import Collector

__all__ = [
    "CALL_BUDGET",
    "END_BUDGET",
    "FINISH_TIMEOUT",
    "Ledger",
    "Outcome",
    "Place",
    "Plugin",
    "check_report",
    "ledger",
    "wait_until",
]


@dataclass
class Place:
    """A directory in which plugins run, and how they ship.

    Attributes:
        directory: Has the journal directory in it.
        shipper: `thread` or `agent`.
    """

    directory: Path
    shipper: str
    _plugins: list[Plugin] = field(default_factory=list, init=False, repr=False)

    @property
    def journal_dir(self) -> Path:
        """Where the journals are."""
        return self.directory / "runs"

    def env(self, collector: Collector | None = None, protocol: str = "http/protobuf", **more: str) -> dict[str, str]:
        """The whole environment of a process: the collector's address, ours, and `more` over them."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent / "benchmarks")]),
            "SYNAPSE_OTEL_JOURNAL_DIR": str(self.journal_dir),
            "SYNAPSE_OTEL_SHIPPER": self.shipper,
            "SYNAPSE_OTEL_AGENT_IDLE": "0.5",
            "SYNAPSE_OTEL_FINISH_TIMEOUT": str(FINISH_TIMEOUT),
            **(collector.env(protocol) if collector else {}),  # type: ignore[arg-type]  # values by name
            **more,
        }

    def start(
        self,
        env: Mapping[str, str],
        job: str = "job-1",
        *,
        calls: int = ENDLESS,
        pause: float = 0.0,
        workers: int = 1,
        kinds: tuple[str, ...] = KINDS,
        by_hand: bool = False,
        code: str | None = None,
    ) -> Plugin:
        """Start a plugin.

        Args:
            env: What `env` gave.
            job: Its job id.
            calls: How many numbered calls each worker makes.
            pause: Seconds between two.
            workers: How many threads make them.
            kinds: What the numbers go to, in turn.
            by_hand: Whether it reports with the OpenTelemetry SDK alone.
            code: A program of your own.
        """
        options = {"job": job, "calls": calls, "pause": pause, "workers": workers, "kinds": kinds, "by_hand": by_hand}
        plugin = Plugin(env, self.directory / f"plugin-{len(self._plugins) + 1}", code, options)
        self._plugins.append(plugin)
        return plugin

    def next_start(self, env: Mapping[str, str], until: Callable[[], object], timeout: float = 30.0) -> None:
        """Let another run of the same user start, which delivers what was left, and end it when that is done."""
        code = "import sys; from synapse_otel import RuntimeContext\nwith RuntimeContext.open('next'): sys.stdin.read()"
        command = [sys.executable, "-W", "error", "-c", code]
        with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                wait_until(until, timeout)
            finally:
                _, stderr = process.communicate()
        assert process.returncode == 0, stderr.decode()

    def push(self, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Send what was left with the command line."""
        command = [str(Path(sys.executable).with_name("synapse-otel")), "push"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)

    def ledger(self, collector: Collector, outcome: Outcome, **more: Any) -> Ledger:
        """What became of the numbers by now."""
        by_kind = outcome.report.by_kind if outcome.report else {}
        dropped = sum(by_kind[kind].dropped for kind in KINDS if kind in by_kind)
        return ledger([collector], outcome.returned, self.journal_dir, **{"dropped": dropped, **more})

    def close(self) -> None:
        """End what a test that failed has left, and the agents of the journal directory."""
        for plugin in self._plugins:
            plugin.close()
        end_agents(self.journal_dir)
