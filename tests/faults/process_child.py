"""What the programs of the process and disk faults share, in the process that meets the fault."""

from __future__ import annotations

import faulthandler
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import plugin

from synapse_otel import RuntimeContext


@dataclass(frozen=True)
class Run:
    """A run, the options that its program was given, and the counters of its calls."""

    ctx: Any
    options: dict[str, Any]
    counters: Any
    warnings: plugin.Warnings

    def calls(self, worker: int = 0) -> plugin.Calls:
        """Numbered calls of one worker."""
        return plugin.Calls(self.ctx, self.counters, worker, tuple(self.options["kinds"]))

    def note_end(self) -> None:
        """Note that the process ends from here on, for one that ends without `finish`."""
        with open(self.options["account"], "w") as file:
            json.dump({"ended": time.monotonic(), "warnings": self.warnings.said}, file)

    def finish(self) -> None:
        """End the run as a plugin does, and leave an account of it."""
        plugin.finish(self.ctx, self.options, self.warnings)


def begin() -> Run:
    """Open the run that the program was asked for."""
    faulthandler.enable()
    options = json.loads(sys.argv[1])
    warnings = plugin.Warnings()
    ctx = RuntimeContext.open(options["job"], "faulty")
    return Run(ctx, options, plugin.open_counters(options["counters"]), warnings)
