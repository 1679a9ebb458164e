"""The real programs that the tests run: found, or built with Go once and kept for every later run.

As a command, ``python tests/backends/programs.py``, it builds what is missing and says what the tests will run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

MANIFEST = Path(__file__).parents[2] / "collector-config" / "builder.yaml"
NO_GO = "needs Go to build {name} {version}, and none was found (or set {variable} to the program)"


class MissingProgramError(Exception):
    """A program that is not here and cannot be built; the message says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program of others.

    Args:
        version: What is built; a program that was found may be another.
        build: Puts the program into a folder, by its name.
        names: What it may be called on the PATH, the best first.
        recipe: What the build depends on besides the version.
        fits: Whether one that was found on the PATH will do.
    """

    name: str
    version: str
    build: Callable[[Path], None]
    names: tuple[str, ...] = ()
    recipe: str = ""
    fits: Callable[[Path], bool] = Path.exists

    @property
    def variable(self) -> str:
        """The environment variable with the path of one to use."""
        return self.name.upper().replace("-", "_")

    def find(self) -> Path:
        """Return the program: the variable's, one that was built, one on the PATH, or one that is built now.

        Raises:
            MissingProgramError: If there is none, and it cannot be built.
        """
        if given := os.environ.get(self.variable):
            return Path(given)
        built = self._folder() / self.name
        if built.exists():
            return built
        for name in self.names:
            if (found := shutil.which(name)) and self.fits(Path(found)):
                return Path(found)
        if shutil.which("go") is None:
            raise MissingProgramError(NO_GO.format(name=self.name, version=self.version, variable=self.variable))
        self._build()
        return built

    def _folder(self) -> Path:
        key = hashlib.sha256(f"{self.version}\n{self.recipe}".encode()).hexdigest()[:12]
        return platformdirs.user_cache_path("synapse-otel") / "programs" / f"{self.name}-{key}"

    def _build(self) -> None:
        folder = self._folder()
        with alone(folder.with_suffix(".lock")):
            if (folder / self.name).exists():
                return
            started = time.monotonic()
            print(f"Building {self.name} {self.version} with Go, once ...", file=sys.stderr, flush=True)
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            self.build(unfinished)
            unfinished.rename(folder)
            print(f"Built {self.name} in {time.monotonic() - started:.0f} s.", file=sys.stderr, flush=True)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock file until the block is left: nobody else builds the same meanwhile."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str], folder: Path, **environ: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        said = done.stdout[-2000:].strip()
        raise MissingProgramError(f"{' '.join(command)} failed with {done.returncode}:\n{said}")


def _go_install(package: str, version: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        _run(["go", "install", f"{package}@{version}"], folder, GOBIN=str(folder))

    return build


def _go_tool(package: str, version: str) -> Callable[[Path], None]:
    """Build a program that `go install` refuses, since its module replaces others: as a tool of an empty module."""

    def build(folder: Path) -> None:
        _run(["go", "mod", "init", "programs"], folder)
        _run(["go", "get", "-tool", f"{package}@{version}"], folder)
        _run(["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(folder), package], folder)

    return build


def _collector_version() -> str:
    """Return the version that the manifest is for, the builder's own too."""
    (line,) = [line for line in MANIFEST.read_text().splitlines() if line.strip().startswith("version:")]
    return line.split(":", 1)[1].strip()


def _is_our_collector(program: Path) -> bool:
    """Return whether a Collector has the components of the manifest, of the same release: their settings change."""
    modules = [line.split("gomod:")[1].strip() for line in MANIFEST.read_text().splitlines() if "gomod:" in line]
    has = subprocess.run([program, "components"], capture_output=True, text=True, check=False).stdout
    return all(module in has for module in modules)


def _build_collector(folder: Path) -> None:
    builder = f"go.opentelemetry.io/collector/cmd/builder@v{_collector_version()}"
    _run(["go", "run", builder, f"--config={MANIFEST}"], folder)  # the manifest's output_path is below this folder
    (folder / "build" / "otelcol").rename(folder / "otelcol")
    shutil.rmtree(folder / "build")


def _build_compose_spec(folder: Path) -> None:
    _run(["go", "install", "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"], folder, GOBIN=str(folder))
    (folder / "cmd").rename(folder / "compose_spec")


OTELCOL = Program(
    "otelcol",
    _collector_version(),
    _build_collector,
    ("otelcol-contrib", "otelcol"),
    MANIFEST.read_text(),
    _is_our_collector,
)
JAEGER = Program("jaeger", "v1.76.0", _go_tool("github.com/jaegertracing/jaeger/cmd/jaeger", "v1.76.0"))
PROMETHEUS = Program(
    "prometheus", "v0.316.0", _go_install("github.com/prometheus/prometheus/cmd/prometheus", "v0.316.0")
)
PROMTOOL = Program("promtool", "v0.316.0", _go_install("github.com/prometheus/prometheus/cmd/promtool", "v0.316.0"))
VICTORIA_LOGS = Program(
    "victoria-logs", "v1.52.1", _go_install("github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs", "v1.52.1")
)
COMPOSE_SPEC = Program("compose_spec", "v2.16.2", _build_compose_spec)
"""The parser that `docker compose` is made with: it checks the schema, and resolves paths and defaults."""

PROGRAMS = (OTELCOL, PROMETHEUS, PROMTOOL, JAEGER, VICTORIA_LOGS, COMPOSE_SPEC)


def main() -> None:
    """Build what is missing; say what will not be tested where that cannot be done."""
    for program in PROGRAMS:
        try:
            program.find()
        except MissingProgramError as error:
            print(f"NOT tested with {program.name}: {error}", flush=True)


if __name__ == "__main__":
    main()
