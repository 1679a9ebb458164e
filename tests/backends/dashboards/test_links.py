"""The ways from the dashboards and the data sources to each other, as they are provisioned."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from backends import grafana
from synapse_otel.projection import names


@pytest.fixture(params=grafana.DASHBOARDS)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each dashboard as it is committed."""
    return grafana.load(request.param)


def test_data_sources_that_the_dashboards_begin_with_are_provisioned(dashboard: dict[str, Any]) -> None:
    """Each variable of data sources begins with one of ours, of that type."""
    begin = {
        variable["query"]: variable["current"]["value"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "datasource"
    }
    assert begin.items() <= {source["type"]: source["uid"] for source in grafana.DATA_SOURCES}.items()


def test_links_between_data_sources_lead_to_ones_that_are_there() -> None:
    """Logs lead to traces, and traces to logs and metrics, by the uids of the data sources."""
    uids = {source["uid"] for source in grafana.DATA_SOURCES}
    assert uids == {"prometheus", "loki", "tempo", "jaeger"}
    led_to = re.findall(r"'datasourceUid': '(\w+)'", str(grafana.DATA_SOURCES))
    assert sorted(led_to) == ["loki", "loki", "prometheus", "tempo"]
    derived = grafana.data_source("loki")["derivedFields"]
    assert {field["matcherRegex"] for field in derived} == {"trace_id", names.JOB_ID}
    assert [tag["key"] for tag in grafana.data_source("tempo")["tracesToMetrics"]["tags"]] == [names.JOB_ID]
    to_runs = [field["url"] for field in derived if "/d/" in field["url"]]
    assert to_runs == [f"/d/{grafana.load('run')['uid']}?var-job_id=$${{__value.raw:percentencode}}"]


def test_links_of_the_dashboards_are_whole(dashboard: dict[str, Any]) -> None:
    """A link to Explore holds a query in JSON, one to a dashboard the uid of a dashboard and variables that it has."""
    boards = {board["uid"]: board for board in map(grafana.load, grafana.DASHBOARDS)}
    urls = set(re.findall(r'"url": "([^"]+)"', json.dumps(dashboard)))
    assert urls
    for url in map(urlsplit, urls):
        if url.path == "/explore":
            ((pane,),) = (json.loads(text).values() for text in parse_qs(url.query)["panes"])
            (query,) = pane["queries"]
            assert pane["datasource"] == query["datasource"]["uid"] == f"${{{query['datasource']['type']}}}"
            assert names.JOB_ID in (query.get("expr") or query["query"])
        else:
            board = boards[url.path.removeprefix("/d/")]
            given = {name.removeprefix("var-") for name in re.findall(r"var-\w+", unquote(url.query))}
            assert given <= {variable["name"] for variable in board["templating"]["list"]}


def test_links_lead_to_a_job_whatever_its_name_is(dashboard: dict[str, Any]) -> None:
    """With a job_id that needs encoding, a link names that job: as a variable, or in a query of Explore."""
    job = "a&b=c #1 50%+ü/{x}|'y'"
    urls = {url for url in re.findall(r'"url": "([^"]+)"', json.dumps(dashboard)) if "percentencode}" in url}
    assert urls
    for url in urls:
        filled = re.sub(r"\$\{(__value\.text|job_id):percentencode\}", quote(job, safe=""), url)
        asked = parse_qs(urlsplit(filled.replace("${", "{")).query)
        if panes := asked.get("panes"):
            ((pane,),) = (json.loads(text).values() for text in panes)
            (query,) = pane["queries"]
            assert f'"{job}"' in (query.get("expr") or query["query"])
        else:
            assert asked["var-job_id"] == [job]
