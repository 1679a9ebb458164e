"""Builds the dashboards: ``python collector-config/grafana/build.py`` rewrites what is in dashboards/.

Another folder can be named, as in ``build.py FOLDER``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import run
import runs
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Panel

DASHBOARDS = {"runs.json": runs.dashboard, "run.json": run.dashboard}


def main(folder: Path) -> None:
    """Write the dashboards into a folder."""
    for name, dashboard in DASHBOARDS.items():
        (folder / name).write_text(as_json(dashboard()))


def as_json(dashboard: Dashboard) -> str:
    """Return a dashboard as Grafana reads it, its panels numbered and with the data source of their queries."""
    built = dashboard.build()
    for number, panel in enumerate(built.panels or [], 1):
        panel.id_val = number
        if isinstance(panel, Panel) and panel.targets:
            panel.datasource = panel.targets[0].datasource
    return json.dumps(built, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "dashboards")
