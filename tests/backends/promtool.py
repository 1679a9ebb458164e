"""promtool, which checks configurations and rules of Prometheus and runs their unit tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


def promtool_says(promtool: Path, *command: object) -> tuple[int, str]:
    """Return the exit code of a command of promtool, and what it printed."""
    done = subprocess.run(
        [promtool, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout
