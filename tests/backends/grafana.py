"""The dashboards as Grafana would show them: their queries with the variables filled in, asked of a real Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from backends.prometheus import Prometheus

FOLDER = Path(__file__).parents[2] / "collector-config" / "grafana"
DASHBOARDS = ("runs", "run")
DATA_SOURCES = yaml.safe_load((FOLDER / "provisioning" / "datasources.yaml").read_text())["datasources"]
ALL = "$__all"
_SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")
_VARIABLE = re.compile(r"\$([a-z_]\w*)")


def load(name: str) -> dict[str, Any]:
    """Return a dashboard as it is committed."""
    return dict(json.loads((FOLDER / "dashboards" / f"{name}.json").read_text()))


def data_source(uid: str) -> dict[str, Any]:
    """Return what is said of a data source that is provisioned, beyond its name and address."""
    (found,) = [source["jsonData"] for source in DATA_SOURCES if source["uid"] == uid]
    return dict(found)


def targets(dashboard: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the queries of one kind of data source, each with its panel's title."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            if target["datasource"]["type"] == kind:
                yield panel["title"], target


@dataclass(frozen=True, slots=True)
class View:
    """A dashboard that somebody looks at.

    Args:
        prometheus: Where its metrics are.
        dashboard: What is shown.
        chosen: The values of variables; a list where several are chosen, and `ALL` for a variable that is not named.
        start: The begin of the time range, in seconds.
        end: Its end.
        interval: The step of charts, in milliseconds; Grafana makes it from the range and the width of the panel.
    """

    prometheus: Prometheus
    dashboard: dict[str, Any]
    chosen: Mapping[str, str | list[str]]
    start: float
    end: float
    interval: int = 1000

    def show(self, title: str, ref: str = "A") -> list[dict[str, Any]]:
        """Return what Prometheus answers to a panel's query, as its API gives it."""
        (target,) = [
            one for panel, one in targets(self.dashboard, "prometheus") if (panel, one["refId"]) == (title, ref)
        ]
        expr = self.fill(target["expr"])
        if target["instant"]:
            return self.prometheus.query(expr, self.end)
        step = self.interval / 1000
        return self.prometheus.query_range(expr, self.start // step * step, self.end // step * step, step)

    def options(self, name: str) -> list[str]:
        """Return what a variable of label values offers."""
        variable = self._variable(name)
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert found, variable["query"]
        selector, label = self.fill(found[1]), found[2]
        where = {"match[]": selector, "start": self.start, "end": self.end}
        values = self.prometheus.get(f"label/{label}/values", **where)
        if not (pattern := variable.get("regex")):
            return list(values)
        matches = [re.search(pattern.strip("/").replace(r"\/", "/"), value) for value in values]
        return [*dict.fromkeys(match[1] for match in matches if match)]

    def fill(self, expr: str) -> str:
        """Return a query with its variables filled in as Grafana's data source for Prometheus does it."""
        own = {"__range": f"{round(self.end - self.start)}s", "__interval": f"{self.interval}ms"}
        return _VARIABLE.sub(lambda name: own.get(name[1]) or self._value(name[1]), expr)

    def _value(self, name: str) -> str:
        variable = self._variable(name)
        chosen = self.chosen.get(name) or (ALL if variable.get("includeAll") else variable["current"]["value"])
        if not variable.get("multi"):
            assert isinstance(chosen, str)
            return chosen.replace("\\", r"\\").replace('"', r"\"")
        if chosen == ALL:
            if "allValue" in variable:
                return str(variable["allValue"])
            chosen = self.options(name)
        escaped = [_regex_escaped(value) for value in ([chosen] if isinstance(chosen, str) else chosen)]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

    def _variable(self, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.dashboard["templating"]["list"] if one["name"] == name]
        return dict(found)


def _regex_escaped(value: str) -> str:
    """Escape a value for a regular expression that stands in a string of PromQL: each backslash is written twice."""
    return _SPECIAL.sub(lambda special: r"\\" + special[0], value.replace("\\", r"\\\\"))
