"""The parsers of LogQL and TraceQL that Grafana's editors use, installed with npm once and kept for every later run."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from backends.programs import MissingProgramError, alone

PACKAGES = ("@grafana/lezer-logql@0.3.0", "@grafana/lezer-traceql@1.0.0", "@lezer/lr@1.4.12", "@lezer/common@1.5.5")
MISSING = "LogQL and TraceQL are parsed with Node, npm and packages from its registry, and they are not all here"
PROGRAM = """
import { readFileSync } from "node:fs";
import { parser as loki } from "@grafana/lezer-logql";
import { parser as tempo } from "@grafana/lezer-traceql";

const errors = ([language, query]) => {
  const found = [];
  const tree = ({ loki, tempo })[language].parse(query);
  tree.iterate({ enter: (node) => { if (node.type.isError) found.push(node.from); } });
  return found;
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(errors)));
"""
UNREACHABLE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)\b")
"""What npm says when it does not get through to its registry, which is no fault of what it was asked for."""


def find() -> Path:
    """Return the program that parses, which is installed now if it is not here yet.

    Raises:
        MissingProgramError: If there is no Node or npm, or npm does not reach its registry.
    """
    if not (shutil.which("node") and shutil.which("npm")):
        raise MissingProgramError(MISSING)
    key = hashlib.sha256("\n".join((*PACKAGES, PROGRAM)).encode()).hexdigest()[:12]
    folder = platformdirs.user_cache_path("synapse-otel") / "programs" / f"query-parsers-{key}"
    with alone(folder.with_suffix(".lock")):
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            _install(unfinished)
            unfinished.rename(folder)
    return folder / "parse.mjs"


def errors(program: Path, queries: Sequence[tuple[str, str]]) -> list[list[int]]:
    """Return for each query, a pair of `loki` or `tempo` and its text, where it is wrong."""
    done = subprocess.run(
        ["node", program], input=json.dumps(queries), capture_output=True, text=True, check=True, timeout=60
    )
    return list(json.loads(done.stdout))


def _install(folder: Path) -> None:
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )
    if done.returncode:
        said = f"npm failed with {done.returncode}:\n{done.stdout[-4000:]}"
        raise MissingProgramError(f"{MISSING}; {said}") if UNREACHABLE.search(done.stdout) else RuntimeError(said)
    (folder / "parse.mjs").write_text(PROGRAM)
