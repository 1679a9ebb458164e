"""Environments for the peers and for each Python that is there, made once, in directories of the checkout."""

from __future__ import annotations

import glob
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""What ours supports and is looked for."""
# What the training needs, and the numbers of NumPy.
_TRAINING = ("scikit-learn", "numpy")


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        name: A part of the name of its directory.
        pythons: Versions of Python that it may have, the best first.
        packages: What is installed, as for pip.
    """

    name: str
    pythons: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return ROOT / f".venv-bench-{self.name}" / "bin" / "python"

    def prepare(self) -> bool:
        """Make it, unless it is there and as new as what it is made of; return whether there is a Python for it."""
        stamp = self.python.parents[1] / "done.stamp"
        if stamp.exists() and stamp.stat().st_mtime > (ROOT / "pyproject.toml").stat().st_mtime:
            return True
        base = next(filter(None, map(found, self.pythons)), None)
        if base is None:
            print(f"not measured, for want of Python {' or '.join(self.pythons)}: {self.name}")
            return False
        print(f"Setting up {self.python.parents[1].name} ...", flush=True)
        subprocess.run([base, "-m", "venv", str(self.python.parents[1])], check=True)
        pip = [str(self.python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        for what in (("--upgrade", "-c", "constraints.txt", "pip"), (*self.packages, *_TRAINING)):
            subprocess.run([*pip, *what], cwd=ROOT, check=True)
        stamp.touch()
        return True


def found(version: str) -> str | None:
    """Return the interpreter of a version, if there is one that runs: on the path, or of pyenv."""
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    for candidate in (f"python{version}", *sorted(glob.glob(f"{pyenv}/versions/{version}*/bin/python3"))):
        try:
            subprocess.run([candidate, "-c", ""], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):  # a shim of pyenv is there and does not run
            continue
        return candidate
    return None


SYNAPSE = Environment("synapse", ("3.12", "3.13"), ("-c", "constraints-synapse.txt", "-e", ".[synapse]"))
LOGFIRE = Environment("logfire", ("3.12", "3.13"), ("--group", "peer-logfire"))
WANDB = Environment("wandb", ("3.12", "3.13"), ("--group", "peer-wandb"))
MLFLOW = Environment("mlflow", ("3.12", "3.13"), ("--group", "peer-mlflow"))
OURS = {version: Environment(version, (version,), ("-c", "constraints.txt", "-e", ".")) for version in PYTHONS}
"""Ours alone, by the version of Python."""
