"""The parsers of LogQL and TraceQL that Grafana's editors use, installed with npm once and kept for every later run."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import platformdirs

PACKAGES = ("@grafana/lezer-logql@0.3.0", "@grafana/lezer-traceql@1.0.0", "@lezer/lr@1.4.12", "@lezer/common@1.5.5")
MISSING = "LogQL and TraceQL are parsed with Node and npm, and they are not both here"
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


def are_there() -> bool:
    """Return whether queries can be parsed on this machine."""
    return bool(shutil.which("node") and shutil.which("npm"))


def errors(queries: Sequence[tuple[str, str]]) -> list[list[int]]:
    """Return for each query, a pair of `loki` or `tempo` and its text, where it is wrong."""
    program = _installed() / "parse.mjs"
    program.write_text(PROGRAM)
    done = subprocess.run(
        ["node", program], input=json.dumps(queries), capture_output=True, text=True, check=True, timeout=60
    )
    return list(json.loads(done.stdout))


def _installed() -> Path:
    versions = "-".join(package.rpartition("@")[2] for package in PACKAGES)
    folder = platformdirs.user_cache_path("synapse-otel") / "programs" / f"query-parsers-{versions}"
    if not (folder / "node_modules" / "@lezer" / "common").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--prefix", str(folder), *PACKAGES]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder
