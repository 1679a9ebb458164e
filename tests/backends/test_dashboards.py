"""The dashboards as files: what Grafana loads is what the modules beside them build, and is whole.

Grafana itself is not run here, and neither are Loki and Tempo: what they are asked is compared with what is sent.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from backends import grafana, query_parsers
from backends.programs import MissingProgramError
from synapse_otel.projection import names

LOKI_OWN = {"severity_text"}
"""What Loki keeps of a log record that is no attribute."""


@pytest.fixture(params=grafana.DASHBOARDS)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each dashboard as it is committed."""
    return grafana.load(request.param)


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def attributes(*names_: str) -> set[str]:
    """Return names of attributes as Prometheus and Loki write them."""
    return {re.sub(r"[^a-zA-Z0-9_]", "_", name) for name in names_}


def test_the_files_are_current(tmp_path: Path) -> None:
    """The command that builds the dashboards builds the files that are committed."""
    subprocess.run([sys.executable, grafana.FOLDER / "build.py", tmp_path], check=True)
    built = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert built == {file.name: file.read_text() for file in (grafana.FOLDER / "dashboards").iterdir()}


def test_every_field_is_one_that_grafana_knows(dashboard: dict[str, Any]) -> None:
    """Read into the types of Grafana's own SDK and written again, a dashboard has lost nothing."""
    with warnings.catch_warnings():
        # It would rather have the schema that only Grafana 13 reads from files; this one all of them read.
        warnings.simplefilter("ignore", DeprecationWarning)
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins
        from grafana_foundation_sdk.models.dashboard import Dashboard
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder), object_hook=_without_placement)
    assert again == dashboard


def test_every_panel_says_what_it_shows(dashboard: dict[str, Any]) -> None:
    """Every panel has an id of its own, a title, a description that is a sentence, a unit, and a query."""
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert ids == [*range(1, len(ids) + 1)]
    for panel in panels(dashboard):
        assert panel["title"]
        assert re.fullmatch(r"[A-Z].+\.", panel["description"]), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {panel["datasource"]["uid"]}


def test_panels_fill_the_grid_without_overlapping(dashboard: dict[str, Any]) -> None:
    """No two panels share a cell of the grid, and none is wider than it."""
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        assert columns.stop <= 24
        for cell in itertools.product(columns, range(place["y"], place["y"] + place["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]


def test_every_variable_is_there_and_used(dashboard: dict[str, Any]) -> None:
    """What a query, a title or a link names is a variable of the dashboard or Grafana's own, and none is idle."""
    text = json.dumps(dashboard)
    used = set(re.findall(r"\$\{?([a-z_]\w*)", text))
    own = {name for name in used if name.startswith("__")}
    assert own <= {"__range", "__interval", "__url_time_range", "__value", "__from", "__to", "__all"}
    assert used - own == {variable["name"] for variable in dashboard["templating"]["list"]}


def test_the_choices_are_the_same_on_both_dashboards() -> None:
    """Service, job and category can be chosen on both, as can where metrics, logs and traces come from."""
    for name in grafana.DASHBOARDS:
        offered = [variable["name"] for variable in grafana.load(name)["templating"]["list"]]
        assert offered[:6] == ["prometheus", "loki", "tempo", "service", "job_id", "category"]


def test_only_the_name_of_a_service_is_taken_to_be_in_the_index_of_loki(dashboard: dict[str, Any]) -> None:
    """Streams are selected by it alone, which needs no namespace, and everything else is filtered after the pipe."""
    asked = [target["expr"] for _, target in grafana.targets(dashboard, "loki")]
    asked += [json.loads(url)["run"]["queries"][0].get("expr", "") for url in _explored(dashboard)]
    asked += [grafana.data_source(uid)["tracesToLogsV2"]["query"] for uid in ("tempo", "jaeger")]
    selected = {selector for query in asked for selector in re.findall(r"\{(\w+=[^}]*)\}", query)}
    assert selected == {'service_name=~"$service"', 'service_name=~".+"'}


def test_logql_names_only_what_is_sent(dashboard: dict[str, Any]) -> None:
    """The labels and the structured metadata in LogQL are resource attributes, attributes or fields of our records."""
    sent = attributes("service.name", names.JOB_ID, names.LEVEL, names.STEP) | LOKI_OWN
    queries = [target["expr"] for _, target in grafana.targets(dashboard, "loki")]
    assert queries
    for query in queries:
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|=)\s*\"", query)) <= sent
        assert set(re.findall(r"by \((\w+)\)", query)) <= sent


def test_traceql_names_only_what_is_sent() -> None:
    """The attributes in TraceQL are of the resource of our spans."""
    queries = [target["query"] for _, target in grafana.targets(grafana.load("run"), "tempo")]
    assert queries == [f'{{ resource.{names.JOB_ID} = "$job_id" }}']


@pytest.fixture(scope="module")
def parsers() -> Path:
    """The parsers of LogQL and TraceQL."""
    try:
        return query_parsers.find()
    except MissingProgramError as error:
        pytest.skip(str(error))


def test_logql_and_traceql_are_well_formed(parsers: Path) -> None:
    """The parsers that Grafana's editors use find no error in the queries, also none of those between data sources."""
    asked = [
        (kind, target.get("expr") or target["query"])
        for name in grafana.DASHBOARDS
        for kind in ("loki", "tempo")
        for _, target in grafana.targets(grafana.load(name), kind)
    ]
    asked += [("loki", grafana.data_source(uid)["tracesToLogsV2"]["query"]) for uid in ("tempo", "jaeger")]
    filled = [(kind, re.sub(r"\$\w+|\$\$\{[^}]+\}", "1m", query)) for kind, query in asked]
    assert len(filled) == 6
    assert query_parsers.errors(parsers, filled) == [[]] * 6
    broken = [("loki", '{a="1"} | | b="2"'), ("tempo", "{ resource.job_id == }")]
    assert all(query_parsers.errors(parsers, broken))


def test_severities_are_those_of_the_plugins(dashboard: dict[str, Any]) -> None:
    """The choice of severities is what plugins can say."""
    offered = [variable["query"] for variable in dashboard["templating"]["list"] if variable["name"] == "severity"]
    assert [set(one.split(",")) for one in offered] in ([], [set(names.SEVERITY)])


def _explored(dashboard: dict[str, Any]) -> set[str]:
    """Return what the links to Explore hold."""
    urls = re.findall(r'"url": "([^"]+)"', json.dumps(dashboard))
    return {parse_qs(urlsplit(url).query)["panes"][0] for url in urls if url.startswith("/explore")}


def _without_placement(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out where a link is, which the SDK writes where nothing was said."""
    return {name: value for name, value in fields.items() if (name, value) != ("placement", "inControlsMenu")}
